# SPDX-License-Identifier: Apache-2.0
r"""Drive letters and page files: what hangs on a letter breaks when the letter goes to something else.

Touches the hive it is given. Sources: Microsoft, how letters are assigned (`MountedDevices`: 12 bytes of signature and offset, or
`DMIO:ID:` and a GUID); Memory Management, `PagingFiles`.
"""

import re
from collections.abc import Iterator

from unxen.model.letter_facts import LONGEST_DEVICE, MOST_LETTERS, LetterBy, LetterFacts
from unxen.probe.reading import Reading
from unxen.registry.hive import Key, Value

LETTER = re.compile(r"\\DosDevices\\([A-Z]):", re.IGNORECASE | re.ASCII)
MBR_SIZE, GPT_BEGINNING, GPT_SIZE = 12, b"DMIO:ID:", 24
# `\??\` and `_??_`, both seen in real hives, as UTF-16.
DEVICE_BEGINNINGS = ("\\??\\".encode("utf-16-le"), "_??_".encode("utf-16-le"))
PAGE_FILES = r"Control\Session Manager\Memory Management"
MOST_PAGE_FILES, LONGEST_PAGE_FILE = 32, 512


def read_letters(reading: Reading) -> tuple[LetterFacts, ...]:
    """Every drive letter that Windows remembers, in the order of the alphabet."""
    found = list(_letters(reading))[:MOST_LETTERS]
    return tuple(sorted(found, key=lambda each: each.letter))


def _letters(reading: Reading) -> Iterator[LetterFacts]:
    for value in reading.values(reading.key("MountedDevices")).values():
        if match := LETTER.fullmatch(value.name):
            yield _letter(reading, match[1].upper(), value)


def _letter(reading: Reading, letter: str, value: Value) -> LetterFacts:
    raw = reading.raw(value)
    data = raw.data if raw else b""
    if len(data) == MBR_SIZE or (len(data) == GPT_SIZE and data.startswith(GPT_BEGINNING)):
        return LetterFacts(letter, LetterBy.DISK, "")
    if data.startswith(DEVICE_BEGINNINGS):
        return LetterFacts(letter, LetterBy.DEVICE, data.decode("utf-16-le", "replace").rstrip("\0")[:LONGEST_DEVICE])
    return LetterFacts(letter, LetterBy.OTHER, "")


def read_page_files(reading: Reading, control_set: Key) -> tuple[str, ...]:
    r"""The page files as set, `C:\pagefile.sys 576 1152`; `?:` leaves the letter to Windows."""
    value = reading.values(reading.subkey(control_set, PAGE_FILES)).get("PAGINGFILES")
    return tuple(each for each in reading.strings(value)[:MOST_PAGE_FILES] if len(each) <= LONGEST_PAGE_FILE)
