# SPDX-License-Identifier: Apache-2.0
"""The one place where values become sentences; everybody else carries kinds and fields.

Touches nothing, never fails: a kind without a row or a row without its fields still gives something readable. What comes out is
escaped. The tables stand beside: reason_messages, finding_messages, note_messages, step_messages.
"""

from unxen.model.definition import DefinitionChange
from unxen.model.ids import Bus
from unxen.model.judgement import Finding, FindingKind, LinkName, LinkState, Note
from unxen.model.progress import Remark, Step
from unxen.model.reason import Details, Reason
from unxen.model.record import dataclass
from unxen.report.escape import clipped
from unxen.report.finding_messages import CAUSE_WORDS, FINDING_TEXTS, LINK_TITLES
from unxen.report.first_start_messages import FIRST_START_TEXTS
from unxen.report.note_messages import LOG_ENDS, LOG_USES, NOTE_TEXTS, REMARK_TEXTS
from unxen.report.reason_messages import REASON_TEXTS
from unxen.report.state_messages import ACCEPT_WORDS, CLOCK_WORDS, KEY_FILE_WORDS, KEY_WORDS, OBSTACLE_WORDS, PENDING_WORDS
from unxen.report.step_messages import DEFINITION_PARTS, RULE_TITLES, STEP_TITLES
from unxen.report.template import fields_of, fill


@dataclass(frozen=True)
class Told:
    """A reason in words; `cause` may be empty, the others never are."""

    what: str
    cause: str
    remedy: str


def tell_reason(reason: Reason) -> Told:
    """What happened, why, and what to do."""
    row = REASON_TEXTS[reason.kind]
    fields = fields_of(
        reason.subject, _in_words(reason.details), trouble=_trouble(reason), accept=ACCEPT_WORDS.get(reason.detail("obstacle"), "")
    )
    what = fill(row.what, fields) or reason.kind.value
    return Told(what, _sentence(fill(row.cause, fields)), _sentence(fill(row.remedy, fields)))


def _in_words(details: Details) -> Details:
    """Details whose short values have a longer form."""
    return tuple((name, _word(name, value)) for name, value in details)


def _word(name: str, value: str) -> str:
    if name in _BYTES and value.isdecimal() and len(value) < 20:
        return f"{int(value) / (1 << 20):.1f} MiB"
    if name == "logs":
        return ", ".join(_log_word(each) for each in value.split(", "))
    return _WORDS[name].get(value, value) if name in _WORDS else value


def _log_word(text: str) -> str:
    """`SYSTEM.LOG1=stale` as people say it."""
    name, _, use = text.rpartition("=")
    return f"{name}: {_LOG_USES.get(use, use)}" if name else _LOG_USES.get(use, use)


def _trouble(reason: Reason) -> str:
    """The finding that a refusal names by its kind, as a sentence."""
    kind = _FINDINGS.get(reason.detail("finding"))
    return tell_finding(Finding(kind, LinkState.BROKEN, reason.detail("about"))) if kind else ""


_LOG_USES = {"none": "there are none", **{each.value: text for each, text in LOG_USES.items()}}
_FINDINGS = {each.value: each for each in FindingKind}
_BYTES = ("needed", "free")
_FIRMWARE = {"bios": "BIOS", "uefi": "UEFI", "bios, uefi": "BIOS and UEFI"}
_ABOUT_FIRMWARE = (FindingKind.FIRMWARE_FITS, FindingKind.FIRMWARE_DIFFERS, FindingKind.FIRMWARE_UNKNOWN)
_WORDS: dict[str, dict[str, str]] = {
    "cause": CAUSE_WORDS,
    "what": CAUSE_WORDS,
    "found": _FIRMWARE,
    "firmware": _FIRMWARE,
    "obstacle": OBSTACLE_WORDS,
    "key": KEY_WORDS,
    "problem": KEY_FILE_WORDS,
    "pending": PENDING_WORDS,
    "ended": {each.value: text for each, text in LOG_ENDS.items()},
    "needs": CLOCK_WORDS,
    "shown": CLOCK_WORDS,
    "link": {each.value: title for each, title in LINK_TITLES.items()},
}


def tell_finding(finding: Finding) -> str:
    """One observation about a link."""
    subject = _FIRMWARE.get(finding.subject, finding.subject) if finding.kind in _ABOUT_FIRMWARE else finding.subject
    return fill(FINDING_TEXTS[finding.kind], fields_of(subject, _in_words(finding.details), key=finding.key))


def tell_note(note: Note) -> str:
    """One thing that a person should know."""
    text = NOTE_TEXTS.get(note.kind) or FIRST_START_TEXTS[note.kind]
    return fill(text, fields_of(note.subject, _in_words(note.details)))


def tell_remark(remark: Remark) -> str:
    """One remark on the way."""
    template = REMARK_TEXTS.get(remark.kind, "{subject}[: {cause}]")
    return fill(template, fields_of(remark.kind, remark.details))


def tell_definition(change: DefinitionChange) -> str:
    """One change of a guest's definition: `bus of vda: xen to sata`."""
    before, after = clipped(change.before), clipped(change.after)
    what = f"{before} to {after}" if before and after else f"{after} added" if after else f"{before} removed"
    return f"{DEFINITION_PARTS[change.part]} of {clipped(change.subject)}: {what}"


def link_title(name: LinkName) -> str:
    """The link as people call it."""
    return LINK_TITLES[name]


def step_title(step: Step) -> str:
    """The step as people call it."""
    return STEP_TITLES[step]


def rule_title(rule: str) -> str:
    """The rule as people call it."""
    return RULE_TITLES.get(rule, rule.replace("_", " "))


# How the bus is called by libvirt and in Proxmox, for people who will attach the disk.
_BUS_WORDS = {
    Bus.SATA: "sata (AHCI)",
    Bus.VIRTIO_BLK: "virtio-blk (called virtio)",
    Bus.VIRTIO_SCSI: "virtio-scsi (called scsi)",
}


def bus_words(bus: Bus) -> str:
    """The bus with the name under which platforms offer it."""
    return _BUS_WORDS.get(bus, bus.value)


def _sentence(text: str) -> str:
    """Text with a capital letter and a full stop, unless it begins with a name or ends with punctuation."""
    if not text:
        return ""
    ended = text if text[-1] in ".!?" else f"{text}."
    return ended if ended.startswith(("unxen", "qemu-", "compact", "manage-")) else ended[0].upper() + ended[1:]
