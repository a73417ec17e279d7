# SPDX-License-Identifier: Apache-2.0
"""What an administrator would script with libguestfs: the article's steps on one control set, unverified and without a way back.

    article_steps.py DISK FORMAT

Run by the system's interpreter. Finds the Windows partition by asking for all file systems, as scripts do, and edits inside the
appliance.
"""

import sys
from typing import Any

import guestfs

HIVE = "/Windows/System32/config/SYSTEM"
INBOX = ("msahci", "pciide", "iaStor", "iaStorV", "iaStorAVC")
XEN = ("xenpci", "xenvbd", "xennet")
DWORD, MULTI_SZ = 4, 7


def child(appliance: Any, node: int, path: str) -> int:
    for name in path.split("\\"):
        node = node and appliance.hivex_node_get_child(node, name)
    return node


def set_start(appliance: Any, services: int, name: str, number: int) -> None:
    service = child(appliance, services, name)
    if service:
        appliance.hivex_node_set_value(service, "Start", DWORD, number.to_bytes(4, "little"))


def without_xen(data: bytes) -> bytes:
    names = [each for each in data.decode("utf-16-le").split("\0") if each and "xen" not in each.lower()]
    return ("".join(f"{each}\0" for each in names) + "\0").encode("utf-16-le")


def clean_class(appliance: Any, node: int) -> None:
    for value in appliance.hivex_node_values(node):
        handle = value["hivex_value_h"]
        if appliance.hivex_value_key(handle).lower() in ("upperfilters", "lowerfilters"):
            data = appliance.hivex_value_value(handle)
            if data != without_xen(data):
                appliance.hivex_node_set_value(node, appliance.hivex_value_key(handle), MULTI_SZ, without_xen(data))


def main(disk: str, image_format: str) -> None:
    appliance = guestfs.GuestFS(python_return_dict=True)
    appliance.add_drive_opts(disk, format=image_format)
    appliance.launch()
    for device, kind in appliance.list_filesystems().items():
        if kind == "ntfs":
            appliance.mount(device, "/")
            if appliance.is_file(HIVE):
                break
            appliance.umount("/")
    appliance.hivex_open(HIVE, write=True)
    control = child(appliance, appliance.hivex_root(), "ControlSet001")
    services = child(appliance, control, "Services")
    for name in INBOX:
        set_start(appliance, services, name, 0)
    for name in XEN:
        set_start(appliance, services, name, 3)
    for node in appliance.hivex_node_children(child(appliance, control, "Control\\Class")):
        clean_class(appliance, node["hivex_node_h"])
    appliance.hivex_commit(None)
    appliance.hivex_close()
    appliance.umount_all()
    appliance.shutdown()
    appliance.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
