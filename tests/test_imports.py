# SPDX-License-Identifier: Apache-2.0
"""Imports go one way, from the command line down to the values, and only the doors touch the outside."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "plugin" / "unxen"
EVERYBODY = {"model", "errors", "__init__"}
# What stands to the right of each folder, near or far (the drawing in LIFE_OF_A_REPAIR.md).
MAY_IMPORT = {
    "model": set(),
    "errors": set(),
    "__init__": set(),
    "knowledge": set(),
    "host": set(),
    "registry": set(),
    "plan": {"knowledge"},
    "report": {"knowledge"},
    "journal": {"host"},
    "platforms": {"host"},
    "probe": {"registry", "host", "knowledge"},
    "repair": {"probe", "plan", "journal", "registry", "host", "knowledge"},
    "workflow": {"repair", "platforms", "report", "probe", "plan", "journal", "registry", "host", "knowledge"},
    "services": {"workflow", "repair", "platforms", "report", "probe", "plan", "journal", "registry", "host", "knowledge"},
}
MAY_IMPORT["cli"] = MAY_IMPORT["services"] | {"services"}
# Modules of the standard library by which something outside can be reached.
OUTSIDE = {"os", "subprocess", "socket", "shutil", "sqlite3", "ctypes", "tempfile", "fcntl", "signal", "urllib", "http", "logging"}
PURE = ("model", "plan", "report")
ONE_DOOR = "host/process.py"
FOREIGN_BY_FOLDER = {
    "lxml": ("platforms",),
    "libvirt": ("platforms",),
    "proxmoxer": ("platforms",),
    "guestfs": ("repair/delivery",),
    "jinja2": ("report/html",),
    "prometheus_client": ("services/keeping",),
}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import anywhere in the file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.lineno, node.module or ""


def folder(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_what_stands_to_its_right(path: Path) -> None:
    here = folder(path)
    allowed = MAY_IMPORT[here] | EVERYBODY | {here}
    for line, name in imports(path):
        parts = name.split(".")
        if parts[0] == "unxen" and len(parts) > 1:
            assert parts[1] in allowed, f"{path.relative_to(PACKAGE)}:{line}: {here} must not import {name}"


@pytest.mark.parametrize(
    "path", [each for each in sources() if folder(each) in PURE], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_pure_folders_import_nothing_that_reaches_outside(path: Path) -> None:
    for line, name in imports(path):
        assert name.split(".")[0] not in OUTSIDE, f"{path.relative_to(PACKAGE)}:{line}: imports {name}"


@pytest.mark.parametrize(
    "path", [each for each in sources() if each.parent.parent.name == "platforms"], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_platforms_know_nothing_of_each_other(path: Path) -> None:
    own = f"unxen.platforms.{path.parent.name}"
    others = [f"unxen.platforms.{each.name}" for each in (PACKAGE / "platforms").iterdir() if each.is_dir()]
    for line, name in imports(path):
        known = next((each for each in others if name.startswith(each) and not name.startswith(own)), "")
        assert not known, f"{path.relative_to(PACKAGE)}:{line}: imports {name}"


def test_one_door_starts_programs() -> None:
    users = {str(path.relative_to(PACKAGE)) for path in sources() for _, name in imports(path) if name == "subprocess"}
    assert users == {ONE_DOOR}


@pytest.mark.parametrize(("library", "folders"), FOREIGN_BY_FOLDER.items())
def test_library_stays_in_its_folder(library: str, folders: tuple[str, ...]) -> None:
    for path in sources():
        used = any(name.split(".")[0] == library for _, name in imports(path))
        where = str(path.relative_to(PACKAGE))
        assert not used or where.startswith(folders), f"{where} imports {library}"


def test_every_module_says_why_it_exists() -> None:
    for path in sources():
        text = path.read_text()
        assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n"), f"{path}: no licence line"
        tree = ast.parse(text)
        assert not tree.body or ast.get_docstring(tree), f"{path}: no docstring"


def test_only_the_command_line_prints_or_exits() -> None:
    for path in sources():
        if folder(path) == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("print", "exit", "quit", "input"), f"{path}:{node.lineno}"
