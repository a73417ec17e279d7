# SPDX-License-Identifier: Apache-2.0
"""A guest that names its keys, services, files and directories for whoever reads about them steers nobody: not a terminal, not a
browser, not a log, not regedit. One disk full of such names goes through every form of every verb."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import hivex
import pytest
from generators.disks import MIB, make_disk
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel

pytestmark = pytest.mark.disk
FORGED = "FORGED"
# What each would do if it were let through.
EVIL = {
    "colour": "\x1b[31mred",
    "another colour": "\x1b[32mü",
    "title": "\x1b]0;owned\x07",
    "one byte of control": "\x9b2J",
    "backwards": "\u202egnp.sys",
    "isolated": "\u2066x\u2069",
    "invisible": "a\u200bb\U000e0041",
    "markup": f"<script>{FORGED}()</script><img src=x onerror={FORGED}()>",
    "entity": "&lt;b&gt;&#60;",
    "quotes": "\"'`$(touch x)",
    "template": "{{7*7}}{subject}[{cause}]%s%(x)s",
    "bracket": f"]{FORGED}",
}
LINES = {
    "line": f"a\n{FORGED}",
    "carriage": f"a\r{FORGED}",
    "both": f"a]\r\n[-HKEY_LOCAL_MACHINE\\SYSTEM\\{FORGED}",
    "line separator": f"a\u2028{FORGED}",
}
GUID = "{4d36e96a-e325-11ce-bfc1-08002be10318}"
PROGRAM = "import sys; from unxen.cli.main import main; sys.exit(main(sys.argv[1:]))"


def wide(*texts: str) -> bytes:
    return "".join(f"{each}\0" for each in texts).encode("utf-16-le", "surrogatepass")


class Bent:
    """A hive with keys and values added by hivex, which takes any name but one with a NUL."""

    def __init__(self, hive: bytes, path: Path) -> None:
        self.path = path
        path.write_bytes(hive)
        self.library = hivex.Hivex(str(path), write=True)

    def key(self, *names: str) -> int:
        node = self.library.root()
        for name in names:
            node = self.library.node_get_child(node, name) or self.library.node_add_child(node, name)
        return node

    def put(self, names: tuple[str, ...], **values: tuple[int, bytes]) -> None:
        for name, (kind, data) in values.items():
            self.library.node_set_value(self.key(*names), {"key": name, "t": kind, "value": data})

    def bytes(self) -> bytes:
        self.library.commit(str(self.path))
        return self.path.read_bytes()


def hive_with(texts: dict[str, str], path: Path) -> bytes:
    """Every text as a name or value of a service, a class, a device and its list of filters, a product."""
    bent = Bent(windows_hive("10", families=["xcpng"]), path)
    for number, text in enumerate(texts.values()):
        # hivex gets the hash of letters beyond ASCII wrong, and no hive with a wrong hash is edited.
        name = text if text.isascii() else f"plain {number}"
        service = {"Start": (4, b"\0\0\0\0"), "Type": (4, b"\1\0\0\0"), "ErrorControl": (4, b"\1\0\0\0")}
        strings = {
            "Group": (1, wide(text)),
            "DisplayName": (1, wide(text)),
            "ImagePath": (2, wide(f"system32\\drivers\\xen{text}.sys")),
        }
        bent.put(("ControlSet001", "Services", f"xen{name}"), **service, **strings)
        lists = {"UpperFilters": (7, wide("xenfilt", text) + b"\0\0"), "Class": (1, wide(text))}
        bent.put(("ControlSet001", "Control", "Class", f"{{{name}}}"), **lists)
        device = {
            "HardwareID": (7, wide(text) + b"\0\0"),
            "Service": (1, wide(text)),
            "ClassGUID": (1, wide(GUID)),
            "Driver": (1, wide(text)),
        }
        bent.put(("ControlSet001", "Enum", "PCI", f"VEN_8086&DEV_7010&{name}", name), **device)
        bent.put(("ControlSet001", "Enum", "ACPI", "PNP0A03", name), UpperFilters=(7, wide("xenfilt", "pci") + b"\0\0"))
        bent.put(("HardwareConfig", "{x}"), SystemProductName=(1, wide(text)))
        bent.put(("ControlSet001", "Services", "xenbus", name), Start=(4, b"\0\0\0\0"))
    return bent.bytes()


@dataclass(frozen=True)
class Said:
    """What a run wrote."""

    code: int
    out: bytes
    err: str


@pytest.fixture(scope="module")
def place():
    """A directory whose names are plain."""
    with tempfile.TemporaryDirectory(prefix="unxen-strings-") as directory:
        yield Path(directory)


def unxen(place: Path, *arguments: object) -> Said:
    environment = {**os.environ, "UNXEN_STATE_DIR": str(place / "state"), "UNXEN_CONFIG": str(place / "none"), "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120)
    return Said(done.returncode, done.stdout, done.stderr.decode())


def disk_in(place: Path, name: str, hive: bytes, files: tuple[str, ...] = ()) -> Path:
    path = place / f"{name}.raw"
    return make_disk(path, hive, format="raw", files=(*driver_files(hive), *files), size=64 * MIB, kernel=kernel((10, 0, 19041)))


@pytest.fixture(scope="module")
def disk(place: Path) -> Path:
    """A repairable Windows, whose plan names such things."""
    return disk_in(place, "evil", hive_with(EVIL, place / "hive"))


@pytest.fixture(scope="module")
def broken(place: Path) -> Path:
    """The same with names that would be lines of their own."""
    return disk_in(place, "lines", hive_with(EVIL | LINES, place / "hive"))


def harmless(text: str) -> None:
    """Nothing steers, and nobody begins a line but us."""
    for line in text.split("\n"):
        assert line.isprintable(), repr(line)
        assert not line.strip().startswith(FORGED), line


class Tags(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(f"@{name}" for name, _ in attrs)}


def harmless_document(text: bytes) -> dict:
    assert text.isascii()
    document = json.loads(text)
    for each in _strings(document):
        assert each.isprintable(), repr(each)
    return document


def _strings(document):
    if isinstance(document, str):
        yield document
    for each in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from _strings(each)
    yield from document if isinstance(document, dict) else ()


OPTIONS = [(), ("--verbose",), ("--debug", "--verbose"), ("--quiet",)]


@pytest.mark.parametrize("verb", ["inspect", "plan"])
@pytest.mark.parametrize("which", ["disk", "broken"])
def test_looks_are_harmless_in_text_and_json(verb: str, which: str, place: Path, request) -> None:
    path = request.getfixturevalue(which)
    for options in OPTIONS:
        said = unxen(place, verb, path, *options)
        assert said.code == 3
        harmless(said.out.decode())
        harmless(said.err)
    said = unxen(place, verb, path, "--json", "--debug")
    document = harmless_document(said.out)
    harmless(said.err)
    assert "\\x1b[31mred" in json.dumps(document["plan"]).replace("\\\\", "\\"), "the names are in the plan, escaped"


def test_a_reg_file_has_no_line_but_ours(disk: Path, place: Path) -> None:
    said = unxen(place, "plan", disk, "--as", "reg")
    assert said.code == 3
    lines = said.out.decode("utf-16").split("\r\n")
    assert any("\x1b[31mred" in line for line in lines), "regedit has to find the key by its real name"
    assert all(not line or line[0] in ';[" @W' for line in lines)
    assert not any(line.startswith(FORGED) or "\n" in line for line in lines)
    harmless("\n".join(line for line in lines if line.startswith(";")))


def test_a_reg_file_that_a_name_would_break_is_refused(broken: Path, place: Path) -> None:
    said = unxen(place, "plan", broken, "--as", "reg", "--debug")
    assert (said.code, said.out) == (20, b"")
    harmless(said.err)


def test_repair_undo_and_reports_are_harmless(disk: Path, place: Path) -> None:
    before = disk.read_bytes()
    for arguments in (("repair", "--dry-run"), ("repair", "--verbose", "--debug"), ("undo", "--debug"), ("repair",), ("inspect",)):
        said = unxen(place, *arguments, disk)
        assert said.code in (0, 3), said.err
        harmless(said.out.decode())
        harmless(said.err)
        if arguments[0] == "undo":
            assert disk.read_bytes() == before
    harmless(unxen(place, "report").out.decode())
    harmless_document(unxen(place, "report", "--json").out)
    page = unxen(place, "report", "--html", "-").out.decode()
    harmless(page)
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.seen and "img" not in tags.seen
    assert not any(each.startswith("@on") for each in tags.seen)
    assert "red" in page


@pytest.mark.parametrize(
    "name", ["W\x1b[31m", "W\u202e", "W\nFORGED", "W<b>", "W{subject}"], ids=["escape", "bidi", "line", "markup", "hole"]
)
def test_a_directory_with_such_a_name_is_told_or_left_out(name: str, place: Path, tmp_path: Path) -> None:
    hive = windows_hive("10", families=["xcpng"])
    path = make_disk(tmp_path / "disk.raw", hive, root=name, format="raw", files=driver_files(hive, f"\\{name}"), size=64 * MIB)
    for options in (("--debug",), ("--json",)):
        said = unxen(place, "inspect", path, *options)
        assert said.code in (3, 4, 12, 20), said.err
        harmless(said.out.decode())
        harmless(said.err)


def test_a_path_with_such_a_name_is_told_harmlessly(place: Path, tmp_path: Path) -> None:
    path = tmp_path / f"\x1b[31m\u202e{FORGED}\n{FORGED}.raw"
    path.write_bytes(bytes(MIB))
    for arguments in (("inspect", "--verbose", "--debug"), ("inspect", "--each", "--verbose"), ("repair",)):
        said = unxen(place, *arguments, path)
        assert said.code == 4
        harmless(said.out.decode())
        harmless(said.err)
    harmless(unxen(place, "report").out.decode())
