# SPDX-License-Identifier: Apache-2.0
"""A .reg file, imported by others, makes the registry that the editor makes: hivexregedit and Wine's regedit are the judges."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from generators.hives import windows_hive
from registry.cell_hives import Key, make
from registry.edits import create_key, delete_key, delete_value, dword, multi, set_value
from registry.plans import repair_like
from unxen.model.change import ChangeKind
from unxen.model.registry_facts import RegistryValue
from unxen.registry.diff import compare
from unxen.registry.editor import edit_hive
from unxen.registry.reg_file import write_reg

ROOT = "HKEY_LOCAL_MACHINE\\UNXENTEST"
EMPTY = make(Key())


def run(*argv, **more) -> bytes:
    return subprocess.run([str(each) for each in argv], check=True, capture_output=True, timeout=60, **more).stdout


def merged(hive: bytes, reg: bytes, folder: Path) -> bytes:
    """The hive after hivexregedit has merged the file, which it wants in UTF-8."""
    target, text = folder / "merged", folder / "merged.reg"
    target.write_bytes(hive)
    text.write_bytes(run("iconv", "-f", "UTF-16", "-t", "UTF-8", input=reg))
    run("hivexregedit", "--merge", "--prefix", ROOT, target, text)
    return target.read_bytes()


def without_times(rows):
    """hivex stamps nothing and Wine everything: time stamps are not compared here."""
    return [row for row in rows if row.kind is not ChangeKind.KEY_CHANGED]


def every_kind() -> tuple[bytes, list]:
    """A hive and edits in which each form of a .reg file occurs."""
    service = Key(
        values={
            "Start": (4, b"\3\0\0\0"),
            "Text": (1, "before\0".encode("utf-16-le")),
            "List": (7, multi("XENFILT", "other").data),
            "Gone": (1, "x\0".encode("utf-16-le")),
        },
        keys={"StartOverride": Key(values={"0": (4, b"\3\0\0\0")}), "Kept": Key()},
    )
    data = make(Key(keys={"Services": Key(keys={"svc": service})}))
    path = "Services\\svc"
    return data, [
        set_value(data, path, "Start", dword(0)),
        delete_key(data, f"{path}\\StartOverride"),
        delete_value(data, path, "Gone"),
        set_value(data, path, "List", multi("other")),
        set_value(data, path, "Text", RegistryValue(1, 'C:\\a "b"\0'.encode("utf-16-le"))),
        create_key(f"{path}\\New"),
        set_value(data, f"{path}\\New", "Expand", RegistryValue(2, "%SystemRoot%\\x\0".encode("utf-16-le"))),
        set_value(data, f"{path}\\New", "Long", RegistryValue(3, bytes(range(256)))),
        set_value(data, f"{path}\\New", "", RegistryValue(1, "default\0".encode("utf-16-le"))),
        set_value(data, f"{path}\\New", "None", RegistryValue(0, b"")),
        set_value(data, f"{path}\\New", "Wide", RegistryValue(11, bytes(8))),
    ]


CASES = {
    "every kind": every_kind,
    "xp": lambda: _repaired(windows_hive("xp")),
    "10": lambda: _repaired(windows_hive("10")),
}


def _repaired(data: bytes) -> tuple[bytes, list]:
    return data, repair_like(data)


@pytest.mark.parametrize("case", CASES)
def test_hivexregedit_makes_what_the_editor_makes(case, tmp_path):
    data, edits = CASES[case]()
    assert without_times(compare(edit_hive(data, edits), merged(data, write_reg(edits, ROOT), tmp_path))) == []


class Wine:
    """A Windows registry that is not Windows' own, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        quiet = {"WINEPREFIX": str(folder / "prefix"), "WINEDEBUG": "-all", "DISPLAY": "", "WINEDLLOVERRIDES": "mscoree,mshtml="}
        self.environment = {**os.environ, **quiet, "HOME": str(folder)}
        # The server stays between commands: each start of it costs two seconds.
        (folder / "prefix").mkdir()
        self.run("wineserver", "-p")
        self.run("wineboot", "-i")

    def run(self, *argv: object) -> None:
        """No pipes: Wine's background processes inherit them and keep them open."""
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([str(each) for each in argv], check=True, timeout=60, env=self.environment, cwd=self.folder, **quiet)

    def load(self, reg: bytes) -> None:
        """Import as regedit does it."""
        (self.folder / "in.reg").write_bytes(reg)
        self.run("wine", "regedit", "/C", "in.reg")

    def tree(self, folder: Path) -> bytes:
        """A hive with what stands below the root now, by way of Wine's own export."""
        out = self.folder / "out.reg"
        out.unlink(missing_ok=True)
        self.run("wine", "regedit", "/E", "out.reg", ROOT)
        return merged(EMPTY, out.read_bytes(), folder)


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    """One prefix for all tests; Debian's packages wine and wine64."""
    if not shutil.which("wine"):
        pytest.skip("wine is not installed (Debian packages wine and wine64)")
    made = Wine(tmp_path_factory.mktemp("wine"))
    yield made
    subprocess.run(["wineserver", "-k"], env=made.environment, check=False, capture_output=True)


@pytest.mark.parametrize("case", CASES)
def test_wines_regedit_makes_what_the_editor_makes(case, wine, tmp_path):
    data, edits = CASES[case]()
    exported = run("hivexregedit", "--export", "--prefix", ROOT, _file(tmp_path, data), "\\").decode()
    wine.load(b"\xff\xfe" + f"Windows Registry Editor Version 5.00\r\n\r\n[-{ROOT}]\r\n".encode("utf-16-le"))
    wine.load(b"\xff\xfe" + exported.replace("\n", "\r\n").encode("utf-16-le"))
    before = wine.tree(tmp_path)
    assert without_times(compare(before, data)) == []
    wine.load(write_reg(edits, ROOT))
    assert without_times(compare(wine.tree(tmp_path), edit_hive(data, edits))) == []


def _file(folder: Path, data: bytes) -> Path:
    path = folder / "hive"
    path.write_bytes(data)
    return path
