# SPDX-License-Identifier: Apache-2.0
"""Names for what is done: steps of a repair, kinds of changes, and the rules that ask for them.

Touches nothing. One row per member of each enum (tests walk them).
"""

from unxen.model.definition import DefinitionPart
from unxen.model.edit import Action
from unxen.model.judgement import Verdict
from unxen.model.progress import Part, Step

STEP_TITLES: dict[Step, str] = {
    Step.LOCK: "lock the disks",
    Step.LOOK: "look into the disks",
    Step.DECIDE: "judge the boot path",
    Step.OVERLAY: "put an overlay over the disk",
    Step.EDIT: "edit the registry hive",
    Step.DELIVER: "deliver the hive into the file system",
    Step.VERIFY: "look again and compare",
    Step.UNDO_DATA: "keep the old bytes for undo",
    Step.COMMIT: "write to the disk",
    Step.RECOVER: "finish what was interrupted",
    Step.SWITCH: "switch the bus",
    Step.COPY: "copy the disks",
}

PART_TITLES: dict[Part, str] = {
    Part.START: "interpreter and command line",
    Part.TABLES: "knowledge tables",
    Part.VERB: "code of the verb",
    Part.BOXES: "waiting for boxes to live",
    Part.HEADERS: "image headers",
    Part.SERVER: "qemu-nbd: start and greeting",
    Part.DAEMON: "storage daemon: start",
    Part.BOX_START: "boxes: loading code (processor)",
    Part.BOX_READS: "boxes: reading the disks",
    Part.BOX_REGISTRY: "boxes: the registry's facts",
    Part.BOX_LOOK: "boxes: looks, reads included",
    Part.BOX_EDIT: "boxes: editing",
    Part.BOX_AUDIT: "boxes: audit of the hive as it was",
    Part.BOX_PROOF: "boxes: audit and comparison of the edited",
    Part.SECOND_LOOK: "second look",
    Part.PROOF: "waiting for audit and comparison",
    Part.CLUSTERS: "comparing clusters",
    Part.APPLIANCE: "appliance",
}

ACTION_WORDS: dict[Action, str] = {
    Action.SET_VALUE: "set",
    Action.DELETE_VALUE: "delete value",
    Action.DELETE_KEY: "delete key",
    Action.CREATE_KEY: "create key",
}

VERDICT_WORDS: dict[Verdict, str] = {
    Verdict.HEALTHY: "healthy",
    Verdict.REPAIRABLE: "repairable",
    Verdict.REPAIRED: "repaired",
    Verdict.RECOVERED: "recovered",
    Verdict.REFUSED: "refused",
    Verdict.NO_WINDOWS: "no Windows",
    Verdict.FAILED: "failed",
}

DEFINITION_PARTS: dict[DefinitionPart, str] = {
    DefinitionPart.DISK_BUS: "bus",
    DefinitionPart.DISK_FORMAT: "format",
    DefinitionPart.DISK_OPTION: "option",
    DefinitionPart.CONTROLLER: "controller",
    DefinitionPart.NIC_MODEL: "network card",
    DefinitionPart.FIRMWARE: "firmware",
    DefinitionPart.BOOT_ORDER: "boot order",
    DefinitionPart.CLOCK: "clock",
    DefinitionPart.XEN_SETTING: "setting of Xen",
}

# Keyed by the name of the rule's module in `plan/rules`.
RULE_TITLES: dict[str, str] = {
    "inbox_controllers": "Windows' own disk drivers on",
    "overrides": "StartOverride off",
    "xen_services": "Xen services off the boot path",
    "class_filters": "Xen filters out of device classes",
    "device_filters": "Xen filters out of single devices",
    "controllers_findable": "controllers findable",
    "processors": "processor drivers of the old host off",
    "xen_settings": "Xen settings cleared",
    "stock_filters": "Windows' own filters back",
    "data_disks": "data disks online",
    "crash_screen": "stop codes stay on the screen",
}
