# SPDX-License-Identifier: Apache-2.0
"""What a person should know besides the verdict: one sentence for every kind of note and for every remark on the way.

Touches nothing. One row per NoteKind that `first_start_messages` does not have (a test walks the enum); remarks that nobody wrote a
row for are told by their name.
"""

from unxen.model.hive_facts import LogEnd, LogUse
from unxen.model.judgement import NoteKind

NOTE_TEXTS: dict[NoteKind, str] = {
    NoteKind.STALE: "{subject} is in use by a running machine, so this look may be out of date",
    NoteKind.RAN_ON_KVM: "this Windows has run on KVM already[ (seen by {subject})], so what Xen left behind is left alone",
    NoteKind.XEN_TRACES: "traces of Xen drivers that are left as they are[: {subject}]",
    NoteKind.UNKNOWN_XEN_SERVICE: "the service {subject} looks like Xen but is not known; left as it is[ ({image})]",
    NoteKind.ODD_FILTER_LIST: "the filter list {subject} is not understood and left as it is[: {found}][ ({cause})]",
    NoteKind.THIRD_PARTY_DRIVER: "the third-party driver {subject}[ ({inf})] is bound to a storage controller[: {device}]",
    NoteKind.EMPTIED_CLASS: "the filters of the class {subject} are gone; an earlier mend by hand may have taken too much."
    "[ Usually there: {expected}, which --fix stock-filters puts back]",
    NoteKind.MISSING_CLASS_FILTER: "the filter {subject} is missing[ in the class {class}];"
    " an earlier mend by hand may have taken too much; --fix stock-filters puts it back",
    NoteKind.UNFINISHED_TOOL: "the service {subject} of {tool} has not finished its work: {why}. It is left as it is; {remedy}",
    NoteKind.CRITICAL_MISTAKE: "the row {subject} of the critical device database names {service}[, as {tool} writes it]: {why}."
    " It is left as it is; delete it when nothing else put it there",
    NoteKind.CLOSED_OVER_LOGS: "another tool wrote this registry as complete over logs that it did not read: they go up to number"
    " {highest}, the registry to {own}. What stood in them is lost, and Windows may lay old pages over the registry once it was not"
    " shut down cleanly; a repair by unxen writes it past them",
    NoteKind.BOOT_SECTOR_HEADS: "the boot sector counts {found} heads where a disk of this size needs {expected};"
    " Windows this old then says 'A disk read error occurred'[ ({subject})]."
    " Correct the byte at offset 26 of the volume's first sector, or use the disk at its old size",
    NoteKind.FIRMWARE_MISMATCH: "the machine is defined with[ {firmware}], and the disk has boot files for[ {found}] only, so"
    " nothing would start; with --bus, unxen repair defines the firmware as well",
    NoteKind.CONTROL_SET_FAILED: "Windows marked control set {subject} as failed to start",
    NoteKind.ARTICLE_SERVICE: "the how-to's service {subject}[, step {number}]: {state}",
    NoteKind.DUAL_USE_DRIVER: "the driver {subject} serves virtio as well as Xen, so it stays on",
    NoteKind.SETUP_IN_PROGRESS: "Windows setup or sysprep is not finished; the next start may change drivers again",
    NoteKind.CHKDSK_QUEUED: "Windows will run a disk check or another program before it starts[: {subject}]",
    NoteKind.SERVICING_PENDING: r"updates are half installed (\Windows\WinSxS\pending.xml); the next start goes on with them,"
    " and a failure there looks like a disk that is not found",
    NoteKind.UPGRADE_BEGUN: r"an upgrade of Windows has left its directory (\$WINDOWS.~BT); hives in there are never touched",
    NoteKind.UPGRADE_READY: r"a new Windows is laid out in \$WINDOWS.~BT and may take the place of this one at the next start;"
    " it was not looked at: let the upgrade finish, then run unxen inspect again",
    NoteKind.SECOND_HIVE: "a second copy of the hive lies beside it (SYSTEM.ALT), which only Windows 2000 and older read;"
    " it is left as it is",
    NoteKind.OPENED_WITH_KEY: "the key opened the encrypted volume {subject}; it stays encrypted. Windows asks for the"
    " recovery key at its first start, because its TPM is another one: have it at hand",
    NoteKind.LARGE_SECTORS: "its disk had sectors of {subject} bytes and is read only with such: give the virtual disk"
    " logical_block_size={subject}",
    NoteKind.UNCLEAN_VOLUME: "its volume was not left clean[; {pending}]",
    NoteKind.RESTRICTIONS: "a group policy restricts which devices Windows installs[: {subject}]; new ones may stay without driver",
    NoteKind.UNREAD_KEYS: "parts of the registry could not be read[ ({count})][: {subject}]",
    NoteKind.MISSING_BRIDGE: "this host has no network bridge {subject}, so the guest cannot start; name another one",
    NoteKind.HEALTHY_ELSEWHERE: "it would start from {subject} as it is",
    NoteKind.HIVE_REPLAYED: "Windows was not shut down cleanly: {applied} of {found} entries of its registry logs ({subject}) were"
    " replayed in memory, as Windows does at its next start[, on the first block that {base_block} keeps][; {lost} was lost]"
    "[. It ended behind entry {last}, where Windows ends too: in {log} {ended}]",
    NoteKind.HIVE_STALE: "the registry is older than what Windows knew, and its logs do not help ({logs}). It is used as it is,"
    " because that was asked for: what was changed after its last full write is lost[; the newest key in it is of {newest}]",
    NoteKind.FIX_LEFT_OUT: "the fix {subject} is left out: {cause}",
    NoteKind.LEFT_ALONE: "left alone: {subject}[ ({cause})]",
    NoteKind.COMMIT_FINISHED: "the interrupted {subject} was finished, and every byte of it compared[; attach the disk on {bus}]",
    NoteKind.OVERLAY_THROWN_AWAY: "the interrupted {subject} had not touched the disk; what was prepared for it is thrown away",
    NoteKind.STILL_AT_WORK: "another unxen is at work on it; left alone",
    NoteKind.ABANDONED: "entry {subject} is closed as it is; the disk was not touched",
    NoteKind.NOTHING_INTERRUPTED: "nothing was interrupted here",
    NoteKind.APPLIANCE_NEEDED: "the edited hive could not be written where it lies[ ({cause})]; the guestfs appliance wrote it",
}

