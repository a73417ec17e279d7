# SPDX-License-Identifier: Apache-2.0
"""`unxen convert` as it is typed: on real disks and exports, with what it prints, what it leaves, and how it ends."""

import json
import subprocess
from pathlib import Path

import pytest
from content import digest
from generators.disks import MIB, make_disk
from generators.hives import GENERATION, driver_files, windows_hive
from generators.kernels import kernel
from generators.xva import ExportedDisk, ExportedMachine, make_xva
from lxml import etree
from published import checked
from unxen.cli.main import main
from unxen.host.disk_sink import RawSink

pytestmark = pytest.mark.disk


NETKVM = '[ControlSet*\\Services\\netkvm]\n"Type"=dword:1\n"Start"=dword:3\n"ImagePath"=expand:System32\\drivers\\netkvm.sys\n'


@pytest.fixture(scope="module")
def disks(tmp_path_factory) -> dict[str, Path]:
    """A Windows 10 that Xen's drivers keep from starting, and an XP."""
    folder = tmp_path_factory.mktemp("disks")
    return {
        "ten": windows_disk(folder / "ten.raw", "10", "xenproject_winpv"),
        "xp": windows_disk(folder / "xp.raw", "xp"),
        "netkvm": windows_disk(folder / "netkvm.raw", "10", "xenproject_winpv", text=NETKVM),
    }


def windows_disk(path: Path, generation: str, *families: str, form: str = "raw", text: str = "") -> Path:
    row, hive = GENERATION[generation], windows_hive(generation, families=families, text=text)
    nt5 = row.version[0] == 5
    root = "WINDOWS" if nt5 else "Windows"
    inside = driver_files(hive, rf"\{root}")
    return make_disk(path, hive, root=root, kernel=kernel(row.version, row.arch), files=inside, nt5=nt5, size=48 * MIB, format=form)


@pytest.fixture
def unxen(capsys):
    """Arguments in; exit code, standard output and standard error out."""

    def run(*argv: object) -> tuple[int, str, str]:
        code = main(["convert", *map(str, argv)])
        said = capsys.readouterr()
        return code, said.out, " ".join(said.err.split())

    return run


def xl_file(folder: Path, disk: Path, name: str = "win") -> Path:
    path = folder / "guest.cfg"
    path.write_text(f'type = "hvm"\nname = "{name}"\nmemory = 2048\ndisk = [ "{disk},raw,xvda,w" ]\nvif = [ "bridge=xenbr0" ]\n')
    return path


def test_disk_is_looked_at_and_not_touched(unxen, disks, tmp_path):
    before = digest(disks["ten"])
    code, out, err = unxen(xl_file(tmp_path, disks["ten"]), "--bridge", "xenbr0=lo")
    assert code == 0
    assert etree.fromstring(out).find("devices/disk/target").get("bus") == "sata"
    assert etree.fromstring(out).find("devices/interface/model").get("type") == "e1000e"
    assert "would stop with 0x7B" in err
    assert "bridge" not in err
    assert digest(disks["ten"]) == before


def test_card_is_virtio_where_its_driver_was_seen(unxen, disks, tmp_path):
    code, out, _ = unxen(xl_file(tmp_path, disks["netkvm"]))
    assert (code, etree.fromstring(out).find("devices/interface/model").get("type")) == (0, "virtio")


def test_xp_gets_ide_because_it_was_seen(unxen, disks, tmp_path):
    code, out, _ = unxen(xl_file(tmp_path, disks["xp"]))
    domain = etree.fromstring(out)
    assert code == 0
    assert domain.find("devices/disk/target").attrib == {"dev": "hda", "bus": "ide"}
    assert domain.find("devices/video/model").get("type") == "cirrus"


def test_proxmox_gets_the_type_of_what_was_seen(unxen, disks, tmp_path):
    code, out, _ = unxen(xl_file(tmp_path, disks["ten"]), "--to", "proxmox", "--storage", "local-lvm")
    assert code == 0
    assert "--ostype win10" in out
    assert f"--sata0 local-lvm:0,import-from={disks['ten']}" in out
    assert "--boot order=sata0" in out


