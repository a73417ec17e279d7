# SPDX-License-Identifier: Apache-2.0
"""How old a hive is that is known to lack its last changes: the youngest time stamp of its keys tells.

Touches only the bytes it is given; raises nothing for what they hold.
"""

import struct

from unxen.registry.audit_cells import read_bins
from unxen.registry.base_block import BLOCK_SIZE, read_base_block

KEY = struct.Struct("<2sHQ")
# Year 3000 as a FILETIME: what is later is no time.
LATEST = 441481536000000000


def newest_change(data: bytes) -> int:
    """The youngest time stamp of all key cells as a FILETIME; 0 where there is none."""
    ledger = read_bins(data, read_base_block(data).bins_size)
    cells = (KEY.unpack_from(data, BLOCK_SIZE + cell + 4) for cell, room in ledger.capacities.items() if room >= KEY.size)
    return max((stamp for signature, _, stamp in cells if signature == b"nk" and stamp < LATEST), default=0)
