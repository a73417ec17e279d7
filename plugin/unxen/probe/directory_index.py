# SPDX-License-Identifier: Apache-2.0
"""One name in a directory of a million must cost a few blocks, and sixty driver files must not cost sixty walks from the root.

libfsntfs reads a directory's whole index for every name (4 ms for System32, far more for a spool of a million files), so questions
about many names are answered here: down the index's own tree, a block a level. Only directories are read, never a file's content
or record. Blocks no longer in use, which still hold names of deleted files, are not on the way. Raises Malformed.
"""

import struct
from collections.abc import Iterator

from unxen.model.record import dataclass
from unxen.probe.files import Entry
from unxen.probe.malformed import Malformed
from unxen.probe.mft import Mft
from unxen.probe.mft_record import Type, undo_fixups

INDEX = "$I30"
HAS_NODE, LAST = 0x1, 0x2
HEADER = struct.Struct("<QHHHH")
NAME_AT, NAME_LENGTH_AT, FLAGS_AT = 66, 64, 56
IS_DIRECTORY = 0x10000000
BLOCK_SIZES = frozenset((512, 1024, 2048, 4096, 8192, 16384, 32768, 65536))
# Trees of real directories have two or three levels; ten would hold more names than a volume has records.
DEEPEST = 16
MOST_KEPT = 256


@dataclass(frozen=True)
class _Row:
    """One index entry: `entry` None is the last of its node; `below` is the node with the names before it."""

    entry: Entry | None
    order: tuple[int, ...]
    below: int | None


class Directory:
    """One directory's index; the nodes last visited are kept decoded."""

    def __init__(self, mft: Mft, cluster_size: int, number: int) -> None:
        self._mft, self._file = mft, mft.file(number)
        self._place = f"record {number}"
        root = mft.stream(self._file, Type.INDEX_ROOT, INDEX).value
        if root is None or len(root) < 32 or not self._file.record.directory:
            raise Malformed(self._place, "no directory")
        self._size = int.from_bytes(root[8:12], "little")
        if self._size not in BLOCK_SIZES:
            raise Malformed(self._place, f"index blocks of {self._size} bytes")
        # Blocks are counted in clusters; where a cluster is larger than a block, in units of 512 bytes.
        self._unit = cluster_size if cluster_size <= self._size else 512
        self._root = _rows(root, 16, self._place)
        self._nodes: dict[int, list[_Row]] = {}

    def find(self, name: str) -> Entry | None:
        """The entry of that name, without case."""
        wanted, rows = fold(name), self._root
        for _ in range(DEEPEST):
            row = next((each for each in rows if each.entry is None or each.order >= wanted), None)
            if row is None:
                raise Malformed(self._place, "no last entry")
            if row.entry is not None and row.order == wanted:
                return row.entry
            if row.below is None:
                return None
            rows = self._node(row.below)
        raise Malformed(self._place, "index too deep")

    def entries(self, most: int) -> list[Entry]:
        """The first `most` entries."""
        found: list[Entry] = []
        for entry in self._walk(self._root, DEEPEST):
            if len(found) >= most:
                break
            found.append(entry)
        return found

    def _walk(self, rows: list[_Row], depth: int) -> Iterator[Entry]:
        if not depth:
            raise Malformed(self._place, "index too deep")
        for row in rows:
            if row.below is not None:
                yield from self._walk(self._node(row.below), depth - 1)
            if row.entry is not None:
                yield row.entry

    def _node(self, vcn: int) -> list[_Row]:
        if vcn not in self._nodes:
            if len(self._nodes) >= MOST_KEPT:
                self._nodes.clear()
            blocks = self._mft.stream(self._file, Type.INDEX_ALLOCATION, INDEX)
            data = undo_fixups(self._mft.read(blocks, vcn * self._unit, self._size), b"INDX", f"{self._place}, block {vcn}")
            self._nodes[vcn] = _rows(data, 24, f"{self._place}, block {vcn}")
        return self._nodes[vcn]


def fold(name: str) -> tuple[int, ...]:
    """A name as NTFS orders it: code units, upper-cased one by one.

    Windows' table never turns another letter into an ASCII one, as Python's does (dotless i, long s), so for names in ASCII this
    order is exact, whatever stands around them.
    """
    units = struct.unpack(f"<{len(name.encode('utf-16-le', 'surrogatepass')) // 2}H", name.encode("utf-16-le", "surrogatepass"))
    return tuple(_upper(unit) for unit in units)


def _upper(unit: int) -> int:
    if unit < 0x80:
        return unit - 32 if 0x61 <= unit <= 0x7A else unit
    raised = chr(unit).upper()
    return ord(raised) if len(raised) == 1 and 0x80 <= ord(raised) < 0x10000 else unit


def _rows(data: bytes, header: int, place: str) -> list[_Row]:
    """The entries of one node, whose header is at `header`."""
    first, used = struct.unpack_from("<II", data, header)
    at, end, found = header + first, min(header + used, len(data)), list[_Row]()
    while at + HEADER.size <= end:
        reference, length, _, flags, _ = HEADER.unpack_from(data, at)
        if length < HEADER.size + 8 * (flags & HAS_NODE) or at + length > end:
            raise Malformed(place, f"entry of {length} bytes at {at}")
        below = int.from_bytes(data[at + length - 8 : at + length], "little") if flags & HAS_NODE else None
        entry = None if flags & LAST else _entry(data[at + HEADER.size : at + length], reference, place)
        found.append(_Row(entry, fold(entry.name) if entry else (), below))
        if flags & LAST:
            return found
        at += length
    raise Malformed(place, "no last entry")


def _entry(key: bytes, reference: int, place: str) -> Entry:
    if len(key) < NAME_AT or NAME_AT + 2 * key[NAME_LENGTH_AT] > len(key):
        raise Malformed(place, "name past its entry")
    name = key[NAME_AT : NAME_AT + 2 * key[NAME_LENGTH_AT]].decode("utf-16-le", "surrogatepass")
    directory = bool(int.from_bytes(key[FLAGS_AT : FLAGS_AT + 4], "little") & IS_DIRECTORY)
    return Entry(name, reference & (1 << 48) - 1, reference >> 48, directory)
