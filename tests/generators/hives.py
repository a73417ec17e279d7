# SPDX-License-Identifier: Apache-2.0
r"""Small SYSTEM hives of any Windows generation and any family of Xen drivers, and registry text merged into real ones.

    windows_hive("10", families=["xcpng"], foreign_filter="fooflt", overrides={"storahci": range(6)})
    plant(hive, '[ControlSet*\\Services\\atapi]\n"Start"=dword:3')

Equal arguments give equal bytes. Only what lies on the way to the system disk is in them. Nothing is read but the tables beside
this file; `plant` and `add_family` write to a temporary file while hivex works.
"""

import copy
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import hivex

from generators import windows_text
from generators.hive_bytes import Node, write_hive
from generators.oddities import ODDITIES
from generators.reg_text import apply, merge
from generators.windows_tables import GENERATIONS_TABLE, Generation

GENERATION = {row.id: row for row in GENERATIONS_TABLE}
GENERATIONS = tuple(GENERATION)
FAMILIES = windows_text.families()


def windows_hive(
    generation: str,
    *,
    families: Sequence[str] = (),
    architecture: str = "",
    control_sets: Sequence[int] = (),
    select: Mapping[str, int] | None = None,
    driver_rows: bool = True,
    **oddities: object,
) -> bytes:
    """The SYSTEM hive of a Windows that ran on Xen; its names of oddities are the functions in `oddities`.

    `control_sets` are numbers, each a copy of the first; `select` changes values of the Select key; `driver_rows` false leaves
    the rows of the DriverDatabase out, as builds from 20348 may.
    """
    row = GENERATION[generation]
    root = copy.deepcopy(_plain(replace(row, arch=architecture or row.arch), driver_rows))
    _copy_sets(root, control_sets or row.sets)
    for family in families:
        apply(windows_text.family_text(family, lambda device: _tree_instances(root, device)), root)
    for name, given in oddities.items():
        apply(ODDITIES[name](given), root)
    apply("[Select]\n" + "\n".join(f'"{name}"=dword:{number:x}' for name, number in (select or {}).items()), root)
    return write_hive(root)


@lru_cache(maxsize=64)
def _plain(row: Generation, driver_rows: bool) -> Node:
    root = Node("ROOT", children={"CONTROLSET001": Node("ControlSet001")})
    apply(windows_text.windows_text(row, driver_rows=driver_rows), root)
    return root


def _copy_sets(root: Node, numbers: Sequence[int]) -> None:
    first = root.children.pop("CONTROLSET001")
    for number in numbers:
        name = f"ControlSet{number:03}"
        root.children[name.upper()] = replace(copy.deepcopy(first), name=name)


def _tree_instances(root: Node, device: str) -> list[str]:
    sets = [child for name, child in root.children.items() if name.startswith("CONTROLSET")]
    found = [node for node in (each.find(rf"Enum\{device}") for each in sets) if node]
    return list(dict.fromkeys(child.name for node in found for child in node.children.values()))


def plant(hive: bytes, text: str) -> bytes:
    """The hive, generated or real, with the changes of a registry text."""
    return merge(hive, text)


def add_family(hive: bytes, family: str) -> bytes:
    """The hive, generated or real, with a family's drivers installed in every control set."""
    with _opened(hive) as opened:
        text = windows_text.family_text(family, lambda device: list(opened.instances(device)))
    return merge(hive, text)


def driver_files(hive: bytes, root: str = r"\Windows", missing: Sequence[str] = ()) -> list[str]:
    """Paths, from the volume's root, of the driver files such a Windows has on its disk, but for those of services in `missing`."""
    gone = {name.lower() for name in missing}
    with _opened(hive) as opened:
        services = {name.lower(): values for name, values in opened.services()}
    paths = [_file(name, values, root) for name, values in services.items() if name not in gone and _on_disk(values)]
    beside = [rf"{root}\System32\drivers\pciidex.sys"] if "intelide" in services and "intelide" not in gone else []
    return sorted({path for path in paths if path} | set(beside), key=str.lower)


def _on_disk(values: Mapping[str, object]) -> bool:
    """A disabled miniport of NT 5 without ImagePath was never copied from the CD; a process has no driver file."""
    never_copied = values.get("start") == 4 and "imagepath" not in values
    return "start" in values and not never_copied and values.get("type") in (1, 2)


def _file(name: str, values: Mapping[str, object], root: str) -> str:
    path = str(values.get("imagepath", rf"System32\drivers\{name}.sys"))
    lower = path.lower()
    for beginning in ("\\systemroot\\", "%systemroot%\\"):
        if lower.startswith(beginning):
            return rf"{root}\{path[len(beginning) :]}"
    if lower.startswith("\\??\\c:\\"):
        return path[6:]
    return "" if path.startswith("\\") or path[1:2] == ":" else rf"{root}\{path}"


@contextmanager
def _opened(data: bytes) -> "Iterator[_Look]":
    """A hive opened by hivex for a look, for as long as the context lasts."""
    with tempfile.NamedTemporaryFile(prefix="hive-") as file:
        file.write(data)
        file.flush()
        yield _Look(hivex.Hivex(file.name))


class _Look:
    """What has to be known of a hive before something is added to it, read by hivex."""

    def __init__(self, hive: hivex.Hivex) -> None:
        self.hive = hive

    def _sets(self) -> list[int]:
        root = self.hive.root()
        return [node for node in self.hive.node_children(root) if self.hive.node_name(node).lower().startswith("controlset")]

    def _below(self, node: int | None, path: str) -> int | None:
        for name in path.split("\\"):
            children = self.hive.node_children(node) if node else ()
            node = next((each for each in children if self.hive.node_name(each).lower() == name.lower()), None)
        return node

    def instances(self, device: str) -> Iterator[str]:
        for node in filter(None, (self._below(each, rf"Enum\{device}") for each in self._sets())):
            yield from (self.hive.node_name(child) for child in self.hive.node_children(node))

    def services(self) -> Iterator[tuple[str, dict[str, object]]]:
        for node in filter(None, (self._below(each, "Services") for each in self._sets())):
            for child in self.hive.node_children(node):
                values = (self._value(each) for each in self.hive.node_values(child))
                yield self.hive.node_name(child), {name: data for name, data in values if name in ("start", "type", "imagepath")}

    def _value(self, value: int) -> tuple[str, object]:
        kind, data = self.hive.value_value(value)
        read = int.from_bytes(data, "little") if kind == 4 else data.decode("utf-16-le", "replace").rstrip("\0")
        return self.hive.value_key(value).lower(), read
