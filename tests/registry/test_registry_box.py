# SPDX-License-Identifier: Apache-2.0
"""Hives are edited, compared and audited in the box, and nothing that comes out of it is believed unchecked."""

import struct

import pytest
from registry.cell_hives import Key, make
from registry.edits import create_key, dword, set_value
from unxen.errors import Refused
from unxen.host.box_protocol import Response
from unxen.host.sandbox import Box
from unxen.model.reason import ReasonKind
from unxen.probe.registry_box import begin_audit, begin_proof, edit_hive
from unxen.registry import audit, changes, editor, proof

DATA = make(Key(keys={"a": Key(values={"Start": (4, b"\3\0\0\0")})}))
EDITS = (set_value(DATA, "a", "Start", dword(0)), create_key("b"), set_value(DATA, "b", "x", dword(1)))


@pytest.fixture(scope="module")
def box():
    with Box.open(edits=True) as opened:
        yield opened


def test_box_edits_as_the_editor_does(box):
    assert edit_hive(box, DATA, EDITS) == editor.edit_hive(DATA, EDITS)
    assert edit_hive(box, DATA, EDITS, 2131) == editor.edit_hive(DATA, EDITS, 2131)


def test_box_compares_and_audits(box):
    made = editor.edit_hive(DATA, EDITS)
    assert begin_proof(box, DATA, made)() == proof.prove(DATA, made)
    assert begin_audit(box, made)() == ()
    broken = bytearray(made)
    struct.pack_into("<I", broken, 4096 + 32 + 4 + 20, 9)
    assert begin_audit(box, bytes(broken))() == audit.audit(bytes(broken)) != ()


def test_refusal_inside_the_box_comes_out_as_itself(box):
    with pytest.raises(Refused) as refusal:
        edit_hive(box, DATA, [create_key("a")])
    assert refusal.value.first.kind is ReasonKind.ROLLED_BACK
    with pytest.raises(Refused) as refusal:
        begin_proof(box, DATA, b"")()
    assert refusal.value.first.kind is ReasonKind.HIVE_DAMAGED


@pytest.mark.corpus
def test_box_has_room_for_the_largest_real_hive(box, corpus):
    before = corpus.read("win10-1709-x64-dell-dirty-logs/SYSTEM.recovered")
    edits = [set_value(before, "ControlSet001\\Services\\atapi", "Start", dword(4))]
    found = begin_proof(box, before, edit_hive(box, before, edits, audited=False))()
    assert (found.changes, found.flaws) == (changes.expected_changes(edits), ())


class Liar:
    """A box that answers what it likes."""

    def __init__(self, payload, *blobs):
        self.response = Response(payload, blobs)

    def ask(self, operation, payload, *, blobs=(), fds=()):
        return self.response

    def begin(self, operation, payload, *, blobs=(), fds=()):
        return lambda: self.response


@pytest.mark.parametrize(
    "ask",
    [
        lambda: edit_hive(Liar({}), DATA, EDITS),
        lambda: edit_hive(Liar({}, b"no hive"), DATA, EDITS),
        lambda: edit_hive(Liar({}, DATA, DATA), DATA, EDITS),
        lambda: edit_hive(Liar({}, DATA[:4] + b"\x09" + DATA[5:]), DATA, EDITS),
        lambda: edit_hive(Liar({}, DATA + bytes(1 << 23)), DATA, EDITS),
        lambda: begin_proof(Liar({}), DATA, DATA)(),
        lambda: begin_proof(Liar([]), DATA, DATA)(),
        lambda: begin_proof(Liar({"changes": []}), DATA, DATA)(),
        lambda: begin_proof(Liar({"changes": [{}], "flaws": []}), DATA, DATA)(),
        lambda: begin_proof(Liar({"changes": "none", "flaws": []}), DATA, DATA)(),
        lambda: begin_audit(Liar({"flaws": [{"kind": "other", "cell": 0, "detail": ""}]}), DATA)(),
    ],
)
def test_lying_box_is_refused(ask):
    with pytest.raises(Refused) as refusal:
        ask()
    assert refusal.value.first.kind is ReasonKind.PROBE_FAILED
