# SPDX-License-Identifier: Apache-2.0
"""Every malformed hive that others have collected: read, judged, edited and told without a crash, alone and on one disk."""

import hashlib
import json
from pathlib import Path

import pytest
from fuzz.program import called
from fuzz.targets import TARGETS
from generators.disks import MIB, WindowsTree, make_disk

SETS = ("yarp-malformed/", "ez-odd/", "yarp-wellformed/", "yarp-badlogs/", "hivex-images/", "winxp-x86-vmware-corrupted/")
pytestmark = pytest.mark.corpus


def hives_of(corpus) -> list[str]:
    return [name for each in SETS for name in corpus.names(each) if corpus.rows[name]["size"]]


@pytest.mark.parametrize("target", ["base-block", "edit", "judge"])
def test_every_hive_is_refused_or_taken(corpus, target: str) -> None:
    names = hives_of(corpus)
    assert len(names) > 50
    for name in names:
        TARGETS[target].run(corpus.read(name))


@pytest.mark.disk
def test_all_of_them_on_one_disk_are_told_and_nothing_is_changed(corpus, tmp_path: Path) -> None:
    names = [name for name in hives_of(corpus) if name.startswith(("yarp-malformed/", "ez-odd/"))]
    trees = [WindowsTree(corpus.read(name), f"W{number}") for number, name in enumerate(names)]
    path = make_disk(tmp_path / "disk.raw", trees[0].hive, root="W0", more=trees[1:], format="raw", size=96 * MIB)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    for verb in ("inspect", "plan", "repair"):
        code, document = called(verb, path)
        assert code in (20, 21)
        told = {each["root"].strip("\\"): each for each in document["installations"]}
        assert set(told) == {tree.root for tree in trees} or verb == "repair"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == before
        assert "defect" not in json.dumps(document)
