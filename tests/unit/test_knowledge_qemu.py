# SPDX-License-Identifier: Apache-2.0
"""The ids that the tables call QEMU's are the ones that the QEMU of this machine shows, read from its PCI configuration space."""

import subprocess
from collections.abc import Iterator

import pytest
from unxen.knowledge.loader import load_knowledge
from unxen.knowledge.tables import EmulatedController

# One disk device for each row, by the first id of the row without subsystem and revision.
DEVICES = {
    r"PCI\VEN_8086&DEV_7010": "piix3-ide",
    r"PCI\VEN_8086&DEV_2922": "ich9-ahci",
    r"PCI\VEN_1AF4&DEV_1001": "virtio-blk-pci,drive=a,disable-legacy=off",
    r"PCI\VEN_1AF4&DEV_1042": "virtio-blk-pci,drive=b,disable-legacy=on",
    r"PCI\VEN_1AF4&DEV_1004": "virtio-scsi-pci,disable-legacy=off",
    r"PCI\VEN_1AF4&DEV_1048": "virtio-scsi-pci,disable-legacy=on",
    r"PCI\VEN_1000&DEV_0012": "lsi53c895a",
    r"PCI\VEN_1000&DEV_0054": "mptsas1068",
    r"PCI\VEN_1000&DEV_0060": "megasas",
    r"PCI\VEN_1B36&DEV_0010": "nvme,serial=1,drive=c",
}
FIRST_SLOT = 4
ROWS = load_knowledge().emulated


@pytest.fixture(scope="module")
def shown() -> dict[str, tuple[str, ...]]:
    """Hardware and compatible ids as Windows makes them of what each device of a q35 board says, by vendor and device."""
    drives = [part for name in "abc" for part in ("-drive", f"if=none,id={name},file=null-co://,format=raw")]
    devices = [part for slot, device in enumerate(DEVICES.values(), FIRST_SLOT) for part in ("-device", f"{device},addr={slot:#x}")]
    command = ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-nodefaults", "-display", "none", "-S", "-qtest", "stdio"]
    reads = [
        0x80000000 | slot << 11 | register for slot in range(FIRST_SLOT, FIRST_SLOT + len(DEVICES)) for register in (0, 8, 0x2C)
    ]
    asked = "".join(f"outl 0xcf8 {address:#x}\ninl 0xcfc\n" for address in reads)
    # The end of its standard input does not end QEMU, so it is read until the last answer and then stopped.
    with subprocess.Popen([*command, *drives, *devices], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as qemu:
        assert qemu.stdin and qemu.stdout
        try:
            qemu.stdin.write(asked)
            qemu.stdin.flush()
            answers = _answers(qemu.stdout)
            words = [next(answers) for _ in reads]
        finally:
            qemu.kill()
    triples = zip(words[0::3], words[1::3], words[2::3], strict=True)
    made = [ids_of(*triple) for triple in triples]
    return {ids[5]: ids for ids in made}


def _answers(lines: Iterator[str]) -> Iterator[int]:
    """The numbers that `inl` gave."""
    for line in lines:
        if line.startswith("OK 0x"):
            yield int(line.split()[1], 16)
    raise AssertionError("qemu ended before it had answered")


def ids_of(identity: int, kind: int, subsystem: int) -> tuple[str, ...]:
    """The ids that Windows' PCI driver makes (Microsoft, identifiers for PCI devices)."""
    vendor = rf"PCI\VEN_{identity & 0xFFFF:04X}"
    device = f"{vendor}&DEV_{identity >> 16:04X}"
    revision, code, short = f"REV_{kind & 0xFF:02X}", f"CC_{kind >> 8:06X}", f"CC_{kind >> 16:04X}"
    return (
        f"{device}&SUBSYS_{subsystem:08X}&{revision}",
        f"{device}&SUBSYS_{subsystem:08X}",
        f"{device}&{code}",
        f"{device}&{short}",
        f"{device}&{revision}",
        device,
        f"{vendor}&{code}",
        f"{vendor}&{short}",
        vendor,
        rf"PCI\{code}",
        rf"PCI\{short}",
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.bus.value}-{row.ids[5]}")
def test_qemu_shows_the_ids_of_the_row(row: EmulatedController, shown: dict[str, tuple[str, ...]]):
    assert row.ids == shown[row.ids[5]]


def test_every_row_has_a_device():
    assert {row.ids[5] for row in ROWS} == set(DEVICES)
