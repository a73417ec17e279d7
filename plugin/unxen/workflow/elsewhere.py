# SPDX-License-Identifier: Apache-2.0
"""The recipes for a VM whose disks are out of reach: what its configuration tells, its switch to a bus that is known, the way back.

Changes definitions only, and only those whose old and new text stand in the journal of this host. Raises Refused, with nothing
changed; a switch that the platform refused leaves the old definition, and can be tried again.
"""

import logging

from unxen.errors import Refused, refused
from unxen.journal.place import has_journal
from unxen.journal.records import Entry, EntryKind
from unxen.journal.store import Journal, open_journal
from unxen.model.definition import Switch
from unxen.model.elsewhere import Marked, SeenDefinition, Slot, Switched
from unxen.model.guest import Guest
from unxen.model.ids import Bus
from unxen.model.judgement import Verdict
from unxen.model.outcome import Outcome
from unxen.model.reason import ReasonKind, reason
from unxen.model.settings import Settings
from unxen.platforms.base import StillStopped
from unxen.platforms.proxmox.access import Task
from unxen.platforms.proxmox.api import STOPPED, Listed, RemoteCluster
from unxen.platforms.proxmox.buses import bus_of
from unxen.platforms.proxmox.drives import hard_disks, unused_volumes
from unxen.platforms.proxmox.notes import has_tag, lines_of
from unxen.platforms.proxmox.remote import RemotePlatform, boot_disk_to
from unxen.report.text_elsewhere import switched_sentence, undone_sentence
from unxen.workflow.switching import begin_switch, pending, perform, row_of
from unxen.workflow.undo import way_back

LOG = logging.getLogger(__name__)
SCHEME = "proxmox"


def definition_of(target: str, cluster: RemoteCluster) -> SeenDefinition:
    """What the configuration of one VM says, and what stands in the way of changing it."""
    platform = RemotePlatform(cluster)
    guest = platform.describe((target,), ())
    vmid = guest.id.split(":")[1]
    config, row = cluster.config(vmid), cluster.guest(vmid)
    used = () if cluster.is_stopped(vmid) else (reason(ReasonKind.IN_USE, target),)
    attached = tuple(Slot(slot, drive.volume, bus_of(slot, config.values)) for slot, drive in hard_disks(config.values))
    return SeenDefinition(
        marked=_marked(row, config.description, config.values.get("tags", "")),
        machine=guest.machine,
        slots=attached + tuple(Slot(key, volume, None) for key, volume in unused_volumes(config)),
        against=used + platform.obstacles(guest),
        lacking={task.value: names for task, names in cluster.missing(tuple(Task), vmid).items()},
    )


def marked_guests(cluster: RemoteCluster, vmids: tuple[str, ...]) -> tuple[Marked, ...]:
    """Every VM of the cluster with unxen's tag; with numbers given these, tagged or not."""
    for vmid in vmids:
        cluster.need((Task.LOOK,), vmid)
    seen = [cluster.guest(vmid) for vmid in vmids] or cluster.guests()
    if not seen:
        # A token that may see no VM at all would be told that none has the tag.
        cluster.need((Task.LOOK,))
    rows = [row for row in seen if vmids or has_tag(row.tags)]
    return tuple(_marked(row, cluster.config(row.vmid).description, row.tags) for row in rows)


def _marked(row: Listed, description: str, tags: str) -> Marked:
    target = f"{SCHEME}:{row.vmid}"
    return Marked(target, row.name, row.node, row.status != STOPPED, has_tag(tags), lines_of(description))


def switch(target: str, bus: Bus, cluster: RemoteCluster, settings: Settings, *, dry_run: bool) -> Switched:
    """The disk that boots onto another bus; what the token lacks is named before anything, in a trial run too."""
    platform = RemotePlatform(cluster)
    guest = platform.describe((target,), ())
    with platform.locked(guest) as still_stopped:
        planned = platform.plan_switch(guest, boot_disk_to(bus))
        platform.check(guest, planned)
        row = row_of(guest, bus, planned)
        if row is None or dry_run:
            return Switched(planned.changes)
        with open_journal(settings.state_dir) as journal:
            waiting = _waiting(journal, platform, guest, planned)
            entry = waiting.id if waiting else begin_switch(journal, guest, row)
            perform(journal, platform, guest, entry, planned)
        _refuse_started(still_stopped, target)
    done = Switched(planned.changes, entry)
    _leave_note(platform, guest, switched_sentence(done), settings)
    return done


def undo(target: str, cluster: RemoteCluster, settings: Settings) -> Outcome:
    """The definition as it was before the newest switch that was made from this host."""
    platform = RemotePlatform(cluster)
    guest = platform.describe((target,), ())
    if not has_journal(settings.state_dir):
        raise refused(ReasonKind.NO_UNDO_DATA, target)
    with platform.locked(guest) as still_stopped, open_journal(settings.state_dir) as journal:
        back = way_back(journal, platform, guest)
        if back.row is None:
            raise refused(ReasonKind.NO_UNDO_DATA, target)
        if not back.only:
            problem = "that repair changed its disks, too, and is undone on the node that has them"
            raise refused(ReasonKind.PLATFORM_REFUSED, target, problem=problem)
        planned = Switch(back.row.before, back.row.after)
        platform.check(guest, planned)
        entry = back.entry if back.entry is not None else begin_switch(journal, guest, back.row, undoes=back.repair)
        perform(journal, platform, guest, entry, planned)
        _refuse_started(still_stopped, target)
    outcome = Outcome("undo", (target,), Verdict.REPAIRED, entry=entry, switched=True)
    _leave_note(platform, guest, undone_sentence(entry), settings)
    return outcome


def _waiting(journal: Journal, platform: RemotePlatform, guest: Guest, planned: Switch) -> Entry | None:
    """An earlier try at the same switch that was refused."""
    found = pending(journal, platform, guest)
    same = found is not None and found.kind is EntryKind.REPAIR and not found.disks
    return found if found and same and found.definition and found.definition.after == planned.after else None


def _refuse_started(still_stopped: StillStopped, target: str) -> None:
    """A token cannot lock: whoever started it in that moment has a machine that was told of two places for its disk."""
    try:
        still_stopped()
    except Refused as error:
        cause = "It was started in the moment of the switch: stop it, and look at its hardware before the next start."
        raise refused(ReasonKind.IN_USE, target, cause=cause) from error


def _leave_note(platform: RemotePlatform, guest: Guest, line: str, settings: Settings) -> None:
    """A hint for people; a token that may not write notes is no reason to fail."""
    if not settings.notes:
        return
    try:
        platform.note(guest, line)
    except Refused as error:
        why = error.first.detail("missing") or error.first.detail("cause")
        LOG.warning("%s: no note could be left: %s (%s)", guest.target[0], error, why)
