# SPDX-License-Identifier: Apache-2.0
"""What a hive tells of network adapters, drive letters and page files, and what a forged one cannot make of it."""

import json

import pytest
from generators.hives import plant, windows_hive
from generators.network import E1000, NET, Card
from unit.hive_guest import guest
from unxen.model.codec import decode, encode
from unxen.model.ids import Missing
from unxen.model.letter_facts import LetterBy
from unxen.model.network_facts import LONGEST_NAME, MOST_ADAPTERS, AdapterFacts, AddressFacts, MacSource
from unxen.model.registry_facts import SystemFacts


def system(hive: bytes) -> SystemFacts:
    found = guest(hive).installations[0].system
    assert found is not None
    return found


def adapters(*cards: Card, generation: str = "10") -> tuple[AdapterFacts, ...]:
    found = system(windows_hive(generation, families=["xcpng"], network=cards)).network
    assert found is not None
    return found.adapters


def test_all_that_was_set_on_a_card_comes_together() -> None:
    card = Card(
        "Ethernet 2",
        addresses=["192.0.2.10", "192.0.2.11"],
        gateways=["192.0.2.1"],
        dns="192.0.2.2, 192.0.2.3",
        suffix="corp.example",
        dns6="2001:db8::53",
        mac="00:16:3e:12:34:56",
    )
    (found,) = adapters(card)
    assert (found.instance, found.connection, found.description) == ("0007", "Ethernet 2", "XCP-ng PV Network Device #0")
    assert (found.device, found.device_instance, found.service) == (card.device, "0", "xennet")
    masks = ("255.255.255.0", "255.255.255.0")
    dns = ("192.0.2.2", "192.0.2.3")
    assert found.fixed == AddressFacts(("192.0.2.10", "192.0.2.11"), masks, ("192.0.2.1",), dns, "corp.example")
    assert (found.dhcp, found.dns6, found.lease) == (False, ("2001:db8::53",), AddressFacts())
    assert (found.mac, found.mac_source) == ("00:16:3e:12:34:56", MacSource.NETWORK_SETUP)


def test_a_lease_is_no_setting() -> None:
    (found,) = adapters(Card("Ethernet", dhcp=True, lease="192.0.2.77"))
    assert found.dhcp is True
    assert found.fixed.addresses == ()
    assert found.lease.addresses == ("192.0.2.77",)
    assert (found.lease.dns, found.lease.server) == (("192.0.2.253", "192.0.2.252"), "192.0.2.254")


def test_xenvif_keeps_mac_addresses_by_location() -> None:
    (found,) = adapters(Card("Local Area Connection", instance="1", xenvif_mac="00:16:3E:AA:BB:CC"), generation="7")
    assert (found.mac, found.mac_source) == ("00:16:3e:aa:bb:cc", MacSource.XENVIF)


@pytest.mark.parametrize("mac", ["00:00:00:00:00:00", "00:16:3e:12:34", ""])
def test_what_is_no_mac_address_is_none(mac: str) -> None:
    (found,) = adapters(Card("Ethernet", mac=mac, xenvif_mac="not:one"))
    assert (found.mac, found.mac_source) == (Missing.ABSENT, None)


def test_an_interface_whose_adapter_is_gone_is_told_when_it_has_settings() -> None:
    gone = Card("Old", guid="{aaaaaaaa-0000-0000-0000-000000000001}", addresses=["192.0.2.9"], gone=True)
    empty = Card("Older", guid="{aaaaaaaa-0000-0000-0000-000000000002}", gone=True)
    found = adapters(Card("Ethernet"), gone, empty)
    assert [(each.instance, each.connection) for each in found] == [("0007", "Ethernet"), ("", "Old")]


def test_two_adapters_may_share_an_interface() -> None:
    """xenvif gives its adapter the interface of the emulated one whose place it takes."""
    found = adapters(
        Card("Ethernet", addresses=["192.0.2.5"]), Card("Ethernet", number=3, device=E1000, instance="3&1", service="E1G60")
    )
    assert len({each.guid for each in found}) == 1
    assert {each.device for each in found} == {Card("").device, E1000}


def test_only_the_control_set_that_starts_next_is_read() -> None:
    hive = windows_hive("10", control_sets=(1, 2), select={"Default": 2}, network=[Card("Ethernet", addresses=["192.0.2.5"])])
    hive = plant(hive, f'[ControlSet002\\Control\\Network\\{NET}\\{Card("").guid}\\Connection]\n"Name"="Second"')
    network = system(hive).network
    assert network is not None and network.control_set == 2
    assert [each.connection for each in network.adapters] == ["Second"]


def test_what_is_absurdly_long_is_left_out_and_told() -> None:
    hive = windows_hive("10", network=[Card("x" * (LONGEST_NAME + 1), addresses=["1" * 200, "192.0.2.5"])])
    found = system(hive)
    assert found.network is not None
    assert (found.network.adapters[0].connection, found.network.adapters[0].fixed.addresses) == ("", ("192.0.2.5",))
    assert [each.rsplit("\\", 1)[1] for each in found.unread] == ["Name", "IPAddress"]


def test_a_hive_with_thousands_of_adapters_costs_a_bounded_answer() -> None:
    cards = [Card(f"c{number}", number=number, guid=f"{{{number:08d}-0000-0000-0000-000000000000}}") for number in range(400)]
    found = adapters(*cards)
    assert len(found) == MOST_ADAPTERS
    assert all(each.guid for each in found)


def test_facts_survive_the_way_out_of_the_box() -> None:
    hive = windows_hive("10", network=[Card('"\x07\u202e', own_mac="02-00-00-00-00-01", addresses=["<script>"])])
    found = system(hive)
    assert decode(SystemFacts, json.loads(json.dumps(encode(found)))) == found


def test_letters_say_what_they_hang_on() -> None:
    cd = "\\??\\SCSI#CdRom&Ven_QEMU#4&1#{53f5630d}".encode("utf-16-le").hex()
    gpt = (b"DMIO:ID:" + bytes(16)).hex()
    text = (
        f'[MountedDevices]\n"\\\\DosDevices\\\\D:"=hex:{cd}\n'
        f'"\\\\DosDevices\\\\E:"=hex:{gpt}\n"\\\\DosDevices\\\\F:"=hex:00\n"\\\\DosDevices\\\\GG:"=hex:00'
    )
    hive = plant(
        windows_hive("10"),
        text + '\n[ControlSet001\\Control\\Session Manager\\Memory Management]\n"PagingFiles"=multi:E:\\p.sys 1 2',
    )
    found = system(hive)
    kinds = [(each.letter, each.by) for each in found.letters]
    assert kinds == [("C", LetterBy.DISK), ("D", LetterBy.DEVICE), ("E", LetterBy.DISK), ("F", LetterBy.OTHER)]
    assert found.letters[1].device.startswith("\\??\\SCSI#CdRom")
    assert found.page_files == (r"E:\p.sys 1 2",)
