# SPDX-License-Identifier: Apache-2.0
"""What an administrator reads when a start is refused: one line, the cause first, the command that helps at its end.

Touches nothing. One row per StartRisk (a test walks the enum). libvirt puts a long prefix before it, so it must be short.
"""

from unxen.model.start import StartJudgement, StartRisk
from unxen.report.template import fields_of, fill

START_TEXTS: dict[StartRisk, str] = {
    StartRisk.NONE: "{subject} may start",
    StartRisk.NOT_JUDGED: "{subject} could not be judged, so it may start[: {cause}]",
    StartRisk.BEING_REPAIRED: "{subject} is being repaired by unxen; start it again in a minute",
    StartRisk.HALF_WRITTEN: "a repair of {subject} was interrupted while it wrote its disk, which must not be started now;"
    " run: unxen recover",
    StartRisk.JOURNAL_UNREADABLE: "whether {subject} is half written is not known: unxen's journal cannot be read[: {cause}];"
    " run: unxen recover",
    StartRisk.WOULD_STOP: "{subject} would stop with 0x7B INACCESSIBLE_BOOT_DEVICE on {bus}; run: unxen repair {subject}",
    StartRisk.DEFINED_FOR_XEN: "{subject} is still defined for Xen[ ({what})], which KVM cannot start; run: unxen repair {subject}",
    StartRisk.REPAIRED_NOW: "{subject} was repaired before this start[ (entry {entry})]",
}


def tell_start(judgement: StartJudgement) -> str:
    """The judgement in one line, guest strings escaped."""
    return fill(START_TEXTS[judgement.risk], fields_of(judgement.target, judgement.details))
