# SPDX-License-Identifier: Apache-2.0
"""A key is read only from where nobody else could have read or changed it, and is never told."""

import os
from pathlib import Path

import pytest
from unxen.cli.call import Call, GuestCall
from unxen.cli.work import work
from unxen.errors import Refused
from unxen.host.key_file import read_keys
from unxen.model.progress import nobody
from unxen.workflow.repair import Order

RECOVERY = "235818-357951-253979-013365-241120-245575-342914-591910"
SAVED = f"BitLocker Drive Encryption recovery key\r\n\r\nIdentifier:\r\n\t5B5688A7\r\n\r\nRecovery Key:\r\n\t{RECOVERY}\r\n"


def key_file(path: Path, content: bytes, mode: int = 0o600) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (b"secret\n", ("secret",)),
        (b"secret", ("secret",)),
        ("pass word £\r\nother\r\n\r\n".encode(), ("pass word £", "other")),
        (RECOVERY.encode() + b"\n", (RECOVERY,)),
        (SAVED.encode("utf-16"), (RECOVERY,)),
        (SAVED.encode("utf-8-sig"), (RECOVERY,)),
        (f"{RECOVERY}\n{RECOVERY}\n".encode(), (RECOVERY,)),
    ],
)
def test_keys_are_read_as_people_and_windows_write_them(tmp_path: Path, content: bytes, keys: tuple[str, ...]) -> None:
    assert read_keys(key_file(tmp_path / "key", content)) == keys


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o777])
def test_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(Refused) as refusal:
        read_keys(key_file(tmp_path / "key", b"secret\n", mode))
    assert refusal.value.first.detail("problem") == "mode"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = key_file(tmp_path / "key", b"secret\n")
    os.chown(path, 65534, 65534)
    with pytest.raises(Refused) as refusal:
        read_keys(path)
    assert refusal.value.first.detail("problem") == "owner"


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "empty"), (b"\n\n", "empty"), (b"\x80\xff", "encoding"), (b"a\n" * 40000, "large"), (bytes(range(97, 120)) * 9, "")],
)
def test_what_is_no_key_file_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = key_file(tmp_path / "key", content)
    if not problem:
        assert len(read_keys(path)) == 1
        return
    with pytest.raises(Refused) as refusal:
        read_keys(path)
    assert refusal.value.first.detail("problem") == problem


def test_many_keys_are_refused_and_a_directory_and_nothing_are(tmp_path: Path) -> None:
    many = key_file(tmp_path / "many", b"".join(b"key %d\n" % number for number in range(17)))
    for path in (many, str(tmp_path), str(tmp_path / "absent")):
        with pytest.raises(Refused):
            read_keys(path)


def test_key_comes_through_a_pipe(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"secret\n")
    os.close(writer)
    assert read_keys(f"/dev/fd/{reader}") == ("secret",)
    os.close(reader)


def test_order_does_not_show_keys() -> None:
    assert "secret" not in repr(Order(keys=("secret",)))


def test_unfit_key_file_ends_the_call_before_any_disk_is_touched(tmp_path: Path) -> None:
    path = key_file(tmp_path / "key", b"secret\n", 0o644)
    call = Call("inspect", targets=(str(tmp_path / "absent.raw"),), key=path)
    outcome = work(GuestCall(call, call.targets, ()), nobody).outcome
    assert [each.kind.value for each in outcome.reasons] == ["key-file"]
    assert "secret" not in repr(outcome)
