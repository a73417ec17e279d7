# SPDX-License-Identifier: Apache-2.0
"""Sixty driver files are asked for in one directory, and a library that walks from the root takes 4 ms for each of them.

Reads a directory's index once and lists its names; contents and other records are never read. Follows the tree from its root, so
that blocks no longer in use, which still hold names of deleted files, are never believed. Raises Malformed.
"""

import struct
from collections.abc import Iterator

from unxen.probe.files import Entry
from unxen.probe.malformed import Malformed
from unxen.probe.mft import File, Mft, Stream
from unxen.probe.mft_record import Type, undo_fixups

NAME = "$I30"
HAS_NODE, LAST = 0x1, 0x2
ENTRY = struct.Struct("<QHHHH")
NAME_AT, NAME_LENGTH_AT, FLAGS_AT = 66, 64, 56
IS_DIRECTORY = 0x10000000
# System32 of a real Windows has about 300 blocks; the bound is for a forged one.
MOST_BLOCKS = 16384


def list_directory(mft: Mft, cluster_size: int, number: int) -> dict[str, Entry]:
    """The entries of the directory with this record, by upper-cased name."""
    file = mft.file(number)
    root = mft.stream(file, Type.INDEX_ROOT, NAME).value
    if root is None or len(root) < 32 or not file.record.directory:
        raise Malformed(f"record {number}", "no directory")
    block_size = int.from_bytes(root[8:12], "little")
    found = _Walk(mft, file, block_size, cluster_size).entries(root)
    return {entry.name.upper(): entry for entry in found}


class _Walk:
    """One walk through one index."""

    def __init__(self, mft: Mft, file: File, block_size: int, cluster_size: int) -> None:
        if block_size not in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
            raise Malformed(f"record {file.number}", f"index blocks of {block_size} bytes")
        self._mft, self._file, self._size = mft, file, block_size
        # Blocks are counted in clusters; where a cluster is larger than a block, in units of 512 bytes.
        self._unit = cluster_size if cluster_size <= block_size else 512
        self._seen: set[int] = set()

    def entries(self, root: bytes) -> Iterator[Entry]:
        """Every entry, the order is that of the walk."""
        waiting: list[int] = []
        yield from _node(root, 16, waiting)
        if not waiting:
            return
        blocks = self._mft.stream(self._file, Type.INDEX_ALLOCATION, NAME)
        while waiting:
            yield from _node(self._block(blocks, waiting.pop()), 24, waiting)

    def _block(self, blocks: Stream, vcn: int) -> bytes:
        if vcn in self._seen or len(self._seen) >= MOST_BLOCKS:
            raise Malformed(f"record {self._file.number}", f"index block {vcn} again, or too many")
        self._seen.add(vcn)
        data = self._mft.read(blocks, vcn * self._unit, self._size)
        return undo_fixups(data, b"INDX", f"index block {vcn}")


def _node(data: bytes, header: int, waiting: list[int]) -> Iterator[Entry]:
    """The entries of one node; the numbers of the nodes below it are added to `waiting`."""
    first, used = struct.unpack_from("<II", data, header)
    at, end = header + first, header + used
    while at + ENTRY.size <= min(end, len(data)):
        reference, length, _, flags, _ = ENTRY.unpack_from(data, at)
        if length < ENTRY.size or at + length > len(data):
            raise Malformed("index", f"entry of {length} bytes at {at}")
        if flags & HAS_NODE:
            waiting.append(int.from_bytes(data[at + length - 8 : at + length], "little"))
        if flags & LAST:
            return
        yield _entry(data[at + ENTRY.size : at + length], reference)
        at += length
    raise Malformed("index", "no last entry")


def _entry(key: bytes, reference: int) -> Entry:
    if len(key) < NAME_AT or NAME_AT + 2 * key[NAME_LENGTH_AT] > len(key):
        raise Malformed("index", "name past its entry")
    name = key[NAME_AT : NAME_AT + 2 * key[NAME_LENGTH_AT]].decode("utf-16-le", "replace")
    directory = bool(int.from_bytes(key[FLAGS_AT : FLAGS_AT + 4], "little") & IS_DIRECTORY)
    return Entry(name, reference & (1 << 48) - 1, reference >> 48, directory)
