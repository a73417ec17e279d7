# SPDX-License-Identifier: Apache-2.0
"""A guest that can be struck again and again: set back to where it was, and afterwards held against what may be.

After a strike and a recovery every disk is, to whoever reads it, the old one or the repaired one, all of a guest alike; a raw file
byte by byte. There is no third state.
"""

import filecmp
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from generators.disks import MIB, make_disk, mounted
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel

from faults.strikes import Strike, run_struck

IN_USE, UNFINISHED = 14, 44
SIZE = 12 * MIB
PIECE, GAP = 4096, 128 << 10
QEMU_NAMES = {"vhd": "vpc", "lazy": "qcow2", "chain": "qcow2"}
SUFFIXES = {"lazy": "qcow2", "chain": "qcow2"}


def make_master(path: Path) -> Path:
    """A raw disk whose Windows Xen drivers have changed; its hive lies in many pieces, so that a commit writes many ranges."""
    hive = windows_hive("10", families=["xcpng"])
    make_disk(path, hive, format="raw", size=SIZE, kernel=kernel((10, 0, 19041)), files=driver_files(hive))
    volume = path.with_suffix(".volume")
    with path.open("rb") as disk, volume.open("wb") as file:
        disk.seek(MIB)
        file.write(disk.read(SIZE))
    with mounted(volume) as top:
        _scatter(top / "Windows" / "System32" / "config" / "SYSTEM", hive)
    with path.open("r+b") as disk:
        disk.seek(MIB)
        disk.write(volume.read_bytes())
    volume.unlink()
    return path


def _scatter(path: Path, hive: bytes) -> None:
    """The only free room is holes of one piece each, far from one another."""
    path.unlink()
    holes, walls = [], []
    try:
        for number in range(SIZE // GAP):
            holes.append(path.with_name(f"hole{number}"))
            holes[-1].write_bytes(b"h" * PIECE)
            walls.append(path.with_name(f"wall{number}"))
            walls[-1].write_bytes(b"w" * GAP)
    except OSError:
        pass
    for file in holes:
        file.unlink(missing_ok=True)
    path.write_bytes(hive)
    for file in walls:
        file.unlink(missing_ok=True)


def make_image(raw: Path, path: Path, kind: str) -> Path:
    """The raw disk as an image of a kind: a format, `lazy` (a qcow2 with lazy refcounts that has to allocate), `chain`."""
    name = QEMU_NAMES.get(kind, kind)
    if kind == "raw":
        shutil.copyfile(raw, path)
    elif kind == "chain":
        below = path.with_suffix(".below.qcow2")
        _run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, below)
        _run("qemu-img", "create", "-q", "-f", "qcow2", "-b", below.name, "-F", "qcow2", path)
    else:
        options = {"lazy": ("-o", "lazy_refcounts=on"), "vhd": ("-o", "force_size=on")}
        _run("qemu-img", "convert", "-f", "raw", "-O", name, *options.get(kind, ()), raw, path)
    if kind == "lazy":
        _run("qemu-img", "snapshot", "-c", "before", path)
    return path


def _run(*argv: object) -> None:
    subprocess.run([str(each) for each in argv], check=True, stdout=subprocess.DEVNULL)


