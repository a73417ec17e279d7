# SPDX-License-Identifier: Apache-2.0
"""Which firmware a guest's disks are for, when that is certain enough to define it, and what a new machine may not find."""

from dataclasses import replace

import pytest
from unit.facts_builder import SMALL_KNOWLEDGE, Windows
from unxen.model.facts import GuestFacts
from unxen.model.guest import Guest, Machine
from unxen.model.ids import Bus, DiskNumber, Firmware, GuestPath, Offset, PartitionNumber
from unxen.model.judgement import Judgement, Note, NoteKind, Verdict
from unxen.model.volume_facts import BootFile, Content, Partition, Scheme
from unxen.plan.judge import judge
from unxen.plan.links.firmware import certain_firmware
from unxen.platforms.base import Ability
from unxen.report.messages import tell_note
from unxen.workflow.wishing import judge_fitted

ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
BOOTMGR = (1, r"\bootmgr", Firmware.BIOS)
MICROSOFT = (2, r"\EFI\Microsoft\Boot\bootmgfw.efi", Firmware.UEFI)
FALLBACK = (2, r"\EFI\Boot\bootx64.efi", Firmware.UEFI)


def facts(scheme: Scheme, *files: tuple[int, str, Firmware], esp: str = "", windows: Windows | None = None) -> GuestFacts:
    """A guest of one disk with these boot files; `esp` is the type of a second partition."""
    disk = DiskNumber(1)
    boot_files = tuple(BootFile(disk, PartitionNumber(number), GuestPath(path), kind) for number, path, kind in files)
    system = Partition(disk, PartitionNumber(2), esp, Offset(1 << 20), 1 << 20, False, Content.FAT)
    made = (windows or Windows("10").xen()).on_disk(boot_files=boot_files, scheme=scheme).facts()
    return replace(made, disks=tuple(replace(each, partitions=(system,) if esp else ()) for each in made.disks))


@pytest.mark.parametrize(
    ("seen", "certain"),
    [
        (facts(Scheme.MBR, BOOTMGR), Firmware.BIOS),
        (facts(Scheme.GPT, MICROSOFT, esp=ESP), Firmware.UEFI),
        (facts(Scheme.GPT, FALLBACK, esp=ESP), Firmware.UEFI),
        (facts(Scheme.GPT, BOOTMGR, MICROSOFT, esp=ESP), Firmware.UEFI),
        (facts(Scheme.MBR, BOOTMGR, MICROSOFT, esp="EF"), Firmware.UNKNOWN),
        (facts(Scheme.MBR, BOOTMGR, esp="EF"), Firmware.UNKNOWN),
        (facts(Scheme.MBR, MICROSOFT, esp="EF"), Firmware.UNKNOWN),
        (facts(Scheme.GPT, BOOTMGR), Firmware.UNKNOWN),
        (facts(Scheme.NONE, BOOTMGR), Firmware.UNKNOWN),
        (facts(Scheme.MBR), Firmware.UNKNOWN),
    ],
    ids=["bios", "uefi", "fallback-only", "mbr2gpt", "both-on-mbr", "unseen-loader", "uefi-on-mbr", "bios-on-gpt", "bare", "none"],
)
def test_only_where_boot_files_and_partitions_agree_it_is_certain(seen: GuestFacts, certain: Firmware) -> None:
    assert certain_firmware(seen, seen.installations) is certain


class Platform:
    """Only what the judgement asks of one."""

    def __init__(self, *abilities: Ability) -> None:
        self.abilities = frozenset(abilities)


def judgement(seen: GuestFacts, firmware: Firmware, *abilities: Ability, bus: Bus | None = None) -> Judgement:
    guest = Guest(("x",), (), Machine(bus=Bus.SATA, firmware=firmware))
    return judge_fitted(guest, seen, Platform(*abilities), lambda machine: judge(seen, machine, SMALL_KNOWLEDGE, bus=bus))  # type: ignore[arg-type]


def test_the_machine_is_judged_with_the_firmware_that_its_platform_will_define() -> None:
    for scheme, file, esp, present in (
        (Scheme.GPT, MICROSOFT, ESP, Firmware.BIOS),
        (Scheme.MBR, BOOTMGR, "", Firmware.UEFI),
    ):
        seen = facts(scheme, file, esp=esp)
        assert judgement(seen, present, Ability.FIRMWARE).verdict is Verdict.REPAIRABLE
        refused = judgement(seen, present)
        assert (refused.verdict, refused.reasons[0].detail("link")) == (Verdict.REFUSED, "firmware")


def test_what_is_not_certain_is_told_and_refused() -> None:
    seen = facts(Scheme.GPT, BOOTMGR)
    found = judgement(seen, Firmware.UEFI, Ability.FIRMWARE)
    assert (found.verdict, found.reasons[0].detail("link")) == (Verdict.REFUSED, "firmware")


def test_a_windows_that_is_left_alone_is_told_that_its_machine_would_find_nothing() -> None:
    seen = facts(Scheme.GPT, MICROSOFT, esp=ESP, windows=Windows("10"))
    found = judgement(seen, Firmware.BIOS, Ability.FIRMWARE)
    assert found.verdict is Verdict.HEALTHY
    (note,) = of_kind(found, NoteKind.FIRMWARE_MISMATCH)
    assert "defined with BIOS, and the disk has boot files for UEFI only" in tell_note(note)
    assert of_kind(judgement(seen, Firmware.UEFI), NoteKind.FIRMWARE_MISMATCH) == []
    assert of_kind(judgement(seen, Firmware.UNKNOWN), NoteKind.FIRMWARE_MISMATCH) == []


def of_kind(found: Judgement, kind: NoteKind) -> list[Note]:
    return [note for each in found.installations for note in each.notes if note.kind is kind]


@pytest.mark.parametrize(
    ("files", "told"),
    [((MICROSOFT,), True), ((MICROSOFT, FALLBACK), False), ((FALLBACK,), False), ((BOOTMGR,), False)],
    ids=["microsofts", "both", "fallback-only", "bios"],
)
def test_a_loader_at_microsofts_path_alone_is_told_with_the_command_that_copies_it(files, told: bool) -> None:
    scheme, esp = (Scheme.MBR, "") if files == (BOOTMGR,) else (Scheme.GPT, ESP)
    notes = of_kind(judgement(facts(scheme, *files, esp=esp), Firmware.UNKNOWN), NoteKind.FALLBACK_LOADER)
    assert bool(notes) is told
    for note in notes:
        text = tell_note(note)
        assert "-m /dev/sda2 mkdir-p /EFI/Boot : cp /EFI/Microsoft/Boot/bootmgfw.efi /EFI/Boot/bootx64.efi" in text
        assert "partition 1:2" in text
