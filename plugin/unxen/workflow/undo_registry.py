# SPDX-License-Identifier: Apache-2.0
"""The recipe of `undo --registry`: on a disk whose Windows has run since, every value that still stands as the repair left it.

Works as a repair does: looks, plans, edits in an overlay, verifies, commits, and can itself be undone. Refused(WRITTEN_SINCE) when
no value stands any more, Refused(NO_UNDO_DATA) when the journal knows no repair of these disks; nothing has changed then.
"""

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from unxen.errors import Refused, refused
from unxen.host.sandbox import Box
from unxen.journal.place import has_journal
from unxen.journal.records import DONE_STATES, DiskRow, Entry, EntryKind
from unxen.journal.store import Journal, open_journal
from unxen.knowledge.tables import Knowledge
from unxen.model.codec import CodecError, decode
from unxen.model.edit import InstallationPlan, Plan
from unxen.model.facts import Installation
from unxen.model.guest import Guest
from unxen.model.ids import DiskNumber, InstallationId
from unxen.model.judgement import Judgement, Note, Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import Listener, Step
from unxen.model.reason import ReasonKind
from unxen.model.settings import Delivery, Settings
from unxen.plan.no_windows import nothing_found
from unxen.plan.plan_id import make_plan
from unxen.plan.refusals import unfit
from unxen.plan.reverse import reverse
from unxen.platforms.base import Platform
from unxen.probe.look import Look
from unxen.probe.registry_box import standing_in
from unxen.probe.wanted_names import wanted_from
from unxen.repair.holding import HeldDisk, hold
from unxen.repair.looking import look_through
from unxen.repair.pipeline import Pipeline
from unxen.workflow.steps import Stopwatch

TAKEN_BACK = (EntryKind.REPAIR, EntryKind.REGISTRY_UNDO)


def undo_registry(
    guest: Guest, platform: Platform, settings: Settings, knowledge: Knowledge, delivery: Delivery, listener: Listener
) -> Outcome:
    """Takes back the newest repair of these disks, value by value; the guest's definition stays as it is."""
    watch = Stopwatch(listener)
    with ExitStack() as stack:
        with watch.step(Step.LOCK):
            still_stopped = stack.enter_context(platform.locked(guest))
            held = stack.enter_context(hold(guest, settings, listener))
            still_stopped()
        entry, journal = _entry(stack, guest, held, settings)
        with watch.step(Step.LOOK), Box.open(ahead="look") as eyes:
            first = look_through(held, wanted_from(knowledge), eyes)
        with watch.step(Step.DECIDE):
            plan, left = _reversed(_plan_of(entry, held), first, settings)
        outcome = Outcome("undo", guest.target, Verdict.REPAIRED, facts=first.facts, notes=left, entry=entry.id)
        if plan.empty:
            return replace(_nothing(outcome, guest), timings=watch.timings)
        judgement = Judgement(Verdict.REPAIRABLE, plan.bus, (), plan, ())
        pipeline = Pipeline(journal, settings, knowledge, held, first, judgement, None, watch.step, listener, undoes=entry.id)
        done = pipeline.run(guest.target, delivery, dry_run=False)
        changed = replace(outcome, judgement=judgement, changed=True, entry=done.entry, delivery=done.delivered.way.value)
        return replace(changed, timings=watch.timings)


def _nothing(outcome: Outcome, guest: Guest) -> Outcome:
    """Everything is as before already, or nothing may be touched."""
    if outcome.notes:
        raise refused(ReasonKind.WRITTEN_SINCE, " + ".join(guest.target), cause="no-value-stands", entry=outcome.entry)
    return outcome


def _entry(stack: ExitStack, guest: Guest, held: Sequence[HeldDisk], settings: Settings) -> tuple[Entry, Journal]:
    """The newest repair of these disks that was not undone; its old bytes need not be there any more."""
    if has_journal(settings.state_dir):
        journal = stack.enter_context(open_journal(settings.state_dir))
        entries = [each for each in journal.in_states(DONE_STATES) if each.disks and all(_of(row, held) for row in each.disks)]
        undone = {each.undoes for each in entries if each.kind is EntryKind.UNDO}
        for each in entries:
            if each.kind in TAKEN_BACK and each.plan and each.id not in undone:
                return each, journal
    raise refused(ReasonKind.NO_UNDO_DATA, " + ".join(guest.target))


def _of(row: DiskRow, held: Sequence[HeldDisk]) -> HeldDisk | None:
    """The disk in hand that a row means, by its file, else by its path, which stays when devices are numbered anew."""
    by_file = (each for each in held if each.key == row.key)
    by_path = (each for each in held if os.path.realpath(each.disk.path) == os.path.realpath(row.path))
    return next(by_file, None) or next(by_path, None)


def _plan_of(entry: Entry, held: Sequence[HeldDisk]) -> Plan:
    """The plan as it was made, for the disks as they are given now."""
    try:
        plan = decode(Plan, json.loads(entry.plan))
    except (CodecError, ValueError) as error:
        raise refused(ReasonKind.NO_UNDO_DATA, " + ".join(entry.target), cause=error) from error
    numbers = {row.number: found.disk.number for row in entry.disks if (found := _of(row, held))}
    parts = tuple(InstallationPlan(_renumbered(each.installation, numbers), each.edits) for each in plan.installations)
    return Plan(plan.id, plan.bus, parts)


def _renumbered(installation: InstallationId, numbers: dict[DiskNumber, DiskNumber]) -> InstallationId:
    disk, _, rest = installation.partition(":")
    return InstallationId(f"{numbers[DiskNumber(int(disk))]}:{rest}")


def _reversed(plan: Plan, first: Look, settings: Settings) -> tuple[Plan, tuple[Note, ...]]:
    """The way back for every Windows of the plan, and what is left alone on it."""
    parts: list[InstallationPlan] = []
    left: list[Note] = []
    with Box.open() as box:
        for each in plan.installations:
            hive = first.hives[_fit(each.installation, first, settings).id]
            found = reverse(each.edits, standing_in(box, hive, each.edits))
            parts.append(InstallationPlan(each.installation, found.edits))
            left += found.left
    return make_plan(plan.bus, tuple(parts)), tuple(left)


def _fit(wanted: InstallationId, first: Look, settings: Settings) -> Installation:
    """The Windows of the plan, if it may be changed now."""
    found = next((each for each in first.facts.installations if each.id == wanted), None)
    if found is None:
        closed = nothing_found(first.facts)
        if closed[0].kind is not ReasonKind.NO_WINDOWS:
            raise Refused(*closed)
        raise refused(ReasonKind.NO_SUCH_INSTALLATION, wanted, found=", ".join(each.id for each in first.facts.installations))
    if reasons := unfit(found, accept_stale_hive=settings.accept_stale_hive):
        raise Refused(*reasons)
    return found
