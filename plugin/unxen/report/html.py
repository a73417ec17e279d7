# SPDX-License-Identifier: Apache-2.0
"""A migration at a glance, as one page that needs nothing from elsewhere and can be sent by mail.

Reads its own template and nothing else. Strings come from documents that were escaped when they were made, and are escaped for HTML
once more by the template; no script, font or image is named. The same outcomes and the same clock give the same page.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from unxen import __version__
from unxen.model.history import PastOutcome, newest_of_each
from unxen.model.ids import Bus
from unxen.model.judgement import LinkName, Verdict
from unxen.report.first_start_messages import FIRST_START_TEXTS
from unxen.report.messages import bus_words, link_title
from unxen.report.step_messages import STEP_TITLES, VERDICT_WORDS

_STEPS = {step.value: title for step, title in STEP_TITLES.items()}
_FIRST_START = frozenset(each.value for each in FIRST_START_TEXTS)
_MARKS = {"holds": "✓", "broken": "✗", "unknown": "?"}
Document = dict[str, Any]


@dataclass(frozen=True)
class Box:
    """One link of a boot path as it is drawn: its title, state, mark, and what was seen."""

    title: str
    state: str
    mark: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Path:
    """A boot path before and, where the guest was repaired, after."""

    title: str
    before: tuple[Box, ...]
    after: tuple[Box, ...]


@dataclass(frozen=True)
class Section:
    """All that the page says of one guest; `when` is UTC."""

    anchor: str
    name: str
    verdict: str
    words: str
    when: str
    windows: tuple[str, ...]
    bus: str
    reasons: tuple[Document, ...]
    paths: tuple[Path, ...]
    edits: tuple[Document, ...]
    notes: tuple[str, ...]
    first_start: tuple[str, ...]
    timeline: tuple[tuple[str, str], ...]
    earlier: tuple[tuple[str, str], ...]


_DONE = {"undo": "undone", "promote": "promoted", "demote": "demoted"}


def page(outcomes: Iterable[PastOutcome], now: float) -> str:
    """The whole HTML document for these outcomes, the newest guest first."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    every = tuple(outcomes)
    sections = [_section(each, every) for each in newest_of_each(every)]
    counts = Counter((each.words, each.verdict) for each in sections)
    environment = Environment(
        loader=PackageLoader("unxen", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.get_template("page.html")
    return template.render(
        sections=sections,
        counts=[(*each, count) for each, count in counts.most_common()],
        made=time_words(now),
        version=__version__,
    )


def _section(newest: PastOutcome, every: tuple[PastOutcome, ...]) -> Section:
    document = newest.document
    older = [each for each in every if each.guest == newest.guest and each.number != newest.number]
    return Section(
        anchor=f"g{newest.number}",
        name=" + ".join(newest.guest),
        verdict=newest.verdict,
        words=words_of(newest),
        when=time_words(newest.at),
        windows=tuple(_windows(each) for each in document["installations"]),
        bus=bus_words(Bus(document["bus"])) if document["bus"] else "",
        reasons=tuple(document["reasons"]),
        paths=tuple(_paths(document)),
        edits=tuple(document["plan"]["edits"]) if document["plan"] else (),
        notes=tuple(dict.fromkeys(_notes(document, first_start=False))),
        first_start=tuple(dict.fromkeys(_notes(document, first_start=True))),
        timeline=tuple((_STEPS.get(each["step"], each["step"]), f"{each['seconds']:.2f} s") for each in document["timings"]),
        earlier=tuple(
            (time_words(each.at), f"{each.document['verb']}: {each.verdict}") for each in sorted(older, key=lambda one: -one.at)
        ),
    )


def words_of(past: PastOutcome) -> str:
    """The verdict as people call it; an undo that worked is no repair, nor is a move to another bus."""
    words = VERDICT_WORDS[Verdict(past.verdict)]
    return _DONE.get(past.document["verb"], words) if past.verdict == Verdict.REPAIRED.value else words


def _windows(installation: Document) -> str:
    seen = installation["windows"]
    if seen is None:
        return f"a Windows in {installation['root']}"
    version = ".".join(map(str, seen["version"]))
    return f"{seen['product'] or 'Windows'}, version {version}, {seen['architecture']}, in {installation['root']}"


def _paths(document: Document) -> Iterable[Path]:
    """The boot paths on the chosen bus; after a repair each as the second look saw it."""
    later = {_key(each): each for each in document.get("chains_after", ())}
    for chain in document["chains"]:
        if chain["bus"] == (document["bus"] or chain["bus"]) and (chain["judged"] or document["bus"]):
            title = f"{chain['installation']}, control set {chain['control_set']}, {chain['bus']}"
            after = later.get(_key(chain))
            yield Path(title, _boxes(chain), _boxes(after) if after else ())


def _key(chain: Document) -> tuple[object, ...]:
    return chain["installation"], chain["control_set"], chain["bus"]


def _boxes(chain: Document) -> tuple[Box, ...]:
    return tuple(_box(each) for each in chain["links"])


def _box(link: Document) -> Box:
    """A link that holds needs no reasons; the others name theirs."""
    told = tuple(each["text"] for each in link["findings"] if each["state"] == link["state"])
    return Box(link_title(LinkName(link["name"])), link["state"], _MARKS[link["state"]], () if link["state"] == "holds" else told)


def _notes(document: Document, *, first_start: bool) -> Iterable[str]:
    """The notes about the first start, or all others."""
    every = (*document["notes"], *(each for one in document["installations"] for each in one["notes"]))
    yield from (each["text"] for each in every if (each["kind"] in _FIRST_START) is first_start)


def time_words(seconds: float) -> str:
    """A moment, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
