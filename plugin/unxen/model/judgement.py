# SPDX-License-Identifier: Apache-2.0
"""What a look at a guest means: boot paths link by link, what is left of Xen, and the verdict.

Touches nothing. A finding is a value with a kind and fields; `report` phrases it.
"""

from enum import Enum

from unxen.model.edit import Plan
from unxen.model.ids import Bus, ControlSetNumber, InstallationId
from unxen.model.reason import Details, Reason
from unxen.model.record import dataclass


class LinkName(Enum):
    """The links of the boot path, in the order in which Windows needs them."""

    FIRMWARE = "firmware"
    BUSES = "buses"
    CONTROLLER = "controller"
    CONTROLLER_FILTERS = "controller-filters"
    DISK = "disk"
    XEN = "xen"


class LinkState(Enum):
    """Whether a link holds; unknown never blocks by itself."""

    HOLDS = "holds"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class FindingKind(Enum):
    """Everything that can be said about a link, good or bad."""

    FIRMWARE_FITS = "firmware-fits"
    FIRMWARE_DIFFERS = "firmware-differs"
    FIRMWARE_UNKNOWN = "firmware-unknown"
    DRIVER_READY = "driver-ready"
    SERVICE_ABSENT = "service-absent"
    FILE_ABSENT = "file-absent"
    FILE_UNKNOWN = "file-unknown"
    NOT_BOOT_START = "not-boot-start"
    START_UNREADABLE = "start-unreadable"
    OVERRIDDEN = "overridden"
    NO_INBOX_DRIVER = "no-inbox-driver"
    ID_MATCHED = "id-matched"
    ID_UNMATCHED = "id-unmatched"
    ID_UNKNOWN = "id-unknown"
    DEVICE_DISABLED = "device-disabled"
    INSTALLATION_RESTRICTED = "installation-restricted"
    THIRD_PARTY_BOUND = "third-party-bound"
    FILTER_READY = "filter-ready"
    FILTER_XEN = "filter-xen"
    FILTER_DANGLING = "filter-dangling"
    FILTER_NOT_UNDERSTOOD = "filter-not-understood"
    FILTER_MISSING = "filter-missing"
    XEN_STARTS_AT_BOOT = "xen-starts-at-boot"
    XEN_QUIET = "xen-quiet"
    XEN_UNIDENTIFIED = "xen-unidentified"


@dataclass(frozen=True)
class Finding:
    """One observation about a link: its state, what it is about (a service, a filter, an id), and where it stands."""

    kind: FindingKind
    state: LinkState
    subject: str
    key: str = ""
    details: Details = ()


@dataclass(frozen=True)
class Link:
    """One link of a chain: broken when a finding is, else unknown when one is, else it holds."""

    name: LinkName
    state: LinkState
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Chain:
    """The boot path of one control set on one bus. `mendable`: every broken link can be made whole by edits."""

    installation: InstallationId
    control_set: ControlSetNumber
    bus: Bus
    links: tuple[Link, ...]
    mendable: bool

    @property
    def whole(self) -> bool:
        """Whether no link is broken."""
        return self.first_broken is None

    @property
    def first_broken(self) -> Link | None:
        """The first broken link, or None."""
        return next((link for link in self.links if link.state is LinkState.BROKEN), None)


class XenPart(Enum):
    """What kind of thing of a Xen driver was found."""

    SERVICE = "service"
    FILTER = "filter"
    DEVICE = "device"
    SETTING = "setting"


@dataclass(frozen=True)
class XenFinding:
    """Something that a Xen driver left. `families` are ids of the knowledge table; `evidence` says it is active, not a trace."""

    part: XenPart
    control_set: ControlSetNumber
    subject: str
    key: str
    families: tuple[str, ...]
    evidence: bool
    details: Details = ()


