# SPDX-License-Identifier: Apache-2.0
"""The tables of the journal, and how an older file becomes a newer one.

Touches only the connection it is given. A file that a newer unxen made is SchemaError: guessing could lose a way back.
"""

import sqlite3

FIRST = (
    """create table entries (
        id integer primary key autoincrement,
        kind text not null,
        state text not null,
        undoes integer references entries (id),
        target text not null,
        plan_id text not null,
        plan text not null,
        begun real not null,
        changed real not null
    )""",
    """create table moves (entry integer not null references entries (id), state text not null, at real not null)""",
    """create table disks (
        entry integer not null references entries (id),
        number integer not null,
        key text not null,
        path text not null,
        format text not null,
        size integer not null,
        file_size integer not null,
        work text not null,
        undo text not null,
        primary key (entry, number)
    )""",
    """create table ranges (
        entry integer not null,
        disk integer not null,
        role text not null,
        start integer not null,
        length integer not null,
        before text not null,
        after text not null,
        foreign key (entry, disk) references disks (entry, number)
    )""",
    "create index disks_by_key on disks (key)",
    "create index ranges_by_entry on ranges (entry)",
)
# What takes a file from one version to the next; a new file goes through all of them, so an old one is never a case of its own.
STEPS: tuple[tuple[str, ...], ...] = (
    FIRST,
    ("alter table disks add column final_size integer",),
    (
        """create table definitions (
            entry integer primary key references entries (id),
            guest text not null,
            bus text not null,
            before text not null,
            after text not null
        )""",
    ),
    ("create table outcomes (number integer primary key autoincrement, at real not null, document text not null)",),
    ("alter table disks add column backing_dirs text not null default '[]'",),
    (
        "alter table disks add column window text not null default 'null'",
        "alter table disks add column remote text not null default 'null'",
    ),
)
VERSION = len(STEPS)


class SchemaError(Exception):
    """The file has a version that this program does not know."""


def prepare(connection: sqlite3.Connection) -> None:
    """Settings of the connection, and the tables of today in a new or older file."""
    # A rollback journal that is synced fully: an entry is on stable storage when its transaction returns, and there is one file.
    connection.execute("pragma journal_mode = delete")
    connection.execute("pragma synchronous = full")
    connection.execute("pragma foreign_keys = on")
    with connection:
        connection.execute("begin immediate")
        (found,) = connection.execute("pragma user_version").fetchone()
        if not 0 <= found <= VERSION:
            raise SchemaError(f"version {found}, known is {VERSION}")
        for statement in (each for step in STEPS[found:] for each in step):
            connection.execute(statement)
        if found < VERSION:
            connection.execute(f"pragma user_version = {VERSION}")
