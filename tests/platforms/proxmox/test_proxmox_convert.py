# SPDX-License-Identifier: Apache-2.0
"""`unxen convert --to proxmox --create` on a node that is a double: what the command makes, and what it leaves alone."""

from pathlib import Path

import pytest
from generators.disks import MIB, run
from unxen.cli.main import main
from unxen.model.conversion import Conversion, Placed
from unxen.model.ids import Bus, MachineType
from unxen.model.machine import Drive, MachineDefinition, Media
from unxen.platforms.proxmox.buses import bus_of
from unxen.platforms.proxmox.create import new_vm, ostype
from unxen.platforms.xen.definition import read_definition
from unxen.workflow.convert import PROXMOX, Asked, made_for
from unxen.workflow.fitting import usual_bus
from vms import disk

pytestmark = pytest.mark.disk
CASES = Path(__file__).resolve().parents[2] / "cases" / "convert"
CONVERTED = sorted(each for each in CASES.glob("*.*") if not each.name.startswith("refused-") and each.is_file())


@pytest.fixture(scope="module")
def system(tmp_path_factory) -> Path:
    return disk(tmp_path_factory.mktemp("disk") / "system.raw", "xcpng")


def xl_file(folder: Path, path: Path) -> Path:
    definition = folder / "guest.cfg"
    definition.write_text(
        f'type = "hvm"\nname = "from xen"\nmemory = 2048\nvif = [ "mac=00:16:3e:00:00:01" ]\ndisk = [ "{path},raw,xvda,w" ]\n'
    )
    return definition


@pytest.mark.parametrize("path", CONVERTED, ids=lambda path: path.name)
def test_node_takes_every_converted_case_without_its_disks(double, path):
    """The disks of the cases are nowhere; every option beside them is checked by the node."""
    made = made_for(path.name, read_definition(str(path)), Asked(PROXMOX), usual_bus(None), None, "e1000")
    bare = [each for each in made.placed if each.drive.media is Media.CDROM]
    vm = new_vm(Conversion("", made.machine, made.bus, made.board, tuple(bare)), "105", "local")
    double.ok("qm", "create", *vm.arguments)
    assert double.conf("105").main["name"].isascii()


def test_one_command_makes_a_vm_with_its_disk(double, system, tmp_path, capsys):
    call = ["convert", str(xl_file(tmp_path, system)), "--to", "proxmox", "--storage", "local", "--create", "105"]
    assert main([*call, "--bridge", "xenbr0=vmbr0"]) == 0
    said = capsys.readouterr()
    assert "created VM 105" in said.err
    assert said.out.startswith("qm create 105 ")
    conf = double.conf("105").main
    assert conf["name"] == "from-xen"
    assert conf["ostype"] == "win10"
    assert conf["net0"] == "e1000e=00:16:3E:00:00:01,bridge=vmbr0"
    assert conf["boot"] == "order=sata0"
    assert conf["sata0"].startswith("local:105/")
    assert main(["inspect", "--quiet", "proxmox:105"]) == 3


def xl_with(folder: Path, *disks: str) -> Path:
    definition = folder / "guest.cfg"
    definition.write_text(f'type = "hvm"\nname = "old"\nmemory = 2048\ndisk = [ {", ".join(f"{each!r}" for each in disks)} ]\n')
    return definition


def test_every_printed_command_is_run(double, system, tmp_path, capsys):
    """Proxmox would ask a VHD's content for its format, so it comes by unxen's own import; the data disk by Proxmox'."""
    old, data = tmp_path / "old.vhd", tmp_path / "data.raw"
    run("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on", system, old)
    data.write_bytes(bytes(MIB))
    before = old.read_bytes()
    definition = xl_with(tmp_path, f"{old},vhd,xvda,w", f"{data},raw,xvdb,w")
    assert main(["convert", str(definition), "--to", "proxmox", "--storage", "local", "--create", "105"]) == 0
    said = capsys.readouterr()
    assert f"unxen import 105 {old} local --format vhd --bus sata" in said.out
    assert "imported" in said.err
    conf = double.conf("105").main
    assert conf["sata0"].startswith("local:105/")
    assert conf["sata1"].startswith("local:105/")
    assert main(["inspect", "--quiet", "proxmox:105"]) == 0
    assert old.read_bytes() == before


def test_command_that_fails_is_told_with_what_is_left_to_do(double, system, tmp_path, capsys):
    data = tmp_path / "data.vhd"
    data.write_bytes(b"no image")
    definition = xl_with(tmp_path, f"{system},raw,xvda,w", f"{data},vhd,xvdb,w")
    assert main(["convert", str(definition), "--to", "proxmox", "--storage", "local", "--create", "105"]) == 12
    said = capsys.readouterr().err
    assert f"unxen import 105 {data} local --format vhd" in said.partition("without these disks")[2]
    assert "sata1" not in double.conf("105").main


def test_vm_that_is_there_is_never_replaced(double, system, tmp_path, capsys):
    before = double.define("105", "name: precious\n").read_bytes()
    assert main(["convert", str(xl_file(tmp_path, system)), "--to", "proxmox", "--storage", "local", "--create", "105"]) == 50
    assert "already exists" in " ".join(capsys.readouterr().err.split())
    assert double.node.config_path("105").read_bytes() == before


def test_failed_repair_creates_nothing(double, tmp_path):
    call = [
        "convert",
        str(xl_file(tmp_path, tmp_path / "gone.raw")),
        "--to",
        "proxmox",
        "--storage",
        "local",
        "--create",
        "105",
        "--repair",
    ]
    assert main(call) == 10
    assert not double.node.config_path("105").exists()


@pytest.mark.parametrize(
    ("version", "server", "word"),
    [
        (None, False, "other"),
        ((4, 0, 1381), True, "other"),
        ((5, 0, 2195), False, "w2k"),
        ((5, 1, 2600), False, "wxp"),
        ((5, 2, 3790), True, "w2k3"),
        ((6, 0, 6002), False, "wvista"),
        ((6, 0, 6002), True, "w2k8"),
        ((6, 1, 7601), True, "win7"),
        ((6, 3, 9600), True, "win8"),
        ((10, 0, 17763), True, "win10"),
        ((10, 0, 19045), False, "win10"),
        ((10, 0, 20348), True, "win11"),
        ((10, 0, 26100), False, "win11"),
    ],
)
def test_type_follows_the_version(version, server, word):
    assert ostype(version, server) == word


@pytest.mark.parametrize("bus", [Bus.IDE, Bus.SATA, Bus.VIRTIO_SCSI, Bus.VIRTIO_BLK, Bus.SCSI_LSI, Bus.SCSI_MEGASAS])
def test_slot_means_the_bus_that_was_chosen(bus):
    """Read back by the module that judges configurations: Windows will see the controller that was meant."""
    drive = Placed(Drive("0", Media.DISK, "/srv/a.raw"), bus, 0)
    words = new_vm(Conversion("", MachineDefinition("x", memory=1 << 30), bus, MachineType.I440FX, (drive,)), "100", "s").arguments[
        1:
    ]
    values = {key[2:]: value for key, value in zip(words[::2], words[1::2], strict=True)}
    slot = next(key for key, value in values.items() if value.startswith("s:0"))
    assert bus_of(slot, values) is bus


def test_letters_that_no_shell_shows_are_refused(tmp_path):
    (tmp_path / "x.cfg").write_text('type = "hvm"\nname = "x"\ndisk = [ "/srv/a\\x1b[2J.raw,raw,xvda,w" ]\n')
    assert main(["convert", str(tmp_path / "x.cfg"), "--to", "proxmox"]) == 12
