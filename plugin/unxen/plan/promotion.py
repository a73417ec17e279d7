# SPDX-License-Identifier: Apache-2.0
"""Whether a Windows may move to another bus as it is: a repair takes unknown for no obstacle, a move without one needs proof.

Touches nothing. What is asked of the boot path of the new bus: no link is broken, and the one of the controller holds, with its
driver installed, boot-start, not overridden, its file there, and the device matched by Windows' own tables. For a controller whose
driver Windows brings itself, builds that start without a row of their tables (`links.controller`) may lack it here, too.
"""

from collections.abc import Iterator

from unxen.knowledge.tables import Knowledge
from unxen.model.ids import Bus
from unxen.model.judgement import Chain, Finding, FindingKind, InstallationJudgement, Judgement, Link, LinkName, LinkState, Verdict
from unxen.model.reason import Reason, ReasonKind, reason

# What a refusal for the bus is told as here: with the link, and with what to do about a driver.
FOR_THE_BUS = (ReasonKind.BUS_NOT_POSSIBLE,)
ROWS = (FindingKind.ID_UNMATCHED, FindingKind.ID_UNKNOWN)


def not_shown(judgement: Judgement, bus: Bus, knowledge: Knowledge) -> tuple[Reason, ...]:
    """Why the guest must not move to this bus, for which it was judged; empty when its boot path is shown to hold there."""
    if not judgement.installations:
        return judgement.reasons
    return tuple(dict.fromkeys(each for judged in judgement.installations for each in _not_shown(judged, bus, knowledge)))


def _not_shown(judged: InstallationJudgement, bus: Bus, knowledge: Knowledge) -> Iterator[Reason]:
    yield from (each for each in judged.reasons if each.kind not in FOR_THE_BUS or not each.detail("link"))
    chain = next((each for each in judged.chains if each.bus is bus), None)
    if chain is None:
        return
    weak = _weakest(chain, knowledge)
    if weak is not None:
        yield _reason(judged, chain, *weak, knowledge)
    elif judged.verdict is Verdict.REPAIRABLE:
        # Another control set than the one that the next start takes.
        yield reason(ReasonKind.DRIVER_NOT_SHOWN, judged.installation, bus=bus.value, mend=bus.value)


def _weakest(chain: Chain, knowledge: Knowledge) -> tuple[Link, Finding] | None:
    """The first link that is broken, else what of the controller is not known."""
    if (broken := chain.first_broken) is not None:
        return broken, next(each for each in broken.findings if each.state is LinkState.BROKEN)
    controller = next(each for each in chain.links if each.name is LinkName.CONTROLLER)
    unknown = (each for each in controller.findings if each.state is LinkState.UNKNOWN)
    missing = next((each for each in unknown if each.kind not in ROWS or not _brought_along(chain.bus, knowledge)), None)
    return (controller, missing) if missing else None


def _reason(judged: InstallationJudgement, chain: Chain, link: Link, finding: Finding, knowledge: Knowledge) -> Reason:
    details = {"bus": chain.bus.value, "link": link.name.value, "finding": finding.kind.value, "about": finding.subject}
    if judged.verdict is Verdict.REPAIRABLE:
        return reason(ReasonKind.DRIVER_NOT_SHOWN, judged.installation, **details, mend=chain.bus.value)
    if link.name is LinkName.CONTROLLER and (driver := _to_be_installed(chain.bus, knowledge)):
        return reason(ReasonKind.DRIVER_NOT_SHOWN, judged.installation, **details, driver=driver)
    return reason(ReasonKind.DRIVER_NOT_SHOWN, judged.installation, **details)


def _brought_along(bus: Bus, knowledge: Knowledge) -> bool:
    """Whether Windows itself has drivers for the bus."""
    return any(row.inbox for row in knowledge.controllers if row.bus is bus)


def _to_be_installed(bus: Bus, knowledge: Knowledge) -> str:
    """The driver that somebody has to install for this bus; empty where Windows brings one."""
    if _brought_along(bus, knowledge):
        return ""
    return next((row.service for row in knowledge.controllers if row.bus is bus), "")
