"""The window: memory for so many hosts and no more, a turn for each of all the others, and an end that is the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from client.limits import HostLimits
from client.origin import HostKey
from crawler.frontier import SqliteFrontier
from crawler.hosts.window import TURN_REQUESTS, Window
from crawler.outcome import Postponed
from crawler.request import Links, Request
from tests.crawler.crew import Crew, done

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from crawler.frontier import Lease
    from crawler.outcome import Outcome


@pytest.fixture
async def frontier(tmp_path: Path) -> AsyncIterator[SqliteFrontier]:
    frontier = await SqliteFrontier.open(tmp_path / "test.crawl", spider="test")
    yield frontier
    await frontier.close()


def name(host: int) -> HostKey:
    return HostKey(f"h{host}.example")


async def queue(frontier: SqliteFrontier, hosts: int, each: int = 1) -> None:
    await frontier.add([Links([f"http://{name(host)}/{n}" for n in range(each) for host in range(hosts)])])


async def test_it_holds_so_many_hosts_and_lets_the_others_in_as_these_leave(frontier: SqliteFrontier) -> None:
    await queue(frontier, 1000)
    window = Window(frontier, HostLimits(), 64)
    came = []
    while window.has_work:
        assert window.is_filling
        entered = await window.next_page()
        assert len(window) <= 64
        for host in entered:
            came.append(host.key)
            await frontier.lease([host.key], 1)
            host.has_more = False
            window.leave(host)
    assert came == [name(host) for host in range(1000)]


async def test_a_full_window_wants_no_more_until_an_eighth_of_it_is_free(frontier: SqliteFrontier) -> None:
    await queue(frontier, 100)
    window = Window(frontier, HostLimits(), 16)
    hosts = []
    while window.is_filling:
        hosts += await window.next_page()
    assert len(window) == 16
    for host in hosts:
        host.has_more = False
    window.leave(hosts[0])
    assert not window.is_filling
    window.leave(hosts[1])
    assert window.is_filling


async def test_what_was_found_on_a_host_outside_is_not_forgotten(frontier: SqliteFrontier) -> None:
    await queue(frontier, 3)
    window = Window(frontier, HostLimits(), 2)
    first, second = await window.next_page()
    assert window.offer(name(7)) is None, "it is full"
    await frontier.add([Request(f"http://{name(7)}/")])
    for host in (first, second):
        host.has_more = False
        await frontier.lease([host.key], 1)
        window.leave(host)
    seen = set()
    while window.is_filling:
        seen |= {host.key for host in await window.next_page()}
    assert seen == {name(2), name(7)}


async def test_hosts_that_rest_leave_their_places_to_others(frontier: SqliteFrontier) -> None:
    await queue(frontier, 4)
    window = Window(frontier, HostLimits(), 2)
    for _ in range(2):
        for host in await window.next_page():
            window.set_resting(host, is_resting=True)
    while window.is_filling:
        await window.next_page()
    assert len(window) == 4


async def test_only_so_many_may_rest(frontier: SqliteFrontier) -> None:
    """Else a web that is down would be remembered as a whole."""
    await queue(frontier, 100)
    window = Window(frontier, HostLimits(), 2)
    for _ in range(100):
        for host in await window.next_page():
            window.set_resting(host, is_resting=True)
        if not window.is_filling:
            break
    assert len(window) <= 10


async def test_no_host_is_kept_waiting_by_those_with_more_to_do(frontier: SqliteFrontier) -> None:
    """The window is full of hosts that could go on for long; each of the others has its turn before any of them is done."""
    await queue(frontier, 12, each=400)
    given: list[str] = []

    async def visit(lease: Lease) -> Outcome:
        given.append(lease.host)
        await frontier.exports()  # takes its time, as visits do: longer than the frontier needs to name another host
        return done(lease)

    await Crew(frontier, HostLimits(limit_per_host=1), visit, active_hosts=3).run()
    assert len(given) == 12 * 400
    last_came = max(given.index(name(host)) for host in range(12))
    most = max(given[:last_came].count(name(host)) for host in range(12))
    assert TURN_REQUESTS <= most < 400


async def test_a_host_that_pauses_for_long_keeps_nobody_out(frontier: SqliteFrontier) -> None:
    """More hosts pause than the window has places; the others go on meanwhile, and they when their time has come."""
    await queue(frontier, 12, each=2)
    limits = HostLimits(clock=(clock := Clock()).monotonic)
    order: list[str] = []
    pausing = {name(host) for host in range(4)}

    async def visit(lease: Lease) -> Outcome:
        if lease.host in pausing and lease.host not in order:
            limits.hold_until(lease.host, clock.monotonic() + 60.0)
        order.append(lease.host)
        if len(order) == 20:
            clock.ahead = 60.0
        return done(lease)

    await Crew(frontier, limits, visit, active_hosts=3, clock=clock.monotonic).run(workers=1)
    assert len(order) == 24
    assert set(order[20:]) == pausing


async def test_requests_put_off_on_hosts_outside_come_back(frontier: SqliteFrontier) -> None:
    await queue(frontier, 10, each=3)

    async def visit(lease: Lease) -> Outcome:
        if not lease.attempts:
            return Postponed(error="x", not_before=frontier.now() + 0.02)
        return done(lease)

    crew = Crew(frontier, HostLimits(), visit, active_hosts=2)
    await crew.run()
    assert len(crew.visits) == 60
    assert (frontier.counts.queued, frontier.counts.leased, frontier.counts.done) == (0, 0, 30)


class Clock:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead
