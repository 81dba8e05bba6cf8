"""HostLimits: who may be asked now."""

from __future__ import annotations

import asyncio
import math
import random
import time
from itertools import pairwise
from typing import Any

import pytest

from client.limits import HostLimits
from client.origin import HostKey, Origin
from tests.client.peer import until

A, B, C = HostKey("a"), HostKey("b"), HostKey("c")


async def started(limits: HostLimits, host: HostKey) -> float:
    """Take a slot, start, give it back; the instant of the start."""
    slot = await limits.acquire(host)
    at = time.monotonic()
    slot.started()
    slot.release()
    return at


async def in_use(limits: HostLimits, slots: int) -> None:
    """Wait until so many slots are in use."""
    await until(lambda: limits.active == slots)


async def ready(task: asyncio.Task[object]) -> None:
    """Let everything that can happen without time passing happen."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert task.done()


def test_a_host_has_as_many_slots_as_its_limit() -> None:
    limits = HostLimits(limit_per_host=2)
    first, second = limits.acquire_nowait(A), limits.acquire_nowait(A)
    assert first
    assert second
    assert limits.acquire_nowait(A) is None
    assert limits.ready_at(A) == math.inf
    assert limits.room_of(A) == 0
    assert limits.acquire_nowait(B), "another host is not concerned"
    first.release()
    assert limits.ready_at(A) == 0.0
    assert limits.active_of(A) == 1


def test_a_slot_given_back_twice_counts_once() -> None:
    limits = HostLimits(limit_per_host=2)
    slot = limits.acquire_nowait(A)
    assert slot
    slot.release()
    slot.release()
    assert limits.active == 0


def test_all_hosts_share_the_overall_limit() -> None:
    limits = HostLimits(limit=1)
    slot = limits.acquire_nowait(A)
    assert slot
    assert limits.acquire_nowait(B) is None
    slot.release()
    assert limits.acquire_nowait(B)


async def test_waiters_are_served_in_their_order() -> None:
    limits = HostLimits(limit_per_host=1)
    slot = limits.acquire_nowait(A)
    assert slot
    served: list[int] = []

    async def wait(number: int) -> None:
        mine = await limits.acquire(A)
        served.append(number)
        mine.release()

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(wait(number))
        await asyncio.sleep(0)
        slot.release()
    assert served == list(range(20))
    assert limits.active == 0


async def test_to_serve_a_waiter_takes_as_long_however_many_have_been_served() -> None:
    """The first of those who wait must not be looked for behind those who did: a plain dict would."""
    limits = HostLimits(limit=1)
    slot = await limits.acquire(A)
    calls = [limits.acquire(A) for _ in range(40_000)]
    waiters = [call.send(None) for call in calls]
    seconds = []
    for begin in range(0, len(waiters), 1000):
        began_at = time.thread_time()
        for waiter in waiters[begin : begin + 1000]:
            slot.release()
            slot = waiter.result()
        seconds.append(time.thread_time() - began_at)
    slot.release()
    for call in calls:
        call.close()
    assert min(seconds[-10:]) < 3 * min(seconds[:10])


async def test_hosts_that_wait_for_the_overall_limit_take_turns() -> None:
    """One host with many waiters must not keep another from its first slot."""
    limits = HostLimits(limit=1)
    slot = limits.acquire_nowait(A)
    assert slot
    served: list[HostKey] = []

    async def wait(host: HostKey) -> None:
        mine = await limits.acquire(host)
        served.append(host)
        mine.release()

    async with asyncio.TaskGroup() as group:
        for host in (A, A, A, A, B):
            group.create_task(wait(host))
        await asyncio.sleep(0)
        slot.release()
    assert B in served[:2]


async def test_a_lone_waiter_has_its_turn_beside_many_of_another_host() -> None:
    """Whenever its host was allowed: one that never made a request was always allowed, which must not put it first."""
    now = 0.0
    limits = HostLimits(limit=1, clock=lambda: now)
    limits.configure(B, spacing=1.0)
    slot = limits.acquire_nowait(B)
    assert slot
    slot.started()
    calls = [limits.acquire(host) for host in (A, A, A, B)]
    *others, lone = [call.send(None) for call in calls]
    now = 2.0
    for turn in range(2):
        slot.release()
        assert [waiter.done() for waiter in (*others, lone)] == [True, False, False, turn == 1]
        slot = lone.result() if turn else others[0].result()
    slot.release()
    for call in calls:
        call.close()


async def test_a_newcomer_does_not_go_before_who_waits() -> None:
    """Not even in the moment in which a start is allowed again and the timer has not noticed."""
    now = 0.0
    limits = HostLimits(spacing=1.0, clock=lambda: now)
    first = limits.acquire_nowait(A)
    assert first
    first.started()
    call = limits.acquire(A)
    waiter = call.send(None)
    now = 1.0
    assert limits.acquire_nowait(A) is None
    first.release()
    assert waiter.done()
    waiter.result().release()
    call.close()


@pytest.mark.parametrize("rules", [{"limit_per_host": 2}, {"limit_per_host": 0, "spacing": 0.0}])
async def test_rules_that_are_relaxed_serve_those_who_wait(rules: dict[str, Any]) -> None:
    limits = HostLimits(limit_per_host=1, spacing=3600.0)
    slot = limits.acquire_nowait(A)
    assert slot
    slot.started()
    if "spacing" not in rules:
        limits.configure(A, spacing=0.0)
    waiter = asyncio.create_task(limits.acquire(A))
    await asyncio.sleep(0)
    limits.configure(A, **rules)
    await ready(waiter)
    waiter.result().release()
    slot.release()
    assert limits.active == 0


async def test_a_host_whose_turn_came_sooner_than_it_was_to_has_no_second_one() -> None:
    """It was listed for the end of its pause, and again when that was lifted."""
    now = 0.0
    limits = HostLimits(limit=1, clock=lambda: now)
    slot = limits.acquire_nowait(C)
    assert slot
    limits.hold_until(A, 10.0)
    calls = {limits.acquire(host): host for host in (A, A, A, A, B, B, B)}
    waiting = {call.send(None): host for call, host in calls.items()}
    limits.unhold(A)
    now = 11.0
    served = []
    while waiting:
        slot.release()
        (waiter,) = (waiter for waiter in waiting if waiter.done())
        served.append(waiting.pop(waiter))
        slot = waiter.result()
    slot.release()
    for call in calls:
        call.close()
    assert served == [B, A, B, A, B, A, A]


async def test_a_limit_that_is_raised_serves_those_who_wait() -> None:
    """At once: those who have slots, such as a WebSocket, may keep them for hours."""
    limits = HostLimits(limit=1)
    slot = limits.acquire_nowait(A)
    assert slot
    waiters = [asyncio.create_task(limits.acquire(host)) for host in (A, B, B)]
    await asyncio.sleep(0)
    for limit, served in ((1, 0), (3, 2), (2, 2), (0, 3)):
        limits.limit = limit
        await in_use(limits, 1 + served)
        await asyncio.sleep(0)
        assert sum(waiter.done() for waiter in waiters) == served == limits.active - 1
    for waiter in waiters:
        waiter.result().release()
    slot.release()
    assert limits.active == 0


async def test_starts_keep_their_distance() -> None:
    limits = HostLimits(spacing=0.03)
    async with asyncio.TaskGroup() as group:
        starts = [group.create_task(started(limits, A)) for _ in range(5)]
        other = group.create_task(started(limits, B))
    instants = sorted(start.result() for start in starts)
    assert all(later - earlier >= 0.03 for earlier, later in pairwise(instants))
    assert other.result() < instants[1], "another host does not wait"


def test_distance_counts_from_the_start_not_from_the_slot() -> None:
    """A slow connect must not let two requests arrive together."""
    now = 100.0
    limits = HostLimits(spacing=1.0, clock=lambda: now)
    connecting = limits.acquire_nowait(A)
    assert connecting
    now = 107.0
    assert limits.acquire_nowait(A) is None, (
        "nobody starts while a start is pending, however long ago its slot was given"
    )
    assert limits.ready_at(A) == math.inf
    connecting.started()
    assert limits.ready_at(A) == 108.0
    now = 108.0
    assert limits.acquire_nowait(A)


async def test_a_start_that_fails_is_a_knock_at_the_door_all_the_same() -> None:
    limits = HostLimits(spacing=0.03)
    slot = limits.acquire_nowait(A)
    assert slot
    failed_at = time.monotonic()
    slot.release()
    assert await started(limits, A) >= failed_at + 0.03


async def test_a_held_host_waits_for_the_instant() -> None:
    limits = HostLimits()
    until = time.monotonic() + 0.03
    limits.hold_until(A, until)
    limits.hold_until(A, until - 1)
    assert limits.acquire_nowait(A) is None
    assert limits.ready_at(A) == until
    assert await started(limits, A) >= until


async def test_lifting_a_hold_wakes_who_waits() -> None:
    limits = HostLimits()
    limits.hold_until(A, time.monotonic() + 3600)
    waiter = asyncio.create_task(started(limits, A))
    await asyncio.sleep(0)
    limits.unhold(A)
    await ready(waiter)


async def test_a_cancelled_waiter_leaves_nothing_taken() -> None:
    limits = HostLimits(limit_per_host=1)
    slot = limits.acquire_nowait(A)
    assert slot
    first = asyncio.create_task(limits.acquire(A))
    second = asyncio.create_task(limits.acquire(A))
    await asyncio.sleep(0)
    first.cancel()
    slot.release()
    (await second).release()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert limits.active == 0


async def test_a_waiter_that_is_closed_leaves_nothing_taken() -> None:
    """Coroutines need not end by being cancelled: whoever runs one may close it."""
    limits = HostLimits(limit_per_host=1)
    slot = limits.acquire_nowait(A)
    assert slot
    waiter = limits.acquire(A)
    waiter.send(None)
    waiter.close()
    slot.release()
    assert limits.active == 0


async def test_cancelled_in_the_moment_of_being_served_a_waiter_gives_its_slot_back() -> None:
    limits = HostLimits(limit_per_host=1)
    slot = limits.acquire_nowait(A)
    assert slot
    waiter = asyncio.create_task(limits.acquire(A))
    await asyncio.sleep(0)
    slot.release()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert limits.active == 0
    assert limits.acquire_nowait(A)


async def test_a_host_can_have_rules_of_its_own() -> None:
    limits = HostLimits(limit_per_host=5, spacing=60.0)
    limits.configure(A, limit_per_host=1, spacing=0.0)
    slot = limits.acquire_nowait(A)
    assert slot
    assert limits.acquire_nowait(A) is None
    slot.release()
    assert limits.acquire_nowait(A)


async def test_a_wider_distance_applies_to_the_next_start() -> None:
    limits = HostLimits(spacing=0.001)
    await started(limits, A)
    limits.configure(A, spacing=60.0)
    assert limits.ready_at(A) > time.monotonic() + 50


def test_a_slot_from_before_a_distance_was_set_does_not_start_for_another() -> None:
    """Else the host could be asked again before the other's request has gone out."""
    limits = HostLimits()
    earlier = limits.acquire_nowait(A)
    assert earlier
    limits.configure(A, spacing=0.1)
    later = limits.acquire_nowait(A)
    assert later
    assert not earlier.is_starting
    earlier.started()
    earlier.release()
    assert later.is_starting
    assert limits.ready_at(A) == math.inf
    later.started()
    assert 0.0 < limits.ready_at(A) < math.inf


