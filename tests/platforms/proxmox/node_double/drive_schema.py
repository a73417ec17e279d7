# SPDX-License-Identifier: Apache-2.0
"""Which keys and which drive options a request may have (rules 6, 7, 16): the schema, written down apart from the program's own."""

import re

from node_double.state import die

LIMITS = {"ide": 4, "sata": 6, "scsi": 31, "virtio": 16, "unused": 256}
LIMITS |= {"net": 32, "efidisk": 1, "tpmstate": 1, "serial": 4, "usb": 5}


def words(text: str) -> list[str]:
    return text.split()


PLAIN = words(
    """acpi agent args balloon bios boot bootdisk cores cpu description hookscript hotplug keyboard lock localtime machine memory
    name numa onboot ostype protection scsihw smbios1 sockets startup tablet tags template vcpus vga vmgenid"""
)
REQUEST = words("delete revert digest force skiplock background_delay")
LOCKS = words("backup clone create migrate rollback snapshot snapshot-delete suspending suspended")
_TAG = re.compile(r"[a-z0-9_][a-z0-9_+.-]*", re.IGNORECASE)
_EVERY = words(
    """file format size media snapshot cache aio discard detect_zeroes backup replicate rerror werror serial shared import-from
    bps bps_rd bps_wr mbps mbps_rd mbps_wr mbps_max mbps_rd_max mbps_wr_max bps_max_length bps_rd_max_length bps_wr_max_length
    iops iops_rd iops_wr iops_max iops_rd_max iops_wr_max iops_max_length iops_rd_max_length iops_wr_max_length"""
)
OPTIONS = {
    "ide": {*_EVERY, "ssd", "wwn", "model"},
    "sata": {*_EVERY, "ssd", "wwn"},
    "scsi": {*_EVERY, "ssd", "wwn", "iothread", "ro", "queues", "product", "vendor", "scsiblock"},
    "virtio": {*_EVERY, "iothread", "ro"},
    "efidisk": {"file", "format", "size", "efitype", "pre-enrolled-keys", "ms-cert", "import-from"},
    "tpmstate": {"file", "format", "size", "version", "import-from"},
}


def kind_of(key: str) -> str:
    return key.rstrip("0123456789")


def is_disk(key: str) -> bool:
    return kind_of(key) in OPTIONS and is_known(key)


def is_known(key: str) -> bool:
    found = re.fullmatch(r"([a-z]+)(0|[1-9]\d*)", key)
    return key in PLAIN or key in REQUEST or bool(found and int(found[2]) < LIMITS.get(found[1], 0))


def properties(value: str) -> dict[str, str]:
    """A property string's parts; the one without a name is the volume."""
    made: dict[str, str] = {}
    for part in value.split(","):
        name, equals, rest = part.partition("=")
        made[name if equals else "file"] = rest if equals else part
    return made


def volume_in(value: str) -> str:
    return properties(value).get("file", "")


def joined(parts: dict[str, str]) -> str:
    """Volume first, then the others by the alphabet."""
    rest = (f"{name}={parts[name]}" for name in sorted(parts) if name != "file")
    return ",".join((parts["file"], *rest))


def check(values: dict[str, str]) -> None:
    """Everything that the API's schema would refuse, in its words."""
    for key in values:
        if not is_known(key):
            die(f"Unknown option: {key}\n400 unable to parse option")
    problems = [problem for key, value in values.items() for problem in _problems(key, value)]
    if problems:
        die("400 Parameter verification failed.\n" + "\n".join(problems))


def _problems(key: str, value: str) -> list[str]:
    if is_disk(key):
        foreign = sorted(set(properties(value)) - OPTIONS[kind_of(key)])
        text = "property is not defined in schema and the schema does not allow additional properties"
        return [f"{key}: invalid format - format error", *(f"{key}.{name}: {text}" for name in foreign)] if foreign else []
    if key == "description" and len(value) > 8192:
        return ["description: value may only be 8192 characters long"]
    if key == "tags" and not all(_TAG.fullmatch(each) for each in re.split(r"[;, ]+", value) if each):
        return ["tags: invalid format - value does not look like a valid tag"]
    if key == "lock" and value not in LOCKS:
        return [f"lock: value '{value}' does not have a value in the enumeration"]
    return []
