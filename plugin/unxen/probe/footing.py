# SPDX-License-Identifier: Apache-2.0
"""On a volume that Windows has not let go of, a hive may be written only where it surely lies; this gathers what speaks for that.

Reads $Bitmap and, where it is not clean, $LogFile of one volume; only volumes in a doubtful state are asked. What cannot be read
speaks against it.
"""

from unxen.model.volume_facts import HARMLESS_JOURNALS, FileRecord, Footing, JournalState, PendingWork, Run
from unxen.probe.malformed import VOLUME_ERRORS, Malformed
from unxen.probe.mft_record import Type
from unxen.probe.ntfs import NtfsVolume
from unxen.probe.pending_work import pending_work
from unxen.registry.base_block import read_base_block
from unxen.registry.bins import bins_whole

BITMAP_RECORD = 6


def read_footing(volume: NtfsVolume, record: FileRecord, places: tuple[int, ...], hive: bytes, journal: JournalState) -> Footing:
    """How surely the hive lies where it seems to; `places` are the records of its directory and of all files it was made of."""
    settled = journal in HARMLESS_JOURNALS
    return Footing(
        bins_whole=bins_whole(hive, read_base_block(hive).bins_size),
        clusters_in_use=_in_use(volume, record),
        pending=PendingWork.ELSEWHERE if settled else pending_work(volume, places[1:], places[0]),
    )


def _in_use(volume: NtfsVolume, record: FileRecord) -> bool:
    try:
        return bool(record.runs) and all(_run_in_use(volume, run) for run in record.runs)
    except VOLUME_ERRORS:
        return False


def _run_in_use(volume: NtfsVolume, run: Run) -> bool:
    """Whether every bit of these clusters is set in $Bitmap."""
    first, last = run.cluster // 8, (run.cluster + run.count - 1) // 8
    stream = volume.mft.stream(volume.mft.file(BITMAP_RECORD), Type.DATA)
    found = volume.mft.read(stream, first, last - first + 1)
    if len(found) != last - first + 1:
        raise Malformed("$Bitmap", f"ends before cluster {run.cluster + run.count - 1}")
    wanted = (1 << run.count) - 1
    return int.from_bytes(found, "little") >> run.cluster % 8 & wanted == wanted
