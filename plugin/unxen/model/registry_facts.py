# SPDX-License-Identifier: Apache-2.0
"""What was seen in one SYSTEM hive; nothing judged, nothing named Xen.

Touches nothing. Names keep the hive's spelling; whoever compares them folds case.
"""

from collections.abc import Sequence
from enum import Enum

from unxen.model.first_start_facts import UNKNOWN, FirstStartFacts
from unxen.model.ids import Architecture, ControlSetNumber, GuestPath, KeyPath, Missing, ServiceName
from unxen.model.letter_facts import LetterFacts
from unxen.model.network_facts import NetworkFacts
from unxen.model.record import dataclass


@dataclass(frozen=True)
class RegistryValue:
    """Type number and raw bytes of one value, as the hive has them."""

    type: int
    data: bytes


@dataclass(frozen=True)
class NamedValue:
    """A value below a key; `key` is relative to the key that holds the tree, empty for that key itself."""

    key: str
    name: str
    value: RegistryValue


@dataclass(frozen=True)
class KeyTree:
    """A whole key with everything below: relative paths of its subkeys, and all values."""

    keys: tuple[str, ...]
    values: tuple[NamedValue, ...]


@dataclass(frozen=True)
class ServiceFact:
    """One key below Services.

    `key` is its path from the hive's root. `start`, `type`, `error_control` are Missing.UNREADABLE when they are no DWORD.
    `overrides` is the StartOverride subkey, None when there is none. `file` is where ImagePath (or its default) points to on the
    volume, `file_seen` whether a directory entry is there (Missing.NOT_LOOKED_AT: it was not asked for).
    """

    name: ServiceName
    key: KeyPath
    start: int | Missing
    type: int | Missing
    error_control: int | Missing
    group: str
    image_path: str | Missing
    display_name: str
    overrides: KeyTree | None
    file: GuestPath | Missing
    file_seen: bool | Missing


class FilterScope(Enum):
    """Where a filter list hangs."""

    CLASS = "class"
    DEVICE = "device"


class FilterSide(Enum):
    """Which of the two lists."""

    UPPER = "upper"
    LOWER = "lower"


@dataclass(frozen=True)
class FilterList:
    r"""One UpperFilters or LowerFilters value.

    `key` is its key from the hive's root; `class_guid` the class (of the device, for a device list; empty when unknown).
    `value_name` as spelled. `names` are the entries of a REG_MULTI_SZ, empty strings left out; a value of another type has
    its text in `names` only when it is one string.
    """

    scope: FilterScope
    side: FilterSide
    key: KeyPath
    class_guid: str
    value_name: str
    value: RegistryValue
    names: tuple[str, ...]


@dataclass(frozen=True)
class DeviceFact:
    r"""One instance below Enum: `id` is `PCI\VEN_8086&DEV_7010`, `instance` the key below. `config_flags` bit 0 disables it."""

    id: str
    instance: str
    key: KeyPath
    service: str
    class_guid: str
    driver: str
    hardware_ids: tuple[str, ...]
    compatible_ids: tuple[str, ...]
    config_flags: int | Missing


@dataclass(frozen=True)
class CriticalDevice:
    """A row of the CriticalDeviceDatabase (2000 to 7); `id` with `#` as in the key's name."""

    id: str
    key: KeyPath
    service: str
    class_guid: str


@dataclass(frozen=True)
class DriverMatch:
    r"""A row of the DriverDatabase (8 and later): device id, the INF that takes it, and the service its package names."""

    id: str
    inf: str
    service: str | Missing


@dataclass(frozen=True)
class Leftover:
    """A key or value that steers Xen drivers or was asked for by the knowledge tables, as it stands."""

    key: KeyPath
    name: str | None
    value: RegistryValue | None
    tree: KeyTree | None


@dataclass(frozen=True)
class ControlSetFacts:
    """One ControlSetNNN as it stands. `boot_execute`: the programs that run before Windows does."""

    number: ControlSetNumber
    services: tuple[ServiceFact, ...]
    filters: tuple[FilterList, ...]
    devices: tuple[DeviceFact, ...]
    critical_devices: tuple[CriticalDevice, ...]
    critical_devices_seen: bool
    restrictions: tuple[str, ...]
    leftovers: tuple[Leftover, ...]
    boot_execute: tuple[str, ...] = ()
    first_start: FirstStartFacts = UNKNOWN


@dataclass(frozen=True)
class DriverFile:
    r"""A file without a service of its own that a driver needs (`pciidex.sys`), and whether it lies in System32\drivers."""

    name: str
    seen: bool | Missing


@dataclass(frozen=True)
class SelectFacts:
    """The hive's Select key: numbers of control sets, Missing where a value is not there."""

    current: int | Missing
    default: int | Missing
    failed: int | Missing
    last_known_good: int | Missing

    def next_of(self, numbers: Sequence[ControlSetNumber]) -> ControlSetNumber:
        """Which of these sets the next start takes: Default, which is Current in all real hives; else the first there is."""
        wanted = [each for number in (self.default, self.current) for each in numbers if each == number]
        return wanted[0] if wanted else numbers[0]


@dataclass(frozen=True)
class WindowsFacts:
    """Which Windows this is. `version` is (major, minor, build), a part that is not known is 0; `source` says what told it."""

    product: str
    version: tuple[int, int, int]
    architecture: Architecture
    server: bool | Missing
    source: str


@dataclass(frozen=True)
class SystemFacts:
    """Everything read from one SYSTEM hive; `network` and `page_files` are of the control set that the next start takes.

    `letter` is the one of Windows' own volume, C where nothing says otherwise.
    """

    select: SelectFacts
    control_sets: tuple[ControlSetFacts, ...]
    driver_matches: tuple[DriverMatch, ...]
    driver_database_seen: bool
    hardware_configs: tuple[str, ...]
    setup_in_progress: bool
    unread: tuple[KeyPath, ...]
    driver_files: tuple[DriverFile, ...] = ()
    network: NetworkFacts | None = None
    letters: tuple[LetterFacts, ...] = ()
    page_files: tuple[str, ...] = ()
    letter: str = "C"

    @property
    def deciding(self) -> ControlSetFacts | None:
        """The control set that the next start takes."""
        if not self.control_sets:
            return None
        number = self.select.next_of([each.number for each in self.control_sets])
        return next(each for each in self.control_sets if each.number == number)
