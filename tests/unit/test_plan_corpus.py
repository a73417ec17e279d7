# SPDX-License-Identifier: Apache-2.0
"""Real hives: without Xen they are healthy and nothing is planned; with a family planted they are mended, and only that."""

import json

import pytest
from generators.hives import add_family, plant
from generators.oddities import hexadecimal
from generators.reg_text import multi, wide
from unit.hive_guest import every_file, judged
from unxen.errors import Refused
from unxen.model.edit import Edit
from unxen.model.ids import Bus
from unxen.model.judgement import Judgement, NoteKind, Verdict, XenPart
from unxen.model.reason import ReasonKind
from unxen.registry.changes import expected_changes
from unxen.registry.diff import compare
from unxen.registry.editor import edit_hive

pytestmark = pytest.mark.corpus

XP, DELL_XP = "winxp-sp3-x86-virtualpc-iecompat/SYSTEM", "winxp-sp3-x86-dell-m57pat/SYSTEM"
SERVER_2003, SEVEN = "win2003-sp1-x86-vmware-dc/SYSTEM", "win7-sp1-x86-vmware-wks/SYSTEM"
EIGHT, DELL_10 = "win81-x64-virtualbox-dirty-nologs/SYSTEM", "win10-1709-x64-dell-dirty-logs/SYSTEM.recovered"
TEN = "win10-19041-x64-vmware/SYSTEM"
# The buses from which each could start as it is, by the hardware it ran on: none for machines whose controllers QEMU has not.
WHOLE = {
    XP: set(),
    DELL_XP: set(),
    SERVER_2003: set(),
    SEVEN: {Bus.IDE, Bus.SCSI_MPTSAS},
    EIGHT: {Bus.SATA},
    DELL_10: set(),
    TEN: {Bus.IDE, Bus.SATA, Bus.NVME},
}
# The sequence number to stamp where the hive was saved dirty and its logs were never published: past all it has.
SEQUENCES = {EIGHT: 300}


def edits(judgement: Judgement) -> tuple[Edit, ...]:
    return tuple(edit for each in judgement.plan.installations for edit in each.edits)


@pytest.mark.parametrize("name", WHOLE)
def test_a_real_windows_without_xen_is_healthy_and_nothing_is_planned(corpus, name: str) -> None:
    judgement = judged(corpus.read(name), every_file)
    (installation,) = judgement.installations
    assert (judgement.verdict, judgement.plan.empty, installation.xen) == (Verdict.HEALTHY, True, ())
    assert {chain.bus for chain in installation.chains if chain.whole} == WHOLE[name]
    assert not [note for note in installation.notes if note.kind in (NoteKind.EMPTIED_CLASS, NoteKind.MISSING_CLASS_FILTER)]
    assert not installation.ran_on_kvm


@pytest.mark.parametrize(
    ("name", "family", "bus"),
    [
        (DELL_XP, "gplpv_old", Bus.IDE),
        (XP, "citrix_legacy", Bus.IDE),
        (SERVER_2003, "redhat_xenpv", Bus.IDE),
        (SEVEN, "gplpv", Bus.SATA),
        (EIGHT, "xenserver_citrix_hypervisor", Bus.SATA),
        (TEN, "xcpng", Bus.SATA),
    ],
)
def test_a_family_planted_into_a_real_hive_is_taken_off_its_boot_path(corpus, name: str, family: str, bus: Bus) -> None:
    hive = add_family(corpus.read(name), family)
    judgement = judged(hive, every_file)
    assert (judgement.verdict, judgement.bus, judgement.reasons) == (Verdict.REPAIRABLE, bus, ())
    mended = edit_hive(hive, edits(judgement), SEQUENCES.get(name))
    again = judged(mended, every_file, bus=bus)
    assert (again.verdict, again.plan.empty) == (Verdict.HEALTHY, True)
    assert next(chain for chain in again.installations[0].chains if chain.bus is bus).whole
    assert set(compare(hive, mended)) == set(expected_changes(edits(judgement)))


def test_windows_nt_4_is_too_old(corpus) -> None:
    judgement = judged(corpus.read("winnt4-x86-dc-buslogic/SYSTEM"), every_file)
    assert [each.kind for each in judgement.reasons] == [ReasonKind.WINDOWS_UNSUPPORTED]


def test_a_hive_damaged_all_over_is_never_called_healthy(corpus) -> None:
    try:
        judgement = judged(corpus.read("winxp-x86-vmware-corrupted/SYSTEM"), every_file)
    except Refused as refusal:
        assert refusal.first.kind is ReasonKind.HIVE_DAMAGED
    else:
        assert [each.kind for each in judgement.reasons] == [ReasonKind.HIVE_DAMAGED]


def test_a_part_of_a_hive_is_not_taken_for_a_broken_windows(corpus) -> None:
    assert judged(corpus.read("win10-10240-x64-dell-partial/SYSTEM"), every_file).verdict is Verdict.HEALTHY


def test_the_keys_of_a_real_server_on_ec2_are_evidence_and_are_mended(corpus) -> None:
    """What the logs of that Server 2019 hold of Xen, planted into a Windows 10."""
    rows = json.loads(corpus.read("win2019-x64-awspv-logs-only/awspv-keys.json"))["keys"]
    text = "\n".join(line for row in rows for line in registry_text(row))
    hive = plant(corpus.read(TEN), text)
    judgement = judged(hive, every_file)
    xen = judgement.installations[0].xen
    assert {each.subject for each in xen if each.evidence} >= {"xenbus", "xenfilt"}
    assert any(each.part is XenPart.DEVICE and "aws_pv" in each.families for each in xen)
    assert judgement.verdict is Verdict.REPAIRABLE
    again = judged(edit_hive(hive, edits(judgement)), every_file)
    assert again.verdict is Verdict.HEALTHY and not [each for each in again.installations[0].xen if each.evidence]


def registry_text(row: dict) -> list[str]:
    """One key of the corpus' list as registry text; values whose bytes were not in the logs are left out."""
    known = {name: value for name, value in row["values"].items() if name and value["data"] is not None}
    return [f"[{row['path']}]", *(f'"{name}"={hexadecimal(value["type"], raw(value))}' for name, value in known.items())]


def raw(value: dict) -> bytes:
    """The bytes of a value as the list gives it."""
    data = value["data"]
    if isinstance(data, int):
        return data.to_bytes(4 if value["type"] == 4 else 8, "little")
    if isinstance(data, list):
        return multi(data)
    return wide(data) if value["type"] in (1, 2) else bytes.fromhex(data)
