# SPDX-License-Identifier: Apache-2.0
"""Scripts and Ansible decide by the exit code, so one table gives it: reason by reason, verdict by verdict.

Touches nothing. A code once published keeps its meaning; `unxen exit-codes` and docs/exit-codes.md print this table.
"""

from unxen.model.judgement import Verdict
from unxen.model.outcome import Outcome
from unxen.model.reason import ReasonKind

DONE = 0
DEFECT = 1
WRONG_USAGE = 2
WOULD_STOP = 3
INTERRUPTED = 130

MEANINGS: dict[int, str] = {
    0: "done, or nothing to do",
    1: "a defect of unxen",
    2: "wrong usage: an argument, the configuration or a knowledge table",
    3: "inspect, plan, --dry-run: Windows would stop with 0x7B and can be repaired, or what --fix asks for is to be done",
    4: "no Windows found",
    10: "a disk or its backing file is missing",
    11: "no permission",
    12: "not a disk image, export or machine definition, or a damaged one",
    13: "the image has another format than the one given",
    14: "the disk is in use",
    15: "unsafe image header: it names other files, or things that are not understood",
    16: "this kind of image cannot be written",
    17: "the disk is read-only",
    18: "other disks use this one as their backing file",
    20: "the registry hive is damaged",
    21: "the registry hive is dirty, and its logs are missing or useless",
    22: "Windows is hibernated or was shut down by fast startup",
    23: "the NTFS volume is dirty or was not unmounted cleanly",
    24: "the volume or the image is encrypted",
    25: "Windows lies on a dynamic disk or a storage space",
    26: "no bus can be made bootable",
    27: "this Windows is not supported, or is being upgraded",
    28: "the hive file cannot be edited (compressed, encrypted, sparse, resident)",
    30: "a program is missing, or failed",
    31: "not enough space",
    32: "the appliance did not start, or failed",
    33: "another unxen works on this disk (see --wait)",
    34: "the delivery asked for is not possible here",
    40: "rolled back, the disk is unchanged",
    41: "the disk is repaired, but the platform did not switch its bus",
    42: "undo refused: the disk was written since",
    43: "there is no undo data for this disk",
    44: "a repair was interrupted and must be recovered first, or its recovery was refused",
    50: "the platform refused, or is not available",
    51: "a privilege is missing, or policy forbids it",
    130: "interrupted by the user",
}

