# SPDX-License-Identifier: Apache-2.0
"""The box waits while a disk's server starts and while its parent loads tables; it loads then what it will need next.

Imports modules and touches nothing else. Runs inside the box; the answer says nothing.
"""

import importlib

from unxen.host.box_protocol import Request, Response
from unxen.probe.look_protocol import Code

MODULES: dict[str, tuple[str, ...]] = {
    Code.DISKS.value: ("nbd",),
    Code.WINDOWS.value: (
        "nbd",
        "unxen.probe.boot_files",
        "unxen.probe.look_at_volume",
        "unxen.probe.system_hive",
        "unxen.probe.windows_version",
    ),
}


def answer(request: Request) -> Response:
    """The operation `load`."""
    for name in MODULES[request.payload]:
        importlib.import_module(name)
    return Response(None)
