# SPDX-License-Identifier: Apache-2.0
"""An image that was written must be sound in itself; QEMU's own check says so.

Starts qemu-img in a box with the rights of the image's owner; reads only the image's own file. Faults are Refused(IMAGE_DAMAGED).
"""

import json
import os
import stat

from unxen.errors import refused
from unxen.host.block_node import DRIVERS
from unxen.host.nbd import image_owner, read_only_layer
from unxen.host.process import find, hear_out
from unxen.host.sandbox import DEVICES, service_account, start_boxed
from unxen.model.disk import ImageChain
from unxen.model.reason import ReasonKind

CHECK_SECONDS = 3600.0
SOUND, LEAKS = 0, 3
# Bytes of address space (the counts of an image of many terabytes are held whole), seconds of processor, bytes of any file.
SCRIPT = 'ulimit -v 8388608; ulimit -t 3600; ulimit -f 0; ulimit -c 0; exec "$@"'


def check_image(chain: ImageChain) -> None:
    """Sound, or at most with clusters that nobody uses, which cost room and nothing else."""
    layer = chain.layers[0]
    fd = read_only_layer(layer, service_account())
    try:
        driver = "file" if stat.S_ISREG(os.fstat(fd).st_mode) else "host_device"
        file = {"driver": driver, "filename": f"/proc/self/fd/{fd}"}
        node = json.dumps({"driver": DRIVERS[layer.header.format], "backing": None, "file": file})
        command = ["bash", "-c", SCRIPT, "bash", find("qemu-img"), "check", "-q", f"json:{node}"]
        # For writing, because QEMU asks /dev/null that way which locks there are.
        process = start_boxed(command, account=image_owner(fd), options=DEVICES, pass_fds=(fd,), writes=True)
    finally:
        os.close(fd)
    done = hear_out(process, CHECK_SECONDS, "qemu-img")
    if done.code not in (SOUND, LEAKS):
        raise refused(ReasonKind.IMAGE_DAMAGED, layer.path, cause=done.stderr.strip())
