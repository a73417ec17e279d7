# SPDX-License-Identifier: Apache-2.0
"""A wrong row is refused with file, row and field; a right one of an administrator is added to ours or takes the place of one."""

import re
from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.knowledge.layout import TABLES
from unxen.knowledge.loader import HERE, load_knowledge
from unxen.knowledge.tables import NEWEST
from unxen.model.reason import ReasonKind
from unxen.report.messages import tell_reason

DOCS = Path(__file__).resolve().parents[2] / "docs"
FILE = "/etc/unxen/knowledge.d/site.toml"
SOURCED = "confidence = 'hive'\nwhy = 'seen here'\nsource = 'our own hive'"
SERVICE = f"[[xen_service]]\nname = 'acmexen'\nfamilies = ['xcpng']\nrole = 'disk'\nstart_after = 4\n{SOURCED}"
FILTER = f"[[xen_filter]]\nname = 'acmexen'\nfamilies = ['xcpng']\n{SOURCED}"
FAMILY = (
    "[[family]]\nid = 'acme'\nname = 'Acme Xen drivers'\nconfidence = 'hive'\ntell = 'service acmexen'\nsource = 'our own hive'"
)
DEVICE = r"""[[xen_device]]
prefix = 'ACMEXEN\'
families = ['xcpng']
why = 'seen here'
source = 'our own hive'"""
SETTING = r"""[[xen_setting]]
key = 'Services\xenfilt\Acme'
action = 'clear'
families = ['xcpng']
why = 'seen here'
source = 'our own hive'"""
CONTROLLER = rf"""[[controller]]
service = 'acmeraid'
bus = 'scsi-lsi'
nt_from = '6.1'
ids = ['PCI\VEN_1000&DEV_0012']
inbox = false
{SOURCED}"""
CLASS = """[[class]]
guid = '{4d36e965-e325-11ce-bfc1-08002be10318}'
name = 'CDROM'
why = 'seen here'
source = 'our own hive'"""


def refusal(text: str) -> Refused:
    with pytest.raises(Refused) as caught:
        load_knowledge([(FILE, text)])
    return caught.value


def test_our_tables_are_right_and_every_row_has_reason_and_source():
    knowledge = load_knowledge()
    for table in TABLES:
        rows = getattr(knowledge, table.field)
        assert rows, table.heading
        assert all(row.source for row in rows)
        assert all(row.why for row in rows if hasattr(row, "why"))


def test_sentences_beside_edits_begin_and_end_as_sentences():
    knowledge = load_knowledge()
    for row in (*knowledge.xen_services, *knowledge.xen_filters, *knowledge.xen_settings, *knowledge.critical_rows):
        assert row.why[0].isupper() and row.why.endswith("."), row


def test_rows_of_an_administrator_are_added():
    text = "\n".join((FAMILY, SERVICE, FILTER, DEVICE, SETTING, CONTROLLER, CLASS)).replace("xcpng", "acme")
    knowledge = load_knowledge([(FILE, text)])
    assert [row.name for row in knowledge.xen_services if row.families == ("acme",)] == ["acmexen"]
    assert [row.name for row in knowledge.xen_filters if row.families == ("acme",)] == ["acmexen"]
    assert [row.service for row in knowledge.controllers if row.bus.value == "scsi-lsi"] == ["acmeraid"]
    assert len(knowledge.xen_services) == len(load_knowledge().xen_services) + 1


def test_a_row_with_the_same_key_takes_the_place_of_ours_whatever_its_case():
    ours = load_knowledge().xen_services
    theirs = load_knowledge([(FILE, SERVICE.replace("acmexen", "XenVIF"))]).xen_services
    assert len(ours) == len(theirs)
    assert [(row.name, row.start_after) for row in theirs if row.name.lower() == "xenvif"] == [("XenVIF", 4)]


def test_the_last_file_wins():
    later = ("/etc/unxen/knowledge.d/z.toml", SERVICE.replace("= 4", "= 3"))
    knowledge = load_knowledge([(FILE, SERVICE), later])
    assert [row.start_after for row in knowledge.xen_services if row.name == "acmexen"] == [3]


def test_a_version_without_build_means_all_of_its_builds():
    text = CONTROLLER.replace("nt_from = '6.1'", "nt_from = '6.1'\nnt_to = '10.0'")
    row = next(row for row in load_knowledge([(FILE, text)]).controllers if row.service == "acmeraid")
    assert (row.nt_from, row.nt_to) == ((6, 1, 0), (10, 0, NEWEST[2]))