@dataclass
class Bench:
    """The disks of one guest with their first content (`was`) and their repaired one (`new`), both as raw files."""

    directory: Path
    state: Path
    kinds: tuple[str, ...]
    faults: int = 0
    finished: int = 0
    ends: set[str] = field(default_factory=set)

    @classmethod
    def make(cls, master: Path, directory: Path, state: Path, kinds: Sequence[str]) -> "Bench":
        """The guest, repaired once to know what that gives, and set back."""
        bench = cls(directory, state, tuple(kinds))
        os.environ["UNXEN_STATE_DIR"] = str(state)
        for number, kind in enumerate(kinds):
            make_image(master, bench.disk(number), kind)
            shutil.copyfile(master, bench.side(number, "was"))
        bench.save("start")
        assert run_struck(["repair", *bench.disks]) == 0
        for number in range(len(kinds)):
            bench.export(number, bench.side(number, "new"))
            assert not filecmp.cmp(bench.side(number, "was"), bench.side(number, "new"), shallow=False)
        bench.save("repaired")
        bench.restore("start")
        return bench

    @property
    def disks(self) -> list[Path]:
        """All disks in their order."""
        return [self.disk(number) for number in range(len(self.kinds))]

    def disk(self, number: int) -> Path:
        """One disk."""
        kind = self.kinds[number]
        return self.directory / f"disk{number}.{SUFFIXES.get(kind, kind)}"

    def side(self, number: int, name: str) -> Path:
        """Content to compare with."""
        return self.directory / f"disk{number}.{name}"

    def export(self, number: int, target: Path) -> None:
        """What a guest sees, as a raw file."""
        name = QEMU_NAMES.get(self.kinds[number], self.kinds[number])
        _run("qemu-img", "convert", "-f", name, "-O", "raw", self.disk(number), target)

    def save(self, name: str) -> None:
        """Remembers disks and state directory."""
        for disk in self.disks:
            shutil.copyfile(disk, disk.with_suffix(f".{name}-saved"))
        self._copy_state(self.state, self._saved_state(name))

    def restore(self, name: str) -> None:
        """Sets disks and state directory back; the disks stay the same files, so the journal knows them."""
        for disk in self.disks:
            shutil.copyfile(disk.with_suffix(f".{name}-saved"), disk)
        self._copy_state(self._saved_state(name), self.state)

    def _saved_state(self, name: str) -> Path:
        return self.directory / f"state-{name}"

    def _copy_state(self, source: Path, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("nbd"))

    def content(self, number: int) -> str:
        """`was`, `new`, or `mixed`."""
        for name in ("was", "new"):
            if self._same(number, self.side(number, name)):
                return name
        return "mixed"

    def _same(self, number: int, other: Path) -> bool:
        if self.kinds[number] == "raw":
            return filecmp.cmp(self.disk(number), other, shallow=False)
        name = QEMU_NAMES.get(self.kinds[number], self.kinds[number])
        command = ["qemu-img", "compare", "-q", "-f", name, "-F", "raw", str(self.disk(number)), str(other)]
        return subprocess.run(command, check=False).returncode == 0

    def contents(self) -> set[str]:
        """What the disks hold, all of them."""
        return {self.content(number) for number in range(len(self.kinds))}

    def rows(self, question: str) -> list[tuple]:
        """An answer of the journal."""
        path = self.state / "journal.sqlite3"
        if not path.is_file():
            return []
        with sqlite3.connect(path) as connection:
            return connection.execute(question).fetchall()

    def unfinished(self) -> int:
        """Entries whose commit was begun."""
        return len(self.rows("select 1 from entries where state = 'committing'"))

    def check_settled(self, what: str) -> str:
        """Nothing is open, nothing lies about, all disks are old or all are new and sound; gives which."""
        contents = self.contents()
        assert contents in ({"was"}, {"new"}), f"{what}: {contents}"
        open_rows = "select id, state from entries where state not in ('committed', 'rolled-back', 'switched')"
        assert self.rows(open_rows) == [], f"{what}: open {self.rows(open_rows)}"
        named = {Path(row[0]) for row in self.rows("select undo from disks where undo != ''")}
        left = set(self.state.rglob("*.qcow2"))
        assert left == named, f"{what}: {left ^ named}"
        left = set((self.state / "work").rglob("*"))
        assert left == set(), f"{what}: {left}"
        for number, kind in enumerate(self.kinds):
            if QEMU_NAMES.get(kind, kind) == "qcow2":
                code = subprocess.run(["qemu-img", "check", "-q", self.disk(number)], check=False, stdout=-3, stderr=-3).returncode
                assert code in (0, 3), f"{what}: check {code}"
        (found,) = contents
        return found

    def strike(self, what: str, start: str, argv: Sequence[object], strike: Strike, codes: Container[int]) -> str:
        """One fault from start to end: set back, struck, recovered, held against what may be; gives what the disks hold."""
        self.restore(start)
        code = run_struck(argv, strike)
        assert code in codes, f"{what}: ended with {code}"
        begun = self.unfinished()
        assert begun == (code == UNFINISHED) or code < 0, f"{what}: {begun} begun, ended with {code}"
        code = self._recovered()
        assert code == 0, f"{what}: recovery ended with {code}"
        found = self.check_settled(what)
        self.faults += 1
        self.ends.add(found)
        if begun:
            self.finished += 1
        return found

    def _recovered(self) -> int:
        """The daemon of an unxen that was killed dies a moment after it, and has the disk until then."""
        for _ in range(50):
            if (code := run_struck(["recover"])) != IN_USE:
                break
            time.sleep(0.2)
        return code
