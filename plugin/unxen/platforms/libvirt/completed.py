# SPDX-License-Identifier: Apache-2.0
"""libvirt completes what it is given and keeps disks in an order of its own, so its answer to a definition is not that text.

Touches nothing. Tells whether a definition can be what libvirt made of another one: everything of it is there, and beside it only
what libvirt adds by itself. Whoever changed more than that since has a definition of his own.
"""

from collections.abc import Sequence

from unxen.platforms.libvirt.domain_xml import Element, parse_domain, without_note

# What libvirt 9.0 adds to a definition by itself: controllers that its devices need, places for both, and where UEFI lies.
ADDED = frozenset({"controller", "address", "alias", "loader", "nvram", "firmware", "model", "target"})


def completes(given: str, kept: str) -> bool:
    """Whether `kept` can be what libvirt made of `given`, our own remark apart."""
    return _covers(without_note(parse_domain(given)), without_note(parse_domain(kept)))


def _covers(given: Element, kept: Element) -> bool:
    same = given.tag == kept.tag and (given.text or "").strip() == (kept.text or "").strip()
    if not same or any(kept.get(name) != value for name, value in given.attrib.items()):
        return False
    left = list(kept)
    for child in given:
        found = _partner(child, left)
        if found is None:
            return False
        left.remove(found)
    # What was given as nothing may only have become something by libvirt's own doing.
    return all(str(each.tag) in ADDED for each in left)


def _partner(child: Element, candidates: Sequence[Element]) -> Element | None:
    """One of them that holds everything of the child; the one with the least beside it, so that a later one finds its own."""
    fitting = [each for each in candidates if _covers(child, each)]
    return min(fitting, key=lambda each: len(list(each.iter())), default=None)
