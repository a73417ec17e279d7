# SPDX-License-Identifier: Apache-2.0
"""What the program with the appliance may answer when it opens volumes, and what is told of keys that fit and that do not."""

from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.model.ids import DiskNumber, Offset, PartitionNumber
from unxen.model.judgement import NoteKind, Verdict
from unxen.model.outcome import Outcome
from unxen.model.reason import ReasonKind, reason
from unxen.model.volume_facts import Content, Opening, Partition
from unxen.repair.delivery import appliance_program, unlocked
from unxen.report.messages import tell_reason
from unxen.workflow.keys import with_keys_told

FIRST, SECOND = (
    Partition(DiskNumber(1), PartitionNumber(number), "07", Offset(number << 20), 1 << 20, False, Content.BITLOCKER)
    for number in (1, 2)
)
# Stands for the real program: answers as it is told, then waits for the control socket to be closed.
PROGRAM = """
import json, socket, sys
request = json.load(sys.stdin)
assert request["keys"] == ["secret"] and request["drives"][0]["readonly"]
for line in {lines!r}:
    print(json.dumps(line), flush=True)
socket.socket(fileno=request["control"]).recv(1)
print(json.dumps({{"done": ""}}), flush=True)
"""
STARTED, SERVING = {"started": "tcg"}, {"serving": ""}
WRONG = "cryptsetup_open: cryptsetup exited with status 2: No key available with this passphrase."
PARTLY = "cryptsetup_open: cryptsetup exited with status 1: Activation of partially decrypted BITLK device is not supported."


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Opens both partitions with a program that answers so."""

    def run(*lines: dict[str, str]) -> Opening:
        child = tmp_path / "child.py"
        child.write_text(PROGRAM.format(lines=list(lines)))
        monkeypatch.setattr(unlocked, "CHILD", child)
        monkeypatch.setattr(appliance_program, "KVM", tmp_path / "absent")
        disk = unlocked.LockedDisk(DiskNumber(1), "disk", tmp_path / "socket", 4 << 20, (FIRST, SECOND))
        with unlocked.unlocked([disk], ["secret"]) as view:
            return view.opening((FIRST, SECOND))

    return run


def test_volumes_that_opened_and_those_that_did_not_are_told_apart(answering) -> None:
    opening = answering(STARTED, {"opened": "1:1"}, {"locked": "1:2", "cause": WRONG}, SERVING)
    assert opening == Opening((FIRST,), (("1:2", WRONG),))


@pytest.mark.parametrize(
    "lines",
    [
        [{"unstarted": "no memory"}],
        [{"missing": "guestfs"}],
        [STARTED, {"opened": "1:1"}, SERVING],
        [STARTED, {"opened": "1:1"}, {"failed": "another partition than was seen"}],
        [STARTED, {"opened": "1:1"}, {"opened": "1:2"}, {"odd": ""}],
        [STARTED, {}],
    ],
)
def test_program_that_breaks_its_rules_is_a_refusal(answering, lines: list[dict[str, str]]) -> None:
    with pytest.raises(Refused) as refusal:
        answering(*lines)
    assert refusal.value.first.kind in (ReasonKind.APPLIANCE_FAILED, ReasonKind.TOOL_MISSING)
    assert "secret" not in str(refusal.value.first)


def test_keys_that_do_not_fit_and_other_causes_are_told() -> None:
    refused = Outcome(
        "inspect", ("disk",), Verdict.REFUSED, reasons=tuple(reason(ReasonKind.ENCRYPTED, at) for at in ("1:1", "1:2"))
    )
    told = with_keys_told(refused, Opening((), (("1:1", WRONG), ("1:2", PARTLY))), ["secret"])
    first, second = (tell_reason(each) for each in told.reasons)
    assert first.cause.startswith("None of the keys given opens it.")
    assert second.cause.startswith("Activation of partially decrypted BITLK device is not supported.")
    assert with_keys_told(refused, Opening(), ()) == refused
    opened = with_keys_told(refused, Opening((FIRST, SECOND)), ["secret"])
    assert [(note.kind, note.subject) for note in opened.notes] == [(NoteKind.OPENED_WITH_KEY, "1:1, 1:2")]
