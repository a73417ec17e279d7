# SPDX-License-Identifier: Apache-2.0
"""What to expect at the first start, and what to do about it: one sentence for every note that belongs there.

Touches nothing. Its rows and those of `note_messages` are one table for whoever tells notes; what stands here is shown under its
own heading.
"""

from unxen.model.judgement import NoteKind

FIRST_START_TEXTS: dict[NoteKind, str] = {
    NoteKind.FALLBACK_LOADER: r"the firmware of a new machine may not find Windows: partition {subject} has Microsoft's loader, and"
    r" no \EFI\Boot\bootx64.efi. If it does not start, copy it with the machine off[: guestfish --rw --format=FORMAT -a DISK -m"
    " /dev/sda{partition} mkdir-p /EFI/Boot : cp /EFI/Microsoft/Boot/bootmgfw.efi /EFI/Boot/bootx64.efi]",
    NoteKind.FIXED_ADDRESS: "the network card {subject} was set by hand ({addresses}[; DNS {dns}]), and the new card will ask DHCP:"
    " unxen network prints all of it, and a script that sets it again",
    NoteKind.KEPT_ADDRESS: "several old adapters ({adapters}) lay claim to the address {subject}, and Windows warns when another"
    " card gets it: the scripts of unxen network take it from them",
    NoteKind.LETTER_BY_DEVICE: "the drive letter {subject} belongs to the path of a device, which changes with its bus: set it"
    " again in Disk Management if Windows gives the device another one",
    NoteKind.PAGE_FILE_ELSEWHERE: "a page file lies on {subject}, not beside Windows: if that disk comes up offline there is less"
    " memory and no crash dump; bring the disk online",
    NoteKind.GUARD_AT_START: "{subject} starts with Windows[ ({services})] and may keep drivers of the new hardware out: update it"
    " before the move, and know how to switch it off",
    NoteKind.TPM: "Windows uses a TPM, and what it keeps there does not move: have recovery keys and passwords at hand",
    NoteKind.ACTIVATION: "Windows may want to be activated again, because controller and network card change: give the new machine"
    " the same UUID and MAC addresses (unxen keeps those of a definition)",
    NoteKind.DATA_DISKS_OFFLINE: "the data disks {subject} may stay offline on {bus}[ (SAN policy {policy}: {why})]; --fix"
    " data-disks brings them online, or do it in Windows (diskpart: san policy=OnlineAll, then online disk)",
    NoteKind.CLOCK_DIFFERS: "this Windows takes the hardware clock for {needs}[, and its definition gives it {shown}][; its time"
    " zone is {zone}]. A new machine needs such a clock; for a guest of libvirt or Proxmox --fix clock changes the definition",
    NoteKind.CRASH_SCREEN_GONE: "if Windows stops all the same, it starts again before the stop code can be read; --fix"
    " crash-screen keeps it on the screen",
}
