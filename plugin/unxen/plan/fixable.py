# SPDX-License-Identifier: Apache-2.0
"""What will be wrong at the first start and could be mended with `--fix`, unless it is going to be.

Touches nothing. Told, like everything about the first start, only of a Windows in which Xen is active and that has not run on KVM.
Sources: docs/first-start.md.
"""

from collections.abc import Iterator

from unxen.model.fix import Fix
from unxen.model.ids import Bus, Missing
from unxen.model.judgement import Note, NoteKind
from unxen.model.machine import Clock
from unxen.plan.clock import clock_of
from unxen.plan.examined import Examined
from unxen.plan.san import has_policy, policy_of, stays_offline

RESTARTS = 1


def fixable(examined: Examined, bus: Bus) -> tuple[Note, ...]:
    """Notes about data disks, clock and stop codes, as far as they apply."""
    if not examined.evidence or examined.kvm_trace:
        return ()
    return (*_data_disks(examined, bus), *_clock(examined), *_crash_screen(examined))


def _data_disks(examined: Examined, bus: Bus) -> Iterator[Note]:
    """Which bus a data disk will be on its definition decides; the bus of the system disk stands for all."""
    view = examined.deciding
    if not examined.data_disks or not has_policy(view) or Fix.DATA_DISKS in view.fixes:
        return
    policy = policy_of(view)
    if policy is None or stays_offline(policy, bus):
        disks = ", ".join(map(str, examined.data_disks))
        details = (("policy", policy.name if policy else ""), ("why", policy.why if policy else ""), ("bus", bus.value))
        yield Note(NoteKind.DATA_DISKS_OFFLINE, disks, details)


def _clock(examined: Examined) -> Iterator[Note]:
    wanted, shown = clock_of(examined.system), examined.machine.clock
    if wanted is None or shown in (wanted, Missing.UNREADABLE) or Fix.CLOCK in examined.deciding.fixes:
        return
    zone = examined.deciding.control_set.first_start.time_zone
    found = shown.value if isinstance(shown, Clock) else ""
    yield Note(NoteKind.CLOCK_DIFFERS, details=(("needs", wanted.value), ("shown", found), ("zone", zone)))


def _crash_screen(examined: Examined) -> Iterator[Note]:
    view = examined.deciding
    if view.control_set.first_start.auto_reboot == RESTARTS and Fix.CRASH_SCREEN not in view.fixes:
        yield Note(NoteKind.CRASH_SCREEN_GONE)
