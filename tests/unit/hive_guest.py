# SPDX-License-Identifier: Apache-2.0
"""A guest made of hive bytes alone: what the probe would tell of it, without any disk.

guest(windows_hive("10", families=["xcpng"]))
"""

from collections.abc import Callable, Sequence
from functools import cache

from generators.hives import driver_files
from unxen.knowledge.loader import load_knowledge
from unxen.knowledge.tables import Knowledge
from unxen.model.facts import GuestFacts, Installation
from unxen.model.guest import Machine
from unxen.model.ids import Architecture, DiskNumber, GuestPath, InstallationId, Missing, PartitionNumber
from unxen.model.judgement import Judgement
from unxen.plan.judge import judge
from unxen.probe.system_hive import read_system
from unxen.probe.wanted_names import wanted_from
from unxen.probe.windows_version import windows_facts

ROOT = GuestPath(r"\Windows")
ID = InstallationId(r"1:1:\Windows")
FileSeen = Callable[[GuestPath], bool | Missing]


@cache
def tables() -> Knowledge:
    """The project's own tables."""
    return load_knowledge()


def files_of(hive: bytes, missing: Sequence[str] = ()) -> FileSeen:
    """The driver files that such a Windows has on its disk, but for `missing` ones."""
    there = {path.casefold() for path in driver_files(hive, missing=missing)}
    return lambda path: path.casefold() in there


def every_file(_path: GuestPath) -> bool:
    """A disk that has all files."""
    return True


def guest(hive: bytes, file_seen: FileSeen | None = None) -> GuestFacts:
    """The facts of one Windows with this SYSTEM hive."""
    system = read_system(hive, wanted_from(tables()), file_seen or files_of(hive), ROOT)
    windows = windows_facts(hive, None, None, Architecture.UNKNOWN)
    path = GuestPath(r"\Windows\System32\config\SYSTEM")
    made = Installation(ID, DiskNumber(1), PartitionNumber(1), ROOT, path, None, None, windows, system, ())
    return GuestFacts((), (made,))


def judged(hive: bytes, file_seen: FileSeen | None = None, machine: Machine | None = None, **options: object) -> Judgement:
    """The judgement of that guest."""
    return judge(guest(hive, file_seen), machine or Machine(), tables(), **options)  # type: ignore[arg-type]
