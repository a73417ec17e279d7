# SPDX-License-Identifier: Apache-2.0
"""One JSON document per guest, on success and on failure alike, for whatever stands behind unxen in a pipe.

Touches nothing. The shape is `outcome.schema.json`, nothing beside it. Sentences stand next to kinds and fields, so nobody has to
phrase again. Every string is escaped like the text report, and the document is plain ASCII: no guest's bytes reach a terminal raw.
"""

import json
from typing import Any

from unxen import __version__
from unxen.model.codec import encode
from unxen.model.definition import DefinitionChange
from unxen.model.edit import Edit, Plan
from unxen.model.facts import GuestFacts, Installation
from unxen.model.ids import Bus, InstallationId
from unxen.model.judgement import Chain, InstallationJudgement, Judgement, Link, Note, XenFinding
from unxen.model.outcome import Outcome
from unxen.model.progress import Spent
from unxen.model.reason import Details, Reason
from unxen.model.registry_facts import RegistryValue, SystemFacts
from unxen.model.volume_facts import DiskFacts
from unxen.report.escape import visible
from unxen.report.exit_codes import REASON_CODES, exit_code
from unxen.report.messages import tell_definition, tell_finding, tell_note, tell_reason
from unxen.report.values import type_name, value_text

SCHEMA = 1
"""Grows when a key is removed or changes its meaning; added keys do not count."""

Document = dict[str, Any]


def dumps(outcome: Outcome, indent: int | None = 2) -> str:
    """The document as text with a line break at its end; `indent` None gives one line."""
    return json.dumps(escaped(document(outcome)), indent=indent, ensure_ascii=True) + "\n"


