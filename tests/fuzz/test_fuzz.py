# SPDX-License-Identifier: Apache-2.0
"""A short run of every target, the same each time, and every input that a long run once found something with."""

from itertools import islice
from pathlib import Path

import pytest

from fuzz.runner import inputs, run_one
from fuzz.targets import TARGETS

FOUND = sorted((Path(__file__).parent / "found").glob("*/*.input"))
# A hive, a disk and what is said of it take tens of milliseconds; the others less than one.
SLOW = {
    "proof": 60,
    "quick-audit": 100,
    "replay": 40,
    "edit": 60,
    "edit-real": 6,
    "judge": 8,
    "answer": 25,
    "look": 10,
    "program": 3,
    "header-vhdx": 60,
    "partitions": 60,
}


@pytest.mark.parametrize("target", TARGETS)
def test_bent_input_is_refused_or_taken(target: str) -> None:
    for data in islice(inputs(target, 1), SLOW.get(target, 150)):
        assert run_one(target, data) == "", data.hex()


@pytest.mark.parametrize("target", TARGETS)
def test_sound_input_is_taken(target: str) -> None:
    for data in TARGETS[target].seeds():
        assert run_one(target, data) == ""


def test_what_was_found_once_is_not_found_again() -> None:
    for path in FOUND:
        assert run_one(path.parent.name, path.read_bytes()) == "", path
