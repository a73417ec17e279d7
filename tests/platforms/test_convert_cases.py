# SPDX-License-Identifier: Apache-2.0
"""Definitions as people have them, each with the domain XML, the `qm create` and the list of losses that it must become.

A case says in its first lines why it exists (`TEST:`), which Windows is on its disks (`WINDOWS: 6.1.7601 server`), or how it is
refused (`EXPECT_ERROR: kind: words`, `EXPECT_LINE: n`). `pytest --regenerate` writes the expectations anew.
"""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.knowledge.loader import load_knowledge
from unxen.model.conversion import Conversion
from unxen.model.ids import Bus
from unxen.model.reason import ReasonKind, reason
from unxen.platforms.libvirt.new_domain import domain_xml
from unxen.platforms.proxmox.create import new_vm, shell_lines
from unxen.platforms.xen.definition import read_definition
from unxen.report.conversion import render_conversion
from unxen.report.layout import Context, Style
from unxen.workflow import convert as recipe
from unxen.workflow.convert import LIBVIRT, PROXMOX, Asked, made_for, usual_card
from unxen.workflow.fitting import Limits, usual_bus

CASES = Path(__file__).resolve().parent.parent / "cases" / "convert"
ALL = sorted([*CASES.glob("*.cfg"), *CASES.glob("*.xml")])
REFUSED = [each for each in ALL if each.name.startswith("refused-")]
CONVERTED = [each for each in ALL if each not in REFUSED]
VALIDATE = shutil.which("virt-xml-validate")


def directive(path: Path, name: str) -> str:
    found = re.search(rf"(?:#|<!--) {name}: (.*?)(?: -->)?$", path.read_text(), re.MULTILINE)
    return found[1].strip() if found else ""


@pytest.fixture(autouse=True)
def no_networks(tmp_path, monkeypatch):
    """The bridges of whoever runs the tests are none of their business."""
    monkeypatch.setattr(recipe, "NETWORKS", tmp_path)


def conversion(path: Path, limits: Limits) -> Conversion:
    words = directive(path, "WINDOWS").split()
    version = tuple(int(each) for each in words[0].split(".")) if words else None
    card = usual_card(version, load_knowledge())
    made = made_for(path.name, read_definition(str(path)), Asked(limits), usual_bus(version), version, card)
    return replace(made, server="server" in words, unlooked=reason(ReasonKind.DISK_MISSING, "/dev/vg/disk"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_case_says_why_it_exists(path):
    assert directive(path, "TEST")


@pytest.mark.parametrize("path", CONVERTED, ids=lambda path: path.name)
def test_domain_is_as_expected(path, golden):
    golden(Path("cases/convert/expected") / f"{path.name}.libvirt", domain_xml(conversion(path, LIBVIRT)))


@pytest.mark.parametrize("path", CONVERTED, ids=lambda path: path.name)
def test_vm_is_as_expected(path, golden):
    vm = new_vm(conversion(path, PROXMOX), "100", "local-lvm")
    told = "".join(f"# lost: {each.item}: {each.why}\n" for each in vm.losses)
    golden(Path("cases/convert/expected") / f"{path.name}.proxmox", shell_lines(vm) + told)


@pytest.mark.parametrize("path", CONVERTED, ids=lambda path: path.name)
def test_what_is_lost_is_told(path, golden):
    told = render_conversion(conversion(path, LIBVIRT), Context(Style(width=120), full=True))
    golden(Path("cases/convert/expected") / f"{path.name}.told", told)
    assert "\x1b" not in told
    assert "\u202e" not in told


@pytest.mark.skipif(VALIDATE is None, reason="virt-xml-validate is not installed")
@pytest.mark.parametrize("bus", [Bus.IDE, Bus.SATA, Bus.VIRTIO_BLK, Bus.VIRTIO_SCSI, Bus.SCSI_LSI], ids=lambda bus: bus.value)
def test_domains_fit_the_schema_of_libvirt(bus, tmp_path):
    """One run of the validator per bus: it takes one file at a time, and starts slowly."""
    for path in CONVERTED:
        made = made_for(path.name, read_definition(str(path)), Asked(LIBVIRT), bus, (10, 0, 17763), "e1000e")
        file = tmp_path / f"{path.name}.xml"
        file.write_text(domain_xml(made))
        done = subprocess.run([VALIDATE, str(file), "domain"], capture_output=True, text=True)
        assert done.returncode == 0, f"{path.name}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.name)
def test_what_cannot_be_converted_is_refused(path):
    kind, _, words = directive(path, "EXPECT_ERROR").partition(": ")
    with pytest.raises(Refused) as caught:
        domain_xml(conversion(path, LIBVIRT))
    assert caught.value.first.kind.value == kind
    assert words in caught.value.first.detail("problem")
    if line := directive(path, "EXPECT_LINE"):
        assert caught.value.first.detail("line") == line


def test_no_configuration_was_run():
    assert not Path("/tmp/unxen-was-here").exists()


def test_every_expectation_belongs_to_a_case():
    wanted = {f"{path.name}.{kind}" for path in CONVERTED for kind in ("libvirt", "proxmox", "told")}
    assert {each.name for each in (CASES / "expected").iterdir()} == wanted


def test_huge_and_odd_files_are_refused_by_name(tmp_path):
    for name, data, words in (
        ("huge.cfg", b"#" * (2 << 20), "larger than 1 MiB"),
        ("binary.cfg", b"name = \xff\xfe", "no text in UTF-8"),
        ("nul.cfg", b"name = 'a'\0", "no text"),
        ("deep.cfg", b"disk = " + b"[" * 50_000, "a string, a number or a list"),
        ("deep.xml", b"<domain type='xen'>" + b"<a>" * 50_000, "not well-formed"),
        ("empty.cfg", b"", ""),
        ("digits.cfg", b"memory = " + b"1" * 5000, "a number is too long"),
        ("infinite.cfg", b"import os\nmemory = 1e999", "an import"),
        ("fraction.cfg", b"builder = ('hvm')\nmemory = 1e999", "would have to be run"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(Refused) as caught:
            read_definition(str(path))
        assert words in caught.value.first.detail("problem"), name