REASON_CODES: dict[ReasonKind, int] = {
    ReasonKind.DEFECT: 1,
    ReasonKind.INTERRUPTED: INTERRUPTED,
    ReasonKind.USAGE: 2,
    ReasonKind.FORMAT_NEEDED: 2,
    ReasonKind.CONFIG_INVALID: 2,
    ReasonKind.KNOWLEDGE_INVALID: 2,
    ReasonKind.KEY_FILE: 2,
    ReasonKind.OUTPUT_EXISTS: 2,
    ReasonKind.NO_SUCH_INSTALLATION: 2,
    ReasonKind.NO_WINDOWS: 4,
    ReasonKind.PARAVIRTUAL_GUEST: 4,
    ReasonKind.DISK_MISSING: 10,
    ReasonKind.BACKING_MISSING: 10,
    ReasonKind.REMOTE_UNREACHABLE: 10,
    ReasonKind.NO_PERMISSION: 11,
    ReasonKind.NOT_AN_IMAGE: 12,
    ReasonKind.IMAGE_DAMAGED: 12,
    ReasonKind.IMAGE_DIRTY: 12,
    ReasonKind.PROBE_FAILED: 12,
    ReasonKind.NOT_AN_EXPORT: 12,
    ReasonKind.EXPORT_DAMAGED: 12,
    ReasonKind.DEFINITION_INVALID: 12,
    ReasonKind.WRONG_FORMAT: 13,
    ReasonKind.IN_USE: 14,
    ReasonKind.BACKING_OUTSIDE: 15,
    ReasonKind.BACKING_CYCLE: 15,
    ReasonKind.BACKING_FORMAT_UNKNOWN: 15,
    ReasonKind.EXTERNAL_DATA_FILE: 15,
    ReasonKind.EXTENT_OUTSIDE: 15,
    ReasonKind.ABSURD_SIZE: 15,
    ReasonKind.DIFFERENCING_VHD: 15,
    ReasonKind.UNSUPPORTED_FEATURE: 15,
    ReasonKind.NOT_WRITABLE_KIND: 16,
    ReasonKind.REMOTE_WITHOUT_LOCK: 16,
    ReasonKind.READ_ONLY: 17,
    ReasonKind.BACKING_OF_OTHERS: 18,
    ReasonKind.HIVE_DAMAGED: 20,
    ReasonKind.HIVE_DIRTY: 21,
    ReasonKind.HIBERNATED: 22,
    ReasonKind.VOLUME_DIRTY: 23,
    ReasonKind.JOURNAL_UNCLEAN: 23,
    ReasonKind.ENCRYPTED: 24,
    ReasonKind.IMAGE_ENCRYPTED: 24,
    ReasonKind.DYNAMIC_DISK: 25,
    ReasonKind.STORAGE_SPACE: 25,
    ReasonKind.NO_BOOTABLE_BUS: 26,
    ReasonKind.BUS_NOT_POSSIBLE: 26,
    ReasonKind.DRIVER_NOT_SHOWN: 26,
    ReasonKind.STOCK_FILTER_MISSING: 26,
    ReasonKind.DANGLING_FILTER: 26,
    ReasonKind.THIRD_PARTY_DRIVER: 26,
    ReasonKind.WINDOWS_UNSUPPORTED: 27,
    ReasonKind.UPGRADE_IN_FLIGHT: 27,
    ReasonKind.HIVE_FILE_NOT_EDITABLE: 28,
    ReasonKind.TOOL_MISSING: 30,
    ReasonKind.TOOL_FAILED: 30,
    ReasonKind.NO_BOX: 30,
    ReasonKind.NO_SPACE: 31,
    ReasonKind.APPLIANCE_FAILED: 32,
    ReasonKind.BUSY: 33,
    ReasonKind.DELIVERY_IMPOSSIBLE: 34,
    ReasonKind.ROLLED_BACK: 40,
    ReasonKind.SWITCH_FAILED: 41,
    ReasonKind.WRITTEN_SINCE: 42,
    ReasonKind.NO_UNDO_DATA: 43,
    ReasonKind.COMMIT_UNFINISHED: 44,
    ReasonKind.RECOVERY_REFUSED: 44,
    ReasonKind.PLATFORM_REFUSED: 50,
    ReasonKind.MOVE_FAILED: 50,
    ReasonKind.REMOTE_UNSUPPORTED: 50,
    ReasonKind.DEFINITION_CHANGED: 50,
    ReasonKind.SAVED_STATE: 50,
    ReasonKind.DISK_SHARED: 50,
    ReasonKind.GUEST_LOCKED: 50,
    ReasonKind.GUEST_CHANGED: 50,
    ReasonKind.HAS_SNAPSHOTS: 51,
    ReasonKind.POLICY_REFUSED: 51,
    ReasonKind.PRIVILEGE_MISSING: 51,
    ReasonKind.FOREIGN_FILE: 51,
    ReasonKind.HOOKS_ABSENT: 50,
    ReasonKind.PLATFORM_UNREACHABLE: 50,
}

# What a verdict says when no reason says more. REPAIRABLE out of a real repair cannot be: it would have been repaired.
VERDICT_CODES: dict[Verdict, int] = {
    Verdict.HEALTHY: DONE,
    Verdict.REPAIRED: DONE,
    Verdict.RECOVERED: DONE,
    Verdict.REPAIRABLE: WOULD_STOP,
    Verdict.NO_WINDOWS: 4,
    Verdict.REFUSED: DEFECT,
    Verdict.FAILED: DEFECT,
}
_BY_REASON = (Verdict.REFUSED, Verdict.FAILED, Verdict.REPAIRED)


def exit_code(outcome: Outcome) -> int:
    """The exit code of one guest's outcome: its first reason decides, else its verdict."""
    if outcome.verdict in _BY_REASON and outcome.reasons:
        return REASON_CODES[outcome.reasons[0].kind]
    return VERDICT_CODES[outcome.verdict]


def markdown() -> str:
    """docs/exit-codes.md."""
    rows = "".join(f"| {code} | {meaning} | {_kinds(code)} |\n" for code, meaning in MEANINGS.items())
    return f"{_HEAD}| code | meaning | `kind` of the reason in JSON |\n|---|---|---|\n{rows}{_FOOT}"


def _kinds(code: int) -> str:
    return ", ".join(f"`{kind.value}`" for kind, each in REASON_CODES.items() if each == code)


_HEAD = """# Exit codes

Made by `unxen exit-codes --markdown` from the one table in the program; a test holds both equal.

"""
_FOOT = """
`inspect`, `plan` and `repair --dry-run` end with the code with which `repair` would refuse, but for 14: a disk in use is judged and
marked as possibly stale. `repair` locks before it looks, so a disk in use is 14 even when nothing would be to do. With `--each` the
largest code of all guests is returned.
"""
