"""A host that is held gets no turn, keeps what it has, and keeps nobody waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from client.limits import HostLimits
from client.origin import HostKey
from crawler.frontier import SqliteFrontier
from crawler.outcome import Postponed
from crawler.request import Links, Request
from tests.crawler.crew import Crew, done

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from crawler.frontier import Lease
    from crawler.outcome import Outcome

A, B = HostKey("a.example"), HostKey("b.example")


@pytest.fixture
async def frontier(tmp_path: Path) -> AsyncIterator[SqliteFrontier]:
    frontier = await SqliteFrontier.open(tmp_path / "test.crawl", spider="test")
    await frontier.add([Links([f"http://{host}/{n}" for host in (A, B) for n in range(300)])])
    yield frontier
    await frontier.close()


def hosts_of(visits: list[Lease]) -> set[str]:
    return {lease.host for lease in visits}


async def test_a_crawl_ends_when_nothing_is_left_but_what_is_held(frontier: SqliteFrontier) -> None:
    crew = Crew(frontier, HostLimits())
    crew.scheduler.hold(A)
    await crew.run()
    assert (hosts_of(crew.visits), len(crew.visits)) == ({B}, 300)
    assert frontier.counts.queued == 300


async def test_a_host_held_on_the_way_is_asked_nothing_more_and_its_requests_are_kept(frontier: SqliteFrontier) -> None:
    async def visit(lease: Lease) -> Outcome:
        if len(crew.visits) == 50:
            crew.scheduler.hold(A)
        return done(lease)

    crew = Crew(frontier, HostLimits(), visit)
    await crew.run(workers=1)
    assert hosts_of(crew.visits[51:]) == {B}
    left = 600 - len(crew.visits)
    assert frontier.counts.queued + frontier.counts.leased == left > 0


async def test_a_host_that_is_released_goes_on(frontier: SqliteFrontier) -> None:
    async def visit(lease: Lease) -> Outcome:
        if len(crew.visits) == 200:
            crew.scheduler.release(A)
            crew.scheduler.release(A)  # once more changes nothing
        return done(lease)

    crew = Crew(frontier, HostLimits(), visit)
    crew.scheduler.hold(A)
    await crew.run(workers=1)
    assert hosts_of(crew.visits[:200]) == {B}
    assert len(crew.visits) == 600


async def test_holding_all_that_is_left_ends_the_crawl_at_once(frontier: SqliteFrontier) -> None:
    """Workers that sleep until a host may be asked again are woken: there is nothing to wait for any more."""

    async def visit(lease: Lease) -> Outcome:
        asyncio.get_running_loop().call_soon(hold_both)
        return Postponed(error="http: 503", not_before=4e9)

    def hold_both() -> None:
        crew.scheduler.hold(A)
        crew.scheduler.hold(B)

    crew = Crew(frontier, HostLimits(spacing=1000.0), visit)
    await crew.run()
    assert len(crew.visits) <= 2
    assert frontier.counts.queued + frontier.counts.leased == 600


async def test_what_is_found_on_a_held_host_waits(frontier: SqliteFrontier) -> None:
    crew = Crew(frontier, HostLimits())
    crew.found = {f"http://{B}/0": [f"http://{A}/new"]}
    crew.scheduler.hold(A)
    await crew.run()
    assert frontier.counts.queued == 301
    crew.scheduler.release(A)
    await frontier.add([Request(f"http://{A}/newer")])
    assert frontier.counts.queued == 302
