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
from unxen.model.change import RegistryChange
from unxen.model.codec import CodecError, decode, encode
from unxen.model.edit import Edit
from unxen.model.reason import ReasonKind
from unxen.registry.base_block import read_base_block
from unxen.registry.flaws import Flaw

T = TypeVar("T")
MAX_GROWTH = 1 << 22
"""Bytes that the room for some keys and values can cost; a few services were measured at 64 KB."""


def edit_hive(box: Box, hive: bytes, edits: Sequence[Edit], sequence: int | None = None) -> bytes:
    """The edited hive, stamped clean; see `registry.editor`."""
    answer = box.ask("edit", {"edits": encode(tuple(edits)), "sequence": sequence}, blobs=(hive,))
    return _checked("edit", lambda: _edited(answer, hive))


def compare_hives(box: Box, before: bytes, after: bytes) -> tuple[RegistryChange, ...]:
    """Every difference between two hives; see `registry.diff`."""
    answer = box.ask("compare", {}, blobs=(before, after))
    return _checked("compare", lambda: decode(tuple[RegistryChange, ...], _only(answer, "changes")))


def audit_hive(box: Box, hive: bytes) -> tuple[Flaw, ...]:
    """Every flaw of a hive's cells; see `registry.audit`."""
    answer = box.ask("audit", {}, blobs=(hive,))
    return _checked("audit", lambda: decode(tuple[Flaw, ...], _only(answer, "flaws")))


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