class NoteKind(Enum):
    """What is told but never edited."""

    STALE = "stale"
    RAN_ON_KVM = "ran-on-kvm"
    XEN_TRACES = "xen-traces"
    UNKNOWN_XEN_SERVICE = "unknown-xen-service"
    ODD_FILTER_LIST = "odd-filter-list"
    THIRD_PARTY_DRIVER = "third-party-driver"
    EMPTIED_CLASS = "emptied-class"
    MISSING_CLASS_FILTER = "missing-class-filter"
    UNFINISHED_TOOL = "unfinished-tool"
    CRITICAL_MISTAKE = "critical-mistake"
    CLOSED_OVER_LOGS = "closed-over-logs"
    BOOT_SECTOR_HEADS = "boot-sector-heads"
    CONTROL_SET_FAILED = "control-set-failed"
    ARTICLE_SERVICE = "article-service"
    DUAL_USE_DRIVER = "dual-use-driver"
    SETUP_IN_PROGRESS = "setup-in-progress"
    CHKDSK_QUEUED = "chkdsk-queued"
    SERVICING_PENDING = "servicing-pending"
    UPGRADE_BEGUN = "upgrade-begun"
    UPGRADE_READY = "upgrade-ready"
    SECOND_HIVE = "second-hive"
    UNCLEAN_VOLUME = "unclean-volume"
    OPENED_WITH_KEY = "opened-with-key"
    LARGE_SECTORS = "large-sectors"
    RESTRICTIONS = "restrictions"
    UNREAD_KEYS = "unread-keys"
    HEALTHY_ELSEWHERE = "healthy-elsewhere"
    HIVE_REPLAYED = "hive-replayed"
    HIVE_STALE = "hive-stale"
    MISSING_BRIDGE = "missing-bridge"
    FIX_LEFT_OUT = "fix-left-out"
    DATA_DISKS_OFFLINE = "data-disks-offline"
    CLOCK_DIFFERS = "clock-differs"
    CRASH_SCREEN_GONE = "crash-screen-gone"
    LEFT_ALONE = "left-alone"
    COMMIT_FINISHED = "commit-finished"
    OVERLAY_THROWN_AWAY = "overlay-thrown-away"
    STILL_AT_WORK = "still-at-work"
    ABANDONED = "abandoned"
    NOTHING_INTERRUPTED = "nothing-interrupted"
    APPLIANCE_NEEDED = "appliance-needed"
    FIRMWARE_MISMATCH = "firmware-mismatch"
    FALLBACK_LOADER = "fallback-loader"
    ACTIVATION = "activation"
    FIXED_ADDRESS = "fixed-address"
    KEPT_ADDRESS = "kept-address"
    LETTER_BY_DEVICE = "letter-by-device"
    PAGE_FILE_ELSEWHERE = "page-file-elsewhere"
    GUARD_AT_START = "guard-at-start"
    TPM = "tpm"


@dataclass(frozen=True)
class Note:
    """One thing a person should know, with its subject and fields."""

    kind: NoteKind
    subject: str = ""
    details: Details = ()


class Verdict(Enum):
    """The answer for one guest or installation; REPAIRED and FAILED only come out of a repair.

    RECOVERED only comes out of a recovery, and says nothing of Windows: what a crash left has come to an end.
    """

    HEALTHY = "healthy"
    REPAIRABLE = "repairable"
    REPAIRED = "repaired"
    RECOVERED = "recovered"
    REFUSED = "refused"
    NO_WINDOWS = "no-windows"
    FAILED = "failed"


@dataclass(frozen=True)
class InstallationJudgement:
    """One Windows judged: chains of every bus (of the control set that boots), the ones that were decisive, and why.

    `cards` are the models of network cards that it has a driver for, the best first.
    """

    installation: InstallationId
    verdict: Verdict
    bus: Bus
    chains: tuple[Chain, ...]
    xen: tuple[XenFinding, ...]
    reasons: tuple[Reason, ...]
    notes: tuple[Note, ...]
    ran_on_kvm: bool
    cards: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """A guest judged as a whole; `plan` is empty unless the verdict is REPAIRABLE. `bus` is judged or chosen.

    `fixes_only`: nothing is done but what was asked for by name; the boot path stays as it is, whole or not.
    """

    verdict: Verdict
    bus: Bus
    installations: tuple[InstallationJudgement, ...]
    plan: Plan
    reasons: tuple[Reason, ...]
    fixes_only: bool = False
