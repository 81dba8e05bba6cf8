"""HostLimits: what hosts at one address share."""

from __future__ import annotations

import asyncio
import heapq
import math
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.limits import HostLimits
from client.origin import HostKey

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C = HostKey("a"), HostKey("b"), HostKey("c")


def placed(limits: HostLimits, *hosts: HostKey, address: str = "192.0.2.1") -> HostLimits:
    for host in hosts:
        limits.place(host, address)
    return limits


def test_hosts_at_one_address_share_its_slots() -> None:
    limits = placed(HostLimits(limit_per_address=1), A, B)
    slot = limits.acquire_nowait(A)
    assert slot
    assert limits.acquire_nowait(B) is None
    assert limits.ready_at(B) == math.inf
    assert limits.room_of(B) == 0
    assert limits.acquire_nowait(C), "a host elsewhere is not concerned"
    slot.release()
    assert limits.acquire_nowait(B)


def test_an_address_without_limits_is_none() -> None:
    limits = HostLimits(limit_per_address=1)
    limits.place(A, None)
    limits.place(B, None)
    assert limits.is_placed(A)
    assert limits.acquire_nowait(A)
    assert limits.acquire_nowait(B)
    assert not limits.is_placed(C)


def test_slots_that_are_out_move_along_with_their_host() -> None:
    """The first request to a host may be under way when its address becomes known."""
    limits = HostLimits(limit_per_address=1)
    slot = limits.acquire_nowait(A)
    assert slot
    placed(limits, A, B)
    assert limits.acquire_nowait(B) is None
    limits.place(A, "192.0.2.2")
    other = limits.acquire_nowait(B)
    assert other
    slot.release()
    other.release()
    assert limits.acquire_nowait(A)
    assert limits.acquire_nowait(B)


def test_starts_at_one_address_keep_their_distance() -> None:
    now = 100.0
    limits = placed(HostLimits(address_spacing=1.0, clock=lambda: now), A, B)
    slot = limits.acquire_nowait(A)
    assert slot
    assert limits.ready_at(B) == math.inf, "while a start is pending, however long it takes, there is no other"
    slot.started()
    assert limits.ready_at(B) == 101.0
    assert limits.acquire_nowait(B) is None
    now = 101.0
    failing = limits.acquire_nowait(B)
    assert failing
    failing.release()
    assert limits.ready_at(A) == 102.0, "a start that fails counts as well"


def test_those_turned_away_are_told_one_at_a_time() -> None:
    limits = placed(HostLimits(limit_per_address=1), A, B, C)
    told: list[HostKey] = []
    limits.on_ready = told.append
    slot = limits.acquire_nowait(A)
    assert slot
    assert limits.ready_at(B) == limits.ready_at(C) == math.inf
    slot.release()
    assert told == [B]
    limits.decline(B)
    assert told == [B, C]


def test_to_tell_one_takes_as_long_however_many_have_been_told() -> None:
    """A server may go by any number of names."""
    hosts = [HostKey(str(number)) for number in range(15_000)]
    limits = placed(HostLimits(limit_per_address=1), A, *hosts)
    told: list[HostKey] = []
    limits.on_ready = told.append
    slot = limits.acquire_nowait(A)
    assert slot
    for host in hosts:
        assert limits.ready_at(host) == math.inf
    slot.release()
    seconds = []
    for begin in range(0, len(hosts), 1000):
        began_at = time.thread_time()
        for host in hosts[begin : begin + 1000]:
            limits.decline(host)
        seconds.append(time.thread_time() - began_at)
    assert told == hosts
    assert min(seconds[-5:]) < 3 * min(seconds[:5])


def test_who_has_no_use_for_its_turn_passes_it_on() -> None:
    limits = placed(HostLimits(limit_per_address=1), A, B, C)
    told: list[HostKey] = []
    slot = limits.acquire_nowait(A)
    assert slot
    assert limits.ready_at(B) == limits.ready_at(C) == math.inf

    def tell(host: HostKey) -> bool:
        told.append(host)
        return host != B

    limits.on_ready = tell
    slot.release()
    assert told == [B, C]


def test_who_stops_watching_passes_the_turn_on() -> None:
    limits = placed(HostLimits(limit_per_address=1), A, B, C)
    told: list[object] = []
    limits.on_ready = told.append
    gate = limits.watch(B, "b's watcher")
    slot = limits.acquire_nowait(A)
    assert slot
    assert gate.ready_at() == limits.ready_at(C) == math.inf
    slot.release()
    limits.unwatch(gate)
    assert told == ["b's watcher", C]