LOG_USES: dict[LogUse, str] = {
    LogUse.NOT_NEEDED: "not used by this Windows",
    LogUse.APPLIED: "replayed",
    LogUse.STALE: "older than the hive",
    LogUse.NOT_FOLLOWING: "does not go on where the other ends",
    LogUse.NO_ENTRY: "its first entry does not verify",
    LogUse.EMPTY: "empty",
    LogUse.NO_LOG: "no log",
    LogUse.WRONG_CHECKSUM: "the checksum of its first block is wrong",
    LogUse.HALF_WRITTEN: "written in part",
    LogUse.OTHER_HIVE: "of another hive",
    LogUse.OTHER_TIME: "of another state of the hive",
    LogUse.CUT_OFF: "cut off",
    LogUse.AMBIGUOUS: "contradicts the other",
    LogUse.BROKEN_RESULT: "gives a hive that is not whole",
    LogUse.TOO_LARGE: "too large",
    LogUse.UNREADABLE: "cannot be read",
}
LOG_ENDS: dict[LogEnd, str] = {
    LogEnd.NO_MORE: "no entry follows",
    LogEnd.OTHER_ROUND: "an entry of an earlier round follows",
    LogEnd.WHOLE: "all of it was used",
    LogEnd.DAMAGED_HEADER: "the head of the next entry does not verify",
    LogEnd.DAMAGED_DATA: "the data of the next entry does not verify",
    LogEnd.IMPOSSIBLE: "the next entry names places that cannot be",
    LogEnd.CUT_OFF: "the next entry is cut off",
    LogEnd.GAP: "entries are missing",
}
REMARK_TEXTS: dict[str, str] = {
    "appliance-tcg": "the appliance did not start under KVM; once more without it (slower)",
    "appliance-needed": "the hive does not fit where it lies[ ({cause})]; the guestfs appliance writes it",
    "opening-volumes": "an appliance opens the encrypted volumes {volumes}; each key takes a moment",
    "waiting": "another unxen works on this disk; waiting for it",
}