def test_on_ready_tells_when_a_host_that_had_no_instant_has_one_again() -> None:
    limits = HostLimits(limit_per_host=1)
    told: list[HostKey] = []
    limits.on_ready = told.append
    slot = limits.acquire_nowait(A)
    assert slot
    assert told == []
    slot.release()
    assert told == [A]


async def test_closing_fails_those_who_wait_and_those_who_come() -> None:
    limits = HostLimits(limit_per_host=1)
    assert limits.acquire_nowait(A)
    waiter = asyncio.create_task(limits.acquire(A))
    await asyncio.sleep(0)
    limits.close(RuntimeError("closed"))
    with pytest.raises(RuntimeError, match="closed"):
        await waiter
    with pytest.raises(RuntimeError, match="closed"):
        await limits.acquire(B)


def test_who_watches_a_host_is_told_in_place_of_its_name() -> None:
    limits = HostLimits(limit_per_host=1)
    told: list[object] = []
    limits.on_ready = told.append
    watcher = object()
    gate = limits.watch(A, watcher)
    slot = limits.acquire_nowait(A)
    assert slot
    assert gate.ready_at() == limits.ready_at(A) == math.inf
    assert gate.active == 1
    slot.release()
    assert gate.ready_at() == 0.0
    limits.unwatch(gate)
    slot = limits.acquire_nowait(A)
    assert slot
    slot.release()
    assert told == [watcher, A]


