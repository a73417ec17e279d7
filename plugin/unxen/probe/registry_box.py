# SPDX-License-Identifier: Apache-2.0
"""The parent's side of editing, comparing and auditing hives: it sends bytes into the box and believes only what it has checked.

Touches the box alone. What comes out is decoded strictly and an edited hive must be a clean hive that grew by little; else
Refused(PROBE_FAILED). A refusal from inside passes through.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from unxen.errors import Refused, refused
from unxen.host.box_protocol import Response
from unxen.host.sandbox import Box
from unxen.model.codec import CodecError, decode, encode
from unxen.model.edit import Edit
from unxen.model.reason import ReasonKind
from unxen.model.standing import Standing
from unxen.registry.base_block import read_base_block
from unxen.registry.flaws import Flaw, Proof

T = TypeVar("T")
MAX_GROWTH = 1 << 22
"""Bytes that the room for some keys and values can cost; a few services were measured at 64 KB."""


def edit_hive(box: Box, hive: bytes, edits: Sequence[Edit], sequence: int | None = None, *, audited: bool = True) -> bytes:
    """The edited hive, stamped clean; see `registry.editor`. Not `audited`: the caller has both hives audited before he uses it."""
    document = {"edits": encode(tuple(edits)), "sequence": sequence, "audited": audited}
    answer = box.ask("edit", document, blobs=(hive,))
    return _checked("edit", lambda: _edited(answer, hive))


def standing_in(box: Box, hive: bytes, edits: Sequence[Edit]) -> tuple[Standing, ...]:
    """What stands at the place of every edit; see `registry.standing`."""
    answer = box.ask("standing", {"edits": encode(tuple(edits))}, blobs=(hive,))
    found = _checked("standing", lambda: decode(tuple[Standing, ...], _only(answer, "standing")))
    if len(found) != len(edits):
        raise refused(ReasonKind.PROBE_FAILED, "standing", cause="another number of rows")
    return found


def begin_proof(box: Box, before: bytes, after: bytes) -> Callable[[], Proof]:
    """Every difference between two hives and every flaw of the second, when it is called; the box works meanwhile."""
    answer = box.begin("prove", {}, blobs=(before, after))
    return lambda: _answered(answer, "prove", lambda response: decode(Proof, response.payload))


def begin_audit(box: Box, hive: bytes) -> Callable[[], tuple[Flaw, ...]]:
    """Every flaw of a hive's cells (see `registry.audit`), when it is called; the box works meanwhile."""
    answer = box.begin("audit", {}, blobs=(hive,))
    return lambda: _answered(answer, "audit", lambda response: decode(tuple[Flaw, ...], _only(response, "flaws")))


def _answered(answer: Callable[[], Response], operation: str, read: Callable[[Response], T]) -> T:
    response = answer()
    return _checked(operation, lambda: read(response))


def _edited(answer: Response, hive: bytes) -> bytes:
    (made,) = answer.blobs
    if read_base_block(made).dirty or not len(hive) <= len(made) <= len(hive) + MAX_GROWTH:
        raise ValueError("not a clean hive of the right size")
    return made


def _only(answer: Response, name: str) -> Any:
    if type(answer.payload) is not dict or answer.payload.keys() != {name}:
        raise CodecError("", f"{name} expected")
    return answer.payload[name]


def _checked(operation: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except (ValueError, Refused) as error:
        raise refused(ReasonKind.PROBE_FAILED, operation, cause=error) from error
