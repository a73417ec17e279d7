# SPDX-License-Identifier: Apache-2.0
"""A VM's configuration names the card where Windows does not."""

import pytest
from generators.disks import MIB, make_disk
from generators.hives import driver_files, windows_hive
from generators.network import Card
from published import checked
from unxen.cli.main import main
from unxen.platforms.proxmox.config import parse
from unxen.platforms.proxmox.guests import macs_of
from vms import VOLUME, config


@pytest.mark.disk
def test_configuration_names_the_card(double, tmp_path, capfd) -> None:
    hive = windows_hive("7", families=["xcpng"], network=[Card("LAN", addresses=["192.0.2.10"])])
    path = make_disk(tmp_path / "w.raw", hive, format="raw", files=driver_files(hive), size=64 * MIB)
    double.volume("100/vm-100-disk-0.raw", path)
    double.define("100", config(f"sata0: {VOLUME},size=64M", "boot: order=sata0"))
    capfd.readouterr()
    assert main(["network", "proxmox:100", "--json"]) == 0
    (installation,) = checked("network", capfd.readouterr().out)["installations"]
    assert [(each["mac"], each["mac_from"]) for each in installation["cards"]] == [("52:54:00:00:00:01", "definition")]


def test_both_ways_to_write_a_card_are_read() -> None:
    text = b"net1: model=virtio,macaddr=BC:24:11:00:00:02,bridge=vmbr0\nnet0: e1000=bc:24:11:00:00:01\nnet2: virtio,bridge=vmbr0\n"
    assert macs_of(parse(text)) == ("bc:24:11:00:00:01", "bc:24:11:00:00:02")
