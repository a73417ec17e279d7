# SPDX-License-Identifier: Apache-2.0
"""The blocks of an export find their place on their disks, each only after its checksum has been found right.

Touches nothing but the stream; runs in the parser's box. A block's number is not its offset: gaps are zeros, and a block of no
bytes, which the exporter sends when it has nothing to say for five seconds, counts but takes no room. Raises Broken, Cut.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from unxen.platforms.xen.pieces import Broken
from unxen.platforms.xen.tar_members import Member

MOST_MEMBER = 4 << 20
_BLOCK_NAME = re.compile(r"[0-9]{8,16}")
_TABLE_SUFFIX = "checksum.xml"


@dataclass(frozen=True)
class Block:
    """Bytes that belong at `offset` of the disk with this reference."""

    reference: str
    offset: int
    data: bytes


@dataclass
class _Disk:
    """Where one disk's stream stands."""

    size: int
    number: int = -1
    position: int = 0
    first_length: int = -1

    def place(self, number: int, length: int, name: str) -> int:
        """The offset of the block of that number and length (xapi's importer counts like this)."""
        if number <= self.number:
            raise Broken(f"{name} comes after block {self.number}")
        if self.first_length < 0:
            self.first_length = length
        offset = self.position + (number - self.number - 1) * self.first_length
        self.number, self.position = number, offset + length
        if self.position > self.size:
            raise Broken(f"{name} lies behind the end of its disk")
        return offset


def blocks(archive: Iterator[Member], sizes: Mapping[str, int], skipped: Sequence[str]) -> Iterator[Block]:
    """Every block of the disks in `sizes` (reference to bytes), verified; those of the references in `skipped` are only verified.

    At the end every disk has been there, from its first to its last byte.
    """
    disks: dict[str, _Disk] = {}
    current = ""
    for member in archive:
        reference, _, number = member.name.rpartition("/")
        if not reference and number.endswith(_TABLE_SUFFIX):
            continue  # Exports of version 1 repeat their checksums at the end.
        _verify(member, next(archive, None))
        if reference in skipped:
            continue
        if reference not in sizes:
            raise Broken(f"{member.name} belongs to no disk of this machine")
        if reference != current and reference in disks:
            raise Broken(f"{member.name} comes after another disk has begun")
        current = reference
        disk = disks.setdefault(reference, _Disk(sizes[reference]))
        offset = disk.place(int(number), len(member.data), member.name)
        if member.data:
            yield Block(reference, offset, member.data)
    _all_whole(disks, sizes)


def _verify(block: Member, checksum: Member | None) -> None:
    """A block is followed at once by its checksum."""
    if not _BLOCK_NAME.fullmatch(block.name.rpartition("/")[2]):
        raise Broken(f"{block.name} is not expected in an export")
    if len(block.data) > MOST_MEMBER:
        raise Broken(f"{block.name} is {len(block.data)} bytes large")
    name, _, kind = checksum.name.rpartition(".") if checksum else ("", "", "")
    if checksum is None or name != block.name or kind not in ("checksum", "xxhash"):
        raise Broken(f"{block.name} has no checksum")
    if checksum.data.decode("ascii", "replace").strip().lower() != _hash(kind, block.data):
        raise Broken(f"the checksum of {block.name} is wrong")


def _hash(kind: str, data: bytes) -> str:
    if kind == "checksum":
        return hashlib.sha1(data, usedforsecurity=False).hexdigest()
    import xxhash

    return str(xxhash.xxh64_hexdigest(data))


def _all_whole(disks: Mapping[str, _Disk], sizes: Mapping[str, int]) -> None:
    if sizes and not disks:
        raise Broken("it holds a machine's definition and no disks (exported with metadata=true)")
    for reference, size in sizes.items():
        found = disks[reference].position if reference in disks else 0
        if found != size:
            raise Broken(f"the disk {reference} ends at byte {found} of {size}")
