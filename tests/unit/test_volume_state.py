# SPDX-License-Identifier: Apache-2.0
"""The beginning of a $LogFile says whether Windows has let go of the volume; only one state of many is harmless."""

import pytest
from generators.volumes import restart_page
from unxen.model.volume_facts import JournalState
from unxen.probe.volume_state import judge_journal

REST = b"\xff" * 8192
CLEAN, OPEN = restart_page(clean=True), restart_page(clean=False)


def torn(page: bytes) -> bytes:
    return page[:1022] + b"\xaa\xaa" + page[1024:]


@pytest.mark.parametrize(
    ("pages", "state"),
    [
        ([b"\xff" * 4096] * 2, JournalState.EMPTY),
        ([CLEAN, CLEAN], JournalState.CLEAN),
        ([OPEN, OPEN], JournalState.UNCLEAN),
        ([CLEAN, restart_page(clean=False, lsn=101)], JournalState.UNCLEAN),
        ([OPEN, restart_page(clean=True, lsn=101)], JournalState.CLEAN),
        ([torn(CLEAN), OPEN], JournalState.UNCLEAN),
        ([OPEN, torn(CLEAN)], JournalState.UNCLEAN),
        ([bytes(4096), CLEAN], JournalState.CLEAN),
        ([torn(CLEAN), torn(CLEAN)], JournalState.UNREADABLE),
        ([bytes(4096), bytes(4096)], JournalState.UNREADABLE),
        ([restart_page(clean=True, version=(2, 0))] * 2, JournalState.VERSION_2),
        ([restart_page(clean=False, version=(2, 0))] * 2, JournalState.UNCLEAN),
        ([restart_page(clean=True, version=(3, 0))] * 2, JournalState.UNREADABLE),
        ([restart_page(clean=True, magic=b"CHKD"), b"\xff" * 4096], JournalState.CLEAN),
    ],
)
def test_journal(pages: list[bytes], state: JournalState):
    assert judge_journal(b"".join(pages) + REST) == state


@pytest.mark.parametrize("size", [0, 1, 15, 30, 511, 4095])
def test_journal_cut_short_is_never_clean(size: int):
    assert judge_journal(CLEAN[:size]) == JournalState.UNREADABLE


@pytest.mark.parametrize("at", [4, 6, 16, 24, 25])
def test_journal_whose_header_lies_is_never_clean(at: int):
    page = bytearray(CLEAN)
    page[at] ^= 0xFF
    assert judge_journal(bytes(page) + REST) == JournalState.UNREADABLE
