# SPDX-License-Identifier: Apache-2.0
"""What the parser's box does with hives beyond reading them: edit, audit, compare.

Runs in the child and touches only what the request holds: hives as blobs, edits as JSON. The walk of an audit is kept for a proof
that begins with the same hive. Errors are Refused, which the box hands over as reasons; a request of another shape raises
CodecError, a defect of the parent.
"""

from collections import deque
from typing import Any

from unxen.errors import refused
from unxen.host.box_protocol import Request, Response
from unxen.model.codec import CodecError, decode, encode
from unxen.model.edit import Edit
from unxen.model.reason import ReasonKind
from unxen.registry import editor
from unxen.registry.audit import full_audit, sound_audit
from unxen.registry.audit_quick import Walk
from unxen.registry.flaws import Proof
from unxen.registry.proof import prove as prove_edit
from unxen.registry.standing import standing as what_stands

MAX_ROWS = 200_000
"""A hive of 40 MB holds about as many keys and values; more differences than that are no answer."""
MOST_WALKS = 4
"""Hives of one guest that are proven as quickly as one; a walk takes half as much memory as its hive."""
_walks: deque[Walk] = deque(maxlen=MOST_WALKS)


def edit(request: Request) -> Response:
    """`{"edits": […], "sequence": number or null}` and one hive; gives the edited hive."""
    (hive,) = request.blobs
    document = _fields(request.payload, "edits", "sequence", "audited")
    edits, audited = decode(tuple[Edit, ...], document["edits"]), decode(bool, document["audited"])
    return Response({}, (editor.edit_hive(hive, edits, _sequence(document["sequence"]), audited=audited),))


def standing(request: Request) -> Response:
    """`{"edits": […]}` and one hive; gives `{"standing": […]}`, a row for every edit."""
    (hive,) = request.blobs
    edits = decode(tuple[Edit, ...], _fields(request.payload, "edits")["edits"])
    return Response({"standing": encode(what_stands(hive, edits))}, ())


def prove(request: Request) -> Response:
    """Two hives, before and after; gives `{"changes": […], "flaws": […]}`, the flaws being those of the second."""
    before, after = request.blobs
    known = next((walk for walk in _walks if walk.data == before), None)
    proof = prove_edit(before, after, known)
    if len(proof.changes) > MAX_ROWS:
        raise refused(ReasonKind.HIVE_DAMAGED, cause="differences without end")
    return Response(encode(Proof(proof.changes, proof.flaws[:MAX_ROWS])), ())


def audit(request: Request) -> Response:
    """One hive; gives `{"flaws": […]}`."""
    (hive,) = request.blobs
    sound = sound_audit(hive)
    if sound is not None and sound.walk is not None:
        _walks.append(sound.walk)
    flaws = full_audit(hive) if sound is None else sound.flaws
    return Response({"flaws": encode(flaws[:MAX_ROWS])}, ())


def _sequence(document: Any) -> int | None:
    return None if document is None else decode(int, document)


def _fields(document: Any, *names: str) -> dict[str, Any]:
    if type(document) is not dict or document.keys() != set(names):
        raise CodecError("", f"{', '.join(names)} expected")
    return document