def escaped(value: Any) -> Any:
    """The same document with every string visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, list):
        return [escaped(each) for each in value]
    if isinstance(value, dict):
        return {visible(key): escaped(each) for key, each in value.items()}
    return value


def document(outcome: Outcome) -> Document:
    """The outcome as a document of the schema."""
    judgement, facts = outcome.judgement, outcome.facts
    return {
        "schema": SCHEMA,
        "version": __version__,
        "verb": outcome.verb,
        "target": list(outcome.target),
        "verdict": outcome.verdict.value,
        "exit_code": exit_code(outcome),
        "bus": _bus(judgement),
        "dry_run": outcome.dry_run,
        "changed": outcome.changed,
        "stale": facts.stale if facts else False,
        "reasons": [reason_document(each) for each in outcome.reasons],
        "notes": [_note(each) for each in outcome.notes],
        "disks": [_disk(each) for each in facts.disks] if facts else [],
        "installations": _installations(facts, judgement),
        "chains": [_chain(chain, of) for of in _judged(judgement) for chain in of.chains],
        "chains_after": [_chain(chain, of) for of in _judged(outcome.after) for chain in of.chains if chain.bus is of.bus],
        "xen": [_xen(each, of.installation) for of in _judged(judgement) for each in of.xen],
        "plan": _plan(judgement.plan) if judgement and not judgement.plan.empty else None,
        "definition": [definition_document(each) for each in outcome.definition],
        "switched": outcome.switched,
        "delivery": outcome.delivery or None,
        "undo": {"entry": outcome.entry} if outcome.entry is not None else None,
        "timings": [{"step": step, "seconds": round(seconds, 4)} for step, seconds in outcome.timings],
        "spent": [_spent(each) for each in outcome.spent],
    }


def _spent(each: Spent) -> dict[str, Any]:
    return {"part": each.part.value, "seconds": round(each.seconds, 4), "times": each.times, "bytes": each.amount}


def _bus(judgement: Judgement | None) -> str | None:
    return None if judgement is None or judgement.bus is Bus.UNKNOWN else judgement.bus.value


def _judged(judgement: Judgement | None) -> tuple[InstallationJudgement, ...]:
    return judgement.installations if judgement else ()


def _details(details: Details) -> Document:
    return dict(details)


def reason_document(reason: Reason) -> Document:
    """Why something was refused, as every document has it; strings not yet escaped."""
    told = tell_reason(reason)
    return {
        "kind": reason.kind.value,
        "exit_code": REASON_CODES[reason.kind],
        "subject": reason.subject,
        "details": _details(reason.details),
        "what": told.what,
        "cause": told.cause,
        "remedy": told.remedy,
    }


def _note(note: Note) -> Document:
    return {"kind": note.kind.value, "subject": note.subject, "details": _details(note.details), "text": tell_note(note)}


def definition_document(change: DefinitionChange) -> Document:
    """One change of a definition, as every document has it; strings not yet escaped."""
    return {
        "part": change.part.value,
        "subject": change.subject,
        "before": change.before or None,
        "after": change.after or None,
        "text": tell_definition(change),
    }


def _disk(disk: DiskFacts) -> Document:
    return {
        "number": disk.number,
        "size": disk.size,
        "scheme": disk.scheme.value,
        "partitions": [encode(each) for each in disk.partitions],
        "volumes": [encode(each) for each in disk.volumes],
        "boot_files": [encode(each) for each in disk.boot_files],
    }


def _installations(facts: GuestFacts | None, judgement: Judgement | None) -> list[Document]:
    judged = {each.installation: each for each in _judged(judgement)}
    return [_installation(each, judged.get(each.id)) for each in facts.installations] if facts else []


def _installation(seen: Installation, judged: InstallationJudgement | None) -> Document:
    return {
        "id": seen.id,
        "disk": seen.disk,
        "partition": seen.partition,
        "root": seen.root,
        "hive_path": seen.hive_path,
        "windows": encode(seen.windows),
        "hive": {"state": seen.hive.state.value, **encode(seen.hive)} if seen.hive else None,
        "control_sets": [each.number for each in seen.system.control_sets] if seen.system else [],
        "select": encode(seen.system.select) if seen.system else None,
        "network": _network(seen.system),
        "letters": [encode(each) for each in seen.system.letters] if seen.system else [],
        "page_files": list(seen.system.page_files) if seen.system else [],
        "first_start": encode(seen.system.deciding.first_start) if seen.system and seen.system.deciding else None,
        "verdict": judged.verdict.value if judged else None,
        "bus": judged.bus.value if judged and judged.bus is not Bus.UNKNOWN else None,
        "ran_on_kvm": judged.ran_on_kvm if judged else None,
        "cards": list(judged.cards) if judged else [],
        "reasons": [reason_document(each) for each in (judged.reasons if judged else seen.troubles)],
        "notes": [_note(each) for each in judged.notes] if judged else [],
    }


def _network(system: SystemFacts | None) -> list[Document]:
    """Network cards, and whatever else has fixed settings."""
    adapters = system.network.adapters if system and system.network else ()
    return [encode(each) for each in adapters if each.counts]


def _chain(chain: Chain, of: InstallationJudgement) -> Document:
    first = chain.first_broken
    return {
        "installation": chain.installation,
        "control_set": chain.control_set,
        "bus": chain.bus.value,
        "judged": chain.bus is of.bus,
        "whole": chain.whole,
        "mendable": chain.mendable,
        "first_broken": first.name.value if first else None,
        "links": [_link(each) for each in chain.links],
    }


def _link(link: Link) -> Document:
    findings = [
        {
            "kind": each.kind.value,
            "state": each.state.value,
            "subject": each.subject,
            "key": each.key,
            "details": _details(each.details),
            "text": tell_finding(each),
        }
        for each in link.findings
    ]
    return {"name": link.name.value, "state": link.state.value, "findings": findings}


def _xen(found: XenFinding, installation: InstallationId) -> Document:
    return {
        "installation": installation,
        "part": found.part.value,
        "control_set": found.control_set,
        "subject": found.subject,
        "key": found.key,
        "families": list(found.families),
        "evidence": found.evidence,
        "details": _details(found.details),
    }


def _plan(plan: Plan) -> Document:
    edits = [_edit(edit, each.installation) for each in plan.installations for edit in each.edits]
    return {"id": plan.id, "bus": plan.bus.value, "edits": edits}


def _edit(edit: Edit, installation: InstallationId) -> Document:
    return {
        "installation": installation,
        "action": edit.action.value,
        "control_set": edit.control_set,
        "key": edit.key,
        "value": edit.value_name,
        "before": _value(edit.before),
        "after": _value(edit.after),
        "rule": edit.rule,
        "why": edit.why,
        "source": edit.source,
        "required": edit.required,
    }


def _value(value: RegistryValue | None) -> Document | None:
    if value is None:
        return None
    return {"type": type_name(value.type), "type_number": value.type, "data": value.data.hex(), "text": value_text(value)}
