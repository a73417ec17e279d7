# SPDX-License-Identifier: Apache-2.0
"""How a disk was left decides whether it may be touched at all; here that is weighed, and the way out is named where there is one.

Touches nothing. A volume that Windows has not let go of is accepted when that was asked for and the hive surely lies where it seems
to, or without being asked for when every record of its open journal was read and none touches the hive (a snapshot of a running
machine). A state that could not be read never is.
"""

from collections.abc import Sequence

from unxen.model.facts import GuestFacts, Installation
from unxen.model.ids import Bus
from unxen.model.judgement import Note, NoteKind
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.record import replace
from unxen.model.volume_facts import Footing, JournalState, PendingWork, Sign
from unxen.plan.examined import Examined

DIRTY = "dirty"
USUAL_SECTOR = 512
OPEN = (ReasonKind.JOURNAL_UNCLEAN, JournalState.UNCLEAN.value)
ACCEPTABLE = {
    ReasonKind.VOLUME_DIRTY: (DIRTY,),
    ReasonKind.JOURNAL_UNCLEAN: (JournalState.UNCLEAN.value, JournalState.VERSION_2.value),
}


def troubles(installation: Installation, *, accept_unclean_volume: bool, accept_stale_hive: bool) -> tuple[Reason, ...]:
    """What of an installation's states forbids a repair; what was asked for and cannot be accepted says why."""
    found = (each for each in installation.troubles if not (accept_stale_hive and each.kind is ReasonKind.HIVE_DIRTY))
    weighed = (_weighed(each, installation.footing, asked=accept_unclean_volume) for each in found)
    return tuple(each for each in weighed if each is not None)


def _weighed(trouble: Reason, footing: Footing | None, *, asked: bool) -> Reason | None:
    """None for a trouble that is none: it was accepted, or an open journal provably does not concern the hive."""
    if trouble.kind not in ACCEPTABLE:
        return trouble
    if not asked:
        return None if (trouble.kind, trouble.detail("state")) == OPEN and _proven(footing) else trouble
    obstacle = "state" if trouble.detail("state") not in ACCEPTABLE[trouble.kind] else _obstacle(footing)
    return replace(trouble, details=(*trouble.details, ("obstacle", obstacle))) if obstacle else None


def _proven(footing: Footing | None) -> bool:
    return footing is not None and footing.pending is PendingWork.ELSEWHERE and not _obstacle(footing)


def _obstacle(footing: Footing | None) -> str:
    """What speaks against the place where the hive seems to lie, as a word."""
    if footing is None:
        return "unknown"
    checks = (
        ("bins", not footing.bins_whole),
        ("bitmap", not footing.clusters_in_use),
        ("pending", footing.pending is PendingWork.HERE),
    )
    return next((word for word, found in checks if found), "")


def no_room(installation: Installation) -> tuple[Reason, ...]:
    """A hive that its logs made longer than its file needs an appliance, which an unclean volume must not meet."""
    hive, record = installation.hive, installation.record
    if hive is None or record is None or hive.size <= record.size:
        return ()
    unclean = (each for each in installation.troubles if each.kind in ACCEPTABLE)
    return tuple(replace(each, details=(*each.details, ("obstacle", "growth"))) for each in unclean)


def upgrade_in_flight(installation: Installation) -> tuple[Reason, ...]:
    """Setup is at work and has its directory beside this Windows: the hive that is edited may not be the one that starts."""
    setup = installation.system is not None and installation.system.setup_in_progress
    begun = Sign.UPGRADE_BEGUN in installation.signs
    return (reason(ReasonKind.UPGRADE_IN_FLIGHT, installation.id),) if setup and begun else ()


def with_ways_out(reasons: Sequence[Reason], examined: Examined | None) -> tuple[Reason, ...]:
    """A sleeping Windows whose Xen is gone can wake up here, where it would start as it is."""
    return tuple(_with_way_out(each, examined) for each in reasons)


def _with_way_out(trouble: Reason, examined: Examined | None) -> Reason:
    if examined is None or trouble.kind is not ReasonKind.HIBERNATED or not _starts_from_ide(examined):
        return trouble
    own = f"{examined.installation.disk}:{examined.installation.partition}"
    if trouble.detail("volume") != own:
        return trouble
    return replace(trouble, details=(*trouble.details, ("wakes_on", Bus.IDE.value)))


def _starts_from_ide(examined: Examined) -> bool:
    """The chain is whole and no rule asks for an edit: Xen's filters would be one."""
    return examined.prospects[Bus.IDE].chain.whole and not examined.edits(Bus.IDE)


def sector_notes(facts: GuestFacts, examined: Examined) -> tuple[Note, ...]:
    """A disk whose sectors were larger than QEMU's usual ones is read by Windows only when it gets such again."""
    place = (examined.installation.disk, examined.installation.partition)
    volumes = (volume for disk in facts.disks for volume in disk.volumes if (volume.disk, volume.partition) == place)
    return tuple(Note(NoteKind.LARGE_SECTORS, str(each.sector_size)) for each in volumes if each.sector_size > USUAL_SECTOR)
