# SPDX-License-Identifier: Apache-2.0
"""What Xen left, told family by family instead of name by name.

Touches nothing. Many names belong to several families; the families that explain most are named, and no more than needed.
"""

from collections.abc import Sequence

from unxen.model.judgement import InstallationJudgement, XenFinding, XenPart
from unxen.report.escape import clipped
from unxen.report.finding_messages import XEN_PARTS
from unxen.report.layout import Context, heading, joined, labelled, wrapped

_ROWS = [(part, active) for active in (True, False) for part in XenPart]


def xen_left(judged: InstallationJudgement, context: Context) -> list[str]:
    """A block per family, a line per kind of thing."""
    if not judged.xen:
        return []
    lines = heading(context.style, "What Xen left")
    for families, findings in grouped(judged.xen):
        lines += wrapped(context.style, _title(families, context), "    ", "      ")
        lines += [line for part, active in _ROWS for line in _row(part, active, findings, context)]
    return lines


def grouped(findings: Sequence[XenFinding]) -> list[tuple[tuple[str, ...], list[XenFinding]]]:
    """(families, findings): again and again the family that explains most of what is left, with those that explain as much."""
    left = list(findings)
    groups: list[tuple[tuple[str, ...], list[XenFinding]]] = []
    while left:
        counts: dict[str, frozenset[int]] = {}
        for index, each in enumerate(left):
            for family in each.families:
                counts[family] = counts.get(family, frozenset()) | {index}
        if not counts:
            groups.append(((), left))
            break
        best = max(counts.values(), key=len)
        groups.append((tuple(family for family, which in counts.items() if which == best), [left[index] for index in sorted(best)]))
        left = [each for index, each in enumerate(left) if index not in best]
    return groups


def _title(families: tuple[str, ...], context: Context) -> str:
    names = [clipped(context.families.get(each, each)) for each in families]
    if not names:
        return "of no single family"
    return " or ".join(names[:2]) + (f" or {len(names) - 2} more like them" if len(names) > 2 else "")


def _row(part: XenPart, active: bool, findings: Sequence[XenFinding], context: Context) -> list[str]:
    names = joined(clipped(each.subject, 80) for each in findings if each.part is part and each.evidence is active)
    if not names:
        return []
    return labelled(context.style, f"{XEN_PARTS[part]}{', active' if active else ''}", names, indent=6)
