# SPDX-License-Identifier: Apache-2.0
"""What a person should know about a converted machine: where its disks hang, what was seen on them, and what did not come along.

Touches nothing, never fails; names from definitions and guests are escaped. The definition itself is no report: it goes to standard
output as it is.
"""

from collections.abc import Sequence

from unxen.model.conversion import Conversion
from unxen.model.judgement import Verdict
from unxen.model.machine import Loss
from unxen.report.escape import clipped
from unxen.report.layout import Context, Tone, wrapped
from unxen.report.messages import bus_words, tell_reason

LOOKS = {
    Verdict.HEALTHY: "Its Windows starts there as it is.",
    Verdict.REPAIRED: "Its Windows has been repaired and starts there.",
    Verdict.REPAIRABLE: "Its Windows would stop with 0x7B; repair its disks before the first start (--repair, or unxen repair).",
    Verdict.NO_WINDOWS: "No Windows was found on its disks, so the hardware is what every system knows.",
    Verdict.REFUSED: "Its Windows cannot be repaired as it is:",
    Verdict.FAILED: "Its Windows could not be repaired:",
}
NOT_LOOKED = "Its disks could not be looked at, so the bus is a default: XP and Server 2003 need IDE (--bus ide)."
NO_DISKS = "It has no disks that could be looked at."


def render_conversion(conversion: Conversion, context: Context) -> str:
    """The whole text, ending with a line break."""
    name = clipped(conversion.machine.name)
    lines = _text(context, f"{name}: converted for KVM, its disks on {bus_words(conversion.bus)}", Tone.STRONG)
    lines += _look(conversion, context)
    lines += _losses([each for each in conversion.losses if not each.harmless], context)
    lines += _harmless([each for each in conversion.losses if each.harmless], context)
    return "\n".join(lines) + "\n"


def _text(context: Context, text: str, tone: Tone | None = None) -> list[str]:
    lines = wrapped(context.style, text, "", "  ")
    return [context.style.paint(line, tone) for line in lines] if tone else lines


def _look(conversion: Conversion, context: Context) -> list[str]:
    if conversion.look is None:
        told = tell_reason(conversion.unlooked) if conversion.unlooked else None
        lines = _text(context, NOT_LOOKED if told else NO_DISKS, Tone.DOUBT)
        return lines + (wrapped(context.style, f"{told.what}. {told.cause}", "  ") if told else [])
    verdict = conversion.look.verdict
    lines = _text(context, LOOKS[verdict], Tone.GOOD if verdict in (Verdict.HEALTHY, Verdict.REPAIRED) else Tone.DOUBT)
    for reason in conversion.look.reasons:
        told = tell_reason(reason)
        lines += wrapped(context.style, " ".join(filter(None, (f"{told.what}.", told.cause, told.remedy))), "  ")
    return lines


def _losses(losses: Sequence[Loss], context: Context) -> list[str]:
    if not losses:
        return []
    lines = _text(context, "Not carried over:", Tone.STRONG)
    for each in losses:
        sentence = f"{clipped(each.item)}: {clipped(each.why)}. {clipped(each.remedy)}".strip()
        lines += wrapped(context.style, sentence, f"{context.style.mark('dot')} ", "  ")
    return lines


def _harmless(losses: Sequence[Loss], context: Context) -> list[str]:
    """What KVM does by itself or does not need, in one paragraph; with --verbose each with its why."""
    if not losses:
        return []
    if context.full:
        lines = _text(context, "Not needed on KVM:", Tone.STRONG)
        for each in losses:
            lines += wrapped(context.style, f"{clipped(each.item)}: {clipped(each.why)}.", f"{context.style.mark('dot')} ", "  ")
        return lines
    return _text(context, f"Not needed on KVM: {', '.join(clipped(each.item) for each in losses)}.")
