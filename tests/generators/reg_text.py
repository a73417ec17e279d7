# SPDX-License-Identifier: Apache-2.0
r"""Reads registry changes from text close to what regedit exports, and makes them in a tree of ours or in a real hive.

    [ControlSet*\Services\xenbus]           a key; ControlSet* stands for every ControlSetNNN that is there
    "Start"=dword:0                         hexadecimal
    "DisplayName"="XenServer \"PV\" Bus"    backslash escapes, as in regedit's files
    "ImagePath"=expand:System32\drivers\xenbus.sys
    "UpperFilters"=multi:partmgr,fvevol     no escapes in these two
    "UpperFilters"=+multi:XENFILT           appended to the list that is there
    "UpperFilters"=hex(7):58,00,00,00       any type, raw bytes
    "DisplayName"=-                         the value goes
    [-ControlSet001\Services\xenbus]        the key goes, with everything below

Lines of regedit's own files (heading, HKEY_LOCAL_MACHINE\NAME\ before each key, lines broken after `,\`) are understood too.
Touches nothing but the tree it is given, or a temporary file for a real hive.
"""

import re
import struct
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hivex

from generators.hive_bytes import NONE, Node, Value

SZ, EXPAND, BINARY, DWORD, MULTI = 1, 2, 3, 4, 7
KEY = re.compile(r"\[(-?)(?:HKEY_LOCAL_MACHINE\\[^\\\]]+\\)?(.*)\]")
VALUE = re.compile(r'(@|"((?:[^"\\]|\\.)*)")=(.*)')
NK_COUNT, NK_LIST, NK_VALUES, NK_MAX_KEY, NK_MAX_VALUE = 24, 32, 40, 56, 64


@dataclass(frozen=True)
class Change:
    """One line: a key made or removed (`name` None), or a value set, appended to, or removed (`data` None)."""

    key: str
    name: str | None = None
    type: int = 0
    data: bytes | None = None
    append: bool = False


def wide(*texts: str) -> bytes:
    """UTF-16 of texts, each ended by a NUL."""
    return b"".join(f"{text}\0".encode("utf-16-le") for text in texts)


def multi(names: Iterable[str]) -> bytes:
    """A REG_MULTI_SZ's bytes."""
    return wide(*names) + b"\0\0"


def parse(text: str) -> Iterator[Change]:
    """The changes of a text, in order; anything not understood raises ValueError with its line."""
    key = ""
    for line in re.sub(r",\\\r?\n\s*", ",", text).splitlines():
        line = line.strip()
        if not line or line.startswith((";", "Windows Registry Editor")):
            continue
        if found := KEY.fullmatch(line):
            key = found[2]
            yield Change(key, data=None if found[1] else b"")
        elif found := VALUE.fullmatch(line):
            yield _value(key, re.sub(r"\\(.)", r"\1", found[2] or ""), found[3])
        else:
            raise ValueError(f"not understood: {line}")


def _value(key: str, name: str, given: str) -> Change:
    kind, _, rest = given.partition(":")
    if given == "-":
        return Change(key, name)
    if given.startswith('"') and given.endswith('"'):
        return Change(key, name, SZ, wide(re.sub(r"\\(.)", r"\1", given[1:-1])))
    if kind == "dword":
        return Change(key, name, DWORD, struct.pack("<I", int(rest, 16)))
    if kind == "expand":
        return Change(key, name, EXPAND, wide(rest))
    if kind in ("multi", "+multi"):
        return Change(key, name, MULTI, multi(filter(None, rest.split(","))), append=kind.startswith("+"))
    if found := re.fullmatch(r"hex(?:\(([0-9a-f]+)\))?", kind):
        return Change(key, name, int(found[1] or "3", 16), bytes.fromhex(rest.replace(",", "")))
    raise ValueError(f"not understood: {given}")


def _each_set(change: Change, sets: Iterable[str]) -> list[str]:
    if not change.key.startswith("ControlSet*"):
        return [change.key]
    return [name + change.key.removeprefix("ControlSet*") for name in sets]


def _joined(old: bytes | None, new: bytes) -> bytes:
    """A list with the new names behind the old ones; whatever the old one ended in, it ends rightly now."""
    names = [each for each in (old or b"").decode("utf-16-le").split("\0") if each]
    return multi([*names, *(each for each in new.decode("utf-16-le").split("\0") if each)])


