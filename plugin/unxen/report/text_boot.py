# SPDX-License-Identifier: Apache-2.0
"""The boot path for a reader: the judged bus link by link, the first broken link in words, and the other buses in one line each.

Touches nothing, never fails.
"""

from collections.abc import Sequence

from unxen.model.ids import Bus
from unxen.model.judgement import Chain, Finding, FindingKind, InstallationJudgement, Link, LinkState
from unxen.report.escape import clipped
from unxen.report.finding_messages import LINK_NEEDS
from unxen.report.layout import Context, Style, heading, joined, wrapped
from unxen.report.messages import link_title, tell_finding

_MARK = {LinkState.HOLDS: "good", LinkState.BROKEN: "bad", LinkState.UNKNOWN: "doubt"}
# What edits can mend, so that it is not the cause why a bus is out of reach.
MENDED = (
    FindingKind.FILTER_XEN,
    FindingKind.NOT_BOOT_START,
    FindingKind.OVERRIDDEN,
    FindingKind.ID_UNMATCHED,
    FindingKind.XEN_STARTS_AT_BOOT,
)
_COLUMN = 20
_MOST = 8


def boot_path(judged: InstallationJudgement, context: Context) -> list[str]:
    """The chain of the judged bus; further control sets only say how they differ."""
    chains = [each for each in judged.chains if each.bus is judged.bus]
    if not chains:
        return []
    first, *others = chains
    lines = heading(context.style, f"Boot path on {first.bus.value} ({_control_set(first)})")
    for link in first.links:
        lines += _link_lines(link, context)
    for other in others:
        lines += wrapped(context.style, f"{_control_set(other)}: {_compared(other, first)}", "    ")
    return lines


def why_it_stops(judged: InstallationJudgement, context: Context) -> list[str]:
    """The first broken link of the judged bus in words."""
    broken = [(each, each.first_broken) for each in judged.chains if each.bus is judged.bus and each.first_broken]
    if not broken:
        return []
    link = broken[0][1]
    assert link is not None
    lines = heading(context.style, "Why it would stop")
    text = "; ".join(dict.fromkeys(tell_finding(each) for each in _of(link, LinkState.BROKEN)[:3]))
    lines += wrapped(context.style, f"{link_title(link.name)}: {text}.", "    ")
    return lines + wrapped(context.style, LINK_NEEDS[link.name], "    ")


def buses(judged: InstallationJudgement, context: Context) -> list[str]:
    """Every bus that was looked at, in one line each."""
    seen: dict[Bus, list[Chain]] = {}
    for chain in judged.chains:
        seen.setdefault(chain.bus, []).append(chain)
    if len(seen) < 2:
        return []
    lines = heading(context.style, "Buses")
    for bus, chains in seen.items():
        lines += _bus_lines(bus, chains, context.style)
    return lines


def _bus_lines(bus: Bus, chains: Sequence[Chain], style: Style) -> list[str]:
    broken = [each for each in chains if not each.whole]
    if not broken:
        return _marked(style, "good", f"{bus.value:<14}", "starts as it is")
    if all(each.mendable for each in broken):
        return _marked(style, "doubt", f"{bus.value:<14}", "can be made to start")
    chain = next(each for each in broken if not each.mendable)
    return _marked(style, "bad", f"{bus.value:<14}", _first_trouble(chain))


def _first_trouble(chain: Chain) -> str:
    """What stands in the way for good: Xen's filters and a Start value would be mended, a driver that is not there stays absent."""
    broken = [each for link in chain.links for each in _of(link, LinkState.BROKEN)]
    lasting = [each for each in broken if each.kind not in MENDED]
    return next((tell_finding(each) for each in lasting or broken), "cannot be made to start")


def _link_lines(link: Link, context: Context) -> list[str]:
    texts = _broken_texts(link) if link.state is LinkState.BROKEN else [_calm_text(link)]
    shown = texts if context.full else texts[:_MOST]
    if len(texts) > len(shown):
        shown = [*shown, f"... and {len(texts) - len(shown)} more"]
    lines: list[str] = []
    for index, text in enumerate(shown):
        label = f"{link_title(link.name) if index == 0 else '':<{_COLUMN}}"
        lines += _marked(context.style, _MARK[link.state] if index == 0 else "", label, text)
    return lines


def _marked(style: Style, mark: str, label: str, text: str) -> list[str]:
    """A line with a mark in front; colours come last, so that wrapping counts letters."""
    lines = wrapped(style, text, f"      {label}")
    if mark:
        lines[0] = f"    {style.mark(mark)}{lines[0][5:]}"
    return lines


def _broken_texts(link: Link) -> list[str]:
    return list(dict.fromkeys(tell_finding(each) for each in _of(link, LinkState.BROKEN)))


def _calm_text(link: Link) -> str:
    """A link that holds names what it hangs on; an unknown one says what is not known."""
    unknown = [tell_finding(each) for each in _of(link, LinkState.UNKNOWN)]
    if unknown:
        return "; ".join(dict.fromkeys(unknown))
    kinds = {each.kind for each in link.findings}
    if len(kinds) == 1 and len(link.findings) == 1:
        return tell_finding(link.findings[0])
    return joined(clipped(each.subject, 60) for each in link.findings) or "nothing in the way"


def _of(link: Link, state: LinkState) -> tuple[Finding, ...]:
    return tuple(each for each in link.findings if each.state is state)


def _control_set(chain: Chain) -> str:
    return f"ControlSet{chain.control_set:03}"


def _compared(chain: Chain, with_chain: Chain) -> str:
    if chain.links == with_chain.links:
        return "the same"
    link = chain.first_broken
    if link is None:
        return "no link is broken"
    trouble = "; ".join(_broken_texts(link)[:2])
    return f"{link_title(link.name)}: {trouble}" if _states(chain) != _states(with_chain) else "the same links, the same trouble"


def _states(chain: Chain) -> tuple[LinkState, ...]:
    return tuple(each.state for each in chain.links)
