# SPDX-License-Identifier: Apache-2.0
"""What both scripts need: which cards they are about, and names that no shell can take for anything else.

Touches nothing. A script is made of checked addresses and of `label`s; nothing else of a guest gets into it.
"""

import re
from collections.abc import Sequence

from unxen.model.network_settings import CardSettings, NetworkSettings

NO_MAC = "PUT-THE-MAC-ADDRESS-HERE"
"""Stands where no MAC address is known; both scripts end before they change anything when they meet it."""
PLAIN = re.compile(r"[^A-Za-z0-9 ._#-]", re.ASCII)
LONGEST = 60


def label(name: str) -> str:
    """A name for people, of letters that mean nothing to PowerShell or cmd; every other one becomes a dot."""
    return PLAIN.sub(".", name)[:LONGEST].strip() or "a card without a name"


def to_set(settings: NetworkSettings) -> tuple[CardSettings, ...]:
    """The cards that were set by hand; those that ask DHCP for everything are not touched."""
    return tuple(each for each in settings.cards if each.by_hand)


def remarks(card: CardSettings, unmatched: Sequence[str]) -> tuple[str, ...]:
    """What whoever reads the script should know of a card; `unmatched` are MAC addresses that it may have."""
    told = [f"{label(card.name)} ({label(card.description)})"]
    if not card.mac:
        one_of = f" The definition has {', '.join(unmatched)}." if unmatched else ""
        told.append(f"Its MAC address stands neither in Windows nor, without doubt, in the definition: put it in below.{one_of}")
    if card.left_out:
        told.append(f"Left out because they are not what they should be: {len(card.left_out)} (unxen network shows them).")
    return tuple(told)
