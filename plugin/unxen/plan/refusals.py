# SPDX-License-Identifier: Apache-2.0
"""What must not be repaired is refused with every reason there is, each naming the fact it stands on.

Touches nothing. A refusal is a result, not an exception.
"""

from unxen.knowledge.tables import NtVersion
from unxen.model.facts import Installation
from unxen.model.ids import Architecture, Bus, InstallationId, KeyPath
from unxen.model.judgement import Finding, FindingKind, LinkState
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.registry_facts import SystemFacts, WindowsFacts
from unxen.plan.examined import Examined
from unxen.plan.names import fold
from unxen.plan.prospect import Prospect
from unxen.plan.states import troubles, upgrade_in_flight

# NT 4 has no plug and play. Of Windows 2000 no hive was at hand to learn from: what is only thought is not written to disks.
OLDEST: NtVersion = (5, 1, 0)
# Parts of a hive without which a verdict would be a guess.
VITAL = ("services", "control", "control\\class", "control\\criticaldevicedatabase", "enum", "")
MOST_NAMED = 3


def unfit(
    installation: Installation, *, accept_unclean_volume: bool = False, accept_stale_hive: bool = False
) -> tuple[Reason, ...]:
    """What forbids to judge or repair an installation whatever its drivers are."""
    if found := troubles(installation, accept_unclean_volume=accept_unclean_volume, accept_stale_hive=accept_stale_hive):
        return found
    system, windows = installation.system, installation.windows
    if system is None or windows is None or not system.control_sets:
        return (reason(ReasonKind.HIVE_DAMAGED, installation.id, problem="no control set"),)
    if windows.version[0] and windows.version < OLDEST:
        return (unsupported(windows),)
    if found := upgrade_in_flight(installation):
        return found
    return _unread(installation.id, system)


def unsupported(windows: WindowsFacts) -> Reason:
    """A Windows of which too little is known to change it."""
    version = ".".join(map(str, windows.version))
    return reason(ReasonKind.WINDOWS_UNSUPPORTED, windows.product, version=version, architecture=windows.architecture.value)


def not_to_be_changed(windows: WindowsFacts) -> bool:
    """Windows that may be found whole, but is never edited: of unknown version, or for ARM (no hive seen, no IDE)."""
    return windows.version[0] == 0 or windows.architecture is Architecture.ARM64


def impossible(examined: Examined, bus: Bus, *, asked: bool) -> tuple[Reason, ...]:
    """Why this installation cannot be made to start from the bus; `asked`: the bus was given, not chosen."""
    found = examined.prospects.get(bus)
    kind = ReasonKind.BUS_NOT_POSSIBLE if asked else ReasonKind.NO_BOOTABLE_BUS
    if found is None or found.remaining is None:
        return (reason(kind, examined.installation.id, bus=bus.value),)
    broken = next(each for each in found.remaining.findings if each.state is LinkState.BROKEN)
    details = {"bus": bus.value, "link": found.remaining.name.value, "finding": broken.kind.value, "about": broken.subject}
    return (*_special(found, bus), reason(kind, examined.installation.id, **details))


def _special(found: Prospect, bus: Bus) -> tuple[Reason, ...]:
    """Causes that have a remedy of their own, for every filter and driver once."""
    reasons = [_special_reason(each, bus) for link in found.mended for each in link.findings if each.state is LinkState.BROKEN]
    return tuple(dict.fromkeys(each for each in reasons if each))


def _special_reason(finding: Finding, bus: Bus) -> Reason | None:
    if finding.kind is FindingKind.FILTER_DANGLING:
        return reason(
            ReasonKind.DANGLING_FILTER, finding.subject, key=finding.key, bus=bus.value, **_only(finding, "cause", "side")
        )
    if finding.kind is FindingKind.FILTER_MISSING:
        return reason(ReasonKind.STOCK_FILTER_MISSING, finding.subject, key=finding.key, bus=bus.value, **_only(finding, "class"))
    if finding.kind is FindingKind.THIRD_PARTY_BOUND:
        return reason(ReasonKind.THIRD_PARTY_DRIVER, finding.subject, bus=bus.value, **_only(finding, "device", "inf"))
    return None


def _only(finding: Finding, *names: str) -> dict[str, str]:
    return {name: value for name, value in finding.details if name in names and value}


def _unread(installation: InstallationId, system: SystemFacts) -> tuple[Reason, ...]:
    """Keys that could not be read, where a missing one would change the verdict."""
    vital = [key for key in system.unread if _is_vital(key)]
    if not vital:
        return ()
    return (reason(ReasonKind.HIVE_DAMAGED, installation, problem=", ".join(key or "root" for key in vital[:MOST_NAMED])),)


def _is_vital(key: KeyPath) -> bool:
    first, _, rest = fold(key).partition("\\")
    if not first.startswith("controlset"):
        return first in ("", "select")
    return rest in VITAL or rest.startswith(("services\\", "control\\class\\", "enum\\"))
