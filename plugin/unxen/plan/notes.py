# SPDX-License-Identifier: Apache-2.0
"""What is seen and not touched is told: damage by earlier mends, drivers nobody knows, what the article's steps did.

Touches nothing. Each function is one kind of note; the order in which they stand is the order in which they are told.
"""

import re
from collections.abc import Callable, Iterator

from unxen.model.hive_facts import HiveState
from unxen.model.ids import Bus
from unxen.model.judgement import Note, NoteKind
from unxen.model.reason import ReasonKind
from unxen.model.volume_facts import Sign
from unxen.plan.bound_driver import OWN_PACKAGE
from unxen.plan.examined import Examined
from unxen.plan.filter_lists import Form, form, names
from unxen.plan.names import fold
from unxen.plan.other_tools import closed_over_logs, critical_mistakes, unfinished_tools
from unxen.plan.stock_filters import classes_seen, gaps
from unxen.plan.view import View
from unxen.plan.xen import dual_use, looks_like_xen, xen_service

MOST_NAMED = 5
NOTES = {
    Sign.SERVICING_PENDING: NoteKind.SERVICING_PENDING,
    Sign.UPGRADE_BEGUN: NoteKind.UPGRADE_BEGUN,
    Sign.UPGRADE_READY: NoteKind.UPGRADE_READY,
    Sign.SECOND_HIVE: NoteKind.SECOND_HIVE,
}
# What every Windows runs; with drives that chkntfs has excluded and another time to wait it still checks only what is dirty.
USUAL_CHECK = re.compile(r"autocheck autochk( /[kt]:\S+)*( \*)?", re.IGNORECASE)
CONTROLLER_FILTERS, DISK = "controller-filters", "disk"


def left_alone(examined: Examined) -> tuple[Note, ...]:
    """Notes about a Windows, whatever becomes of it."""
    return tuple(note for make in KINDS for note in make(examined))


def elsewhere(examined: Examined, bus: Bus) -> tuple[Note, ...]:
    """The other buses from which this Windows would start as it is, when it would not from the judged one."""
    judged = examined.prospects.get(bus)
    whole = [each.value for each, found in examined.prospects.items() if found.chain.whole]
    told = bool(whole) and not (judged and judged.chain.whole)
    return (Note(NoteKind.HEALTHY_ELSEWHERE, ", ".join(whole)),) if told else ()


def _kvm(examined: Examined) -> Iterator[Note]:
    if examined.kvm_trace:
        yield Note(NoteKind.RAN_ON_KVM, examined.kvm_trace)


def _traces(examined: Examined) -> Iterator[Note]:
    """What Xen's drivers left in a Windows that is not repaired for it; not Xen's bare devices, not what virtio needs."""
    active = any(finding.evidence for finding in examined.xen)
    own = (each for each in examined.xen if not examined.deciding.dual_use.issuperset(each.families))
    left = tuple(dict.fromkeys(finding.subject for finding in own))
    if left and (examined.kvm_trace or not active):
        yield Note(NoteKind.XEN_TRACES, ", ".join(left[:MOST_NAMED]), (("count", str(len(left))),))


def _unknown_services(examined: Examined) -> Iterator[Note]:
    for service in examined.deciding.control_set.services:
        if looks_like_xen(examined.deciding, service.name):
            image = service.image_path if isinstance(service.image_path, str) else ""
            yield Note(NoteKind.UNKNOWN_XEN_SERVICE, service.name, (("image", image), ("start", _number(service.start))))


def _dual_use(examined: Examined) -> Iterator[Note]:
    for service in examined.deciding.control_set.services:
        row = xen_service(examined.deciding, service.name)
        if row and dual_use(examined.deciding, row):
            yield Note(NoteKind.DUAL_USE_DRIVER, service.name)


def _odd_lists(examined: Examined) -> Iterator[Note]:
    for view in examined.views:
        for filters in view.control_set.filters:
            place = f"{filters.key}\\{filters.value_name}"
            if form(filters.value) is Form.ODD and filters.value.data:
                details = (("cause", f"type {filters.value.type}"), ("found", " ".join(names(filters.value))))
                yield Note(NoteKind.ODD_FILTER_LIST, place, details)
            else:
                strange = [name for name in names(filters.value) if looks_like_xen(view, name)]
                yield from (Note(NoteKind.ODD_FILTER_LIST, place, (("found", name),)) for name in strange)


