# SPDX-License-Identifier: Apache-2.0
"""A registry hive from a guest, read only: keys and values by name, without case, and nothing believed that was not checked.

Touches nothing outside the bytes it is given. `Hive.read` raises Refused(HIVE_DAMAGED); a key or value that cannot be read later
raises Unreadable with its path, and the caller decides what that is worth. Depth and number of keys are bounded: a hive can name a
key as its own descendant.
"""

from collections import Counter
from collections.abc import Iterator

from unxen.errors import refused
from unxen.model.ids import KeyPath
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass, field
from unxen.model.registry_facts import KeyTree, NamedValue, RegistryValue
from unxen.registry.base_block import BaseBlock, read_base_block
from unxen.registry.library import LIBRARY_ERRORS, Library, guarded, open_read_only
from unxen.registry.names import fold, split_path
from unxen.registry.raw_names import key_name, value_name
from unxen.registry.types import TEXT_TYPES, ValueType

# Windows allows 512 levels; a SYSTEM hive is 5 to 40 MB.
MAX_DEPTH = 512
MAX_SIZE = 1 << 30
ASKED_OFTEN = 8


class Unreadable(Exception):
    """A key or value that is there and cannot be read."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(f"{path}: {cause}")
        self.path = path
        self.cause = cause


@dataclass(frozen=True)
class Hive:
    """One hive whose base block is right and that hivex opens."""

    block: BaseBlock
    data: bytes = field(repr=False)
    library: Library = field(repr=False)
    crowds: "Crowds" = field(default_factory=lambda: Crowds(), repr=False, compare=False)

    @classmethod
    def read(cls, data: bytes) -> "Hive":
        """The hive in these bytes; a dirty one is read as it stands, without its logs."""
        if len(data) > MAX_SIZE:
            raise refused(ReasonKind.HIVE_DAMAGED, cause="size")
        return cls(read_base_block(data), data, open_read_only(data))

    @property
    def root(self) -> "Key":
        """The key that all paths begin at; its own name says nothing and its path is empty."""
        handle = guarded(self.library.root, error=lambda cause: refused(ReasonKind.HIVE_DAMAGED, cause=f"root: {cause}"))
        return Key(self, handle, "", KeyPath(""))

    def key(self, path: str) -> "Key | None":
        """The key at a path with backslashes, without case; None when it is not there."""
        found: Key | None = self.root
        for name in split_path(path):
            found = found.subkey(name) if found else None
        return found


@dataclass(frozen=True)
class Key:
    """A key of a hive: its name and path as they are spelled there."""

    hive: Hive = field(repr=False, compare=False)
    handle: int
    name: str
    path: KeyPath

    def __init__(self, hive: Hive, handle: int, name: str, path: KeyPath) -> None:
        self.__dict__.update(hive=hive, handle=handle, name=name, path=path)

    @property
    def timestamp(self) -> int:
        """FILETIME of the last change."""
        stamp: int = guarded(self.hive.library.node_timestamp, self.handle, error=self._unreadable)
        return stamp

    def subkeys(self) -> tuple["Key", ...]:
        """All direct subkeys, in the order of the hive's list."""
        if self.path.count("\\") >= MAX_DEPTH:
            raise Unreadable(self.path, "too deep")
        handles = guarded(self.hive.library.node_children, self.handle, error=self._unreadable)
        return self._keys(handles)

    def subkey(self, name: str) -> "Key | None":
        """The subkey of that name, without case."""
        wanted = fold(name)
        listed = self.hive.crowds.listed(self)
        if listed is not None:
            return listed.get(wanted)
        return next((each for each in self._candidates(name) if fold(each.name) == wanted), None)

    def values(self) -> tuple["Value", ...]:
        """All values, in the order of the hive's list."""
        handles = guarded(self.hive.library.node_values, self.handle, error=self._unreadable)
        return tuple(Value(self, handle, self._value_name(handle)) for handle in handles)

    def value(self, name: str) -> "Value | None":
        """The value of that name, without case; the default value has an empty name."""
        wanted = fold(name)
        return next((each for each in self.values() if fold(each.name) == wanted), None)

    def walk(self) -> Iterator["Key"]:
        """This key and every one below, parents first; a key met twice or too deep is Unreadable."""
        seen: set[int] = set()
        waiting = [self]
        while waiting:
            key = waiting.pop()
            if key.handle in seen:
                raise Unreadable(key.path, "met twice")
            seen.add(key.handle)
            yield key
            waiting.extend(reversed(key.subkeys()))

    def tree(self) -> KeyTree:
        """Everything below this key as a value; relative paths."""
        keys = list(self.walk())
        cut = len(self.path) + 1 if self.path else 0
        values = (NamedValue(key.path[cut:], each.name, each.registry_value()) for key in keys for each in key.values())
        return KeyTree(tuple(key.path[cut:] for key in keys[1:]), tuple(values))

    def _candidates(self, name: str) -> tuple["Key", ...]:
        """The subkeys among which that name may be. hivex finds ASCII names itself, thirty times faster, but stops at a NUL."""
        if not name.isascii() or "\0" in name:
            return self.subkeys()
        handle = guarded(self.hive.library.node_get_child, self.handle, name, error=self._unreadable)
        found = self._keys([] if handle is None else [handle])
        return found if all(len(each.name) == len(name) for each in found) else self.subkeys()

    def _keys(self, handles: list[int]) -> tuple["Key", ...]:
        return tuple(Key(self.hive, handle, name, _below(self.path, name)) for handle, name in self._named(handles))

    def _named(self, handles: list[int]) -> Iterator[tuple[int, str]]:
        library, data = self.hive.library, self.hive.data
        for handle in handles:
            try:
                name = library.node_name(handle)
                whole = len(name.encode()) == library.node_name_len(handle)
            except LIBRARY_ERRORS:
                whole = False
            yield handle, name if whole else self._own_reading(key_name(data, handle))

    def _value_name(self, handle: int) -> str:
        library = self.hive.library
        try:
            name: str = library.value_key(handle)
        except LIBRARY_ERRORS:
            return self._own_reading(value_name(self.hive.data, handle))
        # The length 0 of a default value's name is an error to hivex.
        length = guarded(library.value_key_len, handle, error=self._unreadable) if name else _length_or_none(library, handle)
        return name if len(name.encode()) == length else self._own_reading(value_name(self.hive.data, handle))

    def _own_reading(self, name: str | None) -> str:
        """A name that the library cut at a NUL or could not convert, read by ourselves."""
        if name is None:
            raise Unreadable(self.path, "name")
        return name

    def _unreadable(self, cause: Exception) -> Exception:
        return Unreadable(self.path, f"hivex: {cause}")


