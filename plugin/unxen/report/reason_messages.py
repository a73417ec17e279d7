# SPDX-License-Identifier: Apache-2.0
"""What went wrong, why, and what to do about it: three sentences for every reason, in words a Windows administrator knows.

Touches nothing. One row per ReasonKind (a test walks the enum); the template syntax stands in `template`. The remedy is never
empty: a refusal without a next step is a riddle.
"""

from unxen.model.reason import ReasonKind
from unxen.report.platform_messages import PLATFORM_TEXTS
from unxen.report.reason_text import ReasonText

_CAUSE = "[{cause}]"
_FULL_SHUTDOWN = (
    "Start it once more where it ran, shut it down completely (powercfg /h off, then shutdown /s /t 0), and copy the disk again."
)
_WAKE_HERE = (
    "[ If that host is gone: keep a copy of the disk, start it here once on {wakes_on}, from which it would start as it is,"
    " and shut it down completely in the same way; then run unxen again.]"
)
_ACCEPT = "[ {accept}]"

REASON_TEXTS: dict[ReasonKind, ReasonText] = {
    ReasonKind.DEFECT: ReasonText(
        "unxen itself failed[ in {subject}]",
        _CAUSE,
        "This is a defect of unxen. Run it again with --debug and report what it prints; unxen inspect tells how the disk is.",
    ),
    ReasonKind.INTERRUPTED: ReasonText(
        "interrupted", _CAUSE, "What was begun has been cleaned up; run it again when you like, or unxen inspect to see the disk."
    ),
    ReasonKind.USAGE: ReasonText(
        "[{subject}: ][{problem}]",
        _CAUSE,
        "unxen --help[ or unxen {verb} --help] tells how it is meant.",
    ),
    ReasonKind.FORMAT_NEEDED: ReasonText(
        "the image format of {subject} is not known",
        "The format is never guessed from the content, and the name ends in none of .qcow2 .vmdk .vhd .vhdx .vdi .raw .img.",
        "Say it with --format raw (or qcow2, vmdk, vhd, vhdx, vdi), once for each disk in order. Block devices are raw.",
    ),
    ReasonKind.CONFIG_INVALID: ReasonText(
        "the configuration {subject} is not right[, line {line}][: {key}][: {problem}]",
        "[Found {found}.][ Expected {expected}.][{cause}]",
        "Correct the file[; did you mean {suggestion}?]; nothing was done.",
    ),
    ReasonKind.KNOWLEDGE_INVALID: ReasonText(
        "the knowledge table {subject} is not right[: row {row}][, field {field}][: {problem}]",
        _CAUSE,
        "Correct the row, or move the file out of knowledge.d; nothing was done.",
    ),
    ReasonKind.KEY_FILE: ReasonText(
        "the key file {subject} is not taken[: {problem}]",
        "A key opens every volume that it was made for, so it is read only from where nobody else could have read or changed it.",
        "Put the recovery key, or one password a line, into a file of your own with mode 600 (chmod 600 {subject}).",
    ),
    ReasonKind.NO_WINDOWS: ReasonText(
        "no Windows was found[ on {subject}]",
        "[{cause}]",
        "If it lies on another disk of this machine, give all of its disks in one call; check --format if the disk looks empty.",
    ),
    ReasonKind.PARAVIRTUAL_GUEST: ReasonText(
        "{subject} is a {guest_kind} guest, so it is no Windows",
        "Windows runs on Xen only as an HVM guest, a whole machine with firmware; PV and PVH guests have none.",
        "Nothing is to do with unxen. A Linux guest of this kind needs a boot loader and a kernel of its own on KVM.",
    ),
    ReasonKind.NOT_AN_EXPORT: ReasonText(
        "{subject} is not an export of XenServer or XCP-ng",
        _CAUSE,
        "Give the .xva file that xe vm-export or XenCenter wrote, whole and as one file.",
    ),
    ReasonKind.EXPORT_DAMAGED: ReasonText(
        "the export {subject} is damaged or cut off",
        _CAUSE,
        "Copy it again and compare its size with the original, or export the machine again. Nothing of it is used.",
    ),
    ReasonKind.DEFINITION_INVALID: ReasonText(
        "the machine definition {subject} cannot be read[, line {line}][: {problem}]",
        _CAUSE,
        "Give the domain XML that virsh dumpxml prints, an xl or xm configuration file, or an .xva export[; {advice}].",
    ),
    ReasonKind.NO_SUCH_INSTALLATION: ReasonText(
        "there is no installation {subject} on these disks",
        "[Found: {found}.]",
        "unxen inspect without --installation lists the installations with their ids.",
    ),
    ReasonKind.DISK_MISSING: ReasonText("{subject} does not exist", _CAUSE, "Check the path; unxen makes no disk."),
    ReasonKind.NO_PERMISSION: ReasonText(
        "{subject} may not be read[ or written][: {operation}]",
        _CAUSE,
        "Run unxen as root, or as a user who may read and write the disk and its backing files"
        "[, with a directory of their own in {setting}].",
    ),
    ReasonKind.NOT_AN_IMAGE: ReasonText(
        "{subject} is not a disk image[ in the format {expected}]",
        _CAUSE,
        "Check the path, and --format: a plain copy of a disk is raw.",
    ),
    ReasonKind.IMAGE_DAMAGED: ReasonText(
        "the image {subject} is damaged or cut off",
        "[{cause}][ Expected {expected}, found {found}.]",
        "Copy the disk again from where it came; qemu-img check tells more for qcow2, vhdx, vdi and vmdk.",
    ),
    ReasonKind.IMAGE_DIRTY: ReasonText(
        "{subject} was not closed cleanly[ ({format})]",
        "Writing to such an image can lose data without any error.[ {cause}]",
        "Close the program that uses it, run qemu-img check -r all {subject}, look at what it says, and try again.",
    ),
    ReasonKind.PROBE_FAILED: ReasonText(
        "the look into the disk failed[ at {subject}]",
        "The sandboxed reader gave up, took too long, or answered nonsense[: {cause}]. Damaged or hostile data can do that.",
        "Check the image (qemu-img check) and its file system (chkdsk in Windows); --debug tells more.",
    ),
    ReasonKind.WRONG_FORMAT: ReasonText(
        "{subject} is not in the format {expected}[, it looks like {found}]",
        _CAUSE,
        "Give the right one with --format[ {found}]; --format raw if the content shall be taken as it is.",
    ),
    ReasonKind.IN_USE: ReasonText(
        "{subject} is in use[ by {user}]",
        "A running virtual machine or another program holds it open; writing now would destroy the file system.[ {cause}]",
        "Shut the virtual machine down completely (not pause, not save), then try again. unxen inspect may look meanwhile.",
    ),
    ReasonKind.BACKING_OUTSIDE: ReasonText(
        "{subject} names a backing file outside the allowed directories: {name}",
        "An image can name any file of this host; only the image's own directory is trusted by default.[ It would be {path}.]",
        "If that file is right, add its directory to backing_dirs in /etc/unxen/unxen.toml.",
    ),
    ReasonKind.BACKING_MISSING: ReasonText(
        "a backing file is missing: {subject}",
        _CAUSE,
        "Put it where the image expects it (qemu-img info shows the names), or give a copy of the disk that needs none.",
    ),
    ReasonKind.BACKING_CYCLE: ReasonText(
        "the backing files of {subject} form a circle or are too many[ (more than {depth})][: {path}]",
        _CAUSE,
        "The image was put together wrongly; make a flat copy with qemu-img convert on the host where it still works.",
    ),
    ReasonKind.BACKING_FORMAT_UNKNOWN: ReasonText(
        "{subject} does not say which format its backing file {name} has[ ({format})]",
        "Guessing it would let a guest choose which files of this host are read.",
        "Write it down once with qemu-img rebase -u -F FORMAT -b BACKING {subject}.",
    ),
    ReasonKind.EXTERNAL_DATA_FILE: ReasonText(
        "{subject} keeps its data in another file[: {name}]",
        "An external data file can name any file of this host, so it is never followed.",
        "Make a self-contained copy with qemu-img convert where you trust the image.",
    ),
    ReasonKind.EXTENT_OUTSIDE: ReasonText(
        "{subject} keeps its data in other files[: {extents}]",
        "A descriptor can name any file of this host, so other files are never followed.",
        "Make a self-contained copy with qemu-img convert -O qcow2 where you trust the image.",
    ),
    ReasonKind.IMAGE_ENCRYPTED: ReasonText(
        "the image {subject} is encrypted",
        "[{cause}]",
        "Make an unencrypted copy with qemu-img convert and the key, repair that, and encrypt it again.",
    ),
    ReasonKind.ABSURD_SIZE: ReasonText(
        "the header of {subject} claims an absurd size[: {size} bytes]",
        "[At most {limit} bytes are accepted.]",
        "The image is damaged or was made to harm; copy it again from where it came.",
    ),
    ReasonKind.DIFFERENCING_VHD: ReasonText(
        "{subject} is a differencing VHD, which holds only changes against a parent",
        "QEMU ignores the parent without a word, so the disk would be read wrongly.",
        "Export the whole chain as one VHD on the XenServer or Hyper-V host (coalesce, or export the VM), then use that.",
    ),
    ReasonKind.UNSUPPORTED_FEATURE: ReasonText(
        "{subject} uses a feature of its format that is not understood[: {feature}]",
        _CAUSE,
        "Make a plain copy with qemu-img convert on the host that made it.",
    ),
    ReasonKind.NOT_WRITABLE_KIND: ReasonText(
        "{subject} is of a kind that cannot be written in place[: {format}][ {subformat}]",
        _CAUSE,
        "Convert it first (qemu-img convert -O qcow2 {subject} NEW.qcow2), then repair the copy.",
    ),
    ReasonKind.READ_ONLY: ReasonText(
        "{subject} is read-only",
        "[{cause}]",
        "Make the file writable (chmod u+w, chattr -i, remount), or repair a copy; unxen never changes these for you.",
    ),
    ReasonKind.REMOTE_UNREACHABLE: ReasonText(
        "{subject} cannot be reached",
        _CAUSE,
        "See that the server runs, that this host reaches it, and that it serves an image of that name to this host.",
    ),
    ReasonKind.REMOTE_UNSUPPORTED: ReasonText(
        "{subject}: images on a server are not reached with {feature}[ {value}]",
        _CAUSE,
        "Attach it to this host by the storage's own means (rbd map, iscsiadm, a mount), repair that by its path with --format,"
        " and detach it again.",
    ),
    ReasonKind.REMOTE_WITHOUT_LOCK: ReasonText(
        "{subject} can be looked at and not repaired: nothing keeps other hosts from using it meanwhile[, {cause}]",
        "",
        "Serve it by NBD to one client at a time (qemu-nbd --persistent without --shared), or attach it to this host as a block"
        " device while its guest is off, and repair that by its path.",
    ),
    ReasonKind.BACKING_OF_OTHERS: ReasonText(
        "other disks use {subject} as their backing file[: {user}][: {path}]",
        "Changing it would corrupt every disk that is built on it.[ {cause}]",
        "Repair the disk that the virtual machine really uses; its overlay takes the change.",
    ),
    ReasonKind.HIVE_DAMAGED: ReasonText(
        "the registry hive SYSTEM[ of {subject}] is damaged[: {problem}]",
        "[{cause}][ ({path})][: {log}][: {number}][. Its logs: {logs}]",
        "Start Windows where it ran and let it repair itself, or restore the disk from a backup; a damaged hive is never edited.",
    ),
    ReasonKind.HIVE_DIRTY: ReasonText(
        "the registry hive SYSTEM of {subject} is dirty: its newest changes are only in its log files, which do not help",
        "[Its sequence numbers {primary} and {secondary} differ. ][Logs: {logs}.][ The newest key in it is of {newest}.]",
        f"Windows was switched off or copied while it ran. {_FULL_SHUTDOWN} "
        "--accept-stale-hive goes on with the hive as it is; what was changed after its last full write is lost then.",
    ),
    ReasonKind.HIBERNATED: ReasonText(
        "Windows[ {subject}] is hibernated, or was shut down by fast startup",
        r"\hiberfil.sys[ on {volume}] holds a running Windows that overwrites every change when it wakes up[ ({state})].",
        _FULL_SHUTDOWN + _WAKE_HERE,
    ),
    ReasonKind.VOLUME_DIRTY: ReasonText(
        "the NTFS volume of {subject} is marked dirty: Windows will run chkdsk at its next start",
        "[Volume {volume}][, state: {state}][. {obstacle}]",
        f"Start Windows where it ran, let chkdsk finish, shut it down completely, and copy the disk again.{_ACCEPT}",
    ),
    ReasonKind.JOURNAL_UNCLEAN: ReasonText(
        "the NTFS volume of {subject} was not unmounted cleanly: its journal holds unfinished work",
        "[Volume {volume}][, state of $LogFile: {state}][. {obstacle}]",
        f"Windows was switched off or copied while it ran. {_FULL_SHUTDOWN}{_ACCEPT}",
    ),
    ReasonKind.ENCRYPTED: ReasonText(
        "the partition {subject} is encrypted[ ({found})], so what is on it is not known",
        "[{key}. ][{cause} ]Encrypted volumes cannot be read without their key, also while protection is suspended.",
        "Give its recovery key or password with --key FILE. Or decrypt it in Windows (manage-bde -off C:), wait until it is done,"
        " shut down completely, and copy the disk again.",
    ),
    ReasonKind.DYNAMIC_DISK: ReasonText(
        "the partition {subject} belongs to a Windows dynamic disk",
        "Where volumes lie on dynamic disks is kept in a database of their own, which is not read.",
        "Convert it to a basic disk, or repair by hand in the recovery environment (unxen plan --as reg needs a readable copy).",
    ),
    ReasonKind.STORAGE_SPACE: ReasonText(
        "the partition {subject} belongs to a storage space",
        "Windows cannot start from a storage space, so this is a data disk.",
        "Give the disk with Windows on it.",
    ),
    ReasonKind.HIVE_FILE_NOT_EDITABLE: ReasonText(
        "the file of the registry hive SYSTEM of {subject} cannot be edited: it is {what}",
        _CAUSE,
        r"In Windows: compact /u (or cipher /d) on C:\Windows\System32\config\SYSTEM, shut down fully, and copy the disk again.",
    ),
    ReasonKind.NO_BOOTABLE_BUS: ReasonText(
        "no bus can be made bootable for {subject}[; nearest is {bus}]",
        "[On {bus} the link '{link}' is broken][: {trouble}]",
        "unxen inspect shows where each bus breaks; mend that in Windows where it still runs, or in the recovery environment.",
    ),
    ReasonKind.BUS_NOT_POSSIBLE: ReasonText(
        "{subject} cannot be made to start from {bus}",
        "[The link '{link}' is broken][: {trouble}]",
        "Leave out --bus, or take one of the buses that unxen inspect shows as possible.",
    ),
    ReasonKind.DRIVER_NOT_SHOWN: ReasonText(
        "nothing shows that {subject} would start from {bus}, so its disk stays where it is",
        "[The link '{link}' of the boot path does not hold][: {trouble}]",
        "[In Windows, install virtio-win, which brings {driver}; attach a small second disk on {bus}, start once so that Windows"
        " takes the driver for it, shut down completely, and try again. virt-v2v-in-place is what puts drivers in offline; unxen"
        " puts none in.][unxen repair --bus {mend} makes the registry changes that are missing and switches, with a way back.]"
        " unxen inspect --bus with that bus shows the whole boot path.",
    ),
    ReasonKind.STOCK_FILTER_MISSING: ReasonText(
        "the filter {subject}, which Windows itself lists[ in the class {class}], is gone, so Windows stops with 0x7B",
        "[In {key}. ]An earlier mend by hand may have deleted the whole list.",
        "--fix stock-filters puts it back where its driver is there; else put it back with regedit in the recovery environment.",
    ),
    ReasonKind.DANGLING_FILTER: ReasonText(
        "the filter driver {subject} is in the[ {side}] filters but cannot load, so Windows stops with 0x7B",
        "[In {key}: ][{cause}. ]It is not a Xen driver, and what it was for is not known here, so nothing is changed.",
        "If it is a left-over, take its name out of that list with regedit in the recovery environment, then run unxen again.",
    ),
    ReasonKind.THIRD_PARTY_DRIVER: ReasonText(
        "the third-party driver {subject}[ ({inf})] would take the disk controller of {bus}[: {device}]",
        "Nothing is known about how it behaves on the emulated controller.",
        "Uninstall it in Windows where it still runs, or choose another bus with --bus.",
    ),
    ReasonKind.WINDOWS_UNSUPPORTED: ReasonText(
        "this Windows is not supported[: {subject}][, version {version}][, {architecture}]",
        "[{cause}]",
        "Supported are Windows XP and Server 2003 up to Windows 11 and Server 2025 on x86 and amd64.",
    ),
    ReasonKind.UPGRADE_IN_FLIGHT: ReasonText(
        "an upgrade of this Windows is under way[: {subject}]",
        r"Its setup is not finished and \$WINDOWS.~BT is there: setup may put another Windows, or the one before, in the place"
        " of this one, with a hive that was not repaired.",
        "Let the upgrade finish or roll back where the machine ran, shut it down completely, and copy the disk again.",
    ),
    ReasonKind.TOOL_MISSING: ReasonText(
        "the program {subject} is missing",
        "[{cause}]",
        "Install it[ (apt install {package})] and run unxen again; no disk was changed.",
    ),
    ReasonKind.TOOL_FAILED: ReasonText(
        "the program {subject} failed", "[{cause}]", "No disk was changed. --debug shows the whole command and what it said."
    ),
    ReasonKind.NO_SPACE: ReasonText(
        "there is not enough space in {subject}[: {needed} needed][, {free} free][, {found} free]",
        _CAUSE,
        "Make room there[, or let {setting} name another place for unxen's working files]; no disk was changed.",
    ),
    ReasonKind.OUTPUT_EXISTS: ReasonText(
        "{subject} is there already",
        "unxen overwrites nothing.[ {cause}]",
        "Give another place, or move away what is there.",
    ),
    ReasonKind.APPLIANCE_FAILED: ReasonText(
        "the guestfs appliance did not do its work[: {subject}]",
        _CAUSE,
        "Check it with libguestfs-test-tool (packages python3-guestfs and linux-image-amd64); the disk is unchanged.",
    ),
    ReasonKind.BUSY: ReasonText(
        "another unxen works on {subject}[ (process {pid})]", _CAUSE, "Wait for it, or give --wait SECONDS."
    ),
    ReasonKind.DELIVERY_IMPOSSIBLE: ReasonText(
        "the delivery {subject} is not possible here", "[{cause}]", "Use --delivery auto (or leave it out)."
    ),
    ReasonKind.ROLLED_BACK: ReasonText(
        "the repair was given up and rolled back[: {problem}][: {subject}]",
        "[Expected {expected}.][ Found {found}.][ {cause}]",
        "The disk is as it came. If this happens again, report it with the output of unxen inspect --json.",
    ),
    ReasonKind.COMMIT_UNFINISHED: ReasonText(
        "a repair of {subject} was interrupted while it wrote[ (entry {entry})]",
        "The disk may be a mix of old and new; it must not be started.[ {cause}]",
        "Do not start the virtual machine; run unxen recover, which finishes what was begun.",
    ),
    **PLATFORM_TEXTS,
}
