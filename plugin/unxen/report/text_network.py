# SPDX-License-Identifier: Apache-2.0
"""What was set on a Windows' network cards, for a person who will look after it on the new machine.

Touches nothing, never fails; everything from a guest is escaped.
"""

from collections.abc import Sequence

from unxen.model.ids import Missing
from unxen.model.network_facts import AddressFacts
from unxen.model.network_settings import CardSettings, MacFrom, NetworkSettings, Part
from unxen.report.escape import clipped, visible
from unxen.report.layout import Context, Tone, heading, labelled, wrapped

PARTS = {Part.ADDRESS: "address", Part.GATEWAY: "gateway", Part.DNS: "DNS server", Part.SUFFIX: "DNS suffix"}
MAC_FROM = {
    MacFrom.WINDOWS: "from the registry",
    MacFrom.DEFINITION: "from the definition, its only card that is left",
    MacFrom.NOBODY: "",
}
IPV6 = "IPv6 addresses that were set by hand stand in a form that is not read: note them in Windows before the move."
NEXT = (
    "--script powershell (Windows 8, Server 2012 and later) or --script netsh (every Windows) prints a script that sets this"
    " again by MAC address. Run it in Windows as administrator, once it has started on its new machine; the guest agent of QEMU,"
    " cloudbase-init or Ansible can do that, too."
)


def network_text(target: Sequence[str], found: Sequence[NetworkSettings], context: Context) -> str:
    """All of it, ending with a line break."""
    cards = [card for each in found for card in each.cards]
    fixed = sum(each.by_hand for each in cards)
    count = f"{len(cards)} network card{'s' * (len(cards) != 1)}"
    title = f"{clipped(' + '.join(target))}: {count}, {fixed or 'none'} of them set by hand"
    lines = [context.style.paint(each, Tone.STRONG) for each in wrapped(context.style, title, "", "  ")]
    for each in found:
        lines += _installation(each, context, several=len(found) > 1)
    if fixed:
        lines += ["", *wrapped(context.style, IPV6, "  ")]
        lines += ["", *wrapped(context.style, NEXT, "  next: ", "        ")]
    return "\n".join(lines) + "\n"


def _installation(settings: NetworkSettings, context: Context, *, several: bool) -> list[str]:
    lines = ["", f"  [{visible(settings.installation)}]"] if several else []
    for card in settings.cards:
        lines += _card(card, context)
    if settings.unmatched:
        rest = f"cards of the definition that could be any of these: {', '.join(settings.unmatched)}"
        lines += ["", *wrapped(context.style, rest, "    ", "      ")]
    if settings.contested:
        lines += heading(context.style, "Addresses that more than one interface lays claim to")
        for each in settings.contested:
            lines += wrapped(context.style, f"{clipped(each.name)} {each.guid}: {', '.join(each.addresses)}", "    - ", "      ")
    return lines


def _card(card: CardSettings, context: Context) -> list[str]:
    title = clipped(card.name) + (f": {clipped(card.description)}" if card.description not in ("", card.name) else "")
    rows = [
        ("MAC", _mac(card)),
        ("set in Windows", f"MAC {clipped(card.own_mac)} instead, which a new card will not have" if card.own_mac else ""),
        ("addresses", ", ".join(f"{each.address}/{each.length} ({each.mask})" for each in card.addresses) or _without(card)),
        ("gateway", ", ".join(card.gateways)),
        ("DNS", ", ".join((*card.dns, *card.dns6))),
        ("DNS suffix", card.suffix),
        ("left out", "; ".join(f"{PARTS[each.part]} {clipped(each.value, 80)}" for each in card.left_out)),
        ("last lease", _lease(card.lease)),
    ]
    lines = heading(context.style, title)
    return lines + [line for name, text in rows if text for line in labelled(context.style, name, text, indent=4, column=16)]


def _mac(card: CardSettings) -> str:
    if not card.mac:
        return "unknown: put it into the script where that says so" if card.by_hand else "unknown"
    missing = ", but no card of the definition has it" if card.defined is False else ""
    return f"{card.mac} ({MAC_FROM[card.mac_from]}{missing})"


def _without(card: CardSettings) -> str:
    return "not known" if isinstance(card.dhcp, Missing) else "asks DHCP" if card.dhcp else "none"


def _lease(lease: AddressFacts) -> str:
    words = [
        ("", lease.addresses),
        ("gateway ", lease.gateways),
        ("DNS ", lease.dns),
        ("from ", (lease.server,) * bool(lease.server)),
    ]
    return "; ".join(f"{name}{', '.join(clipped(each, 60) for each in values)}" for name, values in words if values)
