# SPDX-License-Identifier: Apache-2.0
"""The shapes of what unxen knows: one frozen class per table, one instance per row.

Touches nothing. Names in rows are compared without case. Every row says why it is there and where that was learnt.
"""

from enum import Enum

from unxen.model.ids import Bus
from unxen.model.record import dataclass
from unxen.model.registry_facts import FilterSide

NtVersion = tuple[int, int, int]
NEWEST: NtVersion = (99, 99, 999999)


class Confidence(Enum):
    """How sure a row is: read in source code, vendor document, another tool's list, concluded, or nobody saw it."""

    CODE = "code"
    DOC = "doc"
    TOOL = "tool"
    HIVE = "hive"
    INFERRED = "inferred"
    UNVERIFIED = "unverified"


class XenRole(Enum):
    """What a service does, which decides its Start after a repair (rule `xen_services`)."""

    BUS = "bus"
    FILTER = "filter"
    DISK = "disk"
    NET = "net"
    ROOT = "root"
    AGENT = "agent"
    MONITOR = "monitor"
    DEVICE = "device"
    LIBRARY = "library"


@dataclass(frozen=True)
class Family:
    """A family of Xen drivers. `dual_use`: the same binaries also drive virtio, so nothing of it is ever switched off."""

    id: str
    name: str
    confidence: Confidence
    dual_use: bool
    tell: str
    source: str


@dataclass(frozen=True)
class XenService:
    """A service of Xen drivers.

    `start_after`: 4, 3, or None for keys that hold settings only or dual-use drivers. `images` are file names it is known by.
    `proof` non-empty: the name is generic, and only an ImagePath that contains one of these (without case) proves it.
    `off_beside`: where one of these services is there too, 4 takes the place of `start_after`, because of `off_why`.
    """

    name: str
    families: tuple[str, ...]
    role: XenRole
    images: tuple[str, ...]
    start_after: int | None
    proof: tuple[str, ...]
    off_beside: tuple[str, ...]
    off_why: str | None
    confidence: Confidence
    why: str
    source: str


@dataclass(frozen=True)
class XenFilter:
    """A filter driver's name as it stands in UpperFilters or LowerFilters; always a service of the same families."""

    name: str
    families: tuple[str, ...]
    confidence: Confidence
    why: str
    source: str


@dataclass(frozen=True)
class XenDevice:
    r"""A device id below Enum that only Xen makes; `prefix` such as `XENBUS\` or `PCI\VEN_5853`, compared without case."""

    prefix: str
    families: tuple[str, ...]
    why: str
    source: str


class SettingAction(Enum):
    """What becomes of a setting of Xen drivers."""

    CLEAR = "clear"
    KEEP = "keep"


@dataclass(frozen=True)
class XenSetting:
    r"""A key (value None: the whole key) relative to the control set, for instance `Services\XEN\Unplug`."""

    key: str
    value: str | None
    action: SettingAction
    families: tuple[str, ...]
    why: str
    source: str


@dataclass(frozen=True)
class Controller:
    r"""A driver service for a storage controller in a range of Windows versions (inclusive).

    `ids` are spelled as in the registry, `PCI\VEN_8086&DEV_7010` or `PCI\CC_010601`. `requires` are services that must be boot
    drivers too, `files` file names beside the driver. `inbox` false: only where somebody installed it.
    """

    service: str
    bus: Bus
    nt_from: NtVersion
    nt_to: NtVersion
    ids: tuple[str, ...]
    requires: tuple[str, ...]
    files: tuple[str, ...]
    inbox: bool
    confidence: Confidence
    why: str
    source: str


@dataclass(frozen=True)
class EmulatedController:
    r"""What QEMU shows Windows on a bus: hardware and compatible ids, the most special first.

    `class_guid` is the device class whose filters apply. `boards`: which board has it built in or can get it.
    """

    bus: Bus
    board: str
    ids: tuple[str, ...]
    class_guid: str
    why: str
    source: str


class BootRole(Enum):
    """Which link of the boot path a service belongs to."""

    BUSES = "buses"
    DISK = "disk"


@dataclass(frozen=True)
class BootService:
    """A service that every start needs, in a range of versions; its Start is judged but never edited.

    `required` false: judged only when the service exists.
    """

    service: str
    role: BootRole
    nt_from: NtVersion
    nt_to: NtVersion
    required: bool
    why: str
    source: str


