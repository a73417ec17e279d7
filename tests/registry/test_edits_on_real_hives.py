# SPDX-License-Identifier: Apache-2.0
"""Real hives take the edits of a repair without growing, and four readers that share no code see these edits and nothing else."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from generators.hives import windows_hive
from registry.plans import repair_like, with_creation
from unxen.model.change import ChangeKind
from unxen.registry.audit import audit
from unxen.registry.base_block import read_base_block
from unxen.registry.changes import expected_changes
from unxen.registry.diff import compare
from unxen.registry.editor import edit_hive

READERS = ("hivex", "pyregf", "python_registry")
# Gives the bytes of every value as hivex does. libregf and python-registry have their own ideas of inline data that is no DWORD,
# the same before and after, so with them it is the differences that count.
EXACT = "dissect"
REAL = [
    "winnt4-x86-dc-buslogic/SYSTEM",
    "winxp-sp3-x86-dell-m57pat/SYSTEM",
    "winxp-sp3-x86-virtualpc-iecompat/SYSTEM",
    "win2003-sp1-x86-vmware-dc/SYSTEM",
    "win7-sp1-x86-vmware-wks/SYSTEM",
    "win81-x64-virtualbox-dirty-nologs/SYSTEM",
    "win10-10240-x64-dell-partial/SYSTEM",
    "win10-1709-x64-dell-dirty-logs/SYSTEM.recovered",
    "win10-19041-x64-vmware/SYSTEM",
]
MADE = ["xp", "2003", "7", "10", "2022"]


def rows(reader: str, hive: Path) -> set[str]:
    """Every key and value as this reader prints it, in a process of its own."""
    script = Path(__file__).parent.parent / "readers" / f"read_{reader}.py"
    done = subprocess.run([sys.executable, str(script), str(hive)], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines())


def places(lines: set[str]) -> set[str]:
    """Key and value name of each row, without what the value holds."""
    return {line.rpartition("\t")[0] for line in lines}


def expected_places(edits) -> tuple[set[str], set[str]]:
    """Where rows must vanish and where rows must appear."""
    changes = expected_changes(edits)
    gone = {place(row) for row in changes if row.kind not in (ChangeKind.KEY_ADDED, ChangeKind.VALUE_ADDED)}
    come = {place(row) for row in changes if row.kind not in (ChangeKind.KEY_REMOVED, ChangeKind.VALUE_REMOVED)}
    return gone, come


def place(row) -> str:
    return f"{json.dumps(row.key)}\t{json.dumps(row.value_name)}"


def check_readers(before: bytes, after: bytes, edits, folder: Path) -> None:
    """In every reader the difference of the two trees is the edits, and all readers see the same keys and values."""
    old, new = folder / "before", folder / "after"
    old.write_bytes(before)
    new.write_bytes(after)
    with ThreadPoolExecutor(2) as pool:
        exact = pool.submit(rows, EXACT, new)
        pairs = pool.map(lambda reader: (rows(reader, old), rows(reader, new)), READERS)
        seen = dict(zip(READERS, pairs, strict=True))
    for reader, (left, right) in seen.items():
        assert (places(left - right), places(right - left)) == expected_places(edits), reader
        assert places(right) == places(seen["hivex"][1]), reader
    assert exact.result() == seen["hivex"][1]


@pytest.mark.corpus
@pytest.mark.parametrize("name", REAL)
def test_real_hive_takes_the_edits_of_a_repair_in_its_cells(corpus, name, tmp_path):
    before = corpus.read(name)
    edits = repair_like(before)
    assert len(edits) > 10
    sequence = None if not read_base_block(before).dirty else 5000
    after = edit_hive(before, edits, sequence)
    assert len(after) == len(before)
    assert audit(after) == audit(before)
    assert compare(before, after) == expected_changes(edits)
    check_readers(before, after, edits, tmp_path)


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["winxp-sp3-x86-dell-m57pat/SYSTEM", "win2003-sp1-x86-vmware-dc/SYSTEM"])
def test_real_hive_takes_new_keys_and_values(corpus, name, tmp_path):
    before = corpus.read(name)
    edits = with_creation(before)
    after = edit_hive(before, edits)
    assert audit(after) == audit(before)
    assert compare(before, after) == expected_changes(edits)
    check_readers(before, after, edits, tmp_path)


@pytest.mark.parametrize("generation", MADE)
def test_made_hive_takes_the_edits_of_a_repair_in_its_cells(generation, tmp_path):
    before = windows_hive(generation)
    edits = repair_like(before)
    assert edits
    after = edit_hive(before, edits)
    assert len(after) == len(before)
    assert compare(before, after) == expected_changes(edits)
    check_readers(before, after, edits, tmp_path)


@pytest.mark.corpus
def test_only_pages_of_edited_cells_change(corpus):
    before = corpus.read("win10-19041-x64-vmware/SYSTEM")
    edits = repair_like(before, most=5)
    after = edit_hive(before, edits)
    pages = sum(before[at : at + 4096] != after[at : at + 4096] for at in range(0, len(before), 4096))
    # Each edit touches its key, its value, perhaps its list and a descriptor.
    assert pages <= 1 + 4 * len(edits)
