# SPDX-License-Identifier: Apache-2.0
"""What one Windows knows of its network: every adapter it has met, and what was set on each; nothing judged.

Touches nothing. Addresses and names are text of the guest, as it stands in the hive: not one of them has to be an address. Only
the control set that the next start takes is read. Fixed IPv6 addresses stand in a form of the TCP/IP driver's own and are not
looked at.
"""

from enum import Enum

from unxen.model.ids import ControlSetNumber, KeyPath, Missing
from unxen.model.record import dataclass

MOST_ADAPTERS = 256
MOST_ENTRIES = 64
LONGEST_NAME = 512
LONGEST_ADDRESS = 64
PHYSICAL = 4
"""Bit of Characteristics: the adapter is hardware (NCF_PHYSICAL); tunnels and WAN miniports are not."""

SOFTWARE = ("ROOT\\", "SW\\", "SWD\\")
"""Buses of Enum on which no hardware hangs, upper-cased."""


class MacSource(Enum):
    r"""Where in the hive a permanent MAC address stands.

    NETWORK_SETUP: `Control\NetworkSetup2\Interfaces\{GUID}\Kernel`, PermanentAddress (10 and later). XENVIF:
    `Services\xenvif\Addresses`, the value that is called as the location of the device (Citrix' and XenServer's drivers).
    """

    NETWORK_SETUP = "network-setup"
    XENVIF = "xenvif"


@dataclass(frozen=True)
class AddressFacts:
    """IPv4 settings of one interface; `masks` belong to `addresses` one by one. `server` gave a lease, empty for fixed settings."""

    addresses: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    suffix: str = ""
    server: str = ""


@dataclass(frozen=True)
class AdapterFacts:
    r"""One network adapter that Windows has met, or an interface whose adapter is gone.

    `instance` is its key below the class (`0007`), empty when only the interface is left. `guid` names the interface; a Xen adapter
    may share it with the emulated one whose place it took. `device` and `device_instance` are its node below Enum, empty without
    one: whether the hardware is there stands in no hive. `connection` is the name that people see. `fixed` was set by hand, `lease`
    came from a server last. `dns6` are fixed DNS servers of IPv6. `own_mac` is NetworkAddress, set by somebody instead of `mac`.
    """

    instance: str
    key: KeyPath
    guid: str
    description: str
    device: str
    device_instance: str
    service: str
    connection: str
    characteristics: int | Missing
    dhcp: bool | Missing
    fixed: AddressFacts
    lease: AddressFacts
    dns6: tuple[str, ...]
    mac: str | Missing
    mac_source: MacSource | None
    own_mac: str

    @property
    def counts(self) -> bool:
        """Whether people would call it a network card, or set something on it: tunnels and WAN miniports are left out."""
        if self.fixed.addresses or self.fixed.dns:
            return True
        if isinstance(self.characteristics, int):
            return bool(self.characteristics & PHYSICAL)
        return bool(self.device) and not self.device.upper().startswith(SOFTWARE)


@dataclass(frozen=True)
class NetworkFacts:
    """The adapters of the control set that the next start takes, in the order of their keys; behind them interfaces without one."""

    control_set: ControlSetNumber
    adapters: tuple[AdapterFacts, ...]
