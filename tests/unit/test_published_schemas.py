# SPDX-License-Identifier: Apache-2.0
"""Every JSON document has a published schema, is held to it, and the schemas are strict enough to notice what is wrong."""

import argparse
import copy
import fnmatch
import json
import re
from collections.abc import Iterator
from configparser import ConfigParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from generators import outcomes
from jsonschema import Draft202012Validator, ValidationError
from published import ENDING, checked, schemas, validator
from unxen.cli import hooks
from unxen.cli.arguments import VERBS
from unxen.cli.json_lines import JsonLines
from unxen.cli.main import main
from unxen.host.config import load_settings
from unxen.host.config_keys import KEYS
from unxen.host.hook_files import HookFiles, PieceState
from unxen.model.checkup import CheckState
from unxen.model.fix import Fix
from unxen.model.ids import Bus, Firmware, MachineType
from unxen.model.progress import Advanced, Remark, Step, StepBegun, StepEnded
from unxen.model.reason import ReasonKind, reason
from unxen.model.settings import Delivery, GuardPolicy, WatchPolicy
from unxen.platforms.proxmox.access import Task
from unxen.platforms.schemes import SCHEMES
from unxen.report.note_messages import REMARK_TEXTS
from unxen.workflow.history import remember_outcome

TOP = Path(__file__).resolve().parents[2]
USAGE = (TOP / "docs" / "usage.md").read_text()
EVENTS = [StepBegun(Step.EDIT), StepEnded(Step.EDIT, 0.5), Advanced(Step.COPY, 3, 8), Remark("waiting", (("seconds", "5"),))]


def table() -> dict[str, set[str]]:
    """Of the documentation: the commands whose document each schema describes."""
    rows = re.findall(rf"(?m)^\| (.*) \| `([a-z-]+){re.escape(ENDING)}` \|$", USAGE)
    return {name: set(re.findall(r"`([^`]+)`", commands)) for commands, name in rows}


def verbs_with_json() -> Iterator[str]:
    for verb, (_, options) in VERBS.items():
        parser = argparse.ArgumentParser()
        for each in options:
            each(parser)
        if "--json" in parser.format_usage():
            yield verb