class Crowds:
    """A key that is asked for one subkey after another gets its list read once: hivex reads all of it for every name.

    Ninety questions about the PCI ids of a Windows 10 (2,923 subkeys) were two fifths of reading its registry.
    """

    def __init__(self) -> None:
        self._asked: Counter[tuple[int, str]] = Counter()
        self._listed: dict[tuple[int, str], dict[str, Key]] = {}

    def listed(self, key: Key) -> dict[str, Key] | None:
        """The key's subkeys by folded name, the first one of a name; None as long as listing them does not pay."""
        place = (key.handle, key.path)
        self._asked[place] += 1
        if place not in self._listed:
            if self._asked[place] < ASKED_OFTEN:
                return None
            self._listed[place] = {fold(each.name): each for each in reversed(key.subkeys())}
        return self._listed[place]


@dataclass(frozen=True)
class Value:
    """A value of a key; type and data are read when they are asked for, so one bad value does not hide the others."""

    key: Key = field(repr=False)
    handle: int
    name: str

    def __init__(self, key: Key, handle: int, name: str) -> None:
        self.__dict__.update(key=key, handle=handle, name=name)

    @property
    def type(self) -> int:
        """Its type number."""
        return self.registry_value().type

    @property
    def data(self) -> bytes:
        """Its raw bytes."""
        return self.registry_value().data

    def registry_value(self) -> RegistryValue:
        """Type and bytes together."""
        kind, data = guarded(self.key.hive.library.value_value, self.handle, error=self._unreadable)
        return RegistryValue(kind, data)

    def dword(self) -> int | None:
        """The number of a REG_DWORD of four bytes, else None."""
        value = self.registry_value()
        return int.from_bytes(value.data, "little") if value.type == ValueType.DWORD and len(value.data) == 4 else None

    def text(self) -> str | None:
        """The text of a REG_SZ or REG_EXPAND_SZ up to its first NUL, if it has one; None for another type."""
        return text_in(self.registry_value())

    def strings(self) -> tuple[str, ...] | None:
        """The strings of a REG_MULTI_SZ, empty ones left out, however the list ends; None for another type."""
        return strings_in(self.registry_value())

    def _unreadable(self, cause: Exception) -> Exception:
        return Unreadable(f"{self.key.path}\\{self.name}", f"hivex: {cause}")


def text_in(value: RegistryValue) -> str | None:
    """The text of a REG_SZ or REG_EXPAND_SZ up to its first NUL, if it has one; None for another type."""
    return _decoded(value.data).partition("\0")[0] if value.type in TEXT_TYPES else None


def strings_in(value: RegistryValue) -> tuple[str, ...] | None:
    """The strings of a REG_MULTI_SZ, empty ones left out, however the list ends; None for another type."""
    return tuple(filter(None, _decoded(value.data).split("\0"))) if value.type == ValueType.MULTI_SZ else None


def _length_or_none(library: Library, value: int) -> int:
    try:
        length: int = library.value_key_len(value)
    except LIBRARY_ERRORS:
        return 0
    return length


def _below(path: KeyPath, name: str) -> KeyPath:
    return KeyPath(f"{path}\\{name}" if path else name)


def _decoded(data: bytes) -> str:
    """UTF-16 text of which an odd last byte is dropped; what is no UTF-16 becomes replacement characters, which match no name."""
    return data[: len(data) & ~1].decode("utf-16-le", "replace")