def test_the_longest_prefix_of_a_device_comes_first():
    lengths = [len(row.prefix) for row in load_knowledge([(FILE, DEVICE)]).xen_devices]
    assert lengths == sorted(lengths, reverse=True)


def test_what_may_be_left_out_has_its_default():
    row = next(row for row in load_knowledge().xen_services if row.name == "xen")
    assert (row.start_after, row.proof, row.images) == (None, (), ())


# text, row as told, field, a word of the problem
WRONG = {
    "no-toml": ("[[xen_service]\n", "", "", "line 1"),
    "unknown-table": ("[[xen_servise]]\nname = 'x'", "xen_servise", "", "not a table"),
    "not-an-array": ("[xen_service]\nname = 'x'", "xen_service", "", "not a table"),
    "loose-value": ("xen_service = ['acmexen']", "xen_service 1", "", "must be a table"),
    "unknown-field": (f"{SERVICE}\nstart = 4", "xen_service 1 (acmexen)", "start", "not a field"),
    "missing-field": (SERVICE.replace("role = 'disk'\n", ""), "xen_service 1 (acmexen)", "role", "missing"),
    "missing-name": (SERVICE.replace("name = 'acmexen'\n", ""), "xen_service 1", "name", "missing"),
    "missing-source": (SERVICE.replace("source = 'our own hive'", ""), "xen_service 1 (acmexen)", "source", "missing"),
    "number-as-text": (SERVICE.replace("= 4", "= '4'"), "xen_service 1 (acmexen)", "start_after", "whole number"),
    "truth-as-number": (SERVICE.replace("= 4", "= true"), "xen_service 1 (acmexen)", "start_after", "whole number"),
    "number-as-truth": (f"{FAMILY}\ndual_use = 1", "family 1 (acme)", "dual_use", "true or false"),
    "text-as-list": (SERVICE.replace("['xcpng']", "'xcpng'"), "xen_service 1 (acmexen)", "families", "list"),
    "text-as-number": (SERVICE.replace("'acmexen'", "7"), "xen_service 1", "name", "text"),
    "empty-text": (SERVICE.replace("'seen here'", "''"), "xen_service 1 (acmexen)", "why", "empty"),
    "control-character": (SERVICE.replace("'seen here'", '"a\\u001b[2Jb"'), "xen_service 1 (acmexen)", "why", "control"),
    "too-long": (SERVICE.replace("seen here", "x" * 301), "xen_service 1 (acmexen)", "why", "longer"),
    "unknown-role": (SERVICE.replace("'disk'", "'dish'"), "xen_service 1 (acmexen)", "role", "one of bus, filter"),
    "named-twice": (SERVICE.replace("['xcpng']", "['xcpng', 'XCPNG']"), "xen_service 1 (acmexen)", "families", "twice"),
    "starts-earlier": (SERVICE.replace("= 4", "= 0"), "xen_service 1 (acmexen)", "start_after", "3, 4"),
    "name-with-path": (SERVICE.replace("acmexen", r"acme\xen"), r"xen_service 1 (acme\xen)", "name", "plain name"),
    "unknown-family": (SERVICE.replace("xcpng", "acme"), "xen_service 1 (acmexen)", "families", "not the id"),
    "row-twice": (f"{SERVICE}\n{SERVICE}", "xen_service 2 (acmexen)", "name", "twice in this file"),
    "filter-without-service": (FILTER, "xen_filter 1 (acmexen)", "name", "not a service"),
    "switches-off-windows": (SERVICE.replace("acmexen", "PartMgr"), "xen_service 1 (PartMgr)", "name", "Windows needs"),
    "switches-off-virtio": (SERVICE.replace("acmexen", "viostor"), "xen_service 1 (viostor)", "name", "Windows needs"),
    "whole-bus": (DEVICE.replace(r"ACMEXEN\ "[:-1], r"PCI\ "[:-1]), r"xen_device 1 (PCI\)", "prefix", "all devices"),
    "no-bus": (DEVICE.replace(r"ACMEXEN\ "[:-1], "ACMEXEN"), "xen_device 1 (ACMEXEN)", "prefix", "backslash"),
    "setting-elsewhere": (SETTING.replace("Services", "Control"), r"xen_setting 1 (Control\xenfilt\Acme)", "key", "below Services"),
    "setting-of-windows": (SETTING.replace("xenfilt", "disk"), r"xen_setting 1 (Services\disk\Acme)", "key", "not a service"),
    "service-key-itself": (SETTING.replace(r"\Acme", ""), r"xen_setting 1 (Services\xenfilt)", "key", "never deleted"),
    "unknown-action": (SETTING.replace("clear", "delete"), r"xen_setting 1 (Services\xenfilt\Acme)", "action", "clear, keep"),
    "xen-bus": (CONTROLLER.replace("scsi-lsi", "xen"), "controller 1 (acmeraid)", "bus", "QEMU emulates"),
    "no-version": (CONTROLLER.replace("'6.1'", "'seven'"), "controller 1 (acmeraid)", "nt_from", "version"),
    "backwards": (f"{CONTROLLER}\nnt_to = '6.0'", "controller 1 (acmeraid)", "nt_to", "older"),
    "no-ids": (CONTROLLER.replace(r"['PCI\VEN_1000&DEV_0012']", "[]"), "controller 1 (acmeraid)", "ids", "not be empty"),
    "id-with-hash": (CONTROLLER.replace(r"PCI\V", "PCI#V"), "controller 1 (acmeraid)", "ids", "device id"),
    "unknown-requirement": (f"{CONTROLLER}\nrequires = ['atapy']", "controller 1 (acmeraid)", "requires", "atapy"),
    "no-guid": (CLASS.replace("{4d36e965", "{4d36e96"), "class 1 ({4d36e96-e325-11ce-bfc1-08002be10318})", "guid", "class GUID"),
    "unknown-link": (f"{CLASS}\nlinks = ['disks']", "class 1 ({4d36e965-e325-11ce-bfc1-08002be10318})", "links", "buses"),
}


