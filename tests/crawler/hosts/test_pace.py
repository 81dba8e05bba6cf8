"""The adaptive pace: laws of the controller, and how it fares against servers that are simulated on a clock of their own."""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.hosts.pace import LABOUR, OVERLOAD, QUOTA, STATED_QUOTA, Pace, Trouble

PER_HOST = 2
MAX_DELAY = 30.0


def new() -> Pace:
    return Pace(per_host=PER_HOST, max_delay=MAX_DELAY)


class Host:
    """A host asked by one pace: keeps the time, and both sides' books."""

    def __init__(self, pace: Pace | None = None, *, latency: float = 0.1) -> None:
        self.pace = pace or new()
        self.latency = latency
        self.now = 100.0
        self.refusals = 0
        self.asked = 0

    def ask(self, trouble: Trouble | None = None) -> None:
        """One request, at the instant that the pace allows, over as many connections as it allows."""
        began_at = self.now
        self.asked += 1
        self.pace.begun(began_at)
        if trouble:
            self.refusals += 1
            if trouble is QUOTA:
                self.pace.refused(began_at, began_at)
            self.pace.complained(began_at, began_at + self.latency, trouble)
        else:
            self.pace.answered(began_at, self.latency)
        self.now = began_at + max(self.pace.spacing, self.latency / self.pace.connections)


def warm(latency: float = 0.1) -> Host:
    host = Host(latency=latency)
    for _ in range(50):
        host.ask()
    return host


@given(st.lists(st.floats(0.0, 1.0), max_size=200))
def test_who_never_complains_is_never_slowed_down(latencies: list[float]) -> None:
    pace = new()
    for number, latency in enumerate(latencies):
        pace.begun(float(number))
        assert not pace.answered(float(number), latency)
    assert pace.is_free
    assert pace.spacing == 0.0
    assert pace.connections == PER_HOST


@given(st.lists(st.tuples(st.sampled_from([None, QUOTA, STATED_QUOTA, OVERLOAD, LABOUR]), st.floats(0.0, 60.0))))
def test_the_pace_stays_within_bounds(events: list[tuple[Trouble | None, float]]) -> None:
    """Whatever happens: no spacing longer than allowed, never no connection, never more than allowed."""
    pace = new()
    now = 0.0
    for trouble, seconds in events:
        now += seconds
        pace.begun(now)
        if trouble:
            pace.complained(now, now, trouble)
        else:
            pace.answered(now, seconds)
        assert 0.0 <= pace.spacing <= MAX_DELAY * 1.000001
        assert 1 <= pace.connections <= PER_HOST


def test_a_refusal_halves_the_rate_at_which_the_host_was_asked() -> None:
    host = warm()
    asked_at = host.pace.mean_gap
    assert asked_at
    host.ask(QUOTA)
    assert host.pace.spacing == pytest.approx(2 * asked_at, rel=0.01)
    assert host.pace.connections == 1


def test_what_was_under_way_together_complains_once() -> None:
    host = warm()
    began_at = host.now
    assert host.pace.complained(began_at, began_at + 1.0, QUOTA)
    spacing = host.pace.spacing
    assert not host.pace.complained(began_at + 0.5, began_at + 2.0, QUOTA)
    assert host.pace.spacing == spacing
    assert host.pace.complained(began_at + 1.0, began_at + 2.0, QUOTA)


def test_a_host_finds_back_to_its_pace() -> None:
    host = warm()
    host.ask(QUOTA)
    answers = 0
    while not host.pace.is_free:
        host.ask()
        answers += 1
    assert 30 <= answers <= 100
    assert host.pace.spacing == 0.0


def test_a_first_request_that_is_refused_tells_of_no_pace() -> None:
    pace = new()
    pace.begun(1.0)
    assert not pace.complained(1.0, 2.0, QUOTA)
    assert pace.is_free