def test_disk_that_is_not_here_is_a_fact_of_the_conversion(unxen, tmp_path):
    code, out, err = unxen(xl_file(tmp_path, tmp_path / "elsewhere.raw"))
    assert code == 0
    assert etree.fromstring(out).find("devices/disk/target").get("bus") == "sata"
    assert "could not be looked at" in err
    assert "elsewhere.raw does not exist" in err


def test_wrong_format_in_a_definition_is_seen(unxen, tmp_path):
    """A qcow2 that the old host read as raw: the look finds no Windows in it, and says why."""
    disk = windows_disk(tmp_path / "disk.img", "10", "xenproject_winpv", form="qcow2")
    code, _, err = unxen(xl_file(tmp_path, disk))
    assert code == 0
    assert "qcow2" in err
    assert unxen(xl_file(tmp_path, disk), "--repair")[0] == 13


def test_document_keeps_to_its_schema(unxen, disks, tmp_path):
    for arguments in ((xl_file(tmp_path, disks["ten"]),), (xl_file(tmp_path, tmp_path / "gone.raw"), "--to", "proxmox")):
        code, out, err = unxen(*arguments, "--json")
        checked("conversion", out)
        assert (code, err) == (0, "")


def test_repair_comes_before_everything_else(unxen, tmp_path):
    disk = windows_disk(tmp_path / "own.raw", "10", "xenproject_winpv")
    code, out, _ = unxen(xl_file(tmp_path, disk), "--repair", "--json")
    told = json.loads(out)
    assert (code, told["look"]["verdict"], told["bus"]) == (0, "repaired", "sata")
    assert main(["inspect", "--quiet", str(disk)]) == 0


def test_failed_repair_defines_nothing(unxen, tmp_path, monkeypatch):
    monkeypatch.setattr("unxen.cli.convert.define", lambda *_: pytest.fail("defined"))
    code, out, err = unxen(xl_file(tmp_path, tmp_path / "gone.raw"), "--repair", "--define")
    assert (code, out) == (10, "")
    assert "gone.raw does not exist" in err


@pytest.fixture
def export(disks, tmp_path) -> Path:
    path = tmp_path / "export.xva"
    machine = ExportedMachine(name="büro 7/../x")
    path.write_bytes(make_xva(machine, [ExportedDisk(disks["ten"].read_bytes())], wrap="zstd"))
    return path


def test_export_is_told_without_its_disks(unxen, export):
    code, out, err = unxen(export)
    assert code == 0
    assert etree.fromstring(out).find("name").text == "büro 7/../x"
    assert [each.get("device") for each in etree.fromstring(out).findall("devices/disk")] == ["cdrom"]
    assert "MiB): it is still in the export" in err


def test_one_command_from_an_export_to_a_disk_that_boots(unxen, export, disks, tmp_path):
    target = tmp_path / "images"
    target.mkdir()
    code, out, err = unxen(export, "--disks", target, "--repair")
    (disk,) = target.iterdir()
    assert code == 0
    assert "has been repaired" in err
    assert etree.fromstring(out).find("devices/disk/source").get("file") == str(disk)
    assert disk.name == "b-ro-7-..-x-0.raw"
    assert digest(disk) != digest(disks["ten"])
    assert main(["undo", "--quiet", str(disk)]) == 0
    assert digest(disk) == digest(disks["ten"])


def test_disks_of_an_export_may_be_of_the_format_asked_for(unxen, export, disks, tmp_path):
    target = tmp_path / "images"
    target.mkdir()
    code, out, _ = unxen(export, "--disks", target, "--disk-format", "qcow2")
    (disk,) = target.iterdir()
    assert (code, disk.name, disk.stat().st_mode & 0o777) == (0, "b-ro-7-..-x-0.qcow2", 0o600)
    (element,) = [each for each in etree.fromstring(out).findall("devices/disk") if each.get("device") != "cdrom"]
    assert (element.find("driver").get("type"), element.find("source").get("file")) == ("qcow2", str(disk))
    raw = tmp_path / "again.raw"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk, raw], check=True)
    assert digest(raw) == digest(disks["ten"])
    assert unxen(export, "--disks", target, "--disk-format", "qcow2")[0] == 2
    assert unxen(export, "--disks", target, "--disk-format", "vmdk")[0] == 2


