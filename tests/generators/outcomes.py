# SPDX-License-Identifier: Apache-2.0
"""Outcomes made by hand, for tests of what people and scripts get to see; no disk, no judge."""

from dataclasses import replace

from unxen.model.edit import Action, Edit, InstallationPlan, Plan
from unxen.model.facts import GuestFacts, Installation
from unxen.model.hive_facts import HiveFacts, LogFacts, LogUse
from unxen.model.ids import (
    Architecture,
    Bus,
    ControlSetNumber,
    DiskNumber,
    Firmware,
    GuestPath,
    InstallationId,
    KeyPath,
    Missing,
    Offset,
    PartitionNumber,
    PlanId,
)
from unxen.model.judgement import (
    Chain,
    Finding,
    FindingKind,
    InstallationJudgement,
    Judgement,
    Link,
    LinkName,
    LinkState,
    Note,
    NoteKind,
    Verdict,
    XenFinding,
    XenPart,
)
from unxen.model.outcome import Outcome
from unxen.model.reason import Reason
from unxen.model.registry_facts import RegistryValue, SelectFacts, SystemFacts, WindowsFacts
from unxen.model.volume_facts import (
    BootFile,
    Content,
    DiskFacts,
    FileRecord,
    Hibernation,
    JournalState,
    Partition,
    Run,
    Scheme,
    Volume,
)

ID = InstallationId(r"1:1:\Windows")
DISK, PART = DiskNumber(1), PartitionNumber(1)
CLASS = r"ControlSet001\Control\Class\{4D36E97D-E325-11CE-BFC1-08002BE10318}"


def multi(*names: str) -> RegistryValue:
    return RegistryValue(7, ("\0".join(names) + "\0\0").encode("utf-16-le"))


def dword(number: int) -> RegistryValue:
    return RegistryValue(4, number.to_bytes(4, "little"))


def link(name: LinkName, *findings: Finding) -> Link:
    states = {each.state for each in findings}
    order = (LinkState.BROKEN, LinkState.UNKNOWN)
    return Link(name, next((state for state in order if state in states), LinkState.HOLDS), findings)


def ready(subject: str) -> Finding:
    return Finding(FindingKind.DRIVER_READY, LinkState.HOLDS, subject, rf"ControlSet001\Services\{subject}")


def broken_chain(bus: Bus, number: int = 1) -> Chain:
    overridden = Finding(
        FindingKind.OVERRIDDEN,
        LinkState.BROKEN,
        "storahci",
        rf"ControlSet{number:03}\Services\storahci\StartOverride",
        (("overrides", "0 = 3"),),
    )
    xenfilt = Finding(FindingKind.FILTER_XEN, LinkState.BROKEN, "XENFILT", CLASS, (("side", "upper"), ("class", "System")))
    links = (
        link(LinkName.FIRMWARE, Finding(FindingKind.FIRMWARE_UNKNOWN, LinkState.UNKNOWN, "", "", (("found", "bios"),))),
        link(LinkName.BUSES, ready("ACPI"), ready("pci"), xenfilt),
        link(LinkName.CONTROLLER, overridden),
        link(LinkName.CONTROLLER_FILTERS),
        link(LinkName.DISK, *(ready(name) for name in ("disk", "partmgr", "volmgr", "mountmgr", "volsnap", "fvevol"))),
        link(LinkName.XEN, Finding(FindingKind.XEN_STARTS_AT_BOOT, LinkState.BROKEN, "xenbus")),
    )
    return Chain(ID, ControlSetNumber(number), bus, links, mendable=True)


def whole_chain(bus: Bus) -> Chain:
    links = tuple(link(name, ready("disk")) for name in LinkName)
    return Chain(ID, ControlSetNumber(1), bus, links, mendable=True)


def hopeless_chain(bus: Bus) -> Chain:
    absent = Finding(FindingKind.SERVICE_ABSENT, LinkState.BROKEN, "viostor")
    return Chain(ID, ControlSetNumber(1), bus, (link(LinkName.CONTROLLER, absent),), mendable=False)


def edits() -> tuple[Edit, ...]:
    def edit(action: Action, number: int, tail: str, name: str | None, rule: str, **more: object) -> Edit:
        made = Edit(
            action,
            ControlSetNumber(number),
            KeyPath(rf"ControlSet{number:03}\{tail}"),
            name,
            None,
            None,
            None,
            rule,
            "a reason that somebody wrote into a table",
            "article:8",
            True,
        )
        return replace(made, **more)

    tail = CLASS.partition("\\")[2]
    change = Action.SET_VALUE
    return (
        edit(change, 1, tail, "UpperFilters", "class_filters", before=multi("XENFILT", "other"), after=multi("other")),
        edit(change, 2, tail, "UpperFilters", "class_filters", before=multi("XENFILT", "other"), after=multi("other")),
        edit(Action.DELETE_VALUE, 1, tail, "LowerFilters", "class_filters", before=multi("scsifilt")),
        edit(change, 1, r"Services\xenbus", "Start", "xen_services", before=dword(0), after=dword(4)),
        edit(change, 1, r"Services\xennet", "Start", "xen_services", before=dword(1), after=dword(3), required=False),
        edit(Action.DELETE_KEY, 1, r"Services\storahci\StartOverride", None, "overrides"),
    )