def test_a_held_host_does_not_keep_its_turn() -> None:
    limits = placed(HostLimits(limit_per_address=1), A, B, C)
    told: list[HostKey] = []
    limits.on_ready = told.append
    slot = limits.acquire_nowait(A)
    assert slot
    assert limits.ready_at(B) == limits.ready_at(C) == math.inf
    limits.hold_until(B, math.inf)
    slot.release()
    assert told == [B, C]


async def test_waiters_of_several_hosts_take_turns_at_an_address() -> None:
    limits = placed(HostLimits(limit_per_address=1), A, B, C)
    slot = limits.acquire_nowait(C)
    assert slot
    served: list[HostKey] = []

    async def wait(host: HostKey) -> None:
        mine = await limits.acquire(host)
        served.append(host)
        await asyncio.sleep(0)
        mine.release()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        tasks = [group.create_task(wait(host)) for host in (A, A, A, B, B)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        slot.release()
    assert sorted(served) == [A, A, B, B]
    assert limits.active == 0


async def test_a_cancelled_waiter_does_not_keep_its_turn() -> None:
    limits = placed(HostLimits(limit_per_address=1), A, B, C)
    slot = limits.acquire_nowait(C)
    assert slot
    first = asyncio.create_task(limits.acquire(A))
    second = asyncio.create_task(limits.acquire(B))
    await asyncio.sleep(0)
    first.cancel()
    slot.release()
    async with asyncio.timeout(10):
        (await second).release()


async def test_waiters_at_an_address_go_before_those_who_come_later() -> None:
    """In their order, whatever their hosts: a newcomer that asks at the right moment is not served first."""
    now = 0.0
    hosts = [HostKey(str(number)) for number in range(6)]
    limits = placed(HostLimits(address_spacing=1.0, clock=lambda: now), A, B, *hosts)
    slot = limits.acquire_nowait(A)
    assert slot
    calls = [limits.acquire(host) for host in hosts]
    for waiter in [call.send(None) for call in calls]:
        slot.started()
        now += 1.0
        assert limits.acquire_nowait(B) is None
        slot.release()
        slot = waiter.result()
    slot.started()
    slot.release()
    now += 1.0
    assert limits.acquire_nowait(B), "there is nobody else"
    for call in calls:
        call.close()


async def test_a_turn_of_waiters_costs_the_same_however_many_there_are() -> None:
    """Each time one host is listed, and not all of them."""
    hosts = [HostKey(str(number)) for number in range(1000)]
    limits = placed(HostLimits(limit_per_address=1), A, *hosts)
    slot = limits.acquire_nowait(A)
    assert slot
    calls = [limits.acquire(host) for host in hosts]
    for waiter in [call.send(None) for call in calls]:
        slot.release()
        slot = waiter.result()
    slot.release()
    for call in calls:
        call.close()
    assert next(limits._order) < 2 * len(hosts)


@pytest.mark.parametrize("leaves", ["cancelled", "placed elsewhere", "held"])
async def test_who_leaves_when_its_turn_has_come_does_not_keep_the_address(leaves: str) -> None:
    now = 0.0
    limits = placed(HostLimits(address_spacing=1.0, clock=lambda: now), A, B, C)
    slot = limits.acquire_nowait(A)
    assert slot
    calls = [limits.acquire(B), limits.acquire(C)]
    first, second = [call.send(None) for call in calls]
    slot.started()
    if leaves == "cancelled":
        first.cancel()
    elif leaves == "held":
        limits.hold_until(B, 60.0)
    else:
        limits.place(B, "192.0.2.2")
    now = 1.0
    slot.release()
    second.result().started()
    second.result().release()
    now = 60.0
    last = limits.acquire_nowait(A)
    assert last
    last.release()
    assert first.done() or leaves == "held"
    for call in calls:
        call.close()


@pytest.mark.parametrize(
    "change", ["its holder moves away", "the waiter moves away", "the turn is declined", "unwatched"]
)
async def test_who_waits_at_an_address_is_served_whatever_makes_room(change: str) -> None:
    """Nothing else happens at the address that would serve it."""
    limits = placed(HostLimits(limit_per_address=1), A, B, C)
    limits.on_ready = lambda _: True
    gate = limits.watch(C, C)
    slot = limits.acquire_nowait(A)
    assert slot
    assert limits.ready_at(C) == math.inf
    call = limits.acquire(B)
    waiter = call.send(None)
    if change == "its holder moves away":
        limits.decline(C)
        limits.place(A, "192.0.2.2")
        assert not waiter.done(), "C has the turn"
        limits.decline(C)
    elif change == "the waiter moves away":
        limits.place(B, None)
    else:
        slot.release()
        assert not waiter.done(), "C has the turn"
        limits.decline(C) if change == "the turn is declined" else limits.unwatch(gate)
    waiter.result().release()
    call.close()


def test_a_host_that_moves_away_from_a_full_address_is_told() -> None:
    told: list[HostKey] = []
    limits = placed(HostLimits(limit_per_address=1), A, B)
    limits.on_ready = told.append
    assert limits.acquire_nowait(A)
    assert limits.ready_at(B) == math.inf
    limits.place(B, "192.0.2.2")
    assert told == [B]


async def test_a_host_whose_turn_goes_to_a_waiter_is_told_of_its_next_one() -> None:
    told: list[HostKey] = []
    limits = placed(HostLimits(limit_per_address=1), A, B)
    limits.on_ready = told.append
    slot = limits.acquire_nowait(A)
    assert slot
    assert limits.ready_at(B) == math.inf
    call = limits.acquire(B)
    waiter = call.send(None)
    slot.release()
    assert B not in told, "the waiter has the slot"
    waiter.result().release()
    assert B in told
    call.close()


async def test_who_becomes_ready_later_does_not_take_the_turn_of_another() -> None:
    """Even if it is served late, since the limit over all hosts was reached."""
    now = 0.0
    limits = placed(HostLimits(limit=2, limit_per_address=1, clock=lambda: now), A, B, C)
    slot, elsewhere = limits.acquire_nowait(A), limits.acquire_nowait(HostKey("d"))
    assert slot
    assert elsewhere
    limits.hold_until(C, 1.0)
    calls = [limits.acquire(B), limits.acquire(C)]
    first, second = [call.send(None) for call in calls]
    limits.limit = 1
    now = 2.0
    slot.release()
    elsewhere.release()
    assert first.done()
    assert not second.done()
    first.result().release()
    second.result().release()
    for call in calls:
        call.close()


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_to_those_who_wait_each_is_served_or_gone(seed: int) -> None:
    """They are cancelled, their hosts held, placed elsewhere and given other rules, and the limit is changed."""
    draw = random.Random(seed)
    limits = HostLimits(
        limit=draw.choice([1, 2, 5]),
        limit_per_host=draw.choice([0, 1, 2]),
        limit_per_address=draw.choice([0, 1, 2]),
        address_spacing=draw.choice([0.0, 0.0002]),
    )
    hosts = [HostKey(str(number)) for number in range(6)]
    placed(limits, *hosts)
    lines: dict[HostKey, list[int]] = defaultdict(list)
    in_order: list[bool] = []

    async def visit(host: HostKey, number: int) -> None:
        slot = limits.acquire_nowait(host)
        if slot is None:
            line = lines[host]
            line.append(number)
            try:
                slot = await limits.acquire(host)
            except asyncio.CancelledError:
                line.remove(number)
                raise
            in_order.append(line.pop(0) == number)
        try:
            await asyncio.sleep(0)
            slot.started()
            await asyncio.sleep(0)
        finally:
            slot.release()

    changes: list[Callable[[HostKey], object]] = [
        lambda _: draw.choice(tasks).cancel(),
        lambda host: limits.hold_until(host, time.monotonic() + draw.choice([0.001, 3600.0])),
        limits.unhold,
        lambda host: limits.place(host, draw.choice(["192.0.2.1", "192.0.2.2", None])),
        lambda host: limits.configure(host, limit_per_host=draw.choice([1, 3]), spacing=draw.choice([0.0, 0.0002])),
        lambda _: setattr(limits, "limit", draw.choice([1, 3, 8])),
    ]
    tasks: list[asyncio.Task[None]] = []
    for number in range(120):
        tasks.append(asyncio.create_task(visit(draw.choice(hosts), number)))
        if draw.random() < 0.4:
            await asyncio.sleep(0)
        if draw.random() < 0.3:
            draw.choice(changes)(draw.choice(hosts))
    for host in hosts:
        limits.unhold(host)
    async with asyncio.timeout(30):
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert outcomes.count(None) > 80
    assert all(in_order)
    assert limits.active == 0
    assert not any(address.active or address.starting for address in limits._addresses._known.values())


def test_idle_addresses_are_forgotten() -> None:
    limits = HostLimits(limit=0, limit_per_address=1)
    for number in range(20_000):
        host = HostKey(str(number))
        limits.place(host, f"address {number}")
        slot = limits.acquire_nowait(host)
        assert slot
        slot.release()
    assert len(limits._addresses._known) < 10_000


@dataclass
class Simulation:
    """A scheduler on a clock of its own: hosts with requests, in a heap by `ready_at`; woken by `on_ready` alone.

    `draw` gives how long a start takes, how long an answer, and whether a host has its next request at hand.
    """

    limits: HostLimits
    draw: Callable[[], float]
    left: dict[HostKey, int]
    address_of: dict[HostKey, str]
    now: float = 0.0
    asked: int = 0
    starts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    active: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    peak: int = 0
    _events: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)

    def at(self, instant: float, do: Callable[[], object]) -> None:
        heapq.heappush(self._events, (instant, next(self._order), do))

    def run(self) -> None:
        self.limits.on_ready = self.list
        for host, address in self.address_of.items():
            self.limits.place(host, address)
            self.list(host)
        while self._events:
            self.now, _, do = heapq.heappop(self._events)
            do()

    def list(self, host: HostKey) -> bool:
        if not self.left[host]:
            return False
        self.asked += 1
        at = self.limits.ready_at(host)
        if at < math.inf:
            self.at(max(at, self.now), lambda: self.pick(host))
        return True

    def pick(self, host: HostKey) -> None:
        if not self.left[host] or self.limits.ready_at(host) > self.now:
            self.limits.decline(host)
            self.list(host)
        elif self.draw() < 0.2:  # nothing at hand: it has to be fetched first
            self.limits.decline(host)
            self.at(self.now + self.draw(), lambda: self.list(host))
        else:
            self.take(host)

    def take(self, host: HostKey) -> None:
        slot = self.limits.acquire_nowait(host)
        assert slot, "ready, and yet refused"
        address = self.address_of[host]
        self.left[host] -= 1
        self.active[address] += 1
        self.peak = max(self.peak, self.active[address])

        def started() -> None:
            self.starts[address].append(self.now)
            slot.started()

        def released() -> None:
            self.active[address] -= 1
            slot.release()
            self.list(host)

        start_at = self.now + self.draw()
        self.at(start_at, started)
        self.at(start_at + self.draw(), released)
        self.list(host)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), min_size=1, max_size=12),
    st.integers(0, 3),
    st.integers(0, 2),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([0.0, 0.25]),
    st.integers(),
)
def test_every_request_is_made_and_no_rule_broken(
    hosts: list[tuple[int, int]],
    limit_per_address: int,
    limit_per_host: int,
    spacing: float,
    address_spacing: float,
    seed: int,
) -> None:
    """Whatever the rules and the order of events: nobody who was turned away is forgotten, and nobody is asked in vain."""
    limits = HostLimits(
        limit=0,
        limit_per_host=limit_per_host,
        limit_per_address=limit_per_address,
        spacing=spacing,
        address_spacing=address_spacing,
        clock=lambda: simulation.now,
    )
    keys = [HostKey(str(number)) for number in range(len(hosts))]
    simulation = Simulation(
        limits,
        random.Random(seed).random,
        left={key: requests for key, (_, requests) in zip(keys, hosts, strict=True)},
        address_of={key: str(address) for key, (address, _) in zip(keys, hosts, strict=True)},
    )
    simulation.run()
    assert not any(simulation.left.values())
    assert limits.active == 0
    assert not limit_per_address or simulation.peak <= limit_per_address
    for starts in simulation.starts.values():
        assert all(later - earlier >= address_spacing for earlier, later in pairwise(starts))


def test_a_turn_costs_the_same_however_many_wait() -> None:
    """Of a thousand hosts at one address only those are asked again whose turn has come."""
    keys = [HostKey(str(number)) for number in range(1000)]
    limits = HostLimits(limit=0, limit_per_address=2, clock=lambda: simulation.now)
    left = dict.fromkeys(keys, 3)
    simulation = Simulation(limits, lambda: 0.5, left=left, address_of=dict.fromkeys(keys, "one"))
    simulation.run()
    assert not any(left.values())
    assert simulation.asked < 5 * 3000
