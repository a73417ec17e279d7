# SPDX-License-Identifier: Apache-2.0
"""The recipe of `import`: a disk into a VM of a Proxmox node, or an export into a new one, and at its end Windows starts.

Reads the source in a box, writes new volumes only, and attaches them when every byte has come; what fails before leaves neither a
volume nor a VM. Then the one recipe that repairs takes the VM, whose refusals leave the imported disk attached as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from unxen.errors import Refused, refused
from unxen.host.disk_sink import RawSink
from unxen.host.sandbox import Box
from unxen.knowledge.tables import Knowledge
from unxen.model.conversion import Conversion
from unxen.model.disk import Disk, ImageChain
from unxen.model.ids import Bus, DiskNumber, ImageFormat
from unxen.model.judgement import Verdict
from unxen.model.machine import Media
from unxen.model.outcome import Outcome
from unxen.model.progress import Listener, Step
from unxen.model.reason import ReasonKind
from unxen.model.settings import Settings
from unxen.platforms.files import FilesPlatform
from unxen.platforms.proxmox.create import new_vm, slot_of
from unxen.platforms.proxmox.new_disks import NewDisks
from unxen.platforms.proxmox.node import LocalNode
from unxen.platforms.proxmox.platform import SCHEME, make
from unxen.platforms.xen.definition import is_export
from unxen.platforms.xen.ova_xml import XvaDisk
from unxen.platforms.xen.xva import XvaExport, open_xva
from unxen.probe.images import check_images
from unxen.workflow.convert import PROXMOX, Asked, convert, with_disks
from unxen.workflow.disk_copy import copy_disk
from unxen.workflow.repair import Order, repair
from unxen.workflow.steps import Stopwatch

# A watcher sees the new disk as soon as it is attached, and may be the first to lock it.
WAIT_SECONDS = 120.0
MOST_TRIES = 3
# A Windows that comes from another KVM host may start from nothing else.
DRIVEN_BY_VIRTIO = (Bus.VIRTIO_SCSI, Bus.VIRTIO_BLK)


@dataclass(frozen=True)
class Import:
    """What was asked for. `format` of the source, None where its name tells; `bridges` old to new, for an export."""

    vmid: str
    source: str
    storage: str
    format: ImageFormat | None = None
    bus: Bus | None = None
    bridges: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Imported:
    """What came of it; of an export also the machine with what it loses."""

    outcome: Outcome
    conversion: Conversion | None = None


def import_(asked: Import, node: LocalNode, settings: Settings, knowledge: Knowledge, listener: Listener) -> Imported:
    """One disk or one machine."""
    disks = NewDisks(node, asked.vmid, asked.storage)
    conversion = None
    try:
        if asked.format is None and Path(asked.source).is_file() and is_export(asked.source):
            with open_xva(asked.source) as export:
                conversion = _machine(asked, export, disks, settings, knowledge, listener)
        else:
            _disk(asked, disks, settings, listener)
    except BaseException:
        disks.take_back()
        raise
    return Imported(_made_bootable(asked, settings, knowledge, listener), conversion)


def _disk(asked: Import, disks: NewDisks, settings: Settings, listener: Listener) -> None:
    disks.check_guest()
    chain = _checked(asked, settings)
    with Stopwatch(listener).step(Step.COPY):
        volume, location = disks.make(chain.virtual_size)
        _fill(RawSink.new_volume(location.path, chain.virtual_size), chain, listener)
    disks.attach(volume, (asked.bus,) if asked.bus else settings.preference)


def _checked(asked: Import, settings: Settings) -> ImageChain:
    """The source with its header read: a differencing VHD, or one that names other files, goes no further."""
    if asked.format is not None:
        disk = Disk(DiskNumber(1), asked.source, asked.format)
    elif Path(asked.source).is_block_device():
        disk = Disk(DiskNumber(1), asked.source, ImageFormat.RAW)
    else:
        (disk,) = FilesPlatform().describe((asked.source,), ()).disks
    with Box.open() as box:
        (chain,) = check_images((disk,), box, settings.backing_dirs)
    return chain


def _fill(sink: RawSink, chain: ImageChain, listener: Listener) -> None:
    try:
        copy_disk(chain, sink, listener)
    finally:
        sink.abandon()


def _machine(
    asked: Import, export: XvaExport, disks: NewDisks, settings: Settings, knowledge: Knowledge, listener: Listener
) -> Conversion:
    """The VM of an export: its number first, then its disks, then the hardware that the Windows on them needs."""
    disks.create_guest(f"import-{asked.vmid}")
    volumes = _streamed(export, disks, listener)
    paths = {slot: path for slot, (_, path) in volumes.items()}
    wanted = Asked(PROXMOX, asked.bus, asked.bridges)
    conversion = convert(asked.source, with_disks(export.definition, paths), wanted, settings, knowledge, listener)
    disks.furnish(_hardware(asked, conversion, {slot: volume for slot, (volume, _) in volumes.items()}))
    return conversion


def _streamed(export: XvaExport, disks: NewDisks, listener: Listener) -> dict[str, tuple[str, str]]:
    """Volume and path for each slot, every byte verified."""
    made: dict[str, tuple[str, str]] = {}
    sinks: list[RawSink] = []

    def sink_for(disk: XvaDisk) -> RawSink:
        volume, location = disks.make(disk.size)
        made[disk.slot] = volume, location.path
        sinks.append(RawSink.new_volume(location.path, disk.size))
        return sinks[-1]

    try:
        with Stopwatch(listener).step(Step.COPY):
            export.stream(sink_for, listener)
    finally:
        for sink in sinks:
            sink.abandon()
    return made


def _hardware(asked: Import, conversion: Conversion, volumes: Mapping[str, str]) -> dict[str, str]:
    """Keys and values of the configuration; the disks are volumes of their own already."""
    without = tuple(replace(each, drive=replace(each.drive, path="")) for each in conversion.placed)
    words = new_vm(replace(conversion, placed=without), asked.vmid, asked.storage).arguments[1:]
    values = {key.removeprefix("--"): value for key, value in zip(words[::2], words[1::2], strict=True)}
    placed = [each for each in conversion.placed if each.drive.media is Media.DISK and each.drive.slot in volumes]
    if not placed:
        raise refused(ReasonKind.DEFINITION_INVALID, asked.source, problem="it has no disk that finds a place in the new machine")
    attached = {slot_of(each): volumes[each.drive.slot] for each in placed}
    cards = [key for key in values if key.startswith("net")]
    return values | attached | {"boot": f"order={';'.join((*list(attached)[:1], *cards[:1]))}"}


def _made_bootable(asked: Import, settings: Settings, knowledge: Knowledge, listener: Listener) -> Outcome:
    """The repair of the new VM. A Windows without Xen is left alone by it, so a bus from which that starts is asked for then."""
    patient = replace(settings, wait_seconds=max(settings.wait_seconds, WAIT_SECONDS))
    outcome = _repaired(asked, asked.bus, patient, knowledge, listener)
    better = None if asked.bus or outcome.verdict is not Verdict.HEALTHY else _bus_that_starts(outcome, patient)
    if better is not None:
        outcome = _repaired(asked, better, patient, knowledge, listener)
    return replace(outcome, verb="import")


def _repaired(asked: Import, bus: Bus | None, settings: Settings, knowledge: Knowledge, listener: Listener) -> Outcome:
    platform = make(settings)
    order = Order(bus=bus, delivery=settings.delivery)
    for left in reversed(range(MOST_TRIES)):
        guest = platform.describe((f"{SCHEME}:{asked.vmid}",), ())
        try:
            return repair(guest, platform, settings, knowledge, order, listener)
        except Refused as error:
            # The watcher was quicker; what it made of the VM is looked at anew.
            if error.first.kind is not ReasonKind.GUEST_CHANGED or not left:
                raise
    raise AssertionError("the last try returns or raises")


def _bus_that_starts(outcome: Outcome, settings: Settings) -> Bus | None:
    """Another bus for every Windows that was found, whole as it is before one that edits make whole; None when none is needed."""
    judged = outcome.judgement.installations if outcome.judgement else ()
    by_bus = [{chain.bus: chain for chain in each.chains} for each in judged]
    present = outcome.judgement.bus if outcome.judgement else Bus.UNKNOWN
    if not by_bus or all(chains[present].whole for chains in by_bus if present in chains):
        return None
    common = set.intersection(*(set(chains) for chains in by_bus))
    order = [bus for bus in dict.fromkeys((present, *settings.preference, *DRIVEN_BY_VIRTIO)) if bus in common]
    whole = (bus for bus in order if all(chains[bus].whole for chains in by_bus))
    mendable = (bus for bus in order if all(chains[bus].whole or chains[bus].mendable for chains in by_bus))
    return next(whole, None) or next(mendable, None)
