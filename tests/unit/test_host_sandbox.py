# SPDX-License-Identifier: Apache-2.0
"""The parser's box: what runs in it can do nothing, and whatever it does instead of answering ends in one refusal."""

import json
import os
import resource
import select
import shutil
import time
from contextlib import suppress
from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.host import ledger, sandbox
from unxen.host.process import ask_inside, stop
from unxen.host.sandbox import DEVICES, Box, BoxMode, Limits, service_account, start_boxed
from unxen.model.disk import Disk
from unxen.model.ids import DiskNumber, ImageFormat
from unxen.model.progress import Part, Spent
from unxen.model.reason import ReasonKind
from unxen.probe.images import check_images

# The beginning and end of a program that plays the box: it speaks the protocol by hand.
PROLOGUE = """
import json, os, socket, struct, sys, time
sock = socket.socket(fileno=int(sys.argv[2]))
def say(document):
    text = json.dumps(document).encode()
    sock.sendall(struct.pack(">II", len(text), 0) + text)
say("ready")
sock.recv(struct.unpack(">II", sock.recv(8, socket.MSG_WAITALL))[0], socket.MSG_WAITALL)
"""
BROKEN = {
    "dies": "sys.exit('fell over')",
    "is killed": "os.kill(os.getpid(), 9)",
    "hangs": "time.sleep(60)",
    "hangs and ignores signals": "import signal; signal.signal(15, signal.SIG_IGN); time.sleep(60)",
    "loops": "while True: pass",
    "hangs up and lives on": "sock.close(); time.sleep(60)",
    "babbles": "sock.sendall(os.urandom(100_000))",
    "babbles messages": "while True: os.write(2, b'no end ' * 1000)",
    "answers in a shape that nobody asked for": "say([1, 2])",
    "answers and refuses": "say({'answer': 1, 'refused': []})",
    "refuses without a reason": "say({'refused': []})",
    "refuses for a reason that does not exist": "say({'refused': [{'kind': 'because', 'subject': '', 'details': []}]})",
    "tells a time that is none": "say({'answer': 1, 'spent': [{'part': 'box-look', 'seconds': '1', 'times': 1, 'amount': 0}]})",
    "tells the time of nothing": "say({'answer': 1, 'spent': [{'part': 'lunch', 'seconds': 1, 'times': 1, 'amount': 0}]})",
    "promises 10 GB": "sock.sendall(struct.pack('>IIQ', 2, 1, 10 << 30)); time.sleep(60)",
    "promises 4 GB of JSON": "sock.sendall(struct.pack('>II', 0xFFFFFFFF, 0)); time.sleep(60)",
    "sends 10 GB of JSON": """
sock.sendall(struct.pack('>II', 0xFFFFFFFF, 0))
for _ in range(10 << 10): sock.sendall(b'[' * (1 << 20))
""",
    "nests": "text = b'[' * 1_000_000 + b']' * 1_000_000; sock.sendall(struct.pack('>II', len(text), 0) + text)",
    "promises more than it sends": "sock.sendall(struct.pack('>IIQ', 2, 1, 100) + b'{}' + b'x' * 99)",
    "promises more blobs than there may be": "sock.sendall(struct.pack('>II', 2, 10_000) + b'{}')",
    "answers in another encoding": "text = b'\\xff\\xfe{'; sock.sendall(struct.pack('>II', len(text), 0) + text)",
    "answers half": "sock.sendall(struct.pack('>II', 100, 0) + b'{')",
    "takes all memory": "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 28,) * 2); x = bytearray(1 << 30)",
}
REASON = "{'kind': 'hive-damaged', 'subject': '', 'details': []}"
ROOMS = "say({'answer': [os.getuid(), sorted(os.listdir('/'))]})"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes a Python text the program of the next boxes."""

    def write(text: str, prologue: str = PROLOGUE) -> None:
        (tmp_path / "child.py").write_text(prologue + text)
        tmp_path.chmod(0o755)
        monkeypatch.setattr(sandbox, "PACKAGE_PARENT", tmp_path)
        monkeypatch.setattr(sandbox, "CHILD", "child.py")

    return write


# Every box of these tests has it on its command line.
MARK = 1_000_000 + os.getpid()
MARKED = Limits(cpu_seconds=MARK)
QUICK = Limits(cpu_seconds=MARK, answer_seconds=1.0)


def ours() -> set[int]:
    """Living processes of the boxes of this test run."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                continue
            if str(MARK).encode() in command and state != "Z":
                found.add(int(entry.name))
    return found


