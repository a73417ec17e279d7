# SPDX-License-Identifier: Apache-2.0
"""An image that was written must be sound in itself; QEMU's own check says so.

Starts qemu-img with the rights of the image's owner; reads only the image's own file. Faults are Refused(IMAGE_DAMAGED).
"""

import json
import os

from unxen.errors import Refused, refused
from unxen.host.block_node import DRIVERS
from unxen.host.nbd import image_owner, open_layer
from unxen.host.process import run
from unxen.model.disk import ImageChain
from unxen.model.reason import ReasonKind

CHECK_SECONDS = 3600.0
SOUND, LEAKS = 0, 3


def check_image(chain: ImageChain) -> None:
    """Sound, or at most with clusters that nobody uses, which cost room and nothing else."""
    layer = chain.layers[0]
    fd = open_layer(layer)
    try:
        file = {"driver": "file", "filename": f"/proc/self/fd/{fd}"}
        node = json.dumps({"driver": DRIVERS[layer.header.format], "backing": None, "file": file})
        account = image_owner(fd) if os.geteuid() == 0 else None
        run(
            ["qemu-img", "check", "-q", f"json:{node}"], timeout=CHECK_SECONDS, good=(SOUND, LEAKS), pass_fds=(fd,), account=account
        )
    except Refused as error:
        if error.first.kind is ReasonKind.TOOL_MISSING:
            raise
        raise refused(ReasonKind.IMAGE_DAMAGED, layer.path, cause=error.first.detail("cause")) from error
    finally:
        os.close(fd)
