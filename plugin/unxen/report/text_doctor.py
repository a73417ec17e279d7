# SPDX-License-Identifier: Apache-2.0
"""The checks of a host as a person reads them: a line each, and under a failed one why and the command that mends it.

Touches nothing. What a check found comes from programs and files of this host; it is escaped all the same.
"""

from unxen.model.checkup import Check, CheckState
from unxen.report.escape import visible
from unxen.report.layout import Style, labelled, wrapped
from unxen.report.messages import tell_reason

_MARKS = {CheckState.FINE: "good", CheckState.ABSENT: "doubt", CheckState.FAILED: "bad"}
_FOUND = {
    "kvm": "KVM opens, so appliances start in seconds where it works",
    "tcg": "no KVM: appliances start by emulation, which takes longer; nothing else needs it. "
    "modprobe kvm_intel (or kvm_amd) brings it where the firmware lets processors virtualise",
    "kvm-closed": "KVM is there, but not for this user: appliances start by emulation, which takes longer. "
    "adduser USER kvm opens it",
}
_COLUMN = 22


def check_lines(check: Check, style: Style) -> list[str]:
    """One check."""
    mark = style.mark(_MARKS[check.state])
    first, *rest = labelled(style, visible(check.name), _found(check), indent=2, column=_COLUMN)
    lines = [f"{mark} {first[2:]}", *rest]
    if check.why is None or check.state is CheckState.FINE:
        return lines
    told = tell_reason(check.why)
    label = " " * (_COLUMN + 2)
    for text in (told.cause, told.remedy):
        lines += wrapped(style, text, label) if text else []
    return lines


def _found(check: Check) -> str:
    if check.state is CheckState.ABSENT and check.why is not None:
        return f"not here; needed for {visible(check.found)} only"
    if check.why is not None and check.state is CheckState.FAILED:
        return tell_reason(check.why).what
    return _FOUND.get(check.found, visible(check.found))