def none_left() -> bool:
    end = time.monotonic() + 3
    while ours() and time.monotonic() < end:
        time.sleep(0.02)
    return not ours()


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_box_that_breaks_its_rules_is_refused_and_gone(program, text: str) -> None:
    program(text)
    begin = time.monotonic()
    with Box.open(QUICK, "child.py") as box, pytest.raises(Refused) as caught:
        box.ask("look", {})
    assert (caught.value.first.kind, caught.value.first.subject) == (ReasonKind.PROBE_FAILED, "look")
    assert caught.value.first.detail("cause")
    assert time.monotonic() - begin < 5
    assert none_left()


MOST_EXPENSIVE = """
text = b'{"answer": [' + b'[],' * 5_592_000 + b'0]}'
sock.sendall(struct.pack('>II', len(text), 0) + text)
"""


def test_the_most_expensive_answer_costs_what_a_host_can_bear(program, monkeypatch) -> None:
    """Sixteen megabytes of text that become as many objects as can be; larger ones are not read (see above)."""
    program(MOST_EXPENSIVE)
    with Box.open(MARKED, "child.py") as box:
        child = os.fork()
        if child == 0:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with suppress(Refused):
                box.ask("look", {})
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            os._exit(0 if 100 << 10 < grown < 700 << 10 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_a_dying_box_said_is_the_cause(program) -> None:
    program("sys.exit('fell over')")
    with Box.open(MARKED, "child.py") as box, pytest.raises(Refused) as caught:
        box.ask("look", {})
    assert caught.value.first.detail("cause") == "ended without an answer: fell over"


def test_a_box_that_does_not_read_is_refused_in_time(program) -> None:
    program("", prologue=PROLOGUE + "time.sleep(60)")
    begin = time.monotonic()
    with Box.open(QUICK, "child.py") as box, pytest.raises(Refused) as caught:
        box.ask("look", {}, blobs=(bytes(8 << 20),))
    assert caught.value.first.kind is ReasonKind.PROBE_FAILED
    assert time.monotonic() - begin < 4


def test_answers_come_in_the_order_of_the_questions(program) -> None:
    told = "frame = sock.recv(struct.unpack('>II', sock.recv(8, socket.MSG_WAITALL))[0], socket.MSG_WAITALL)\n"
    program(f"say({{'answer': 1}})\n{told}say({{'refused': [{REASON}]}})\n{told}say({{'answer': 3}})\ntime.sleep(60)")
    with Box.open(MARKED, "child.py") as box:
        first, second, third = (box.begin("look", {"number": each}) for each in range(3))
        assert third().payload == 3
        assert first().payload == 1
        for _ in range(2):
            with pytest.raises(Refused) as caught:
                second()
            assert caught.value.first.kind is ReasonKind.HIVE_DAMAGED


def test_many_questions_with_long_answers_do_not_block_each_other(program) -> None:
    told = "frame = sock.recv(struct.unpack('>II', sock.recv(8, socket.MSG_WAITALL))[0], socket.MSG_WAITALL)"
    program(f"while True:\n    say({{'answer': 'x' * 10_000}})\n    {told}")
    with Box.open(QUICK, "child.py") as box:
        answers = [box.begin("look", {"text": "y" * 5_000}) for _ in range(60)]
        assert {len(each().payload) for each in answers} == {10_000}


def test_a_broken_box_stays_broken(program) -> None:
    program("sys.exit(1)")
    with Box.open(MARKED, "child.py") as box:
        for _ in range(2):
            with pytest.raises(Refused) as caught:
                box.ask("look", {})
            assert caught.value.first.kind is ReasonKind.PROBE_FAILED


def test_what_broke_a_box_is_told_to_whoever_asks_next(program) -> None:
    """Nobody waits for the answer to what is only loaded ahead."""
    program("sys.exit('fell over')")
    with Box.open(MARKED, "child.py") as box:
        box.begin("load", "disks")
        for _ in range(2):
            with pytest.raises(Refused) as caught:
                box.ask("look", {})
            assert caught.value.first.detail("cause").endswith(": fell over")


def test_an_unused_box_leaves_nothing() -> None:
    for _ in range(10):
        Box.open(MARKED).close()
    assert none_left()


@pytest.mark.parametrize("mode", [None, BoxMode.PLAIN], ids=["as here", "without user namespaces"])
def test_a_box_has_hardly_any_room_and_somebody_elses_rights(program, monkeypatch, mode: BoxMode | None) -> None:
    """What can be tried from inside stands in tests/boxes."""
    if mode and os.geteuid() != 0:
        pytest.skip("only root makes boxes without user namespaces")
    if mode:
        monkeypatch.setattr(sandbox, "box_mode", lambda: mode)
    program(ROOMS)
    with Box.open(MARKED, "child.py") as box:
        uid, top = box.ask("look", {}).payload
    assert uid == (os.geteuid() or sandbox.service_account().uid)
    assert [name for name in top if name != "code"] == ["bin", "lib", "lib64", "proc", "usr"]


def test_a_box_that_may_not_edit_is_not_asked_to() -> None:
    with Box.open(MARKED) as box, pytest.raises(ValueError, match="edits=True"):
        box.ask("edit", {})


def test_the_real_child_limits_itself(tmp_path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(512))
    with Box.open(Limits(memory=1 << 29, file_bytes=1 << 20, cpu_seconds=MARK)) as box:
        check_images([Disk(DiskNumber(1), str(image), ImageFormat.RAW)], box, [])
        (pid,) = (pid for pid in ours() if Path(f"/proc/{pid}/comm").read_text() == "python3\n")
        text = Path(f"/proc/{pid}/limits").read_text()
    rows = {line[:26].strip(): line[26:].split()[:2] for line in text.splitlines()[1:]}
    assert rows["Max address space"] == [str(1 << 29)] * 2
    assert rows["Max file size"] == [str(1 << 20)] * 2
    assert rows["Max cpu time"] == [str(MARK)] * 2
    assert rows["Max processes"] == ["0"] * 2
    assert rows["Max core file size"] == ["0"] * 2


def test_code_below_a_closed_directory_is_found(tmp_path, monkeypatch) -> None:
    closed = tmp_path / "closed"
    shutil.copytree(sandbox.PACKAGE_PARENT, closed / "plugin", ignore=shutil.ignore_patterns("*.toml", "__pycache__"))
    closed.chmod(0o700)
    monkeypatch.setattr(sandbox, "PACKAGE_PARENT", closed / "plugin")
    image = tmp_path / "image"
    image.write_bytes(bytes(512))
    with Box.open() as box:
        (chain,) = check_images([Disk(DiskNumber(1), str(image), ImageFormat.RAW)], box, [])
    assert chain.virtual_size == 512


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's box reads with the user's rights")
def test_code_that_others_may_not_read_is_named(tmp_path, monkeypatch) -> None:
    copy = tmp_path / "plugin"
    shutil.copytree(sandbox.PACKAGE_PARENT, copy, ignore=shutil.ignore_patterns("*.toml", "__pycache__"))
    (copy / sandbox.CHILD).chmod(0o600)
    monkeypatch.setattr(sandbox, "PACKAGE_PARENT", copy)
    with Box.open() as box, pytest.raises(Refused) as caught:
        box.ask("header", {})
    assert (caught.value.first.kind, caught.value.first.subject) == (ReasonKind.NO_PERMISSION, str(copy))
    assert "Permission denied" in caught.value.first.detail("cause")


def test_a_host_that_makes_no_box_is_told_from_a_bad_guest(monkeypatch) -> None:
    # Asked before the boxes are spoilt, or the answer would be that none can be made.
    mode = sandbox.box_mode()
    monkeypatch.setattr(sandbox, "COMMON", (*sandbox.COMMON, "--ro-bind", "/nowhere", "/nowhere"))
    monkeypatch.setattr(sandbox, "box_mode", lambda: mode)
    with Box.open() as box, pytest.raises(Refused) as caught:
        box.ask("header", {})
    assert (caught.value.first.kind, caught.value.first.subject) == (ReasonKind.TOOL_FAILED, "bwrap")
    assert "/nowhere" in caught.value.first.detail("cause")


def test_a_reason_from_inside_arrives_as_a_refusal(program) -> None:
    said = [{"kind": "hive-damaged", "subject": "1:2:\\Windows", "details": [["problem", "short"]]}]
    program(f"say({json.dumps({'refused': said})})")
    with Box.open(MARKED, "child.py") as box, pytest.raises(Refused) as caught:
        box.ask("look", {})
    assert (caught.value.first.kind, caught.value.first.detail("problem")) == (ReasonKind.HIVE_DAMAGED, "short")


TIMES = [("box-look", 0.5), ("box-reads", -1.0), ("box-edit", float("nan")), ("box-audit", 1e9), ("start", 1.0)]


def test_only_sane_times_of_its_own_are_heard_from_a_box(program) -> None:
    rows = [{"part": part, "seconds": seconds, "times": 1, "amount": 7} for part, seconds in TIMES]
    program(f"nan = float('nan'); say({{'answer': 1, 'spent': {rows!r}}})")
    ledger.take()
    with Box.open(MARKED, sandbox.CHILD) as box:
        assert box.ask("look", {}).payload == 1
    assert [each for each in ledger.take() if each.part is not Part.BOXES] == [Spent(Part.BOX_LOOK, 0.5, 1, 7)]


def test_whatever_is_in_a_box_is_gone_when_it_was_stopped() -> None:
    """A server of a disk that lives a moment longer holds its locks, and the machine that starts then fails."""
    process = start_boxed(["sleep", "100"], account=service_account(), options=DEVICES)
    inside = _until_it_sleeps(process.pid)
    gone = os.pidfd_open(inside)
    try:
        stop(process, 1.0)
        poll = select.poll()
        poll.register(gone, select.POLLIN)
        assert poll.poll(0)
    finally:
        os.close(gone)


def test_program_in_a_box_is_asked_to_end_by_itself() -> None:
    """A client of Ceph that is killed keeps its lock for half a minute; bubblewrap, asked itself, has it killed."""
    heard = "signal.signal(15, lambda *_: sys.exit('left by itself'))"
    program = f"import signal, sys; {heard}; print('ready', file=sys.stderr); signal.pause()"
    process = start_boxed(["/usr/bin/python3", "-uIc", program], account=service_account(), options=DEVICES)
    assert process.stderr is not None
    assert process.stderr.readline() == b"ready\n"
    ask_inside(process, 20)
    assert process.poll() is not None
    assert "left by itself" in stop(process, 0.1)


def _until_it_sleeps(number: int) -> int:
    """The process below this one, or below those below it, that is what was asked for."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError, IndexError):
            below = number
            while Path(f"/proc/{below}/comm").read_text().strip() != "sleep":
                below = int(Path(f"/proc/{below}/task/{below}/children").read_text().split()[0])
            return below
    raise AssertionError("it never slept")
