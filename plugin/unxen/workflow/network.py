# SPDX-License-Identifier: Apache-2.0
"""The recipe of `network`: look into the disks as `inspect` does, and gather what was set on the network cards; writes nothing.

Refused for everything that keeps from looking. A Windows whose registry cannot be read, or is older than it knew, says so: settings
that are out of date would be worse than none.
"""

from collections.abc import Sequence

from unxen.errors import Refused
from unxen.knowledge.tables import Knowledge
from unxen.model.facts import GuestFacts, Installation
from unxen.model.guest import Guest
from unxen.model.ids import InstallationId
from unxen.model.network_settings import NetworkSettings
from unxen.model.progress import Listener, Step
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.settings import Settings
from unxen.plan.examined import examine
from unxen.plan.network_settings import network_settings
from unxen.plan.no_windows import no_such_installation, nothing_found
from unxen.workflow.looking import look_at
from unxen.workflow.steps import Stopwatch


def network(
    guest: Guest,
    settings: Settings,
    knowledge: Knowledge,
    installation: InstallationId | None,
    listener: Listener,
    keys: Sequence[str] = (),
) -> tuple[NetworkSettings, ...]:
    """The network settings of every Windows on the guest's disks, or of the chosen one."""
    watch = Stopwatch(listener)
    with watch.step(Step.LOOK):
        facts = look_at(guest, settings, lambda: knowledge, keys, listener).facts
    with watch.step(Step.DECIDE):
        return tuple(_settings(facts, each, guest, knowledge, settings) for each in _chosen(facts, installation))


def _chosen(facts: GuestFacts, installation: InstallationId | None) -> tuple[Installation, ...]:
    if not facts.installations:
        raise Refused(*nothing_found(facts))
    found = tuple(each for each in facts.installations if installation in (None, each.id))
    if not found:
        raise Refused(*no_such_installation(installation or InstallationId(""), facts))
    return found


def _settings(
    facts: GuestFacts, installation: Installation, guest: Guest, knowledge: Knowledge, settings: Settings
) -> NetworkSettings:
    if against := _against(installation, settings):
        raise Refused(*against)
    examined = examine(facts, installation, guest.machine, knowledge)
    if examined is None:
        raise Refused(reason(ReasonKind.HIVE_DAMAGED, installation.id, problem="no control set"))
    return network_settings(examined, guest.macs)


def _against(installation: Installation, settings: Settings) -> tuple[Reason, ...]:
    """A registry that is known to be out of date, or one that cannot be read; other states only forbid to write."""
    stale = tuple(each for each in installation.troubles if each.kind is ReasonKind.HIVE_DIRTY)
    if stale and not settings.accept_stale_hive:
        return stale
    return installation.troubles if installation.system is None else ()
