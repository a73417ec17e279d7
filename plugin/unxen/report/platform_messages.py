# SPDX-License-Identifier: Apache-2.0
"""What platform, journal and host refuse, in the same three sentences as what is wrong with a disk.

Touches nothing. These rows are part of `reason_messages.REASON_TEXTS`, which has one for every reason.
"""

from unxen.model.reason import ReasonKind
from unxen.report.reason_text import ReasonText

_CAUSE = "[{cause}]"

PLATFORM_TEXTS: dict[ReasonKind, ReasonText] = {
    ReasonKind.SWITCH_FAILED: ReasonText(
        "the disk is repaired, but its bus could not be switched[ to {bus}][: {subject}]",
        _CAUSE,
        "Attach the disk on that bus yourself; the old configuration is unchanged.",
    ),
    ReasonKind.MOVE_FAILED: ReasonText(
        "{subject} could not be moved[ to {bus}]",
        _CAUSE,
        "Nothing was changed: the guest is defined as it was. Mend what the platform complains of, and try again.",
    ),
    ReasonKind.DEFINITION_CHANGED: ReasonText(
        "{subject} was defined anew since the repair[ (entry {entry})], so it cannot be undone as a whole",
        "Putting the old definition back would drop what was changed since.",
        "Nothing was changed. Undo the disks alone by their paths, and set the bus back by hand.",
    ),
    ReasonKind.SAVED_STATE: ReasonText(
        "{subject} has a saved state, so it is not really shut down",
        "Its memory was written to disk and goes on where it stopped, on the old bus and with the old disks in mind.[ {cause}]",
        "Start it and shut it down, or drop the saved state[ ({command})]; then try again.",
    ),
    ReasonKind.HAS_SNAPSHOTS: ReasonText(
        "{subject} has snapshots[: {names}]",
        "Going back to one brings the old bus and the unrepaired disk back.[ {cause}]",
        "Delete the snapshots, or set repair_guests_with_snapshots = true in /etc/unxen/unxen.toml and repair after every revert.",
    ),
    ReasonKind.DISK_SHARED: ReasonText(
        "{subject} belongs to more than one guest[: {others}]",
        "Another guest could write to it while it is repaired.[ {cause}]",
        "Give the disk to one guest, or repair it by its path while all of them are shut down.",
    ),
    ReasonKind.GUEST_LOCKED: ReasonText(
        "{subject} is locked on its platform ({lock})",
        "A backup, migration, clone or restore is going on, or one was broken off and left its lock.[ {cause}]",
        "Wait until it is done; if nothing is going on, take the lock away there[ ({command})], then try again.",
    ),
    ReasonKind.GUEST_CHANGED: ReasonText(
        "the definition of {subject} changed while unxen was at work",
        "Somebody else changed it between the look and the moment in which it was to be locked.[ {cause}]",
        "Nothing was changed; run it again.",
    ),
    ReasonKind.WRITTEN_SINCE: ReasonText(
        "{subject} was written since the repair, so it cannot be undone as a whole[: {path}]",
        "[{cause}]",
        "Nothing was changed. If Windows runs well, keep it; unxen undo --registry puts back the values that still stand as left.",
    ),
    ReasonKind.NO_UNDO_DATA: ReasonText(
        "there is no undo data for {subject}",
        "unxen did not repair this disk here, its undo data has expired, or it was undone already.[ {cause}]",
        "Use the state directory of the host that repaired it (UNXEN_STATE_DIR), or a backup.",
    ),
    ReasonKind.RECOVERY_REFUSED: ReasonText(
        "the interrupted repair of {subject} cannot be finished",
        "[{cause}][ (byte {place})]",
        "Nothing was changed and everything is kept. Restore the disk from where it came, then unxen recover --forget[ {entry}].",
    ),
    ReasonKind.PLATFORM_REFUSED: ReasonText(
        "the platform does not take {subject}[: {problem}]",
        "[{cause}]",
        "Mend that on the platform; or, where its disk images are, give unxen their paths, with the virtual machine shut down.",
    ),
    ReasonKind.FOREIGN_FILE: ReasonText(
        "{subject} is there already and is not unxen's",
        "Somebody else put it there, or changed it since unxen did; it was left as it is, and nothing else was installed.",
        "Move it away or merge it by hand, then run unxen hooks install again.",
    ),
    ReasonKind.HOOKS_ABSENT: ReasonText(
        "guests of {subject} are not looked at by themselves",
        "Guard, watcher or the recovery after a crash are not installed, or not started with this host.",
        "unxen hooks install {subject} puts them in place.",
    ),
    ReasonKind.PLATFORM_UNREACHABLE: ReasonText(
        "{subject} does not answer", "[{cause}]", "Start it with systemctl start {unit}; journalctl -u {unit} says why it ended."
    ),
    ReasonKind.NO_BOX: ReasonText(
        "no box for the bytes of guests can be made",
        "[{cause}]",
        "Run unxen as root, or let users make namespaces: "
        "sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 (each where it exists).",
    ),
    ReasonKind.POLICY_REFUSED: ReasonText(
        "{subject} is forbidden here[: {problem}]", "[{cause}]", "Ask whoever administers this host, or see /etc/unxen/unxen.toml."
    ),
    ReasonKind.PRIVILEGE_MISSING: ReasonText(
        "{subject} lacks {missing}[ on {path}]",
        "[{cause}]",
        "[Give it a role with that, as with pveum acl modify {path} --tokens TOKEN --roles ROLE.][ {advice}] Nothing was done.",
    ),
}
