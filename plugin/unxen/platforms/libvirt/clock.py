# SPDX-License-Identifier: Apache-2.0
"""What a domain's hardware clock shows, and the change that makes it show what Windows takes it for.

Touches nothing. Sources: libvirt formatdomain, time keeping (no `<clock>` is utc); virt-v2v chooses between utc and localtime by
the same registry value.
"""

from lxml import etree

from unxen.model.definition import DefinitionChange, DefinitionPart
from unxen.model.ids import Missing
from unxen.model.machine import Clock
from unxen.platforms.libvirt.domain_xml import Element

# `variable` and `absolute` go on from what the guest set last, so nothing is wrong with them.
OFFSETS = {"utc": Clock.UTC, "localtime": Clock.LOCALTIME, "timezone": Clock.LOCALTIME}


def clock_of(root: Element) -> Clock | Missing:
    """What the clock shows at a start; UNREADABLE where that goes by what the guest did before."""
    return OFFSETS.get(_offset(root), Missing.UNREADABLE)


def set_clock(root: Element, wanted: Clock | None) -> list[DefinitionChange]:
    """The clock as Windows needs it; its timers stay, and a clock of a zone of its own is local time."""
    shown = clock_of(root)
    if wanted is None or shown is Missing.UNREADABLE or shown is wanted:
        return []
    before, clock = _offset(root), root.find("clock")
    if clock is None:
        clock = etree.SubElement(root, "clock")
    clock.attrib.pop("timezone", None)
    clock.set("offset", wanted.value)
    return [DefinitionChange(DefinitionPart.CLOCK, "machine", before, wanted.value)]


def _offset(root: Element) -> str:
    clock = root.find("clock")
    return clock.get("offset", "utc") if clock is not None else "utc"
