# SPDX-License-Identifier: Apache-2.0
"""What became of all guests as a person reads it on a terminal: how many of each, then a line or two a guest.

Touches nothing. The documents were escaped when they were made; they are escaped once more, for a journal is only a file.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from unxen.model.history import PastOutcome, newest_of_each
from unxen.report.escape import visible
from unxen.report.html import time_words, words_of
from unxen.report.layout import Style, Tone, wrapped

_TONES = {"repaired": Tone.GOOD, "healthy": Tone.GOOD, "no-windows": Tone.DOUBT}


def overview(outcomes: Iterable[PastOutcome], style: Style) -> str:
    """The whole text, ending with a line break."""
    newest = newest_of_each(tuple(outcomes))
    if not newest:
        return "nothing was repaired or refused here yet\n"
    counts = Counter(words_of(each) for each in newest)
    lines = [", ".join(f"{count} {words}" for words, count in counts.most_common()), ""]
    for each in newest:
        lines += _guest(each, style)
    return "\n".join(lines) + "\n"


def _guest(past: PastOutcome, style: Style) -> Iterator[str]:
    bus = f" on {past.document['bus']}" if past.document["bus"] else ""
    words = f"{words_of(past)}{visible(bus)}"
    first = f"{time_words(past.at)}  {visible(' + '.join(past.guest))}: {words}"
    for line in wrapped(style, first, "", "  "):
        yield style.paint(line, _TONES.get(past.verdict, Tone.BAD))
    for reason in past.document["reasons"]:
        yield from wrapped(style, visible(str(reason["what"])), "    ")
        yield from wrapped(style, visible(str(reason["remedy"])), "    remedy: ", "      ")
