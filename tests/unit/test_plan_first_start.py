# SPDX-License-Identifier: Apache-2.0
"""What is told of the first start: only before it, only where it matters, each thing with what to do."""

import pytest
from generators.hives import plant, windows_hive
from generators.network import E1000, Card
from unit.hive_guest import files_of, judged
from unxen.model.ids import Bus
from unxen.model.judgement import Note, NoteKind, Verdict
from unxen.report.first_start_messages import FIRST_START_TEXTS
from unxen.report.messages import tell_note


def told(hive: bytes, **options: object) -> dict[NoteKind, list[Note]]:
    notes: dict[NoteKind, list[Note]] = {}
    for each in judged(hive, **options).installations[0].notes:
        if each.kind in FIRST_START_TEXTS:
            notes.setdefault(each.kind, []).append(each)
    return notes


def with_cards(*cards: Card, **more: object) -> dict[NoteKind, list[Note]]:
    return told(windows_hive("10", families=["xcpng"], network=cards, **more))


def test_a_plain_guest_of_xen_hears_only_what_concerns_every_one() -> None:
    every = {NoteKind.ACTIVATION, NoteKind.CLOCK_DIFFERS, NoteKind.CRASH_SCREEN_GONE}
    assert set(with_cards(Card("Ethernet", dhcp=True, lease="192.0.2.7"))) == every


@pytest.mark.parametrize(
    "hive",
    [
        windows_hive("10", network=[Card("Ethernet", addresses=["192.0.2.7"])]),
        windows_hive("10", families=["xcpng"], kvm_traces=True, network=[Card("Ethernet", addresses=["192.0.2.7"])]),
    ],
    ids=["never on Xen", "on KVM since"],
)
def test_nobody_else_hears_anything(hive: bytes) -> None:
    assert judged(hive).verdict is Verdict.HEALTHY
    assert told(hive) == {}
    assert told(hive, bus=Bus.SATA, repair_kvm_guests=True) == {}, "whatever is asked of it"


def test_settings_by_hand_are_told_by_the_name_that_people_see() -> None:
    (note,) = with_cards(Card("LAN", addresses=["192.0.2.7"], dns="192.0.2.1"))[NoteKind.FIXED_ADDRESS]
    text = tell_note(note)
    assert text.startswith("the network card LAN was set by hand (192.0.2.7; DNS 192.0.2.1)")
    assert "unxen network" in text


def test_fixed_servers_beside_a_lease_are_settings_too() -> None:
    card = Card("LAN", dhcp=True, lease="192.0.2.7", addresses=["192.0.2.8"], dns="192.0.2.1")
    (note,) = with_cards(card)[NoteKind.FIXED_ADDRESS]
    assert dict(note.details)["addresses"] == "DNS servers only"


def test_old_addresses_of_a_card_that_asks_dhcp_now_are_none() -> None:
    assert NoteKind.FIXED_ADDRESS not in with_cards(Card("LAN", dhcp=True, addresses=["192.0.2.7"]))


def test_many_cards_do_not_flood() -> None:
    cards = [
        Card(
            f"LAN {number}", number=number, guid=f"{{{number:08d}-0-0-0-0}}", instance=str(number), addresses=[f"192.0.2.{number}"]
        )
        for number in range(1, 11)
    ]
    notes = with_cards(*cards)[NoteKind.FIXED_ADDRESS]
    assert len(notes) == 5
    assert dict(notes[-1].details)["addresses"] == "6 more"


def test_a_card_of_xen_and_the_emulated_one_before_it_are_one_interface() -> None:
    notes = with_cards(
        Card("LAN", addresses=["192.0.2.7"]),
        Card("LAN", number=3, device=E1000, instance="3&1", service="E1G60", addresses=["192.0.2.7"]),
    )
    assert len(notes[NoteKind.FIXED_ADDRESS]) == 1
    assert NoteKind.KEPT_ADDRESS not in notes