@dataclass(frozen=True)
class DeviceClass:
    """A device class. `links`: boot-path links its filters belong to, by LinkName value (`buses`, `controller-filters`, `disk`)."""

    guid: str
    name: str
    links: tuple[str, ...]
    why: str
    source: str


@dataclass(frozen=True)
class StockFilter:
    """Filters that Windows itself has in a list of a class, in their order. `side`: `upper` or `lower`.

    `last`: they belong behind what others put into the list, which then sits below them; else in front. `vital`: without them no
    disk is found. Rows stand only where the value is certain for all of these versions.
    """

    class_guid: str
    side: FilterSide
    names: tuple[str, ...]
    nt_from: NtVersion
    nt_to: NtVersion
    last: bool
    vital: bool
    why: str
    source: str


@dataclass(frozen=True)
class SanPolicy:
    """A value of SanPolicy and the buses, by their words, on which a disk that Windows has not met stays offline under it."""

    number: int
    name: str
    offline: tuple[str, ...]
    why: str
    source: str


@dataclass(frozen=True)
class SanDefault:
    """The policy that holds where the registry names none."""

    server: bool
    policy: int
    nt_from: NtVersion
    nt_to: NtVersion
    why: str
    source: str


@dataclass(frozen=True)
class UnfinishedTool:
    """A service by which another tool goes on with its work inside Windows; `images`: its ImagePath holds one of them."""

    service: str
    images: tuple[str, ...]
    tool: str
    why: str
    remedy: str
    source: str


@dataclass(frozen=True)
class CriticalMistake:
    """A row of the CriticalDeviceDatabase that a tool writes and that binds a driver to a device of another kind."""

    id: str
    service: str
    tool: str
    why: str
    source: str


@dataclass(frozen=True)
class CriticalRow:
    """A row that the CriticalDeviceDatabase of NT 5 needs for a bus (rule `controllers_findable`)."""

    id: str
    bus: Bus
    service: str
    class_guid: str
    nt_from: NtVersion
    nt_to: NtVersion
    files: tuple[str, ...]
    why: str
    source: str


@dataclass(frozen=True)
class ArticleStep:
    """A service that the article sets: `start` is the value it asks for, `number` the article's step."""

    service: str
    start: int
    number: int
    source: str


@dataclass(frozen=True)
class KvmTrace:
    """A sign that an installation has run on KVM: an Enum id prefix (with a service bound), or text in HardwareConfig."""

    kind: str
    text: str
    why: str
    source: str


@dataclass(frozen=True)
class ProcessorService:
    """A processor driver of NT 5 that may crash on another vendor's processor; switched off as an accompanying edit."""

    service: str
    nt_from: NtVersion
    nt_to: NtVersion
    start: int
    why: str
    source: str


@dataclass(frozen=True)
class NetworkCard:
    """A network card of QEMU in a range of Windows versions; `installed` is the service of a driver that Windows does not bring."""

    model: str
    nt_from: NtVersion
    nt_to: NtVersion
    installed: str
    why: str
    source: str


@dataclass(frozen=True)
class Guard:
    """A program that watches what starts, known by the files of its drivers."""

    product: str
    files: tuple[str, ...]
    why: str
    source: str


@dataclass(frozen=True)
class Knowledge:
    """All tables together, checked against each other."""

    families: tuple[Family, ...]
    xen_services: tuple[XenService, ...]
    xen_filters: tuple[XenFilter, ...]
    xen_devices: tuple[XenDevice, ...]
    xen_settings: tuple[XenSetting, ...]
    controllers: tuple[Controller, ...]
    emulated: tuple[EmulatedController, ...]
    boot_services: tuple[BootService, ...]
    classes: tuple[DeviceClass, ...]
    critical_rows: tuple[CriticalRow, ...]
    article: tuple[ArticleStep, ...]
    kvm_traces: tuple[KvmTrace, ...]
    processors: tuple[ProcessorService, ...]
    network_cards: tuple[NetworkCard, ...]
    guards: tuple[Guard, ...]
    stock_filters: tuple[StockFilter, ...]
    san_policies: tuple[SanPolicy, ...]
    san_defaults: tuple[SanDefault, ...]
    unfinished_tools: tuple[UnfinishedTool, ...]
    critical_mistakes: tuple[CriticalMistake, ...]
