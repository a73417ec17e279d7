# SPDX-License-Identifier: Apache-2.0
"""A disk from Xen goes in, one that KVM can boot comes out, and back again; every other disk stays as it is."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from content import content_of
from generators.disks import MIB, WindowsTree, make_disk
from generators.hives import GENERATION, add_family, driver_files, plant, windows_hive
from generators.kernels import kernel
from unxen.cli.main import main

pytestmark = pytest.mark.disk

FILTERED = r"""
[ControlSet*\Control\Class\{4d36e96a-e325-11ce-bfc1-08002be10318}]
"UpperFilters"=multi:XENFILT,fooflt
[ControlSet*\Services\fooflt]
"Start"=dword:0
"Type"=dword:1
"ErrorControl"=dword:1
"""


def disk_of(path: Path, generation: str, *families: str, hive: bytes | None = None, **shape) -> Path:
    """A disk with one generated (or given) hive and all files that it names."""
    row = GENERATION[generation]
    hive = hive if hive is not None else windows_hive(generation, families=families)
    nt5 = row.version[0] == 5
    root = "WINDOWS" if nt5 else "Windows"
    files = (*driver_files(hive, rf"\{root}"), *shape.pop("files", ()))
    return make_disk(path, hive, root=root, kernel=kernel(row.version, row.arch), files=files, nt5=nt5, size=48 * MIB, **shape)


def state_of(path: Path) -> tuple[str, int]:
    """What must not change: every byte and the time of the last write."""
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


@pytest.mark.parametrize(
    ("generation", "family", "kind", "scheme"),
    [
        ("xp", "gplpv", "qcow2", "mbr"),
        ("2003", "citrix_legacy", "raw", "mbr"),
        ("vista", "gplpv_old", "raw", "mbr"),
        ("7", "redhat_xenpv", "vhdx", "mbr"),
        ("2008r2", "xenserver_6_1_to_6_6", "qcow2", "gpt"),
        ("8.1", "xenproject_winpv", "raw", "gpt"),
        ("10", "xcpng", "qcow2", "mbr"),
        ("2019", "aws_pv", "raw", "gpt"),
        ("2022", "xenserver_citrix_hypervisor", "vdi", "gpt"),
        ("11", "suse_vmdp_xen", "vhd", "gpt"),
    ],
)
def test_repair_makes_the_disk_healthy_and_undo_gives_it_back(unxen, tmp_path, generation, family, kind, scheme) -> None:
    path = disk_of(tmp_path / f"disk.{kind}", generation, family, format=kind, scheme=scheme)
    qemu = {"vhd": "vpc"}.get(kind, kind)
    before, content = state_of(path), content_of(path, qemu)

    code, document = unxen("inspect", path)
    assert (code, document["verdict"]) == (3, "repairable")
    assert state_of(path) == before

    code, document = unxen("repair", path)
    assert (code, document["verdict"], document["changed"]) == (0, "repaired", True)
    assert content_of(path, qemu) != content

    repaired = state_of(path)
    for verb in ("inspect", "repair"):
        code, document = unxen(verb, path)
        assert (code, document["verdict"]) == (0, "healthy")
    assert state_of(path) == repaired

    code, document = unxen("undo", path)
    assert code == 0
    assert content_of(path, qemu) == content
    if kind == "raw":
        assert state_of(path)[0] == before[0]
    assert unxen("undo", path)[0] == 43


@pytest.mark.parametrize("generation", ["7", "10"])
def test_windows_without_xen_is_left_alone(unxen, tmp_path, generation) -> None:
    path = disk_of(tmp_path / "disk.raw", generation, format="raw")
    before = state_of(path)
    for verb in ("inspect", "plan", "repair"):
        code, document = unxen(verb, path)
        assert (code, document["verdict"]) == (0, "healthy"), verb
    assert state_of(path) == before


def test_disks_without_windows_are_left_alone(unxen, tmp_path) -> None:
    empty, random, linux, bare = (tmp_path / f"{name}.raw" for name in ("empty", "random", "linux", "ntfs"))
    empty.write_bytes(bytes(4 * MIB))
    random.write_bytes(hashlib.shake_256(b"random").digest(4 * MIB))
    linux.write_bytes(bytes(8 * MIB))
    subprocess.run(["mkfs.ext4", "-q", "-F", linux], check=True)
    make_disk(bare, None, format="raw", size=32 * MIB)
    for path in (empty, random, linux, bare):
        before = state_of(path)
        for verb in ("inspect", "repair"):
            code, document = unxen(verb, path)
            assert (code, document["verdict"]) == (4, "no-windows"), (verb, path.name)
        assert state_of(path) == before


def test_foreign_filters_that_can_load_survive(unxen, tmp_path) -> None:
    hive = plant(windows_hive("10", families=["xcpng"]), FILTERED)
    path = disk_of(tmp_path / "disk.qcow2", "10", hive=hive)
    assert unxen("repair", path)[0] == 0
    _, document = unxen("inspect", path)
    assert document["verdict"] == "healthy"
    content = path.with_suffix(".raw")
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, content], check=True)
    assert "fooflt\0\0".encode("utf-16-le") in content.read_bytes(), "the list without its Xen entry, ending as it did"
    assert "XENFILT\0fooflt".encode("utf-16-le") not in content.read_bytes()


def test_dangling_foreign_filter_is_named_and_nothing_written(unxen, tmp_path) -> None:
    hive = plant(windows_hive("10", families=["xcpng"]), FILTERED.split("[ControlSet*\\Services")[0])
    path = disk_of(tmp_path / "disk.raw", "10", hive=hive, format="raw")
    before = state_of(path)
    code, document = unxen("repair", path)
    assert (code, document["verdict"]) == (26, "refused")
    assert "fooflt" in json.dumps(document["reasons"])
    assert state_of(path) == before


def test_guest_that_ran_on_kvm_is_left_alone(unxen, tmp_path) -> None:
    hive = windows_hive("10", families=["xcpng"], kvm_traces=True)
    path = disk_of(tmp_path / "disk.raw", "10", hive=hive, format="raw")
    before = state_of(path)
    code, document = unxen("repair", path)
    assert (code, document["verdict"]) == (0, "healthy")
    assert state_of(path) == before


def test_dry_run_does_everything_but_the_commit(unxen, tmp_path, own_state) -> None:
    path = disk_of(tmp_path / "disk.raw", "10", "xcpng", format="raw")
    before = state_of(path)
    code, document = unxen("repair", "--dry-run", path)
    assert (code, document["verdict"], document["changed"]) == (3, "repairable", False)
    assert state_of(path) == before
    assert not list(own_state.rglob("*.qcow2")), "no overlay and no undo data stay behind"


def test_windows_is_found_on_whichever_disk_has_it(unxen, tmp_path) -> None:
    data = tmp_path / "data.raw"
    make_disk(data, None, format="raw", size=32 * MIB)
    system = disk_of(tmp_path / "system.qcow2", "2019", "xcpng", scheme="gpt")
    before = state_of(data)
    code, document = unxen("repair", data, system)
    assert (code, document["verdict"]) == (0, "repaired")
    assert [each["id"][:2] for each in document["installations"]] == ["2:"]
    assert state_of(data) == before
    assert unxen("undo", data, system)[0] == 0
    assert state_of(data)[0] == before[0]


def test_every_installation_on_a_disk_is_repaired(unxen, tmp_path) -> None:
    hives = [windows_hive("10", families=["xcpng"]), windows_hive("7", families=["gplpv"])]
    second = WindowsTree(hives[1], "WIN7", kernel(GENERATION["7"].version), driver_files(hives[1], r"\WIN7"))
    old = WindowsTree(hives[1], "Windows.old/WINDOWS", kernel(GENERATION["7"].version))
    path = disk_of(tmp_path / "disk.qcow2", "10", hive=hives[0], more=[second, old])
    _, document = unxen("inspect", path)
    assert sorted(each["id"] for each in document["installations"]) == ["1:1:\\WIN7", "1:1:\\Windows"]
    assert unxen("repair", path, "--installation", "1:1:\\WIN7")[0] == 0
    assert unxen("inspect", path)[0] == 3
    assert unxen("repair", path)[0] == 0
    assert unxen("inspect", path)[0] == 0


def test_each_makes_every_path_a_guest(capsys, tmp_path) -> None:
    paths = [disk_of(tmp_path / f"{name}.qcow2", "10", *families) for name, families in (("a", ["xcpng"]), ("b", []))]
    code = main(["inspect", "--each", "--json", *map(str, paths)])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 3
    assert [(each["target"], each["verdict"]) for each in lines] == [
        ([str(paths[0])], "repairable"),
        ([str(paths[1])], "healthy"),
    ]


def test_overlay_is_repaired_and_its_backing_file_is_not(unxen, tmp_path) -> None:
    base = disk_of(tmp_path / "base.qcow2", "10", "xcpng")
    path = tmp_path / "top.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", path], check=True)
    before = state_of(base)
    assert unxen("repair", path)[0] == 0
    assert unxen("inspect", path)[0] == 0
    assert state_of(base) == before


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "generation", "family"),
    [
        ("winxp-sp3-x86-dell-m57pat/SYSTEM", "xp", "gplpv"),
        ("win2003-sp1-x86-vmware-dc/SYSTEM", "2003", "citrix_legacy"),
        ("win7-sp1-x86-vmware-wks/SYSTEM", "7", "xenserver_6_1_to_6_6"),
        ("win10-1709-x64-dell-dirty-logs/SYSTEM.recovered", "10", "aws_pv"),
        ("win10-19041-x64-vmware/SYSTEM", "10", "xcpng"),
    ],
)
def test_real_hives_with_a_family_planted_become_healthy(unxen, tmp_path, corpus, name, generation, family) -> None:
    hive = add_family(corpus.read(name), family)
    path = disk_of(tmp_path / "disk.raw", generation, hive=hive, format="raw")
    before = state_of(path)
    code, document = unxen("repair", path)
    assert (code, document["verdict"]) == (0, "repaired"), document["reasons"]
    assert unxen("inspect", path)[0] == 0
    assert unxen("undo", path)[0] == 0
    assert state_of(path)[0] == before[0]
