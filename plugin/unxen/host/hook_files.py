# SPDX-License-Identifier: Apache-2.0
"""A platform calls only what lies in its own directories; our files go there, and nobody else's is ever overwritten or removed.

Writes the files of the table below `root`, a record of what was written in the state directory, and which units systemd starts.
Everything can be taken back. Refused(FOREIGN_FILE) for a file that somebody else put or changed there, Refused(TOOL_MISSING) when
the hook would not find unxen.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from unxen.errors import refused
from unxen.host.files import private_directory, remove, sync_directory, sync_file
from unxen.host.process import run
from unxen.model.reason import ReasonKind

SEARCHED = "/usr/local/bin:/usr/bin:/bin"
"""Where a hook looks for unxen; the scripts set the same."""
PACKAGED_UNITS = Path("usr/lib/systemd/system")
OWN_UNITS = Path("etc/systemd/system")
RECORD = "installed-hooks.json"
SYSTEMCTL_SECONDS = 120.0


@dataclass(frozen=True)
class Piece:
    """One file of ours: its name below `hooks/`, and where it goes. A unit is also started, now and with the host."""

    source: str
    place: str
    mode: int = 0o644
    unit: bool = False


def _unit(name: str) -> Piece:
    return Piece(f"systemd/{name}", f"{OWN_UNITS}/{name}", unit=True)


# The recovery first: what a crash left must be finished before a watcher looks. Proxmox' hookscript is a matter of each guest.
PIECES: dict[str, tuple[Piece, ...]] = {
    "libvirt": (
        _unit("unxen-recover.service"),
        Piece("libvirt/50-unxen", "etc/libvirt/hooks/qemu.d/50-unxen", 0o755),
        _unit("unxen-watch-libvirt.service"),
    ),
    "proxmox": (_unit("unxen-recover.service"), _unit("unxen-watch-proxmox.service")),
}


class PieceState(Enum):
    """How a place is: nothing there, our file of this version, our file of another version, or somebody else's."""

    ABSENT = "absent"
    INSTALLED = "installed"
    OUTDATED = "outdated"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Found:
    """One piece on this host. `enabled` is None for what is no unit, and where systemd cannot say."""

    place: Path
    state: PieceState
    enabled: bool | None = None


