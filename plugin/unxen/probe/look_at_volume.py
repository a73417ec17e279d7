# SPDX-License-Identifier: Apache-2.0
"""One NTFS volume is looked at from its boot sector to the registry of every Windows on it.

Reads through the disk it is given. A volume that cannot be read gives None; an installation that cannot be read stays in the
facts with the reason in its place.
"""

from unxen.errors import Refused
from unxen.host.ledger import spending
from unxen.model.facts import Installation
from unxen.model.ids import InstallationId, Missing
from unxen.model.progress import Part
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.record import dataclass, replace
from unxen.model.registry_facts import SystemFacts, WindowsFacts
from unxen.model.volume_facts import HARMLESS_JOURNALS, BootFile, Footing, Hibernation, Partition, Volume
from unxen.probe.boot_files import read_boot_files
from unxen.probe.device import Readable
from unxen.probe.file_seen import SeenFiles
from unxen.probe.files import Entry
from unxen.probe.hive_file import HiveFile, read_hive_file
from unxen.probe.installations import Found, find_installations
from unxen.probe.kernel_version import read_kernel
from unxen.probe.malformed import VOLUME_ERRORS
from unxen.probe.ntfs import NtfsVolume
from unxen.probe.signs import read_signs
from unxen.probe.volume_state import read_dirty, read_hibernation, read_journal
from unxen.probe.wanted import Wanted
from unxen.registry.hive import Unreadable

# SOFTWARE is read for the product's name only where the kernel tells no version, and only while it costs next to nothing.
LARGEST_SOFTWARE = 4 << 20
HARMLESS_HIBERNATION = (Hibernation.ABSENT, Hibernation.UNUSED, Hibernation.RESUMED)


@dataclass(frozen=True)
class VolumeLook:
    """What one volume gave; `hives` are the bytes of the installations' SYSTEM hives, where there are any."""

    volume: Volume
    boot_files: tuple[BootFile, ...]
    installations: tuple[Installation, ...]
    hives: tuple[tuple[InstallationId, bytes], ...]


def look_at_volume(disk: Readable, partition: Partition, wanted: Wanted) -> VolumeLook | None:
    """Everything on one NTFS volume."""
    try:
        ntfs = NtfsVolume(disk, partition.start, partition.length)
        found = find_installations(ntfs)
        boot_files = read_boot_files(ntfs.files, partition)
    except VOLUME_ERRORS:
        return None
    volume = _volume(ntfs, partition)
    looks = [_installation(ntfs, partition, each, volume, wanted) for each in found]
    hives = tuple((installation.id, data) for installation, data in looks if data is not None)
    return VolumeLook(volume, boot_files, tuple(installation for installation, _ in looks), hives)


def _volume(ntfs: NtfsVolume, partition: Partition) -> Volume:
    return Volume(
        disk=partition.disk,
        partition=partition.number,
        start=partition.start,
        length=partition.length,
        cluster_size=ntfs.boot.cluster_size,
        sector_size=ntfs.boot.sector_size,
        heads=ntfs.boot.heads,
        serial=ntfs.boot.serial,
        dirty=read_dirty(ntfs),
        journal=read_journal(ntfs),
        hibernation=read_hibernation(ntfs),
    )


def _installation(
    ntfs: NtfsVolume, partition: Partition, found: Found, volume: Volume, wanted: Wanted
) -> tuple[Installation, bytes | None]:
    identity = InstallationId(f"{partition.disk}:{partition.number}:{found.root}")
    seen = SeenFiles(ntfs)
    hive = read_hive_file(ntfs, found, seen, identity)
    seen_as = Installation(
        id=identity,
        disk=partition.disk,
        partition=partition.number,
        root=found.root,
        hive_path=found.hive_path,
        record=hive.record,
        hive=hive.facts,
        windows=None,
        system=None,
        troubles=hive.troubles + volume_troubles(volume, identity),
        signs=read_signs(seen, found),
        footing=_footing(ntfs, found, hive, seen, volume),
    )
    return _with_registry(ntfs, found, hive, seen, seen_as, wanted), hive.data


def _footing(ntfs: NtfsVolume, found: Found, hive: HiveFile, seen: SeenFiles, volume: Volume) -> Footing | None:
    """Looked at only where it matters: a clean volume is not asked."""
    clean = volume.dirty is False and volume.journal in HARMLESS_JOURNALS
    directory = None if clean else seen.entry(found.config)
    if hive.record is None or hive.data is None or not isinstance(directory, Entry):
        return None
    from unxen.probe.footing import read_footing  # lazily: most volumes are clean

    return read_footing(ntfs, hive.record, (directory.number, *hive.made_of), hive.data, volume.journal)


def _with_registry(
    ntfs: NtfsVolume, found: Found, hive: HiveFile, seen: SeenFiles, installation: Installation, wanted: Wanted
) -> Installation:
    if hive.data is None:
        return installation
    try:
        with spending(Part.BOX_REGISTRY):
            windows, system = _read_registry(ntfs, found, hive.data, seen, wanted)
        return replace(installation, windows=windows, system=system)
    except Refused as refusal:
        troubles = tuple(replace(each, subject=installation.id) for each in refusal.reasons)
    except Unreadable as error:
        troubles = (reason(ReasonKind.HIVE_DAMAGED, installation.id, cause=error.cause, path=error.path),)
    return replace(installation, troubles=installation.troubles + troubles)


def _read_registry(
    ntfs: NtfsVolume, found: Found, data: bytes, seen: SeenFiles, wanted: Wanted
) -> tuple[WindowsFacts, SystemFacts]:
    from unxen.probe.system_hive import read_system  # lazily: a disk without Windows does not need it
    from unxen.probe.windows_version import windows_facts

    version, machine = read_kernel(lambda offset, length: ntfs.read(found.kernel, found.kernel_entry, offset, length))
    software = None if version is not None else _software(ntfs, found, seen)
    return windows_facts(data, software, version, machine), read_system(data, wanted, seen, found.root)


def _software(ntfs: NtfsVolume, found: Found, seen: SeenFiles) -> bytes | None:
    """The SOFTWARE hive, if it is small."""
    entry = seen.entry(f"{found.config}\\SOFTWARE")
    if isinstance(entry, Missing):
        return None
    try:
        if ntfs.record(entry).size > LARGEST_SOFTWARE:
            return None
        return ntfs.read(f"{found.config}\\{entry.name}", entry, 0, LARGEST_SOFTWARE)
    except VOLUME_ERRORS:
        return None


def volume_troubles(volume: Volume, subject: str) -> tuple[Reason, ...]:
    """What in a volume's state forbids to edit a Windows on it; a state that could not be read is not taken for a good one."""
    where = f"{volume.disk}:{volume.partition}"
    found: list[Reason] = []
    if volume.hibernation not in HARMLESS_HIBERNATION:
        found.append(reason(ReasonKind.HIBERNATED, subject, volume=where, state=volume.hibernation.value))
    if volume.dirty is not False:
        state = "dirty" if volume.dirty is True else volume.dirty.value
        found.append(reason(ReasonKind.VOLUME_DIRTY, subject, volume=where, state=state))
    if volume.journal not in HARMLESS_JOURNALS:
        found.append(reason(ReasonKind.JOURNAL_UNCLEAN, subject, volume=where, state=volume.journal.value))
    return tuple(found)
