# SPDX-License-Identifier: Apache-2.0
"""What is measured: every tool with its command line, and every aim with the two rows that it compares.

Touches nothing. A row that writes gets a copy of the disk, made before the clock starts; a row that reads gets the disk itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

REPAIRABLE, NO_WINDOWS = 3, 4
Commands = Callable[[str, Path], Sequence[Sequence[str]]]
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Row:
    """One line of the table: `disk` names the one it works on, `commands` are run one after another, `starts` appliances begin."""

    name: str
    title: str
    commands: Commands
    disk: str = "windows"
    writes: bool = False
    starts: int = 0
    good: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Aim:
    """`row` is to take at most `most` times as long as `against`, or at least `times` times less."""

    row: str
    against: str
    times: float = 0.0
    most: float = 0.0


def _one(*words: str) -> Commands:
    """One command; DISK and UNXEN in it are replaced."""
    return lambda unxen, disk: [[{"UNXEN": unxen, "DISK": str(disk)}.get(each, each) for each in words]]


def _floor(_unxen: str, disk: Path) -> Sequence[Sequence[str]]:
    return [["qemu-img", "info", "-f", "qcow2", str(disk)], ["/usr/bin/python3", "-I", "-c", "pass"]]


ROWS = (
    Row("inspect", "`unxen inspect`", _one("UNXEN", "inspect", "DISK"), good=(REPAIRABLE,)),
    Row("in-place", "`unxen repair`, in place", _one("UNXEN", "repair", "DISK", "--delivery", "in-place"), writes=True),
    Row(
        "appliance",
        "`unxen repair --delivery appliance`",
        _one("UNXEN", "repair", "DISK", "--delivery", "appliance"),
        writes=True,
        starts=1,
    ),
    Row("bare", "`guestfish run` alone", _one("guestfish", "--ro", "--format=qcow2", "-a", "DISK", "run"), starts=1),
    Row("inspector", "`virt-inspector`", _one("virt-inspector", "--format=qcow2", "-a", "DISK"), starts=1),
    Row(
        "script",
        "the article's steps with libguestfs",
        _one("/usr/bin/python3", str(HERE / "article_steps.py"), "DISK", "qcow2"),
        writes=True,
        starts=1,
    ),
    Row("v2v", "`virt-v2v-in-place`", _one("virt-v2v-in-place", "-i", "disk", "-if", "qcow2", "DISK"), writes=True, starts=1),
    Row("floor", "`qemu-img info` and `python3 -I -c pass`", _floor, disk="empty"),
    Row("empty", "`unxen inspect`, empty disk", _one("UNXEN", "inspect", "DISK"), disk="empty", good=(NO_WINDOWS,)),
    Row("linux", "`unxen inspect`, Linux disk", _one("UNXEN", "inspect", "DISK"), disk="linux", good=(NO_WINDOWS,)),
)
AIMS = (
    Aim("inspect", "inspector", times=150),
    Aim("empty", "floor", most=4),
    Aim("linux", "floor", most=4),
    Aim("in-place", "v2v", times=100),
    Aim("in-place", "script", times=40),
    Aim("appliance", "bare", most=1.3),
)
MOST_MEMORY = 100_000_000
