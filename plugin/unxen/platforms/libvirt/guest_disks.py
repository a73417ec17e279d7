# SPDX-License-Identifier: Apache-2.0
"""A domain's disks, wherever their images are, with the format that its definition gives; what cannot be reached is named.

Reads the first and last bytes of an image declared as `vhd`, a word that libvirt and Xen use for two formats which both carry a
mark; every other format is taken from the XML alone. Raises Refused(PLATFORM_REFUSED, REMOTE_UNSUPPORTED, IMAGE_ENCRYPTED).
"""

import os
from collections.abc import Callable

from unxen.errors import Refused, refused
from unxen.model.disk import Disk, Window
from unxen.model.ids import DiskNumber, ImageFormat
from unxen.model.reason import ReasonKind
from unxen.platforms.libvirt.domain_xml import Element, hard_disks, target_of
from unxen.platforms.libvirt.network_disks import remote_of

PoolPath = Callable[[str, str], str]
"""Path of a volume, by the names of its pool and of itself; raises Refused."""
FORMATS = {
    "raw": ImageFormat.RAW,
    "": ImageFormat.RAW,
    "qcow2": ImageFormat.QCOW2,
    "vpc": ImageFormat.VHD,
    "vmdk": ImageFormat.VMDK,
    "vdi": ImageFormat.VDI,
}
VHD, NETWORK = "vhd", "network"
_MARK = 8
_FOOTER = 512
_VHD, _VHDX = b"conectix", b"vhdxfile"


def guest_disks(root: Element, pool_path: PoolPath) -> tuple[Disk, ...]:
    """The hard disks in their order."""
    return tuple(_disk(number, disk, pool_path) for number, disk in enumerate(hard_disks(root), 1))


def _disk(number: int, disk: Element, pool_path: PoolPath) -> Disk:
    name = target_of(disk)
    _refuse_what_cannot_be_followed(disk, name)
    remote = remote_of(disk) if disk.get("type") == NETWORK else None
    path = remote.url if remote else source_path(disk, pool_path)
    sniffed = declared_format(disk) == VHD and remote is None
    kind = vhd_format(path) if sniffed else FORMATS.get(declared_format(disk))
    if kind is None:
        raise refused(ReasonKind.PLATFORM_REFUSED, name, problem=f"its format {declared_format(disk)} is not known")
    return Disk(DiskNumber(number), path, kind, _window(disk, name), remote)


def _window(disk: Element, name: str) -> Window | None:
    """The part of the image that libvirt gives to the guest, where it says so."""
    slices = disk.findall("source/slices/slice")
    if not slices:
        return None
    start, length = (slices[0].get(each, "") for each in ("offset", "size"))
    if len(slices) > 1 or slices[0].get("type") != "storage" or not (start.isdecimal() and length.isdecimal()):
        raise refused(ReasonKind.PLATFORM_REFUSED, name, problem="its slices are not understood")
    return Window(int(start), int(length))


def _refuse_what_cannot_be_followed(disk: Element, name: str) -> None:
    """What makes the guest's disk something else than the file that is named."""
    if disk.find(".//encryption") is not None:
        raise refused(ReasonKind.IMAGE_ENCRYPTED, name, cause="libvirt opens it with a key of its own")
    if disk.find("source/dataStore") is not None:
        raise refused(ReasonKind.EXTERNAL_DATA_FILE, name)


def declared_format(disk: Element) -> str:
    """libvirt's word for the format; nothing said is raw."""
    driver = disk.find("driver")
    return driver.get("type", "") if driver is not None else ""


def source_path(disk: Element, pool_path: PoolPath) -> str:
    """Where the disk's own file or device is on this host, or the name of its image on a server."""
    source = disk.find("source")
    assert source is not None
    kind = disk.get("type", "file")
    if kind in ("file", "block"):
        return str(source.get("file" if kind == "file" else "dev", ""))
    if kind == "volume":
        return pool_path(source.get("pool", ""), source.get("volume", ""))
    if kind == NETWORK:
        return remote_of(disk).url
    problem = f"a disk of type {kind} is no file, no block device and no image on a server"
    cause = "unxen holds a disk by the locks of its file, which such a disk does not have"
    raise refused(ReasonKind.PLATFORM_REFUSED, target_of(disk), problem=problem, cause=cause)


def vhd_format(path: str) -> ImageFormat | None:
    """VHD or VHDX by their marks; None when the file shows neither or cannot be read."""
    try:
        # O_NONBLOCK: a pipe is not waited for.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        end = max(os.lseek(fd, 0, os.SEEK_END) - _FOOTER, 0)
        head, foot = os.pread(fd, _MARK, 0), os.pread(fd, _MARK, end)
    except OSError:
        return None
    finally:
        os.close(fd)
    if head == _VHDX:
        return ImageFormat.VHDX
    return ImageFormat.VHD if _VHD in (head, foot) else None


def sniffed_format(disk: Element, pool_path: PoolPath) -> ImageFormat | None:
    """The same for a disk of a definition; None too where its file is out of reach."""
    try:
        return vhd_format(source_path(disk, pool_path))
    except Refused:
        return None
