# SPDX-License-Identifier: Apache-2.0
"""What unxen may never ask of Proxmox, whatever happens."""

import itertools
from collections.abc import Collection


def destructive(request: list[str], made: Collection[str] = ()) -> bool:
    """Whether a request destroys a volume: `delete` of an unused one, `force`, or an end of what was not made by unxen itself."""
    if request[:2] in (["pvesm", "free"], ["qm", "destroy"]):
        return request[2] not in made or len(request) > 3
    words = [word.lstrip("-") for word in request[1:]]
    deleted = [word for before, word in itertools.pairwise(request) if before.lstrip("-") == "delete"]
    inline = [word.partition("=")[2] for word in words if word.startswith("delete=")]
    unused = any("unused" in each for each in (*deleted, *inline))
    return unused or any(word.partition("=")[0] in ("force", "purge", "destroy", "free", "unlink") for word in words)
