# SPDX-License-Identifier: Apache-2.0
"""The JSON document keeps to its published schema, whatever happened and whatever a guest calls its things."""

import json
from dataclasses import replace
from enum import Enum
from importlib.resources import files

import jsonschema
import pytest
from generators import outcomes
from unxen.model.definition import DefinitionPart
from unxen.model.edit import Action
from unxen.model.hive_facts import HiveState, LogEnd, LogUse
from unxen.model.ids import Architecture, Bus, Firmware, Missing
from unxen.model.judgement import FindingKind, LinkName, LinkState, NoteKind, Verdict, XenPart
from unxen.model.reason import ReasonKind, reason
from unxen.model.volume_facts import Content, Hibernation, JournalState, Scheme
from unxen.report.json import document, dumps

SCHEMA = json.loads(files("unxen.report").joinpath("outcome.schema.json").read_text())
NASTY = "a\x1b[2J\u202e\n\ud800\x7f"

OUTCOMES = {
    "repairable": outcomes.repairable(),
    "plan": outcomes.repairable("plan"),
    "healthy": outcomes.healthy(),
    "repaired": outcomes.repaired(),
    "dry-run": replace(outcomes.repairable("repair"), dry_run=True),
    "refused": outcomes.refused(reason(ReasonKind.HIBERNATED, outcomes.ID)),
    "bare": outcomes.bare(reason(ReasonKind.DISK_MISSING, "x.qcow2")),
    "no-windows": outcomes.no_windows(),
    "undone": outcomes.healthy("undo"),
}


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


@pytest.mark.parametrize("name", OUTCOMES)
def test_document_keeps_to_the_schema(name: str, validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(json.loads(dumps(OUTCOMES[name])))


def test_schema_lets_nothing_unknown_through(validator: jsonschema.Draft202012Validator) -> None:
    made = document(outcomes.repairable())
    made["chains"][0]["surprise"] = 1
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(made)


@pytest.mark.parametrize("kind", ReasonKind)
def test_every_reason_keeps_to_the_schema(kind: ReasonKind, validator: jsonschema.Draft202012Validator) -> None:
    made = document(outcomes.bare(reason(kind)))
    validator.validate(made)
    assert made["exit_code"] == made["reasons"][0]["exit_code"]


def enumerations(node: object) -> set[frozenset[str]]:
    """Every enum of the schema."""
    if isinstance(node, dict):
        own = {frozenset(node["enum"])} if "enum" in node else set()
        return own.union(*(enumerations(each) for each in node.values()))
    return set().union(*(enumerations(each) for each in node)) if isinstance(node, list) else set()


@pytest.mark.parametrize(
    "kind",
    (
        *(ReasonKind, NoteKind, FindingKind, LinkName, LinkState, XenPart, Verdict, Action, Bus, DefinitionPart),
        *(Firmware, Architecture, Missing, Content, Hibernation, JournalState, Scheme, HiveState, LogUse, LogEnd),
    ),
)
def test_schema_knows_every_member_of_an_enum(kind: type[Enum]) -> None:
    assert frozenset(each.value for each in kind) in enumerations(SCHEMA)


def test_no_byte_of_a_guest_reaches_a_terminal_through_json() -> None:
    facts = outcomes.facts(product=NASTY, root=f"\\{NASTY}")
    text = dumps(replace(outcomes.repairable(), facts=facts))
    assert text.isascii()
    decoded = json.loads(text)
    shown = decoded["installations"][0]["windows"]["product"]
    assert shown.isprintable()
    assert shown == "a\\x1b[2J\\u202e\\x0a\\ud800\\x7f"


def test_many_guests_give_one_line_each() -> None:
    assert dumps(outcomes.repairable(), indent=None).count("\n") == 1


def test_failure_without_a_look_has_all_keys_of_a_success() -> None:
    assert document(outcomes.bare(reason(ReasonKind.DEFECT))).keys() == document(outcomes.repaired()).keys()
