# SPDX-License-Identifier: Apache-2.0
"""Why something was refused or failed, as a value; its sentence and exit code stand in `report`.

Touches nothing. One kind is one row in the tables of messages and of exit codes, and a test walks both.
"""

from enum import Enum

from unxen.model.record import dataclass


class ReasonKind(Enum):
    """Every cause that unxen can name, by the layer that finds it."""

    DEFECT = "defect"
    INTERRUPTED = "interrupted"
    USAGE = "usage"
    FORMAT_NEEDED = "format-needed"
    CONFIG_INVALID = "config-invalid"
    KNOWLEDGE_INVALID = "knowledge-invalid"
    KEY_FILE = "key-file"
    NO_WINDOWS = "no-windows"
    PARAVIRTUAL_GUEST = "paravirtual-guest"
    NO_SUCH_INSTALLATION = "no-such-installation"

    DISK_MISSING = "disk-missing"
    NO_PERMISSION = "no-permission"
    NOT_AN_IMAGE = "not-an-image"
    IMAGE_DAMAGED = "image-damaged"
    IMAGE_DIRTY = "image-dirty"
    PROBE_FAILED = "probe-failed"
    WRONG_FORMAT = "wrong-format"
    IN_USE = "in-use"
    BACKING_OUTSIDE = "backing-outside"
    BACKING_MISSING = "backing-missing"
    BACKING_CYCLE = "backing-cycle"
    BACKING_FORMAT_UNKNOWN = "backing-format-unknown"
    EXTERNAL_DATA_FILE = "external-data-file"
    EXTENT_OUTSIDE = "extent-outside"
    IMAGE_ENCRYPTED = "image-encrypted"
    ABSURD_SIZE = "absurd-size"
    DIFFERENCING_VHD = "differencing-vhd"
    UNSUPPORTED_FEATURE = "unsupported-feature"
    NOT_WRITABLE_KIND = "not-writable-kind"
    NOT_AN_EXPORT = "not-an-export"
    EXPORT_DAMAGED = "export-damaged"
    DEFINITION_INVALID = "definition-invalid"
    READ_ONLY = "read-only"
    REMOTE_UNREACHABLE = "remote-unreachable"
    REMOTE_UNSUPPORTED = "remote-unsupported"
    REMOTE_WITHOUT_LOCK = "remote-without-lock"
    BACKING_OF_OTHERS = "backing-of-others"

    HIVE_DAMAGED = "hive-damaged"
    HIVE_DIRTY = "hive-dirty"
    HIBERNATED = "hibernated"
    VOLUME_DIRTY = "volume-dirty"
    JOURNAL_UNCLEAN = "journal-unclean"
    ENCRYPTED = "encrypted"
    DYNAMIC_DISK = "dynamic-disk"
    STORAGE_SPACE = "storage-space"
    HIVE_FILE_NOT_EDITABLE = "hive-file-not-editable"

    NO_BOOTABLE_BUS = "no-bootable-bus"
    BUS_NOT_POSSIBLE = "bus-not-possible"
    DRIVER_NOT_SHOWN = "driver-not-shown"
    STOCK_FILTER_MISSING = "stock-filter-missing"
    DANGLING_FILTER = "dangling-filter"
    THIRD_PARTY_DRIVER = "third-party-driver"
    WINDOWS_UNSUPPORTED = "windows-unsupported"
    UPGRADE_IN_FLIGHT = "upgrade-in-flight"

    TOOL_MISSING = "tool-missing"
    TOOL_FAILED = "tool-failed"
    NO_SPACE = "no-space"
    OUTPUT_EXISTS = "output-exists"
    APPLIANCE_FAILED = "appliance-failed"
    BUSY = "busy"
    DELIVERY_IMPOSSIBLE = "delivery-impossible"
    ROLLED_BACK = "rolled-back"
    COMMIT_UNFINISHED = "commit-unfinished"
    SWITCH_FAILED = "switch-failed"
    MOVE_FAILED = "move-failed"
    DEFINITION_CHANGED = "definition-changed"
    SAVED_STATE = "saved-state"
    HAS_SNAPSHOTS = "has-snapshots"
    DISK_SHARED = "disk-shared"
    GUEST_LOCKED = "guest-locked"
    GUEST_CHANGED = "guest-changed"
    WRITTEN_SINCE = "written-since"
    NO_UNDO_DATA = "no-undo-data"
    RECOVERY_REFUSED = "recovery-refused"
    PLATFORM_REFUSED = "platform-refused"
    POLICY_REFUSED = "policy-refused"
    PRIVILEGE_MISSING = "privilege-missing"
    FOREIGN_FILE = "foreign-file"
    HOOKS_ABSENT = "hooks-absent"
    PLATFORM_UNREACHABLE = "platform-unreachable"
    NO_BOX = "no-box"


Details = tuple[tuple[str, str], ...]
"""Named fields of a reason or finding, in the order they were given; guest strings as they are, escaped only at output."""


@dataclass(frozen=True)
class Reason:
    """One cause: what kind, about what (a path, a service, an installation), and the fields its sentence needs."""

    kind: ReasonKind
    subject: str = ""
    details: Details = ()

    def detail(self, name: str) -> str:
        """The field of that name, or an empty string."""
        return dict(self.details).get(name, "")


def reason(kind: ReasonKind, subject: str = "", **details: object) -> Reason:
    """A reason with its details as keywords, each turned into text."""
    return Reason(kind, subject, tuple((name, str(value)) for name, value in details.items()))