def apply(text: str, root: Node) -> None:
    """Makes the changes in a tree."""
    for change in parse(text):
        for key in _each_set(change, [child.name for child in root.children.values() if child.name.startswith("ControlSet")]):
            _apply(change, key, root)


def _apply(change: Change, key: str, root: Node) -> None:
    parent, _, last = key.rpartition("\\")
    if change.name is None and change.data is None:
        if above := root.find(parent):
            above.children.pop(last.upper(), None)
        return
    node = root.below(key)
    if change.name is None:
        return
    if change.data is None:
        node.values.pop(change.name.upper(), None)
        return
    old = node.values.get(change.name.upper())
    data = _joined(old and old.data, change.data) if change.append else change.data
    node.values[change.name.upper()] = Value(old.name if old else change.name, change.type, data)


def merge(data: bytes, text: str) -> bytes:
    """The hive with the changes made in place by hivex, everything else where it was."""
    with tempfile.NamedTemporaryFile(prefix="hive-") as file:
        file.write(data)
        file.flush()
        merging = _Merging(file.name)
        for change in parse(text):
            merging.make(change)
        merging.hive.commit(file.name)
        return _tidied(bytearray(Path(file.name).read_bytes()), merging.touched)


class _Merging:
    """A hive opened for writing, and the keys that changed."""

    def __init__(self, path: str) -> None:
        self.hive = hivex.Hivex(path, write=True)
        self.touched: set[int] = set()
        names = (self.hive.node_name(node) for node in self.hive.node_children(self.hive.root()))
        self.sets = [name for name in names if name.startswith("ControlSet")]

    def make(self, change: Change) -> None:
        for key in _each_set(change, self.sets):
            if change.name is None and change.data is None:
                self._remove(key)
            else:
                self._set(self._below(key), change)

    def _child(self, node: int, name: str) -> int | None:
        for child in self.hive.node_children(node):
            if self.hive.node_name(child).upper() == name.upper():
                return child
        return None

    def _below(self, path: str, *, make: bool = True) -> int | None:
        node = self.hive.root()
        for name in filter(None, path.split("\\")):
            found = self._child(node, name)
            if found is None and not make:
                return None
            node = self.hive.node_add_child(node, name) if found is None else found
        return node

    def _remove(self, path: str) -> None:
        parent = path.rpartition("\\")[0]
        above, node = self._below(parent, make=False), self._below(path, make=False)
        if above is None or node is None:
            return
        self.touched.discard(node)
        self.touched.add(above)
        self.hive.node_delete_child(node)

    def _set(self, node: int | None, change: Change) -> None:
        assert node is not None
        if change.name is None:
            return
        old = [self._read(value) for value in self.hive.node_values(node)]
        kept = [each for each in old if each["key"].upper() != change.name.upper()]
        gone = next((each for each in old if each["key"].upper() == change.name.upper()), None)
        if change.data is not None:
            data = _joined(gone and gone["value"], change.data) if change.append else change.data
            kept.append({"key": gone["key"] if gone else change.name, "t": change.type, "value": data})
        self.touched.add(node)
        self.hive.node_set_values(node, kept)

    def _read(self, value: int) -> dict:
        kind, data = self.hive.value_value(value)
        return {"key": self.hive.value_key(value), "t": kind, "value": data}


def _tidied(data: bytearray, touched: set[int]) -> bytes:
    """Two things that hivex leaves as no Windows does: an empty list below a key, and maxima above nothing."""
    for node in touched:
        if data[node + 4 : node + 6] != b"nk":
            continue
        subkeys, place = struct.unpack_from("<I", data, node + NK_COUNT)[0], struct.unpack_from("<I", data, node + NK_LIST)[0]
        if subkeys == 0 and place != NONE:
            (size,) = struct.unpack_from("<i", data, place + 4096)
            struct.pack_into("<i", data, place + 4096, abs(size))
            struct.pack_into("<I", data, node + NK_LIST, NONE)
            struct.pack_into("<I", data, node + NK_MAX_KEY, 0)
        if struct.unpack_from("<I", data, node + NK_VALUES)[0] == 0:
            struct.pack_into("<II", data, node + NK_MAX_VALUE, 0, 0)
    return bytes(data)
