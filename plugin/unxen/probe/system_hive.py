# SPDX-License-Identifier: Apache-2.0
"""Everything that a SYSTEM hive tells about the way to the system disk, read once and judged by nobody here.

Touches the bytes it is given and asks for directory entries through `file_seen`. Refused(HIVE_DAMAGED) when it is no hive, or one
that names its keys again and again; every key or value that cannot be read is in `unread`, and the rest is read as if it were not
there. Of services only those that can matter are in the result (see `services`), of devices those on the way to a disk (`devices`).
"""

import re
from collections.abc import Iterator, Sequence

from unxen.model.ids import GuestPath
from unxen.model.registry_facts import ControlSetFacts, DriverFile, SelectFacts, SystemFacts
from unxen.probe.control_sets import ControlSetReader, read_select
from unxen.probe.driver_database import driver_matches
from unxen.probe.image_path import Home
from unxen.probe.letters import read_letters, read_page_files
from unxen.probe.network import read_network
from unxen.probe.reading import Reading
from unxen.probe.services import FileSeen, ServiceReader
from unxen.probe.wanted import Wanted
from unxen.registry.hive import Key
from unxen.registry.types import TEXT_TYPES, ValueType

# Values of Setup that are 0 once Windows is set up (all seven real hives).
SETUP_FLAGS = ("SYSTEMSETUPINPROGRESS", "SETUPTYPE", "OOBEINPROGRESS")
# Setup's working directory, `C:\Windows\Panther`, tells which letter Windows gives its own volume.
WORKING_DIRECTORY = re.compile(r"([a-z]):(\\.+)\\panther\\?", re.IGNORECASE)
MOST_MACHINES, MOST_STRINGS = 64, 64


def read_system(data: bytes, wanted: Wanted, file_seen: FileSeen, root: GuestPath) -> SystemFacts:
    r"""The facts of one SYSTEM hive whose Windows lies at `root` (`\Windows`) of its volume."""
    reading = Reading.of(data)
    services = ServiceReader(reading, frozenset(wanted.services), file_seen, Home(root, _letter(reading, root)))
    database = reading.key("DriverDatabase")
    select, sets = read_select(reading), ControlSetReader(reading, services, wanted).read()
    next_set = _next_set(reading, select, sets)
    return SystemFacts(
        select=select,
        control_sets=sets,
        driver_matches=driver_matches(reading, database, wanted.device_ids),
        driver_database_seen=database is not None,
        hardware_configs=tuple(_hardware_configs(reading)),
        setup_in_progress=_setup_in_progress(reading),
        driver_files=tuple(DriverFile(name, file_seen(_driver(root, name))) for name in wanted.driver_files),
        network=read_network(reading, next_set[1], next_set[0].number, next_set[0].devices) if next_set else None,
        letters=read_letters(reading),
        page_files=read_page_files(reading, next_set[1]) if next_set else (),
        letter=_letter(reading, root),
        unread=tuple(reading.unread),
    )


def _next_set(reading: Reading, select: SelectFacts, sets: Sequence[ControlSetFacts]) -> tuple[ControlSetFacts, Key] | None:
    """The control set that the next start takes, and its key."""
    number = select.next_of([each.number for each in sets]) if sets else None
    key = reading.key(f"ControlSet{number:03d}") if number is not None else None
    return next(((each, key) for each in sets if key is not None and each.number == number), None)


def _driver(root: GuestPath, name: str) -> GuestPath:
    """Where drivers lie that have no ImagePath of their own."""
    return GuestPath(f"{root}\\System32\\drivers\\{name}")


def _letter(reading: Reading, root: GuestPath) -> str:
    """The letter of the volume that Windows lies on, C where nothing says otherwise."""
    directory = reading.plain(reading.values(reading.key("Setup")).get("WORKINGDIRECTORY"))
    match = WORKING_DIRECTORY.fullmatch(directory)
    return match[1].upper() if match and match[2].lower() == root.lower() else "C"


def _setup_in_progress(reading: Reading) -> bool:
    values = reading.values(reading.key("Setup"))
    return any(reading.number(values[name]) != 0 for name in SETUP_FLAGS if name in values)


def _hardware_configs(reading: Reading) -> Iterator[str]:
    r"""The machines that Windows remembers, as `KEY\NAME=TEXT`; numbers and times are left out."""
    machines = reading.subkeys(reading.key("HardwareConfig"))[:MOST_MACHINES]
    for machine in machines:
        yield from _machine(reading, machine)


def _machine(reading: Reading, machine: Key) -> Iterator[str]:
    for value in list(reading.values(machine).values())[:MOST_STRINGS]:
        raw = reading.raw(value)
        if raw is not None and raw.type in (*TEXT_TYPES, ValueType.MULTI_SZ):
            yield f"{machine.name}\\{value.name}={', '.join(reading.strings(value))}"