@pytest.mark.parametrize(("text", "row", "field", "problem"), WRONG.values(), ids=WRONG)
def test_a_wrong_row_is_named_with_file_row_and_field(text: str, row: str, field: str, problem: str):
    reason = refusal(text).first
    assert (reason.kind, reason.subject) == (ReasonKind.KNOWLEDGE_INVALID, FILE)
    assert (reason.detail("row"), reason.detail("field")) == (row, field)
    assert problem in reason.detail("problem")


def test_every_wrong_row_is_named_at_once():
    text = f"{SERVICE}\nstart = 4\n{FILTER.replace('xcpng', 'x y')}\n[[what]]"
    assert [reason.detail("row") for reason in refusal(text).reasons] == ["xen_service 1 (acmexen)", "what"]


def test_an_unusable_class_of_a_row_is_named():
    text = CONTROLLER.replace("controller]]", "emulated]]").replace("service = 'acmeraid'", "board = 'q35'")
    text = text.replace("nt_from = '6.1'\n", "class_guid = '{00000000-0000-0000-0000-000000000000}'\n").replace(
        "inbox = false\n", ""
    )
    reason = refusal(text.replace("confidence = 'hive'\n", "")).first
    assert (reason.detail("row"), reason.detail("field")) == ("emulated 1 (scsi-lsi)", "class_guid")
    reason = refusal(text.replace("confidence = 'hive'\n", "").replace("q35", "q36")).first
    assert reason.detail("field") == "board"


def test_the_sentence_tells_file_row_and_field():
    told = tell_reason(refusal(f"{SERVICE}\nstart = 4").first)
    assert all(part in told.what for part in (FILE, "xen_service 1 (acmexen)", "start", "not a field"))


def test_the_example_of_the_documentation_does_what_it_says():
    text = (DOCS / "knowledge.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    knowledge = load_knowledge([("acme.toml", example)])
    assert [row.name for row in knowledge.xen_services if row.families == ("acme",)] == ["acmebus", "acmefilt", "GuestHelper"]
    # The error that it shows is the one that is given.
    wrong = example.replace("role = 'filter'\nstart_after = 4", "role = 'filter'\nstart_after = 2")
    with pytest.raises(Refused) as caught:
        load_knowledge([("/etc/unxen/knowledge.d/acme.toml", wrong)])
    assert tell_reason(caught.value.first).what in text


def test_the_documentation_names_every_table_and_file():
    text = (DOCS / "knowledge.md").read_text(encoding="utf-8")
    assert all(f"`[[{table.heading}]]`" in text for table in TABLES)
    assert all(path.name in text for path in HERE.glob("*.toml"))