def subschemas(value: Any, place: str = "") -> Iterator[tuple[str, dict]]:
    if isinstance(value, dict):
        yield place, value
        for key, each in value.items():
            yield from subschemas(each, f"{place}/{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from subschemas(each, f"{place}/{number}")


@pytest.mark.parametrize("name", sorted(schemas()))
def test_schema_is_right_named_like_its_file_and_documented(name: str) -> None:
    Draft202012Validator.check_schema(schemas()[name])
    assert schemas()[name]["$id"] == f"urn:unxen:{name}:1"
    assert name in table()


@pytest.mark.parametrize("name", sorted(schemas()))
def test_every_reference_leads_somewhere(name: str) -> None:
    check = validator(name)
    for _, each in subschemas(schemas()[name]):
        if isinstance(each.get("$ref"), str):
            base = check._resolver.lookup(schemas()[name]["$id"]).resolver
            assert isinstance(base.lookup(each["$ref"]).contents, dict)


# Parts of others, each of which is closed where it is used; and fields that depend on a kind.
OPEN = {"config/$defs/setting", "remote-report/$defs/marked", "outcome/$defs/details", "remote-inspect/properties/lacking"}


@pytest.mark.parametrize("name", sorted(schemas()))
def test_every_object_is_closed(name: str) -> None:
    objects = {
        f"{name}{place}": each for place, each in subschemas(schemas()[name]) if each.get("type") == "object" and len(each) > 1
    }
    closed = {
        place for place, each in objects.items() if False in (each.get("additionalProperties"), each.get("unevaluatedProperties"))
    }
    assert objects.keys() - closed <= OPEN


def test_schemas_are_shipped() -> None:
    parser = ConfigParser(interpolation=None)
    parser.read(TOP / "setup.cfg")
    shipped = re.split(r",\s*", parser["options.package_data"]["unxen.report"])
    assert all(any(fnmatch.fnmatch(name + ENDING, each) for each in shipped) for name in schemas())


@pytest.mark.parametrize("verb", list(verbs_with_json()))
def test_verb_with_json_has_a_documented_schema_and_keeps_to_it_when_misused(verb: str, capsys) -> None:
    assert any(verb == command.split()[0] for commands in table().values() for command in commands)
    assert main([verb, "--no-such-option", "--json"]) == 2
    document = checked("outcome", capsys.readouterr().out)
    assert (document["verb"], document["reasons"][0]["kind"]) == (verb, "usage")


def test_documented_commands_are_verbs_that_have_json() -> None:
    named = {command.split()[0] for commands in table().values() for command in commands}
    assert named - {"--log-json"} == set(verbs_with_json())


@pytest.fixture
def printed(tmp_path: Path, monkeypatch, capsys):
    """Calls a verb that ends well, or with a check that failed, and gives what it printed."""

    def call(*words: str) -> str:
        assert main([*words, "--json"]) in (0, *range(40, 60))
        return capsys.readouterr().out

    root = tmp_path / "host"
    files = HookFiles(TOP / "hooks", tmp_path / "hook-state", "/usr/bin/unxen", root)
    monkeypatch.setattr(hooks, "hook_files", lambda _settings: files)
    for each in (outcomes.repaired(), outcomes.healthy(), outcomes.refused(reason(ReasonKind.HIBERNATED, outcomes.ID))):
        remember_outcome(each, load_settings())
    return call


REAL = {
    "doctor": ("doctor",),
    "config": ("config", "show"),
    "report": ("report",),
    "hooks": ("hooks", "status", "libvirt"),
    "exit-codes": ("exit-codes",),
    "outcome": ("recover",),
}
HOST = [name for name in REAL if name != "outcome"]


@pytest.mark.parametrize("name", REAL)
def test_real_document_keeps_to_its_schema(printed, name: str) -> None:
    document = checked(name, printed(*REAL[name]))
    assert any(each for each in document.values() if isinstance(each, dict | list))


@pytest.mark.parametrize("name", HOST)
def test_document_that_lacks_a_key_has_another_or_a_wrong_value_is_noticed(printed, name: str) -> None:
    """At every place of a real document, not only at its top."""
    text = printed(*REAL[name])
    places = list(objects(json.loads(text)))
    for number, (_, fields) in enumerate(places):
        for key in fields:
            assert broken(name, text, number, lambda part, key=key: part.pop(key)), f"without {key}"
            assert broken(name, text, number, lambda part, key=key: part.update({key: {"other": 1}})), f"wrong {key}"
        assert broken(name, text, number, lambda part: part.update(surplus=1)), "with a key more"


def objects(value: Any) -> Iterator[tuple[dict, list[str]]]:
    """Objects that differ in their place or keys, without the outcomes inside, and the details of a reason, whose keys are free."""
    if isinstance(value, dict):
        yield value, list(value)
        for key, each in value.items():
            if key not in ("outcome", "details"):
                yield from objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from objects(each)


def broken(name: str, text: str, number: int, change) -> bool:
    document = copy.deepcopy(json.loads(text))
    change(list(objects(document))[number][0])
    return not validator(name).is_valid(document)


def test_outcome_inside_a_report_is_held_to_its_own_schema(printed) -> None:
    document = checked("report", printed("report"))
    document["guests"][0]["outcome"]["verdict"] = "perhaps"
    with pytest.raises(ValidationError):
        validator("report").validate(document)


def test_schema_of_the_configuration_knows_every_key() -> None:
    settings = schemas()["config"]["properties"]["settings"]
    assert set(settings["required"]) == set(settings["properties"]) == {"state_dir", *KEYS}


def test_every_value_of_the_configuration_has_a_place_in_the_schema(printed, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "unxen.toml"
    path.write_text("".join(f"{name} = {key.example}\n" for name, key in KEYS.items()))
    monkeypatch.setenv("UNXEN_CONFIG", str(path))
    settings = checked("config", printed("config", "show"))["settings"]
    assert [each["line"] for name, each in settings.items() if name in KEYS] == list(range(1, len(KEYS) + 1))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_line_of_progress_keeps_to_its_schema(event) -> None:
    stream = StringIO()
    JsonLines(stream, ("a.qcow2",))(event)
    line = checked("progress", stream.getvalue())
    for key in line:
        assert not validator("progress").is_valid({each: value for each, value in line.items() if each != key})
    assert not validator("progress").is_valid({**line, "surplus": 1})


HOOK_STATES = {*(each.value for each in PieceState), "replaced", "unchanged", "removed"}


@pytest.mark.parametrize(
    ("name", "place", "values"),
    [
        ("doctor", "/$defs/check/properties/state", {each.value for each in CheckState}),
        ("config", "/$defs/delivery/properties/value", {each.value for each in Delivery}),
        ("config", "/$defs/watch/properties/value", {each.value for each in WatchPolicy}),
        ("config", "/$defs/guard/properties/value", {each.value for each in GuardPolicy}),
        ("config", "/$defs/fixes/properties/value/items", {each.value for each in Fix}),
        ("hooks", "/$defs/row/properties/state", HOOK_STATES),
        ("hooks", "/properties/platform", set(SCHEMES)),
        ("remote-inspect", "/properties/machine", {each.value for each in MachineType}),
        ("remote-inspect", "/properties/firmware", {each.value for each in Firmware}),
        ("remote-inspect", "/properties/lacking/propertyNames", {each.value for each in Task}),
        ("outcome", "/$defs/bus", {each.value for each in Bus} - {"unknown"}),
        ("progress", "/$defs/step", {each.value for each in Step}),
        ("progress", "/$defs/remark", set(REMARK_TEXTS)),
    ],
)
def test_enumeration_is_that_of_the_program(name: str, place: str, values: set[str]) -> None:
    assert set(dict(subschemas(schemas()[name]))[place]["enum"]) == values
