# SPDX-License-Identifier: Apache-2.0
"""From the first look to the last byte nobody else may work on a guest's disks; this takes them and lets them go.

Starts a storage daemon per disk and makes an empty private directory for each in the state directory. Refuses disks that cannot be
written, are in use, or were left half repaired; nothing of a disk has changed then.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from unxen.errors import Refused, refused
from unxen.host.files import private_directory, read_only_cause
from unxen.host.locks import disk_key, forbid_machines, open_device_exclusively, own_locks
from unxen.host.sandbox import Box
from unxen.host.storage_daemon import StorageDaemon, storage_daemon
from unxen.journal.place import WORK, has_journal
from unxen.journal.records import OPEN_STATES
from unxen.journal.store import open_journal
from unxen.journal.unfinished import unfinished_commits
from unxen.model.disk import Disk, ImageChain
from unxen.model.guest import Guest
from unxen.model.ids import ImageFormat
from unxen.model.progress import Listener, Remark
from unxen.model.reason import Reason, ReasonKind
from unxen.model.record import dataclass
from unxen.model.settings import Settings
from unxen.probe.images import allowed_directories, check_images, check_writable_headers
from unxen.probe.look import load_ahead
from unxen.probe.look_protocol import Code
from unxen.repair.leftovers import LOCKS, throw_away


@dataclass(frozen=True)
class HeldDisk:
    """A disk that is ours: its checked chain, its daemon, its name in the journal, and its file's length when it was taken.

    `against`: why it is only to be read. A server's image without a lock may be a second disk that nobody changes.
    """

    chain: ImageChain
    daemon: StorageDaemon
    key: str
    file_size: int
    against: tuple[Reason, ...] = ()

    @property
    def disk(self) -> Disk:
        """The disk as it was given."""
        return self.chain.disk


@contextmanager
def hold(guest: Guest, settings: Settings, listener: Listener, box: Box | None = None) -> Iterator[tuple[HeldDisk, ...]]:
    """All disks of a guest, locked and open read-only until the block ends; headers are read in the guest's box, if it has one."""
    paths = [disk.path for disk in guest.disks]
    for disk in guest.disks:
        if disk.remote is None:
            _check_there(disk.path)
    with ExitStack() as stack:
        locks = settings.state_dir / LOCKS
        remark = Remark("waiting", (("seconds", f"{settings.wait_seconds:g}"),))
        stack.enter_context(own_locks(locks, paths, wait=settings.wait_seconds, waiting=lambda: listener(remark)))
        _clear_leftovers(settings.state_dir, paths)
        with nullcontext(box) if box else Box.open() as reader:
            chains = check_images(guest.disks, reader, allowed_directories(guest, settings))
            if box:
                load_ahead(box, Code.WINDOWS)
        yield tuple(_held(stack, chain, settings.state_dir) for chain in chains)


def _check_there(path: str) -> None:
    try:
        os.stat(path)  # noqa: PTH116
    except PermissionError as error:
        raise refused(ReasonKind.NO_PERMISSION, path, cause=error.strerror) from error
    except OSError as error:
        raise refused(ReasonKind.DISK_MISSING, path, cause=error.strerror) from error


def _held(stack: ExitStack, chain: ImageChain, state_dir: Path) -> HeldDisk:
    path = chain.disk.path
    check_writable_headers(chain)
    against = _against(chain.disk)
    if chain.disk.remote is None:
        forbid_others(stack, chain)
    key = disk_key(path)
    directory = private_directory(state_dir / WORK / key)
    stack.callback(_remove_empty, directory)
    daemon = stack.enter_context(storage_daemon(chain, directory, read_only=bool(against)))
    daemon.check_size()
    return HeldDisk(chain, daemon, key, chain.layers[0].file_size, against)


def forbid_others(stack: ExitStack, chain: ImageChain) -> None:
    """Nobody else may write; so we must be able to. An image with a format is kept from machines by its daemon, others by us."""
    path = chain.disk.path
    if against := _against(chain.disk):
        raise Refused(*against)
    if chain.disk.remote is not None:
        return
    if cause := read_only_cause(path):
        raise refused(ReasonKind.READ_ONLY, path, cause=cause)
    if Path(path).is_block_device():
        stack.callback(os.close, open_device_exclusively(path))
    elif chain.disk.format is ImageFormat.RAW:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise refused(ReasonKind.NO_PERMISSION, path, cause=error.strerror) from error
        stack.callback(os.close, fd)
        forbid_machines(fd, path)


def _against(disk: Disk) -> tuple[Reason, ...]:
    """Why a server's image is not to be written; files and devices are asked by their locks."""
    if disk.remote is None:
        return ()
    from unxen.host.remote import against_writing  # lazily: most disks are files

    return against_writing(disk.remote)


def _clear_leftovers(state_dir: Path, paths: list[str]) -> None:
    """What a dead process left of these disks: an unfinished overlay goes, a begun commit stops us."""
    if begun := unfinished_commits(state_dir, paths):
        raise Refused(*begun)
    if not has_journal(state_dir):
        return
    keys = {disk_key(path) for path in paths}
    with open_journal(state_dir) as journal:
        for entry in journal.in_states(OPEN_STATES):
            if any(disk.key in keys for disk in entry.disks):
                throw_away(journal, entry)


def _remove_empty(directory: Path) -> None:
    """The directory goes unless something in it must stay."""
    if not any(directory.glob("*.qcow2")):
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()
