# SPDX-License-Identifier: Apache-2.0
"""The boot path in words: names of its links, and one sentence for every observation about a link.

Touches nothing. One row per member of each enum (tests walk them); the template syntax stands in `template`.
"""

from unxen.model.judgement import FindingKind, LinkName, XenPart

LINK_TITLES: dict[LinkName, str] = {
    LinkName.FIRMWARE: "firmware",
    LinkName.BUSES: "system buses",
    LinkName.CONTROLLER: "disk controller",
    LinkName.CONTROLLER_FILTERS: "controller filters",
    LinkName.DISK: "disk and volume",
    LinkName.XEN: "Xen drivers",
}

# Why Windows needs the link, told after the first broken one.
LINK_NEEDS: dict[LinkName, str] = {
    LinkName.FIRMWARE: "The firmware of the machine finds no boot loader of its kind on the disk.",
    LinkName.BUSES: "Without these Windows sees no devices at all.",
    LinkName.CONTROLLER: "Windows must load this driver before it can read its own disk.",
    LinkName.CONTROLLER_FILTERS: "Windows starts a device only when every filter in its lists can be loaded, and these need Xen.",
    LinkName.DISK: "Windows starts its disk and volume only when each of these can be loaded.",
    LinkName.XEN: "Without Xen these drivers stop the start, or put their filters back.",
}

XEN_PARTS: dict[XenPart, str] = {
    XenPart.SERVICE: "services",
    XenPart.FILTER: "filters",
    XenPart.DEVICE: "devices",
    XenPart.SETTING: "settings",
}

# What short causes mean; they are the values of FindingKind and a few of the readers' own words.
CAUSE_WORDS: dict[str, str] = {
    FindingKind.SERVICE_ABSENT.value: "its driver is not installed",
    FindingKind.FILE_ABSENT.value: "the file of its driver is missing",
    FindingKind.NOT_BOOT_START.value: "its driver does not start at boot",
    FindingKind.START_UNREADABLE.value: "the Start value of its driver cannot be read",
    FindingKind.OVERRIDDEN.value: "its driver is switched off by a StartOverride key",
    "checksum": "the checksum of its first block is wrong",
    "log-unreadable": "one of its log files cannot be read, so what is newest is not known",
    "sequence-number": "it or one of its logs has a sequence number that no Windows reaches",
    "corrupt-bit": "its header is marked corrupt",
    "read-only-mount": "its file system is mounted read-only",
    "read-only-device": "the device is read-only",
    "read-only-export": "its server serves it for reading only",
    "many-clients": "its server serves it to several clients at once",
    "no-flush": "its server cannot say that writes are on its disk",
    "mode": "its permissions do not let its owner write",
    "immutable": "it is marked immutable (lsattr)",
    "changed-since": "changed since the repair",
    "key-gone": "its key is gone",
    "there-again": "somebody made the key again, with other content",
    "more-in-it": "more is in the key now",
    "no-value-stands": "no registry value stands any more as the repair left it",
    "torn-size": "the disk has another size than it had",
    "torn-files": "the overlay or the old bytes are gone from the state directory",
    "torn-overlay": "the overlay does not hold what was verified",
    "torn-old-bytes": "the old bytes are not what was kept",
    "torn-written": "somebody else wrote to the disk: it holds bytes that are neither old nor new",
    "record": "described by a file record that is not understood",
    "empty": "the file is empty",
    "wof": "compressed by the system (CompactOS)",
    "no-record": "its file record is not known",
    "attribute-list": "its file record goes on elsewhere",
    "growth": "it has grown",
    "encrypted-volume": "the volume is encrypted, and is opened only for writing in place",
    "large-sectors": "the disk had sectors of 4096 bytes, which the appliance does not see",
    "outside-volume": "its clusters lie outside the volume",
    "no-san-policy": "this Windows has no SAN policy and brings every disk online",
    "cluster": "this is a node of a failover cluster, whose shared disks must not come online by themselves",
    "no-number": "what stands in its place in the registry is no number",
    "no-value": "its place in the registry is not there",
    "needs-room": "it needs more room than the registry has there; ask for it with --fix",
    "no-classes": "no list of any class could be read",
    "odd-list": "the list that is there is not understood",
    "filter-not-ready": "the driver of a missing filter is not there or would not load",
    "no-definition": "only a guest of libvirt or Proxmox has a clock that can be set; give the new machine the right one",
    "own-clock": "its definition lets the clock go on as the guest set it",
    "resident": "stored inside its own file record",
    "incomplete": "spread over file records that cannot all be read",
}

FINDING_TEXTS: dict[FindingKind, str] = {
    FindingKind.FIRMWARE_FITS: "boot files for {subject} are there[: {file}]",
    FindingKind.FIRMWARE_DIFFERS: "the disk has no boot files for {subject}[, only for {found}]",
    FindingKind.FIRMWARE_UNKNOWN: "of the machine not known[; boot files on the disk are for {found}]",
    FindingKind.DRIVER_READY: "{subject} starts at boot",
    FindingKind.SERVICE_ABSENT: "the driver {subject} is not installed",
    FindingKind.FILE_ABSENT: "the file of the driver {subject} is missing[: {file}]",
    FindingKind.FILE_UNKNOWN: "whether the file of the driver {subject} is there is not known[: {file}]",
    FindingKind.NOT_BOOT_START: "the driver {subject} does not start at boot (Start[ = {start}])",
    FindingKind.START_UNREADABLE: "the Start value of the driver {subject} cannot be read",
    FindingKind.OVERRIDDEN: "the driver {subject} is switched off by its StartOverride key[ ({overrides})]",
    FindingKind.NO_INBOX_DRIVER: "this Windows has no driver for {subject}[ ({device})]",
    FindingKind.ID_MATCHED: "Windows knows the device {subject}[ through {found}]",
    FindingKind.ID_UNMATCHED: "Windows has no driver listed for the device {subject}",
    FindingKind.ID_UNKNOWN: "whether Windows finds a driver for the device {subject} is not known",
    FindingKind.DEVICE_DISABLED: "the device {subject} is disabled in Windows",
    FindingKind.INSTALLATION_RESTRICTED: "the group policy {subject} forbids Windows to install[ {device}]",
    FindingKind.THIRD_PARTY_BOUND: "the third-party driver {subject}[ ({inf})] would take[ {device}]",
    FindingKind.FILTER_READY: "the filter {subject} starts at boot",
    FindingKind.FILTER_XEN: "the Xen filter {subject} is in[ the {side}] filters[ of {class}]",
    FindingKind.FILTER_DANGLING: "the filter {subject} is in[ the {side}] filters[ of {class}] but cannot load[: {cause}]",
    FindingKind.FILTER_NOT_UNDERSTOOD: "the filter list {subject} is not understood[: {cause}]",
    FindingKind.FILTER_MISSING: "the filter {subject} is missing[ in the filters of {class}]",
    FindingKind.XEN_STARTS_AT_BOOT: "the Xen driver {subject} starts at boot",
    FindingKind.XEN_QUIET: "no Xen driver starts at boot",
    FindingKind.XEN_UNIDENTIFIED: "the service {subject} may be a Xen driver, but is not known",
}
