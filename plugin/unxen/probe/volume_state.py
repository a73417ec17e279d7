# SPDX-License-Identifier: Apache-2.0
r"""Three places of a volume say whether Windows has let go of it: $Volume, $LogFile and \hiberfil.sys.

Reads records 2 and 3 and the first page of the hibernation file. What cannot be read is a fact of its own and never taken for
the harmless case. The rules for $LogFile are those by which ntfs-3g decides whether it may mount (libntfs-3g/logfile.c).
"""

import struct

from unxen.model.ids import Missing
from unxen.model.volume_facts import Hibernation, JournalState
from unxen.probe.malformed import VOLUME_ERRORS, Malformed
from unxen.probe.mft_record import Type, undo_fixups
from unxen.probe.ntfs import NtfsVolume

LOG_FILE, VOLUME = 2, 3
DIRTY = 0x0001
HIBERNATION_FILE = "\\hiberfil.sys"
PAGE = 4096
PAGE_SIZES = frozenset((512, 1024, 2048, 4096, 8192, 16384, 32768, 65536))
NO_CLIENT, VOLUME_IS_CLEAN = 0xFFFF, 0x0002
# First four bytes of the file (libhibr): a resumed image starts nothing; `RSTR` is a resume that was cut off.
BY_SIGNATURE = {
    b"hibr": Hibernation.HIBERNATED,
    b"HIBR": Hibernation.HIBERNATED,
    b"wake": Hibernation.RESUMED,
    b"WAKE": Hibernation.RESUMED,
}


def read_dirty(volume: NtfsVolume) -> bool | Missing:
    """Whether Windows checks this volume at its next start."""
    try:
        value = volume.mft.stream(volume.mft.file(VOLUME), Type.VOLUME_INFORMATION).value
    except VOLUME_ERRORS:
        return Missing.UNREADABLE
    if value is None or len(value) < 12:
        return Missing.UNREADABLE
    return bool(int.from_bytes(value[10:12], "little") & DIRTY)


def read_hibernation(volume: NtfsVolume) -> Hibernation:
    """What the hibernation file says; other readers call a file without any bytes hibernated, here it is unused."""
    try:
        entry = volume.find(HIBERNATION_FILE)
        if entry is None:
            return Hibernation.ABSENT
        size = volume.record(entry).size
        return _hibernation(size, volume.read(HIBERNATION_FILE, entry, 0, PAGE))
    except VOLUME_ERRORS:
        return Hibernation.UNREADABLE


def _hibernation(size: int, page: bytes) -> Hibernation:
    """A file shorter than a page is none that Windows makes, so it counts as an image nobody understands."""
    if size == 0:
        return Hibernation.UNUSED
    if page[:4] in BY_SIGNATURE:
        return BY_SIGNATURE[page[:4]]
    return Hibernation.UNUSED if len(page) == PAGE and not any(page) else Hibernation.INTERRUPTED


def read_journal(volume: NtfsVolume) -> JournalState:
    """The state of the newest restart page."""
    try:
        stream = volume.mft.stream(volume.mft.file(LOG_FILE), Type.DATA)
        return judge_journal(volume.mft.read(stream, 0, 2 * max(PAGE_SIZES)))
    except VOLUME_ERRORS:
        return JournalState.UNREADABLE


def judge_journal(log: bytes) -> JournalState:
    """The state that the beginning of a $LogFile shows; one filled with 0xFF was emptied by somebody who had it clean."""
    if log and log.count(0xFF) == len(log):
        return JournalState.EMPTY
    pages = [page for page in (_restart_page(log, at) for at in _places(log)) if page is not None]
    if not pages:
        return JournalState.UNREADABLE
    _, major, clean = max(pages)
    if not clean:
        return JournalState.UNCLEAN
    # Windows 8 and later keep 2.0 while the volume is mounted and write 1.1 when they let go of it.
    return {1: JournalState.CLEAN, 2: JournalState.VERSION_2}.get(major, JournalState.UNREADABLE)


def _places(log: bytes) -> list[int]:
    """The first restart page, and the second one page further; a lost first one may have been of any size."""
    size = int.from_bytes(log[16:20], "little")
    return [0, size] if log[:4] in (b"RSTR", b"CHKD") and size in PAGE_SIZES else sorted(PAGE_SIZES)


def _restart_page(log: bytes, at: int) -> tuple[int, int, bool] | None:
    """(log sequence number, major version, clean) of the restart page at a place; None where there is no whole one."""
    magic, size = log[at : at + 4], int.from_bytes(log[at + 16 : at + 20], "little")
    if magic not in (b"RSTR", b"CHKD") or size not in PAGE_SIZES:
        return None
    try:
        page = undo_fixups(log[at : at + size], magic, "restart page")
    except Malformed:
        return None
    area, _, major = struct.unpack_from("<Hhh", page, 24)
    if area % 8 or not 30 <= area <= 512 - 16:
        return None
    (current,) = struct.unpack_from("<Q", page, area)
    in_use, flags = struct.unpack_from("<HH", page, area + 12)
    newest = current if magic == b"RSTR" else struct.unpack_from("<Q", page, 8)[0]
    return newest, major, in_use == NO_CLIENT or bool(flags & VOLUME_IS_CLEAN)