def facts(product: str = "Windows 10 Pro", root: str = r"\Windows") -> GuestFacts:
    select = SelectFacts(1, 1, 0, Missing.ABSENT)
    record = FileRecord(41, 3, Offset(1 << 20), 4096, 4096, 4096, (Run(7, 1),), *[False] * 6, complete=True)
    installation = Installation(
        id=ID,
        disk=DISK,
        partition=PART,
        root=GuestPath(root),
        hive_path=GuestPath(root + r"\System32\config\SYSTEM"),
        record=record,
        hive=HiveFacts(4096, 4096, (1, 5), 7, 7, True, 7, (LogFacts("SYSTEM.LOG1", 7, LogUse.NOT_NEEDED),), None),
        windows=WindowsFacts(product, (10, 0, 19041), Architecture.AMD64, Missing.UNREADABLE, "SOFTWARE"),
        system=SystemFacts(select, (), (), True, (), False, ()),
        troubles=(),
    )
    partition = Partition(DISK, PART, "07", Offset(1 << 20), 160 << 20, True, Content.NTFS)
    volume = Volume(
        DISK,
        PART,
        Offset(1 << 20),
        160 << 20,
        4096,
        512,
        255,
        "A1B2",
        Missing.UNREADABLE,
        JournalState.CLEAN,
        Hibernation.ABSENT,
    )
    boot = BootFile(DISK, PART, GuestPath(r"\bootmgr"), Firmware.BIOS)
    return GuestFacts((DiskFacts(DISK, 161 << 20, Scheme.MBR, (partition,), (volume,), (boot,)),), (installation,))


def judgement(verdict: Verdict, *chains: Chain, plan: tuple[Edit, ...] = (), reasons: tuple[Reason, ...] = ()) -> Judgement:
    xen = (
        XenFinding(XenPart.SERVICE, ControlSetNumber(1), "xenbus", r"ControlSet001\Services\xenbus", ("xcpng8", "citrix8"), True),
        XenFinding(XenPart.FILTER, ControlSetNumber(1), "XENFILT", CLASS, ("xcpng8",), True),
        XenFinding(XenPart.SERVICE, ControlSetNumber(1), "xennet", r"ControlSet001\Services\xennet", ("gplpv",), False),
    )
    bus = chains[0].bus if chains else Bus.UNKNOWN
    notes = (
        Note(NoteKind.ARTICLE_SERVICE, "iaStorV", (("state", "not installed"),)),
        Note(NoteKind.FIXED_ADDRESS, "LAN <1>", (("addresses", "192.0.2.10"), ("dns", "192.0.2.53"))),
    )
    one = InstallationJudgement(ID, verdict, bus, chains, xen if chains else (), reasons, notes, False)
    made = Plan(PlanId("3f9a0b1c2d3e4f5a"), bus, (InstallationPlan(ID, plan),) if plan else ())
    return Judgement(verdict, bus, (one,), made, reasons)


TIMINGS = (("look", 0.1234), ("decide", 0.01))


def repairable(verb: str = "inspect") -> Outcome:
    chains = (broken_chain(Bus.SATA), broken_chain(Bus.SATA, 2), whole_chain(Bus.IDE), hopeless_chain(Bus.VIRTIO_BLK))
    made = judgement(Verdict.REPAIRABLE, *chains, plan=edits())
    return Outcome(verb, ("windows.qcow2",), Verdict.REPAIRABLE, facts(), made, timings=TIMINGS)


def healthy(verb: str = "inspect") -> Outcome:
    return Outcome(verb, ("windows.qcow2",), Verdict.HEALTHY, facts(), judgement(Verdict.HEALTHY, whole_chain(Bus.SATA)))


def repaired() -> Outcome:
    made = judgement(Verdict.REPAIRED, broken_chain(Bus.SATA), plan=edits())
    return Outcome(
        "repair",
        ("windows.qcow2",),
        Verdict.REPAIRED,
        facts(),
        made,
        changed=True,
        entry=7,
        delivery="appliance",
        timings=TIMINGS,
        after=judgement(Verdict.HEALTHY, whole_chain(Bus.SATA)),
    )


def refused(*reasons: Reason, verb: str = "inspect") -> Outcome:
    return Outcome(verb, ("windows.qcow2",), Verdict.REFUSED, facts(), judgement(Verdict.REFUSED, reasons=reasons), reasons=reasons)


def bare(*reasons: Reason, verb: str = "repair") -> Outcome:
    return Outcome(verb, ("windows.qcow2",), Verdict.REFUSED, reasons=reasons)


def no_windows() -> Outcome:
    return Outcome("inspect", ("data.raw",), Verdict.NO_WINDOWS, replace(facts(), installations=()), judgement(Verdict.NO_WINDOWS))