def test_hosts_that_are_watched_are_not_forgotten() -> None:
    """Else whoever watches would ask a gate that nobody else knows."""
    limits = HostLimits(limit=0)
    gates = [limits.watch(HostKey(str(number)), limits) for number in range(20_000)]
    slots = [limits.acquire_nowait(gate.key) for gate in gates]
    assert all(gate.active == 1 for gate in gates)
    assert all(slots)


def test_idle_hosts_are_forgotten() -> None:
    """A crawl meets more hosts than memory should hold."""
    limits = HostLimits(limit=0)
    for number in range(20_000):
        slot = limits.acquire_nowait(HostKey(str(number)))
        assert slot
        slot.release()
    assert len(limits._gates) < 10_000


@pytest.mark.parametrize("wrong", [{"limit": -1}, {"limit_per_host": -1}, {"spacing": -0.1}, {"spacing": math.inf}])
def test_negative_limits_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="negative"):
        HostLimits(**wrong)  # type: ignore[arg-type]


async def test_no_rule_is_broken_under_load() -> None:
    """Many tasks, random cancellation: the counts never pass the limits, and end at zero."""
    limits = HostLimits(limit=7, limit_per_host=2)
    hosts = [HostKey(str(number)) for number in range(5)]
    randomness = random.Random(7)
    peak = 0

    async def visit() -> None:
        nonlocal peak
        host = randomness.choice(hosts)
        slot = await limits.acquire(host)
        try:
            assert limits.active_of(host) <= 2
            peak = max(peak, limits.active)
            await asyncio.sleep(0)
            slot.started()
            await asyncio.sleep(0)
        finally:
            slot.release()

    tasks = [asyncio.create_task(visit()) for _ in range(500)]
    await asyncio.sleep(0)
    for task in randomness.sample(tasks, 100):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert peak == 7
    assert limits.active == 0
    assert all(not isinstance(task.exception(), AssertionError) for task in tasks if not task.cancelled())


def test_by_default_every_origin_is_a_host_of_its_own() -> None:
    limits = HostLimits()
    keys = {limits.host_of(Origin(*parts)) for parts in (("http", "h", 80), ("https", "h", 443), ("http", "h", 81))}
    assert len(keys) == 3
