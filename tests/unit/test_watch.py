# SPDX-License-Identifier: Apache-2.0
"""The watcher's loop: every real change is treated once, failures are tried again later and later, and one guest harms no other."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from unxen.errors import refused
from unxen.model.reason import ReasonKind
from unxen.platforms.base import GuestState
from unxen.services.watch import Rhythm, Treated, Watcher

RHYTHM = Rhythm(debounce=1, poll=60, not_yet=5, first_retry=30, last_retry=200)


@dataclass
class Host:
    """Guests, what is told of them, a clock that goes on while somebody waits, and what was treated when."""

    now: float = 0.0
    guests: dict[str, GuestState] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    treated: list[tuple[float, str]] = field(default_factory=list)
    answer: Callable[[str], Treated] = lambda _name: Treated.SETTLED
    deaf: bool = False

    def states(self) -> Mapping[str, GuestState]:
        if self.deaf:
            raise refused(ReasonKind.PLATFORM_REFUSED, "host")
        return dict(self.guests)

    def wait(self, seconds: float) -> frozenset[str]:
        told, self.told = frozenset(self.told), set()
        self.now += 0 if told else max(seconds, 0.01)
        return told

    def treat(self, name: str) -> Treated:
        self.treated.append((self.now, name))
        return self.answer(name)

    def define(self, name: str, stamp: str, *, stopped: bool = True, told: bool = True) -> None:
        self.guests[name] = GuestState(stamp, stopped)
        if told:
            self.told.add(name)

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.treated]


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def watcher(host: Host) -> Watcher:
    return Watcher(host, host.treat, RHYTHM, lambda: host.now)  # type: ignore[arg-type]


def run(watcher: Watcher, host: Host, seconds: float) -> None:
    end = host.now + seconds
    watcher.run(lambda: host.now >= end)


def test_every_stopped_guest_is_looked_at_once_at_the_start(host, watcher) -> None:
    host.define("a", "1", told=False)
    host.define("b", "1", told=False)
    host.define("running", "1", stopped=False, told=False)
    run(watcher, host, 300)
    assert sorted(host.names) == ["a", "b"]


def test_change_is_treated_once_however_often_it_is_told(host, watcher) -> None:
    run(watcher, host, 5)
    for _ in range(5):
        host.define("a", "1")
        watcher.turn()
    run(watcher, host, 300)
    assert host.names == ["a"]
    host.define("a", "2", told=False)
    run(watcher, host, 61)
    assert host.names == ["a", "a"], "a change that nobody tells shows at the next poll"


def test_own_change_is_looked_at_once_more_and_then_settled(host, watcher) -> None:
    def repair(name: str) -> Treated:
        if host.guests[name].stamp == "xen":
            host.define(name, "sata")
        return Treated.SETTLED

    host.answer = repair
    host.define("a", "xen")
    run(watcher, host, 600)
    assert host.names == ["a", "a"]


def test_change_of_somebody_else_during_a_treatment_is_not_lost(host, watcher) -> None:
    def slow(name: str) -> Treated:
        if len(host.treated) == 1:
            host.define(name, "2", told=False)
        return Treated.SETTLED

    host.answer = slow
    host.define("a", "1")
    run(watcher, host, 130)
    assert host.names == ["a", "a"]


def test_failures_are_tried_again_later_each_time_and_for_ever(host, watcher) -> None:
    host.answer = lambda _name: Treated.AGAIN
    host.define("a", "1")
    run(watcher, host, 1000)
    times = [at for at, _ in host.treated]
    gaps = [round(after - before) for before, after in itertools.pairwise(times)]
    assert gaps[:4] == [30, 60, 120, 200]
    assert set(gaps[3:]) == {200}


def test_failure_that_leaves_its_mark_on_the_disk_is_not_tried_again_at_once(host, watcher) -> None:
    def roll_back(name: str) -> Treated:
        host.define(name, f"{len(host.treated)}", told=False)
        return Treated.AGAIN

    host.answer = roll_back
    host.define("a", "0")
    run(watcher, host, 1000)
    assert len(host.treated) < 10


def test_years_of_failures_are_borne(host, watcher) -> None:
    host.answer = lambda _name: Treated.AGAIN
    host.define("a", "1")
    watcher.turn()
    watcher._guests["a"].failures = 5000
    run(watcher, host, 500)
    assert len(host.treated) >= 2


def test_change_ends_the_wait_after_a_failure(host, watcher) -> None:
    host.answer = lambda _name: Treated.AGAIN if host.guests["a"].stamp == "1" else Treated.SETTLED
    host.define("a", "1")
    run(watcher, host, 250)
    before = len(host.treated)
    host.define("a", "2")
    run(watcher, host, 3)
    assert len(host.treated) == before + 1


def test_error_of_one_guest_is_a_failure_of_that_guest_alone(host, watcher) -> None:
    def bad(name: str) -> Treated:
        if name == "bad":
            raise ValueError(name)
        return Treated.SETTLED

    host.answer = bad
    for name in ("bad", "good"):
        host.define(name, "1")
    run(watcher, host, 20)
    assert sorted(host.names) == ["bad", "good"]
    run(watcher, host, 40)
    assert sorted(host.names) == ["bad", "bad", "good"]


def test_guest_that_was_started_meanwhile_is_tried_when_it_stops(host, watcher) -> None:
    host.answer = lambda _name: Treated.WHEN_STOPPED
    host.define("a", "1")
    run(watcher, host, 2)
    host.define("a", "1", stopped=False)
    run(watcher, host, 500)
    assert len(host.treated) == 1
    host.answer = lambda _name: Treated.SETTLED
    host.define("a", "1")
    run(watcher, host, 500)
    assert len(host.treated) == 2


def test_running_guest_is_never_treated(host, watcher) -> None:
    host.define("a", "1", stopped=False)
    host.define("b", "1")
    watcher.turn()
    host.define("b", "1", stopped=False)
    run(watcher, host, 200)
    assert host.names == []


def test_disk_that_is_being_written_is_waited_for(host, watcher) -> None:
    host.answer = lambda _name: Treated.NOT_YET if host.now < 30 else Treated.SETTLED
    host.define("a", "1")
    run(watcher, host, 300)
    assert host.names[:3] == ["a", "a", "a"]
    assert host.treated[-1][0] < 40


def test_platform_that_does_not_answer_is_asked_again_and_nothing_is_forgotten(host, watcher) -> None:
    host.define("a", "1")
    run(watcher, host, 10)
    host.deaf = True
    run(watcher, host, 200)
    host.deaf = False
    run(watcher, host, 200)
    assert host.names == ["a"]


def test_guest_that_comes_back_is_a_new_one(host, watcher) -> None:
    host.define("a", "1")
    run(watcher, host, 10)
    del host.guests["a"]
    run(watcher, host, 70)
    host.define("a", "1")
    run(watcher, host, 10)
    assert host.names == ["a", "a"]


def test_fifty_at_once_are_treated_one_by_one_and_all(host, watcher) -> None:
    for number in range(50):
        host.define(f"g{number}", "1")
    run(watcher, host, 120)
    assert sorted(host.names) == sorted(f"g{number}" for number in range(50))


def test_idle_is_when_nobody_waits_but_those_that_failed(host, watcher) -> None:
    host.answer = lambda name: Treated.AGAIN if name == "bad" else Treated.SETTLED
    host.define("bad", "1")
    host.define("good", "1")
    watcher.turn(0.0)
    assert not watcher.idle
    run(watcher, host, 5)
    assert watcher.idle


def test_rest_follows_the_last_guest_that_was_due(host) -> None:
    rests: list[int] = []
    watcher = Watcher(host, host.treat, RHYTHM, lambda: host.now, lambda: rests.append(len(host.treated)))  # type: ignore[arg-type]
    host.define("a", "1", told=False)
    host.define("b", "1", told=False)
    run(watcher, host, 300)
    host.define("b", "2")
    run(watcher, host, 30)
    assert rests == [2, 3]
