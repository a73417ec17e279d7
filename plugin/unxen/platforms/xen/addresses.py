# SPDX-License-Identifier: Apache-2.0
"""Addresses and names of networks go into commands as parts of longer values, so what is none goes no further.

Touches nothing. Raises Unreadable.
"""

import re

from unxen.platforms.xen.unreadable import Unreadable

_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_NETWORK = re.compile(r"[^\s,=/\"'<>&\x00-\x1f]{1,64}")


def mac_address(text: str) -> str:
    """In the form that everybody writes; empty stays empty."""
    mac = text.strip().lower().replace("-", ":")
    if mac and not _MAC.fullmatch(mac):
        raise Unreadable(f"{text} is no MAC address")
    return mac


def network_name(text: str) -> str:
    """A bridge or network; empty stays empty."""
    if text and not _NETWORK.fullmatch(text):
        raise Unreadable(f"{text} is no name of a network")
    return text
