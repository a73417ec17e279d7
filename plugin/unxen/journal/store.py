# SPDX-License-Identifier: Apache-2.0
"""The journal is what a crash cannot take away: every change of it is on stable storage when the call returns.

Touches the SQLite file in the state directory. Cannot be written or read: Refused(TOOL_FAILED), or Refused(NO_SPACE) on a full file
system; nothing was recorded then, and the caller must not act.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unxen.host.files import private_directory
from unxen.journal.place import FILE, reason_of
from unxen.journal.records import DefinitionRow, DiskRow, Entry, EntryKind, EntryState, RangeRole, RangeRow
from unxen.journal.schema import SchemaError, prepare
from unxen.model.codec import decode, encode
from unxen.model.disk import Window
from unxen.model.ids import Bus, DiskNumber, ImageFormat
from unxen.model.record import replace
from unxen.model.remote import Remote

BUSY_SECONDS = 30.0


class WrongState(Exception):
    """An entry is not in the state that it should be moved from: somebody else moved it."""


class Journal:
    """An open journal."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def begin(
        self,
        kind: EntryKind,
        target: Sequence[str],
        plan_id: str,
        plan: str,
        disks: Sequence[DiskRow],
        undoes: int | None = None,
        definition: DefinitionRow | None = None,
    ) -> int:
        """A new entry in state PLANNED; gives its number."""
        now = time.time()
        row = (kind.value, EntryState.PLANNED.value, undoes, json.dumps(list(target)), plan_id, plan, now, now)
        with self._written():
            cursor = self._connection.execute(
                "insert into entries (kind, state, undoes, target, plan_id, plan, begun, changed) values (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            entry = int(cursor.lastrowid or 0)
            self._moved(entry, EntryState.PLANNED, now)
            for disk in disks:
                self._add_disk(entry, disk)
            if definition is not None:
                self._add_definition(entry, definition)
        return entry

    def move(self, entry: int, before: EntryState, after: EntryState) -> None:
        """The entry goes on to another state; WrongState when it is not in the one it should be."""
        now = time.time()
        with self._written():
            statement = "update entries set state = ?, changed = ? where id = ? and state = ?"
            if self._connection.execute(statement, (after.value, now, entry, before.value)).rowcount != 1:
                raise WrongState(f"entry {entry} is not {before.value}")
            self._moved(entry, after, now)

    def set_files(self, entry: int, disk: DiskNumber, *, work: str | None = None, undo: str | None = None) -> None:
        """Where a disk's overlay and old bytes lie; empty when they are gone."""
        with self._written():
            for column, value in (("work", work), ("undo", undo)):
                if value is not None:
                    statement = f"update disks set {column} = ? where entry = ? and number = ?"
                    self._connection.execute(statement, (value, entry, disk))

    def set_definition(self, entry: int, after: str) -> None:
        """What the platform keeps now in the place of what was planned."""
        with self._written():
            self._connection.execute("update definitions set after = ? where entry = ?", (after, entry))

    def of_guest(self, guest: str) -> tuple[Entry, ...]:
        """Every entry with a definition of this guest, the newest first, without its ranges."""
        return self._entries("id in (select entry from definitions where guest = ?)", guest, ranges=False)

    def add_ranges(self, entry: int, ranges: Sequence[RangeRow]) -> None:
        """What will be written, and what witnesses it."""
        rows = [(entry, each.disk, each.role.value, each.start, each.length, each.before, each.after) for each in ranges]
        with self._written():
            self._connection.executemany("insert into ranges values (?, ?, ?, ?, ?, ?, ?)", rows)

    def entry(self, number: int) -> Entry:
        """One entry, which must be there."""
        (found,) = self._entries("id = ?", number)
        return found

    def in_states(self, states: Sequence[EntryState]) -> tuple[Entry, ...]:
        """Every entry in one of the states, the newest first, without its ranges."""
        marks = ", ".join("?" * len(states))
        return self._entries(f"state in ({marks})", *(each.value for each in states), ranges=False)

    def with_ranges(self, entry: Entry) -> Entry:
        """The same entry with its ranges."""
        return replace(entry, ranges=self._ranges(entry.id))

    def history(self, entry: int) -> tuple[tuple[EntryState, float], ...]:
        """Every state that an entry was in, and since when."""
        with self._told():
            rows = self._connection.execute("select state, at from moves where entry = ? order by rowid", (entry,)).fetchall()
        return tuple((EntryState(state), at) for state, at in rows)

    def _entries(self, where: str, *values: object, ranges: bool = True) -> tuple[Entry, ...]:
        columns = "id, kind, state, undoes, target, plan_id, plan, begun, changed"
        with self._told():
            rows = self._connection.execute(f"select {columns} from entries where {where} order by id desc", values).fetchall()
        return tuple(self._entry(row, ranges) for row in rows)

    def _entry(self, row: tuple[object, ...], ranges: bool) -> Entry:
        number, kind, state, undoes, target, plan_id, plan, begun, changed = row
        return Entry(
            id=int(str(number)),
            kind=EntryKind(kind),
            state=EntryState(state),
            undoes=None if undoes is None else int(str(undoes)),
            target=tuple(json.loads(str(target))),
            plan_id=str(plan_id),
            plan=str(plan),
            begun=float(str(begun)),
            changed=float(str(changed)),
            disks=self._disks(int(str(number))),
            ranges=self._ranges(int(str(number))) if ranges else (),
            definition=self._definition(int(str(number))),
        )

    def _definition(self, entry: int) -> DefinitionRow | None:
        columns = "guest, bus, before, after"
        with self._told():
            row = self._connection.execute(f"select {columns} from definitions where entry = ?", (entry,)).fetchone()
        return DefinitionRow(row[0], Bus(row[1]), row[2], row[3]) if row else None

    def _disks(self, entry: int) -> tuple[DiskRow, ...]:
        columns = "number, key, path, format, size, file_size, work, undo, final_size, backing_dirs, window, remote"
        with self._told():
            rows = self._connection.execute(f"select {columns} from disks where entry = ? order by number", (entry,)).fetchall()
        return tuple(_disk(row) for row in rows)

    def _ranges(self, entry: int) -> tuple[RangeRow, ...]:
        columns = "disk, role, start, length, before, after"
        with self._told():
            rows = self._connection.execute(
                f"select {columns} from ranges where entry = ? order by disk, start", (entry,)
            ).fetchall()
        return tuple(RangeRow(DiskNumber(row[0]), RangeRole(row[1]), *row[2:]) for row in rows)

    def _add_disk(self, entry: int, disk: DiskRow) -> None:
        columns = "entry, number, key, path, format, size, file_size, work, undo, final_size, backing_dirs, window, remote"
        row = (entry, disk.number, disk.key, disk.path, disk.format.value, disk.size, disk.file_size, disk.work, disk.undo)
        place = (json.dumps(encode(disk.window)), json.dumps(encode(disk.remote)))
        more = (disk.final_size, json.dumps(disk.backing_dirs), *place)
        marks = ", ".join("?" * (len(row) + len(more)))
        self._connection.execute(f"insert into disks ({columns}) values ({marks})", (*row, *more))

    def _add_definition(self, entry: int, row: DefinitionRow) -> None:
        self._connection.execute(
            "insert into definitions values (?, ?, ?, ?, ?)", (entry, row.guest, row.bus.value, row.before, row.after)
        )

    def _moved(self, entry: int, state: EntryState, at: float) -> None:
        self._connection.execute("insert into moves values (?, ?, ?)", (entry, state.value, at))

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction on the tables that other modules of this folder own, durable at its end."""
        with self._written():
            yield self._connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Questions to tables that other modules of this folder own."""
        with self._told():
            yield self._connection

    @contextmanager
    def _written(self) -> Iterator[None]:
        """One transaction, durable at its end."""
        with self._told(), self._connection:
            self._connection.execute("begin immediate")
            yield

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as reasons."""
        try:
            yield
        except sqlite3.Error as error:
            raise reason_of(self._path, error) from error


def _disk(row: tuple[Any, ...]) -> DiskRow:
    number, key, path, kind, size, file_size, work, undo, final_size, backing, window, remote = row
    return DiskRow(
        *(DiskNumber(number), key, path, ImageFormat(kind), size, file_size, work, undo, final_size),
        backing_dirs=tuple(json.loads(backing)),
        window=decode(Window, document) if (document := json.loads(window)) else None,
        remote=decode(Remote, document) if (document := json.loads(remote)) else None,
    )


@contextmanager
def open_journal(state_dir: Path) -> Iterator[Journal]:
    """The journal of a state directory, made when it is not there."""
    path = state_dir / FILE
    try:
        private_directory(state_dir)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise reason_of(path, error) from error
    try:
        prepare(connection)
        yield Journal(connection, path)
    except (SchemaError, sqlite3.Error) as error:
        raise reason_of(path, error) from error
    finally:
        connection.close()