@dataclass(frozen=True)
class HookFiles:
    """The pieces below `root`. `sources` is our `hooks/` directory, `program` what units start."""

    sources: Path
    state_dir: Path
    program: str
    root: Path = Path("/")

    def status(self, platform: str) -> tuple[Found, ...]:
        """Every piece as it is; changes nothing."""
        record = self._record()
        return tuple(self._found(each, record) for each in PIECES[platform])

    def install(self, platform: str) -> tuple[Found, ...]:
        """Puts every piece there; gives what was absent or outdated before. Nothing is done when one place is not ours."""
        if shutil.which("unxen", path=SEARCHED) is None:
            raise refused(ReasonKind.TOOL_MISSING, "unxen", tool=f"unxen in {SEARCHED}", package="unxen")
        before = self.status(platform)
        for each in before:
            if each.state is PieceState.FOREIGN:
                raise refused(ReasonKind.FOREIGN_FILE, str(each.place))
        for piece, found in zip(PIECES[platform], before, strict=True):
            if found.state is not PieceState.INSTALLED:
                self._write(piece)
        self._systemctl("daemon-reload")
        for piece in PIECES[platform]:
            if piece.unit:
                self._start(Path(piece.place).name)
        return tuple(each for each in before if each.state is not PieceState.INSTALLED or each.enabled is False)

    def remove(self, platform: str) -> tuple[Found, ...]:
        """Takes away what is ours and not needed by the other platform; gives it. What is not ours stays."""
        shared = {each for other, pieces in PIECES.items() if other != platform and self._in_use(other) for each in pieces}
        gone = []
        for piece, found in reversed(list(zip(PIECES[platform], self.status(platform), strict=True))):
            if piece in shared or found.state in (PieceState.ABSENT, PieceState.FOREIGN):
                continue
            if piece.unit:
                self._stop(Path(piece.place).name)
            if self._own(piece).exists():
                self._unlink(piece)
            gone.append(found)
        self._systemctl("daemon-reload")
        return tuple(gone)

    def _in_use(self, platform: str) -> bool:
        """Whether a platform has more of its pieces here than those that it shares."""
        others = {each for other, pieces in PIECES.items() if other != platform for each in pieces}
        found = zip(PIECES[platform], self.status(platform), strict=True)
        return any(piece not in others and (each.enabled or not piece.unit) and _ours(each) for piece, each in found)

    def _found(self, piece: Piece, record: Mapping[str, str]) -> Found:
        enabled = self._is_enabled(Path(piece.place).name) if piece.unit else None
        own, packaged = self._own(piece), self.root / PACKAGED_UNITS / Path(piece.place).name
        if piece.unit and packaged.exists() and not own.exists():
            return Found(packaged, PieceState.INSTALLED, enabled)
        if not own.exists():
            return Found(own, PieceState.ABSENT, enabled)
        data = own.read_bytes()
        if data == self._data(piece):
            return Found(own, PieceState.INSTALLED, enabled)
        ours = record.get(piece.place) == hashlib.sha256(data).hexdigest()
        return Found(own, PieceState.OUTDATED if ours else PieceState.FOREIGN, enabled)

    def _own(self, piece: Piece) -> Path:
        return self.root / piece.place

    def _data(self, piece: Piece) -> bytes:
        data = (self.sources / piece.source).read_bytes()
        return data.replace(b"/usr/bin/unxen", self.program.encode()) if piece.unit else data

    def _write(self, piece: Piece) -> None:
        """Recorded before it is there, and there whole: platforms run whatever lies in their directory at any moment."""
        path, data = self._own(piece), self._data(piece)
        self._note(piece, hashlib.sha256(data).hexdigest())
        path.parent.mkdir(parents=True, exist_ok=True)
        # libvirt runs every executable file of the directory; this one is none yet.
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(data)
        sync_file(part)
        part.chmod(piece.mode)
        part.replace(path)
        sync_directory(path.parent)

    def _unlink(self, piece: Piece) -> None:
        remove(self._own(piece))
        self._note(piece, "")

    def _record(self) -> dict[str, str]:
        with suppress(OSError, ValueError):
            found = json.loads((self.state_dir / RECORD).read_text())
            return {str(place): str(digest) for place, digest in found.items()} if isinstance(found, dict) else {}
        return {}

    def _note(self, piece: Piece, digest: str) -> None:
        record = {place: known for place, known in {**self._record(), piece.place: digest}.items() if known}
        path = private_directory(self.state_dir) / RECORD
        part = path.with_name(f"{path.name}.part")
        part.write_text(json.dumps(record, indent=2))
        sync_file(part)
        part.replace(path)
        sync_directory(path.parent)

    def _start(self, unit: str) -> None:
        self._systemctl("enable", *self._now(), unit)

    def _stop(self, unit: str) -> None:
        self._systemctl("disable", *self._now(), unit)

    def _now(self) -> Iterator[str]:
        """Only a running systemd of this very root can start or stop anything."""
        if self._runs():
            yield "--now"

    def _runs(self) -> bool:
        return self.root == Path("/") and Path("/run/systemd/system").is_dir()

    def _is_enabled(self, unit: str) -> bool | None:
        if shutil.which("systemctl", path=SEARCHED) is None:
            return None
        done = run(["systemctl", f"--root={self.root}", "is-enabled", unit], timeout=SYSTEMCTL_SECONDS, good=range(256))
        return done.stdout.strip() == b"enabled"

    def _systemctl(self, *arguments: str) -> None:
        if shutil.which("systemctl", path=SEARCHED) is None or (arguments[0] == "daemon-reload" and not self._runs()):
            return
        where = () if self._runs() else (f"--root={self.root}",)
        run(["systemctl", "--quiet", *where, *arguments], timeout=SYSTEMCTL_SECONDS)


def _ours(found: Found) -> bool:
    return found.state in (PieceState.INSTALLED, PieceState.OUTDATED)


def program_here(started_as: str) -> str:
    """What a unit should start: the installed program where there is one, else the one that runs now."""
    return shutil.which("unxen", path=SEARCHED) or os.path.abspath(started_as)  # noqa: PTH100 (a link of a venv stays one)
