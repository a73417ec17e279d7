# SPDX-License-Identifier: Apache-2.0
"""Exports as XenServer and XCP-ng write them, made from a description, so that every byte of a test's expectation is known.

The tar is the oldest flavour (no magic, type NUL); blocks are numbered, keep-alives take a number and no room, empty blocks between
the first and the last are left out. What the exporter does wrong by design (a cut stream) a test does to the bytes afterwards.
"""

import gzip
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import xxhash
import zstandard

BLOCK = 1 << 20


@dataclass
class ExportedDisk:
    """One VDI with its device: content as bytes; `keep_alive_before` are block indices before which an empty block is sent."""

    content: bytes
    reference: str = "Ref:7"
    device: str = "Ref:17"
    slot: str = "0"
    name: str = "system"
    mode: str = "RW"
    keep_alive_before: Sequence[int] = ()
    send_zeros: bool = False


@dataclass
class ExportedMachine:
    """The VM record, as far as anybody reads it."""

    name: str = "win-from-xen"
    uuid: str = "5c5e2b0b-6a8c-4cb1-8f6c-2b9a5b1f4a11"
    memory: int = 4 << 30
    vcpus: int = 2
    domain_type: str = "hvm"
    boot_policy: str = "BIOS order"
    boot_params: dict = field(default_factory=lambda: {"order": "dc"})
    platform: dict = field(default_factory=lambda: {"viridian": "true", "timeoffset": "3600", "cores-per-socket": "2"})
    nvram: dict = field(default_factory=dict)
    macs: Sequence[str] = ("5a:3e:11:00:00:01",)
    with_cd: bool = True
    more_fields: dict = field(default_factory=dict)
    more_objects: Sequence[tuple[str, str, dict]] = ()


def make_xva(machine: ExportedMachine, disks: Sequence[ExportedDisk], *, checksum: str = "xxhash", wrap: str = "") -> bytes:
    """The whole export; `checksum` is `checksum` (SHA-1) or `xxhash`, `wrap` nothing, `gzip` or `zstd`."""
    archive = member("ova.xml", ova_xml(machine, disks)) + b"".join(
        part for disk in sorted(disks, key=lambda each: each.reference) for part in disk_members(disk, checksum)
    )
    return wrapped(archive + bytes(1024), wrap)


def wrapped(data: bytes, wrap: str) -> bytes:
    """Compressed as the exporter's programs would."""
    if wrap == "gzip":
        return gzip.compress(data, 1, mtime=0)
    return zstandard.ZstdCompressor(write_checksum=True).compress(data) if wrap == "zstd" else data


def disk_members(disk: ExportedDisk, checksum: str) -> Iterable[bytes]:
    """Blocks and checksums of one disk; the first and the last block are always sent."""
    pieces = [disk.content[start : start + BLOCK] for start in range(0, len(disk.content), BLOCK)]
    number = 0
    for index, piece in enumerate(pieces):
        for _ in range(list(disk.keep_alive_before).count(index)):
            yield from block_members(disk.reference, number, b"", checksum)
            number += 1
        if piece.strip(b"\0") or index in (0, len(pieces) - 1) or disk.send_zeros:
            yield from block_members(disk.reference, number, piece, checksum)
        number += 1


def block_members(reference: str, number: int, data: bytes, checksum: str) -> Iterable[bytes]:
    """One block and what follows it."""
    name = f"{reference}/{number:08d}"
    yield member(name, data)
    told = hashlib.sha1(data).hexdigest() if checksum == "checksum" else xxhash.xxh64_hexdigest(data).upper()
    yield member(f"{name}.{checksum}", told.encode())


def member(name: str, data: bytes) -> bytes:
    """A tar member of the oldest flavour."""
    head = bytearray(512)
    head[0 : len(name)] = name.encode()
    for start, text in ((100, "0000400"), (108, "0000000"), (116, "0000000"), (124, f"{len(data):011o}"), (136, f"{0:011o}")):
        head[start : start + len(text)] = text.encode()
    head[148:156] = b" " * 8
    head[148:156] = f"{sum(head):06o}\0 ".encode()
    return bytes(head) + data + bytes(-len(data) % 512)


def ova_xml(machine: ExportedMachine, disks: Sequence[ExportedDisk]) -> bytes:
    """The XML-RPC value, on one line."""
    devices = [(disk.device, _disk_device(disk)) for disk in disks]
    if machine.with_cd:
        devices.append(("Ref:99", {"type": "CD", "userdevice": "3", "VDI": "OpaqueRef:NULL", "empty": True, "mode": "RO"}))
    cards = [(f"Ref:4{index}", {"device": str(index), "MAC": mac, "MTU": "1500", "network": "Ref:50"})
             for index, mac in enumerate(machine.macs)]  # fmt: skip
    objects = [
        ("VM", "Ref:1", _machine(machine, [each for each, _ in devices], [each for each, _ in cards])),
        *(("VBD", reference, fields) for reference, fields in devices),
        *(("VIF", reference, fields) for reference, fields in cards),
        ("network", "Ref:50", {"name_label": "Pool-wide network", "bridge": "xenbr0"}),
        *(("VDI", disk.reference, {"name_label": disk.name, "virtual_size": str(len(disk.content)), "type": "user", "SR": "Ref:60"})
          for disk in disks),
        ("SR", "Ref:60", {"name_label": "Local storage", "content_type": "user"}),
        *machine.more_objects,
    ]  # fmt: skip
    version = {"hostname": "xcp-01", "product_version": "8.3.0", "product_brand": "XCP-ng", "export_vsn": "2"}
    rows = [{"class": kind, "id": reference, "snapshot": fields} for kind, reference, fields in objects]
    return _value({"version": version, "objects": rows}).encode()


def _machine(machine: ExportedMachine, devices: list[str], cards: list[str]) -> dict:
    return {
        "uuid": machine.uuid,
        "name_label": machine.name,
        "name_description": "",
        "memory_static_max": str(machine.memory),
        "VCPUs_max": str(machine.vcpus),
        "VCPUs_at_startup": str(machine.vcpus),
        "domain_type": machine.domain_type,
        "HVM_boot_policy": machine.boot_policy,
        "HVM_boot_params": machine.boot_params,
        "platform": machine.platform,
        "NVRAM": machine.nvram,
        "VBDs": devices,
        "VIFs": cards,
        "is_a_template": False,
        "actions_after_shutdown": "destroy",
        "actions_after_reboot": "restart",
        "actions_after_crash": "rename_restart",
        "bios_strings": {"bios-vendor": "Xen", "bios-version": "", "oem-2": "MS_VM_CERT/SHA1/bdbe"},
        "attached_PCIs": [],
        "generation_id": "",
        "has_vendor_device": False,
        **machine.more_fields,
    }


def _disk_device(disk: ExportedDisk) -> dict:
    return {"type": "Disk", "userdevice": disk.slot, "VDI": disk.reference, "bootable": False, "empty": False, "mode": disk.mode}


def _value(value: object) -> str:
    if isinstance(value, dict):
        inner = "".join(f"<member><name>{escape(name)}</name>{_value(each)}</member>" for name, each in value.items())
        return f"<value><struct>{inner}</struct></value>"
    if isinstance(value, list):
        return f"<value><array><data>{''.join(map(_value, value))}</data></array></value>"
    if isinstance(value, bool):
        return f"<value><boolean>{int(value)}</boolean></value>"
    return f"<value>{escape(str(value))}</value>" if value != "" else "<value/>"
