# SPDX-License-Identifier: Apache-2.0
"""Where Windows does not say which card has which MAC address, the definition does, if there is one answer only."""

import json

import pytest
from generators.hives import windows_hive
from generators.libvirt_host import Host, disk
from generators.network import Card
from unxen.cli.main import main

pytestmark = pytest.mark.disk
LAN = "<interface type='user'><mac address='52:54:00:{:02}:00:01'/><model type='netfront'/></interface>"


@pytest.mark.parametrize(
    ("cards", "mac", "source"), [(1, "52:54:00:01:00:01", "definition"), (2, "", "nobody")], ids=["one card", "two cards"]
)
def test_definition_names_the_card(host: Host, windows, tmp_path, capsys, cards, mac, source) -> None:
    hive = windows_hive("7", families=["xcpng"], network=[Card("LAN", addresses=["192.0.2.10"])])
    path = windows(tmp_path / "w.qcow2", "7", hive=hive)
    host.define("win", disk(path, "sda", "sata"), *(LAN.format(number) for number in range(1, cards + 1)))
    assert main(["network", "libvirt:win", "--json"]) == 0
    (installation,) = json.loads(capsys.readouterr().out)["installations"]
    (card,) = installation["cards"]
    assert (card["mac"], card["mac_from"]) == (mac, source)
    assert len(installation["unmatched"]) == (0 if mac else cards)
