# SPDX-License-Identifier: Apache-2.0
"""The conversation with a QEMU that may have been taken over by a disk: whatever it says or does not say has an end."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from unxen.host import qmp
from unxen.host.qmp import Qmp, QmpError

GREETING = b'{"QMP": {}}\n'
GOOD = b'{"return": {}}\n'


@pytest.fixture
def talk(monkeypatch) -> Iterator[Callable[[Callable[[socket.socket], None]], Qmp]]:
    """A conversation with somebody who greets well and then does what he likes."""
    monkeypatch.setattr(qmp, "ANSWER_SECONDS", 0.5)
    ours, theirs = socket.socketpair()
    threads = []

    def begin(then: Callable[[socket.socket], None]) -> Qmp:
        def other() -> None:
            with suppress(OSError), theirs.makefile("rb") as asked:
                theirs.sendall(GREETING + GOOD)
                asked.readline()
                asked.readline()
                then(theirs)

        threads.append(threading.Thread(target=other))
        threads[0].start()
        return Qmp(ours)

    yield begin
    ours.close()
    theirs.close()
    threads[0].join()


def trickle(sock: socket.socket) -> None:
    while True:
        sock.sendall(b" ")
        time.sleep(0.02)


def events(sock: socket.socket) -> None:
    while True:
        sock.sendall(b'{"event": "x"}\n' * 1000)


def one_line(sock: socket.socket) -> None:
    while True:
        sock.sendall(b"x" * (1 << 16))


WORSE = {
    "says nothing": lambda sock: time.sleep(0.7),
    "trickles": trickle,
    "tells events without end": events,
    "says a line without end": one_line,
    "goes": lambda sock: sock.shutdown(socket.SHUT_RDWR),
    "nests": lambda sock: sock.sendall(b"[" * 100_000 + b"\n"),
    "says a list": lambda sock: sock.sendall(b"[]\n"),
    "says no JSON": lambda sock: sock.sendall(b"{]\n"),
    "errs in another shape": lambda sock: sock.sendall(b'{"error": 5}\n'),
}


@pytest.mark.parametrize("then", WORSE.values(), ids=WORSE.keys())
def test_what_is_no_answer_ends_in_time(talk, then) -> None:
    conversation = talk(then)
    begin = time.monotonic()
    with pytest.raises(QmpError):
        conversation.call("query-jobs")
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("rows", [5, None, [5], [{"id": "x"}], [{}]], ids=json.dumps)
def test_a_job_that_is_told_in_another_shape_is_an_error(talk, rows) -> None:
    conversation = talk(lambda sock: sock.sendall(json.dumps({"return": rows}).encode() + b"\n"))
    with pytest.raises(QmpError):
        conversation.finish_job("y", 0.1)


def test_events_before_an_answer_do_no_harm(talk) -> None:
    conversation = talk(lambda sock: sock.sendall(b'{"event": "x"}\n{"return": 7}\n'))
    assert conversation.call("query-jobs") == 7