@pytest.mark.parametrize("quota", [0.2, 1.0, 7.0])
def test_a_quota_is_found_and_kept_to(quota: float) -> None:
    """A host that lets in so many requests a second, over ten seconds: few are refused, and most of the quota is used."""
    host = Host(latency=0.02)
    served: deque[float] = deque()
    window = 10.0 / min(quota, 1.0)

    def step() -> bool:
        while served and served[0] <= host.now - window:
            served.popleft()
        is_refused = len(served) >= quota * window
        if not is_refused:
            served.append(host.now)
        host.ask(QUOTA if is_refused else None)
        return is_refused

    for _ in range(500):
        if step():
            host.now += 1.0  # the pause that a refusal brings
    began_at, refused = host.now, 0
    for _ in range(1000):
        if step():
            refused += 1
            host.now += 1.0
    assert refused <= (60 if quota >= 1.0 else 160)
    assert 1000 / (host.now - began_at) >= 0.6 * quota


def test_pages_that_always_fail_slow_nobody_down() -> None:
    """One page in ten answers 503 whatever we do; the rate must not go to pieces over it."""
    host = Host(latency=0.1)
    chance = random.Random(1)
    for _ in range(1000):
        host.ask(OVERLOAD if chance.random() < 0.1 else None)
    assert host.now - 100.0 < 2 * 1000 * host.latency / PER_HOST


def test_who_says_when_to_come_again_is_believed() -> None:
    """There are servers that refuse whatever they are asked for the first time."""
    host = Host(latency=0.01)
    for number in range(100):
        host.ask(STATED_QUOTA if number % 2 else None)
    assert host.pace.spacing <= 1.0


def test_a_host_in_trouble_is_asked_ever_less_within_bounds() -> None:
    host = warm()
    for _ in range(20):
        host.ask(OVERLOAD)
    assert host.pace.spacing == pytest.approx(4 * host.latency)
    for _ in range(40):
        host.ask(QUOTA)
    assert host.pace.spacing == pytest.approx(MAX_DELAY)
    host.ask(OVERLOAD)
    assert host.pace.spacing == pytest.approx(MAX_DELAY), "trouble never makes a pace faster"


def test_the_time_waited_in_vain_is_latency() -> None:
    host = warm()
    for _ in range(20):
        host.pace.waited(30.0)
        host.ask(OVERLOAD)
    assert host.pace.spacing > 20.0


def test_answers_that_take_twice_as_long_are_a_complaint() -> None:
    host = warm(latency=0.5)
    host.latency = 3.0
    spacings = []
    for _ in range(60):
        host.ask()
        spacings.append(host.pace.spacing)
    assert 0.0 < max(spacings) <= 4 * host.latency
    assert spacings[-1] == 0.0, "that is how long they take, it turns out"


@pytest.mark.parametrize(
    "latencies", [[3.0], [0.1, 3.0, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]], ids=["slow", "mixed"]
)
def test_a_host_may_be_slow(latencies: list[float]) -> None:
    """It is the change that counts; and not one page of many."""
    host = Host()
    for number in range(500):
        host.latency = latencies[number % len(latencies)]
        host.ask()
    assert host.pace.is_free


def test_another_run_goes_on_at_the_pace_of_the_last() -> None:
    pace = new()
    pace.resume(spacing=2.0, latency=0.4, failures=3)
    assert (pace.spacing, pace.latency, pace.failures, pace.connections) == (2.0, 0.4, 3, 1)
    pace.resume(spacing=3600.0, latency=0.4, failures=0)
    assert pace.spacing == MAX_DELAY
    pace.forget_rate()
    assert pace.is_free


def test_failures_in_a_row_are_counted_up_to_the_next_answer() -> None:
    pace = new()
    assert pace.failed(1.0)
    assert pace.failed(2.0)
    assert pace.failures == 2
    pace.rest(3.0, 10.0)
    assert not pace.failed(2.5), "it was under way before the rest"
    assert pace.failed(13.0)
    pace.begun(14.0)
    pace.answered(14.0, 0.1)
    assert pace.failures == 0


def test_the_mean_gap() -> None:
    pace = new()
    assert pace.mean_gap is None
    for at in (5.0, 6.0, 9.0):
        pace.begun(at)
    assert pace.mean_gap == 2.0
    assert pace.requests == 3
