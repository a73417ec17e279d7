# SPDX-License-Identifier: Apache-2.0
"""One network card of an xl or xm configuration.

Touches nothing. Source: xl-network-configuration(5): keys with values, separated by commas. Raises Unreadable.
"""

from unxen.model.machine import Loss, NetworkCard
from unxen.platforms.xen.addresses import mac_address, network_name
from unxen.platforms.xen.mappings import Mappings
from unxen.platforms.xen.unreadable import Unreadable

DEFAULT_BRIDGE = "xenbr0"
ONLY_PV = "vif"
OPEN_VSWITCH = "openvswitch"


def parse_card(text: str, number: int, table: Mappings) -> tuple[NetworkCard, tuple[Loss, ...]]:
    """The card, and what of its specification has no counterpart; `number` counts cards from 0."""
    words = dict(_word(each, text) for each in text.split(",") if each.strip())
    losses = [table.loss("vif_key", key, f"vif {number}: {key}") for key in words if not table.keeps("vif_key", key)]
    named = words.get("model", words.get("type", ""))
    model = table.card_model("" if words.get("type") == ONLY_PV else named)
    if model is None:
        losses.append(Loss(f"vif {number}: model={named}", "KVM has no such card", "Windows gets one that it has a driver for."))
    bridge, vlan, trunk = _switch(words)
    if trunk:
        losses.append(table.loss("vif_key", "trunk", f"vif {number}: trunk {trunk}"))
    mac, mtu = mac_address(words.get("mac", "")), _number(words, "mtu")
    return NetworkCard(mac, model or "", bridge, mtu, vlan or _number(words, "vlan")), tuple(losses)


def _switch(words: dict[str, str]) -> tuple[str, int, str]:
    """Bridge, tag and further tags; Open vSwitch has them in the name of the bridge: `br0.7`, `br0:7:8`."""
    name = words.get("bridge", DEFAULT_BRIDGE)
    if OPEN_VSWITCH not in words.get("script", ""):
        return network_name(name), 0, ""
    bridge, _, trunk = name.partition(":")
    bridge, _, tag = bridge.partition(".")
    return network_name(bridge), int(tag) if tag.isdecimal() and len(tag) < 5 else 0, trunk.replace(":", ", ")


def _word(word: str, text: str) -> tuple[str, str]:
    key, sign, value = word.partition("=")
    if not sign and key.strip() not in ("trusted", "untrusted"):
        raise Unreadable(f"{key.strip()} has no value in a network card ({text})")
    return key.strip().lower(), value.strip().strip("'\"")


def _number(words: dict[str, str], key: str) -> int:
    text = words.get(key, "")
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 6 else 0
