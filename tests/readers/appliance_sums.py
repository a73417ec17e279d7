# SPDX-License-Identifier: Apache-2.0
"""Reads all files of many disks in one appliance: `[[disk, format, partition], …]` in, `[{path: SHA-256}, …]` out, as JSON.

Run by the system's interpreter, for which guestfs is built. Opens every disk read-only.
"""

import json
import sys
import tempfile

import guestfs

asked = json.load(sys.stdin)
appliance = guestfs.GuestFS(python_return_dict=True)
for disk, image_format, _ in asked:
    appliance.add_drive_opts(disk, readonly=True, format=image_format)
appliance.launch()
sums = []
for device, (_, _, partition) in zip(appliance.list_devices(), asked, strict=True):
    appliance.mount_ro(f"{device}{partition}", "/")
    with tempfile.NamedTemporaryFile() as listing:
        appliance.checksums_out("sha256", "/", listing.name)
        lines = [line.partition("  ") for line in listing.read().decode().splitlines()]
    sums.append({path.removeprefix("."): digest for digest, _, path in lines})
    appliance.umount("/")
appliance.shutdown()
json.dump(sums, sys.stdout)
