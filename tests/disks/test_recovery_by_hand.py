# SPDX-License-Identifier: Apache-2.0
"""When recover refuses, the commands that docs/recovery.md shows lead out: to the repaired disk, or to the old one."""

import json
import subprocess
from pathlib import Path

import documented
import pytest
from disks.test_recover import torn
from faults.bench import Bench, make_master
from unxen.cli.main import main

pytestmark = pytest.mark.disk
PAGE = "docs/recovery.md"
# nbdsh takes the python3 that is found first, and only Debian's has the library.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.fixture(scope="module")
def master(tmp_path_factory) -> Path:
    return make_master(tmp_path_factory.mktemp("master") / "disk.raw")


def command(beginning: str, **values: object) -> str:
    """The one command of the page that begins so, with what the reader puts in."""
    (found,) = {each.text for each in documented.shown() if each.page == PAGE and each.text.startswith(beginning) and each.in_block}
    for name, value in values.items():
        found = found.replace(name, str(value))
    return found


def typed(line: str, *good: int) -> str:
    done = subprocess.run(
        ["bash", "-c", line], env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in (good or (0,)), f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def refused(bench: Bench) -> tuple[str, Path, Path]:
    """A commit was killed, and somebody wrote to the disk since. Gives the entry, the overlay's directory, and the old bytes."""
    torn(bench)
    kind = bench.kinds[0]
    ((start, length),) = bench.rows("select start, length from ranges where role = 'written' order by length desc limit 1")
    typed(f"qemu-io -f {kind} -c 'write -P 0x99 {start + length - 512} 512' {bench.disk(0)}")
    assert main(["recover"]) == 44
    journal = bench.state / "journal.sqlite3"
    rows = typed(command("sqlite3").replace("/var/lib/unxen/journal.sqlite3", str(journal))).splitlines()
    entry, _, path, work, undo = rows[0].split("|")
    assert (len(rows), path) == (1, str(bench.disk(0)))
    return entry, Path(work), Path(undo)


@pytest.fixture(params=["raw", "qcow2"])
def bench(request, master, tmp_path, monkeypatch) -> Bench:
    made = Bench.make(master, tmp_path, tmp_path / "state", [request.param])
    monkeypatch.setenv("UNXEN_STATE_DIR", str(made.state))
    return made


def test_overlay_goes_onto_the_disk_by_hand(bench: Bench, capsys) -> None:
    entry, work, _ = refused(bench)
    disk = bench.disk(0)
    if bench.kinds[0] == "qcow2":
        typed(f"qemu-img check -r all {disk}")
    typed(command("qemu-img commit", DISK=disk, WORK=work))
    if bench.kinds[0] == "qcow2":
        typed(command("qemu-img check", DISK=disk), 0, 3)
    assert bench.content(0) == "new"
    assert main(["recover", "--forget", entry]) == 0
    assert main(["inspect", str(disk)]) == 0


def test_old_bytes_go_back_by_hand(bench: Bench, tmp_path: Path, capsys) -> None:
    entry, _, undo = refused(bench)
    kept = [each for each in json.loads(typed(command("qemu-img map", UNDO=undo))) if each["present"]]
    assert kept
    sockets = {"/tmp/undo.sock": f"{tmp_path}/u", "/tmp/disk.sock": f"{tmp_path}/d"}
    serve, copy = command("qemu-nbd", UNDO=undo, FORMAT=bench.kinds[0], DISK=bench.disk(0)), command("nbdsh")
    for name, ours in sockets.items():
        serve, copy = serve.replace(name, ours), copy.replace(name, ours)
    copies = [copy.replace("LENGTH", str(each["length"])).replace("START", str(each["start"])) for each in kept]
    both_there = f"for _ in {{1..500}}; do [ -S {tmp_path}/u ] && [ -S {tmp_path}/d ] && break; sleep 0.02; done"
    typed("\n".join(["set -e", serve, both_there, *copies, command("kill"), "wait"]))
    assert bench.content(0) == "was"
    assert main(["recover", "--forget", entry]) == 0
    assert main(["inspect", str(bench.disk(0))]) == 3