def _third_party(examined: Examined) -> Iterator[Note]:
    """Drivers of somebody else that are bound to a storage controller."""
    view = examined.deciding
    classes = {fold(row.guid) for row in view.knowledge.classes if CONTROLLER_FILTERS in row.links}
    known = _known_drivers(view)
    told: set[str] = set()
    for device in view.control_set.devices:
        name = fold(device.service)
        if fold(device.class_guid) in classes and name and name not in known | told and not xen_service(view, name):
            told.add(name)
            inf = next((each.inf for each in view.driver_matches if each.service == device.service), "")
            own = (("inf", inf),) if fold(inf).startswith(OWN_PACKAGE) else ()
            yield Note(NoteKind.THIRD_PARTY_DRIVER, device.service, (("device", device.id), *own))


def _known_drivers(view: View) -> set[str]:
    rows = view.knowledge.controllers
    return {fold(name) for row in rows for name in (row.service, *row.requires)} | {
        fold(row.service) for row in view.knowledge.boot_services
    }


def _damaged_classes(examined: Examined) -> Iterator[Note]:
    """Classes that lost the filters Windows itself puts there: traces of mends that deleted whole lists."""
    view = examined.deciding
    if not classes_seen(view):
        return
    classes = {fold(row.guid): row for row in view.knowledge.classes}
    for gap in gaps(view):
        row = classes.get(fold(gap.row.class_guid))
        if row is None:
            continue
        if DISK in row.links:
            yield from (Note(NoteKind.MISSING_CLASS_FILTER, each, (("class", row.name),)) for each in gap.names)
        else:
            yield Note(NoteKind.EMPTIED_CLASS, row.name, (("expected", ", ".join(gap.names)),))


def _hive(examined: Examined) -> Iterator[Note]:
    """What the registry that is judged is made of, where it is not the file as it lies there."""
    hive = examined.installation.hive
    if hive is None or hive.state is HiveState.CLEAN:
        return
    done = hive.replay
    if done is None:
        old = next((each for each in examined.installation.troubles if each.kind is ReasonKind.HIVE_DIRTY), None)
        yield Note(NoteKind.HIVE_STALE, "", old.details if old else ())
        return
    logs = ", ".join(each.name for each in hive.logs if each.applied)
    details = (("applied", str(done.applied)), ("found", str(done.found)), ("base_block", done.base_block_from))
    stopped = (("ended", done.ended.value), ("log", done.ended_in), ("last", str(done.last)))
    yield Note(NoteKind.HIVE_REPLAYED, logs, (*details, *((("lost", "nothing"),) if done.complete else stopped)))


def _failed_set(examined: Examined) -> Iterator[Note]:
    failed = examined.system.select.failed
    if isinstance(failed, int) and failed:
        yield Note(NoteKind.CONTROL_SET_FAILED, f"{failed:03d}")


def _setup(examined: Examined) -> Iterator[Note]:
    if examined.system.setup_in_progress:
        yield Note(NoteKind.SETUP_IN_PROGRESS)


def _signs(examined: Examined) -> Iterator[Note]:
    """Work that Windows has begun; a new Windows that is laid out says all that its directory says."""
    found = examined.installation.signs
    ready = Sign.UPGRADE_READY in found
    yield from (Note(NOTES[sign]) for sign in found if not (ready and sign is Sign.UPGRADE_BEGUN))


def _chkdsk(examined: Examined) -> Iterator[Note]:
    queued = [each for each in examined.deciding.control_set.boot_execute if each and not USUAL_CHECK.fullmatch(each)]
    if queued:
        yield Note(NoteKind.CHKDSK_QUEUED, ", ".join(queued[:MOST_NAMED]))


def _footing(examined: Examined) -> Iterator[Note]:
    """Told of every Windows on a volume that is not clean: a look may be asked to accept that."""
    if footing := examined.installation.footing:
        yield Note(NoteKind.UNCLEAN_VOLUME, details=(("pending", footing.pending.value),))


def _restrictions(examined: Examined) -> Iterator[Note]:
    if found := examined.deciding.control_set.restrictions:
        yield Note(NoteKind.RESTRICTIONS, ", ".join(found[:MOST_NAMED]))


def _unread(examined: Examined) -> Iterator[Note]:
    if found := examined.system.unread:
        yield Note(NoteKind.UNREAD_KEYS, ", ".join(found[:MOST_NAMED]), (("count", str(len(found))),))


def _number(start: object) -> str:
    return str(start) if isinstance(start, int) else ""


KINDS: tuple[Callable[[Examined], Iterator[Note]], ...] = (
    _hive,
    _kvm,
    _traces,
    _failed_set,
    _unknown_services,
    _dual_use,
    _odd_lists,
    _third_party,
    _damaged_classes,
    unfinished_tools,
    critical_mistakes,
    closed_over_logs,
    _setup,
    _signs,
    _chkdsk,
    _footing,
    _restrictions,
    _unread,
)
