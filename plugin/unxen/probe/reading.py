# SPDX-License-Identifier: Apache-2.0
"""What cannot be read in a guest's hive becomes a list of paths here, so that one bad cell does not hide all the others.

Touches only the hive it is given. Nothing raises but one thing: a hive whose lists name the same keys again and again is
Refused(HIVE_DAMAGED) before it costs more than its size allows.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from unxen.errors import refused
from unxen.model.ids import KeyPath, Missing
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass, field
from unxen.model.registry_facts import KeyTree, NamedValue, RegistryValue
from unxen.registry.hive import Hive, Key, Unreadable, Value, strings_in, text_in
from unxen.registry.names import fold

T = TypeVar("T")
Values = Mapping[str, Value]
# A key or value takes at least this many bytes of a hive; each may be met a few times by an honest look.
SMALLEST, TIMES = 32, 4
MOST_UNREAD = 500
# Windows bounds a path to 32767 letters; no list that was seen in a real hive is near that.
LARGEST_TEXT = 65536
LARGEST_TREE = 1 << 20


@dataclass
class Reading:
    """One look at one hive: `unread` fills with what could not be read, `budget` is how many more keys and values may be met."""

    hive: Hive
    unread: list[KeyPath] = field(default_factory=list)
    budget: int = 0

    @classmethod
    def of(cls, data: bytes) -> "Reading":
        """A look at the hive in these bytes; Refused when it is none."""
        return cls(Hive.read(data), budget=TIMES * len(data) // SMALLEST)

    def key(self, path: str) -> Key | None:
        """The key at a path from the root; None when it is not there or cannot be read."""
        return self._tried(lambda: self.hive.key(path), None)

    def subkey(self, key: Key | None, path: str) -> Key | None:
        """The key at a path below another; None when one on the way is not there or cannot be read."""
        for name in path.split("\\"):
            key = self._named(key, name) if key else None
        return key

    def subkeys(self, key: Key | None) -> tuple[Key, ...]:
        """All subkeys; none when they cannot be read."""
        nothing: tuple[Key, ...] = ()
        found = self._tried(key.subkeys, nothing) if key else nothing
        self._spend(len(found))
        return found

    def values(self, key: Key | None) -> Values:
        """All values by folded name; the first one counts where a name stands twice."""
        nothing: tuple[Value, ...] = ()
        found: dict[str, Value] = {}
        for each in self._tried(key.values, nothing) if key else nothing:
            self._spend(1)
            found.setdefault(fold(each.name), each)
        return found

    def raw(self, value: Value | None) -> RegistryValue | None:
        """Type and bytes of a value; None when it is not there, cannot be read, or is absurdly large."""
        if value is None:
            return None
        found = self._tried(value.registry_value, None)
        if found is not None and len(found.data) > LARGEST_TEXT:
            return self._missed(f"{value.key.path}\\{value.name}", None)
        return found

    def number(self, value: Value | None) -> int | Missing:
        """A DWORD; ABSENT without a value, UNREADABLE when it is something else."""
        if value is None:
            return Missing.ABSENT
        found = self._tried(value.dword, None)
        return Missing.UNREADABLE if found is None else found

    def text(self, value: Value | None) -> str | Missing:
        """A string; ABSENT without a value, UNREADABLE when it is something else."""
        if value is None:
            return Missing.ABSENT
        found = self.raw(value)
        text = text_in(found) if found is not None else None
        return Missing.UNREADABLE if text is None else text

    def plain(self, value: Value | None) -> str:
        """A string that only people read: empty when it is not there."""
        found = self.text(value)
        return found if isinstance(found, str) else ""

    def strings(self, value: Value | None) -> tuple[str, ...]:
        """A list of strings, or the one string of a plain one; none when it is not there or something else."""
        found = self.raw(value)
        if found is None:
            return ()
        several, text = strings_in(found), text_in(found)
        return several if several is not None else (text,) if text else ()

    def too_large(self, value: Value) -> None:
        """Notes that a value holds more than such a one can."""
        self._missed(f"{value.key.path}\\{value.name}", None)

    def tree(self, key: Key) -> KeyTree | None:
        """A whole key with everything below; None when a part of it cannot be read, or when it is absurdly large."""
        return self._tried(lambda: self._tree(key), None)

    def _tree(self, key: Key) -> KeyTree:
        cut, size = len(key.path) + 1, 0
        keys: list[str] = []
        values: list[NamedValue] = []
        for each in key.walk():
            keys.append(each.path[cut:])
            for value in each.values():
                self._spend(1)
                values.append(NamedValue(each.path[cut:], value.name, value.registry_value()))
                size += len(values[-1].value.data)
                if size > LARGEST_TREE:
                    raise Unreadable(key.path, "too large")
            self._spend(1)
        return KeyTree(tuple(keys[1:]), tuple(values))

    def _named(self, key: Key, name: str) -> Key | None:
        self._spend(1)
        return self._tried(lambda: key.subkey(name), None)

    def _tried(self, call: Callable[[], T], otherwise: T) -> T:
        try:
            return call()
        except Unreadable as error:
            return self._missed(error.path, otherwise)

    def _missed(self, path: str, otherwise: T) -> T:
        known = KeyPath(path)
        if len(self.unread) < MOST_UNREAD and known not in self.unread:
            self.unread.append(known)
        return otherwise

    def _spend(self, met: int) -> None:
        self.budget -= met
        if self.budget < 0:
            raise refused(ReasonKind.HIVE_DAMAGED, cause="keys met too often")
