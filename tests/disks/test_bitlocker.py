# SPDX-License-Identifier: Apache-2.0
"""Behind BitLocker: recognised and refused without its key; looked at, repaired and given back with it, encrypted all the time.

The volumes were encrypted by Windows. With UNXEN_EVERY_CIPHER set, one of every cipher is repaired (minutes without KVM).
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from content import digest
from generators.bitlocker import ARCHIVE, PASSWORD, encrypted_disk
from generators.disks import WindowsTree
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel

pytestmark = [pytest.mark.disk, pytest.mark.corpus, pytest.mark.appliance]

CIPHERS = (
    "bitlk-aes-xts-128",
    "bitlk-aes-xts-256",
    "bitlk-aes-cbc-128",
    "bitlk-aes-cbc-256",
    "bitlk-aes-cbc-elephant-128",
    "bitlk-aes-cbc-elephant-256",
    "bitlk-aes-xts-128-4k",
)
EVERY = bool(os.environ.get("UNXEN_EVERY_CIPHER"))
CHOSEN = CIPHERS if EVERY else CIPHERS[:1]


def differing_sectors(first: Path, second: Path) -> int:
    told = subprocess.run(["cmp", "-l", first, second], capture_output=True, text=True, check=False).stdout
    return len({int(line.split()[0]) // 512 for line in told.splitlines()})


def test_windows_behind_bitlocker_is_refused_opened_repaired_and_given_back(unxen, corpus, tmp_path: Path) -> None:
    hive = windows_hive("10", families=["xcpng"])
    tree = WindowsTree(hive, kernel=kernel((10, 0, 19041)), files=driver_files(hive))
    disk = encrypted_disk(tmp_path / "disk.raw", corpus.path(ARCHIVE), CHOSEN, tree)
    key = tmp_path / "key"
    key.write_text(f"{PASSWORD}\n")
    key.chmod(0o600)
    before = digest(disk)

    for verb in ("inspect", "repair"):
        code, document = unxen(verb, disk)
        assert (code, {each["kind"] for each in document["reasons"]}) == (24, {"encrypted"})
    if EVERY:
        code, document = unxen("inspect", disk, "--key", key)
        assert (code, len(document["installations"])) == (3, len(CHOSEN))
    assert digest(disk) == before

    subprocess.run(["cp", "--sparse=always", disk, tmp_path / "before"], check=True)
    code, document = unxen("repair", disk, "--key", key)
    assert (code, document["verdict"], document["delivery"]) == (0, "repaired", "in-place")
    assert len(document["installations"]) == len(CHOSEN)
    assert [each["kind"] for each in document["notes"]] == ["opened-with-key"]
    assert PASSWORD not in json.dumps(document)
    assert 0 < differing_sectors(disk, tmp_path / "before") < 100 * len(CHOSEN)
    assert unxen("inspect", disk)[0] == 24

    assert unxen("undo", disk)[0] == 0
    assert digest(disk) == before