def test_an_address_that_two_interfaces_claim_is_told() -> None:
    old = Card("Old LAN", guid="{aaaaaaaa-0000-0000-0000-000000000001}", addresses=["192.0.2.7"], gone=True)
    (note,) = with_cards(Card("LAN", addresses=["192.0.2.7"]), old)[NoteKind.KEPT_ADDRESS]
    assert (note.subject, dict(note.details)["adapters"]) == ("192.0.2.7", "LAN, Old LAN")


def device(path: str) -> str:
    return path.encode("utf-16-le").hex()


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("\\??\\IDE#CdRomQEMU_DVD-ROM#5&1&0&1.0.0#{53f5630d}", "E: (CD drive)"),
        ("\\??\\STORAGE#RemovableMedia#8&1#{53f5630d}", "E: (disk)"),
        ("\\??\\FDC#GENERIC_FLOPPY_DRIVE#6&1#{53f5630d}", ""),
        ("_??_USBSTOR#Disk&Ven_HP#AA#{53f56307}", ""),
    ],
)
def test_letters_that_hang_on_a_bus_are_told(path: str, subject: str) -> None:
    hive = plant(windows_hive("10", families=["xcpng"]), f'[MountedDevices]\n"\\\\DosDevices\\\\E:"=hex:{device(path)}')
    assert [each.subject for each in told(hive).get(NoteKind.LETTER_BY_DEVICE, [])] == ([subject] if subject else [])


@pytest.mark.parametrize(
    ("files", "subject"),
    [(r"?:\pagefile.sys", ""), (r"C:\pagefile.sys 1 2", ""), (r"c:\p.sys,d:\p.sys 0 0,E:\p.sys", "D:, E:"), ("nonsense", "")],
)
def test_page_files_away_from_windows_are_told(files: str, subject: str) -> None:
    key = r"[ControlSet001\Control\Session Manager\Memory Management]"
    hive = plant(windows_hive("10", families=["xcpng"]), f'{key}\n"PagingFiles"=multi:{files}')
    assert [each.subject for each in told(hive).get(NoteKind.PAGE_FILE_ELSEWHERE, [])] == ([subject] if subject else [])


@pytest.mark.parametrize(("start", "is_told"), [(0, True), (1, True), (2, False), (4, False)])
def test_a_guard_is_told_where_it_starts_early(start: int, is_told: bool) -> None:
    path = r"\SystemRoot\drivers\KLIF.sys"
    text = f'[ControlSet001\\Services\\klif]\n"Type"=dword:2\n"Start"=dword:{start}\n"ImagePath"=expand:{path}'
    notes = told(plant(windows_hive("10", families=["xcpng"]), text))
    assert [each.subject for each in notes.get(NoteKind.GUARD_AT_START, [])] == (["Kaspersky"] if is_told else [])


def test_a_tpm_in_use_is_told() -> None:
    text = '[ControlSet001\\Enum\\ACPI\\MSFT0101\\1]\n"Service"="TPM"'
    assert NoteKind.TPM in told(plant(windows_hive("10", families=["xcpng"]), text))
    assert NoteKind.TPM not in told(windows_hive("10", families=["xcpng"]))


@pytest.mark.parametrize(
    ("generation", "netkvm", "missing", "cards"),
    [
        ("xp", None, [], ("e1000",)),
        ("7", None, [], ("e1000e", "e1000")),
        ("10", None, [], ("e1000e", "e1000")),
        ("10", 3, [], ("virtio", "e1000e", "e1000")),
        ("10", 4, [], ("e1000e", "e1000")),
        ("10", 3, ["netkvm"], ("e1000e", "e1000")),
    ],
)
def test_the_card_is_one_that_this_windows_has_a_driver_for(generation, netkvm, missing, cards) -> None:
    hive = windows_hive(generation, families=["xcpng"])
    if netkvm is not None:
        path = r"System32\drivers\netkvm.sys"
        text = f'[ControlSet001\\Services\\netkvm]\n"Type"=dword:1\n"Start"=dword:{netkvm}\n"ImagePath"=expand:{path}'
        hive = plant(hive, text)
    assert judged(hive, files_of(hive, missing)).installations[0].cards == cards