def test_damaged_export_leaves_nothing_behind(unxen, export, tmp_path):
    target = tmp_path / "images"
    target.mkdir()
    export.write_bytes(export.read_bytes()[:-2000])
    code, out, err = unxen(export, "--disks", target)
    assert (code, out, list(target.iterdir())) == (12, "", [])
    assert "damaged or cut off" in err


def test_what_is_there_is_never_overwritten(unxen, export, tmp_path):
    target = tmp_path / "images"
    target.mkdir()
    there = target / "b-ro-7-..-x-0.raw"
    there.write_text("precious")
    assert unxen(export, "--disks", target)[0] == 2
    assert there.read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "proxmox", "--define"], "--define goes with --to libvirt"),
        (["--create", "100"], "--create and --storage go with --to proxmox"),
        (["--to", "proxmox", "--create", "7"], "the number of a new virtual machine"),
        (["--to", "proxmox", "--create", "105"], "--create needs --storage"),
        (["--to", "xen"], "invalid choice"),
        (["--bridge", "xenbr0"], "two names of bridges"),
        (["--to", "proxmox", "--storage", "../x"], "the name of a storage"),
    ],
)
def test_wrong_usage_says_what_is_meant(unxen, tmp_path, arguments, words):
    code, out, err = unxen(xl_file(tmp_path, tmp_path / "x"), *arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_no_file_and_no_definition_have_their_own_ends(unxen, tmp_path):
    assert unxen(tmp_path / "gone.cfg")[0] == 10
    assert unxen(tmp_path)[0] == 12
    (tmp_path / "other.xml").write_text("<html/>")
    code, _, err = unxen(tmp_path / "other.xml")
    assert code == 12
    assert "its root is <html>, not <domain>" in err
    document = json.loads(_json_of(unxen(tmp_path / "gone.cfg", "--json")))
    assert (document["verb"], document["exit_code"]) == ("convert", 10)


def _json_of(ended: tuple[int, str, str]) -> str:
    return ended[1]


def test_interruption_leaves_nothing_behind(unxen, export, tmp_path, monkeypatch):
    target = tmp_path / "images"
    target.mkdir()
    write, calls = RawSink.write, []

    def interrupted(self: RawSink, offset: int, data: bytes) -> None:
        calls.append(offset)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write(self, offset, data)

    monkeypatch.setattr(RawSink, "write", interrupted)
    assert unxen(export, "--disks", target)[0] == 130
    assert len(calls) == 3
    assert list(target.iterdir()) == []


def test_full_file_system_is_told_and_left_empty(unxen, export, tmp_path):
    target = tmp_path / "small"
    target.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", target], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        code, out, err = unxen(export, "--disks", target)
        assert (code, out, list(target.iterdir())) == (31, "", [])
        assert "not enough space" in err
    finally:
        subprocess.run(["umount", target], check=True)


@pytest.mark.parametrize("program", [["zstd", "-q", "-19", "--long=27"], ["zstd", "-q", "-1", "-T2"], ["gzip", "-9"]], ids=" ".join)
def test_output_of_the_real_programs_is_read(unxen, disks, tmp_path, program):
    """The exporter pipes through them; two frames one after the other are one stream, too."""
    data = make_xva(ExportedMachine(), [ExportedDisk(disks["xp"].read_bytes())])
    half = len(data) // 2
    packed = [
        subprocess.run([*program, "-c"], input=each, stdout=subprocess.PIPE, check=True).stdout
        for each in (data[:half], data[half:])
    ]
    path, target = tmp_path / "export.xva", tmp_path / "images"
    path.write_bytes(b"".join(packed))
    target.mkdir()
    assert unxen(path, "--disks", target)[0] == 0
    (disk,) = target.iterdir()
    assert digest(disk) == digest(disks["xp"])
