"""The scheduler: hosts wait, workers don't."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from client.limits import HostLimits
from crawler.frontier import Settlement, SqliteFrontier
from crawler.outcome import Postponed
from crawler.request import Links, Request
from crawler.scheduler import Scheduler
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


async def test_everything_is_given_out_once(frontier: SqliteFrontier) -> None:
    urls = [f"http://h{n % 7}.example/{n}" for n in range(500)]
    await frontier.add([Links(urls)])
    crew = Crew(frontier, HostLimits(limit_per_host=2))
    await crew.run()
    assert sorted(lease.url for lease in crew.visits) == sorted(urls)


async def test_what_is_found_on_the_way_is_given_out_too(frontier: SqliteFrontier) -> None:
    await frontier.add([Request("http://h.example/0")])
    crew = Crew(frontier, HostLimits())
    crew.found = {
        f"http://h.example/{n}": [f"http://h.example/{2 * n + 1}", f"http://h.example/{2 * n + 2}"] for n in range(150)
    }
    await crew.run()
    assert len(crew.visits) == 301


async def test_nothing_to_do_ends_at_once(frontier: SqliteFrontier) -> None:
    crew = Crew(frontier, HostLimits())
    await crew.run()
    assert crew.visits == []


async def test_a_host_has_no_more_workers_than_its_limit(frontier: SqliteFrontier) -> None:
    await frontier.add([Links([f"http://{host}.example/{n}" for host in "ab" for n in range(40)])])
    under_way: Counter[str] = Counter()
    peaks: Counter[str] = Counter()

    async def visit(lease: Lease) -> Outcome:
        under_way[lease.host] += 1
        peaks[lease.host] = max(peaks[lease.host], under_way[lease.host])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        under_way[lease.host] -= 1
        return done(lease)

    await Crew(frontier, HostLimits(limit_per_host=3), visit).run(workers=16)
    assert peaks == {"a.example": 3, "b.example": 3}, "the limit is kept, and used"


async def test_starts_keep_their_distance_and_other_hosts_go_on(frontier: SqliteFrontier) -> None:
    await frontier.add([Links([f"http://{host}.example/{n}" for host in "abcde" for n in range(4)])])
    starts: dict[str, list[float]] = {}

    async def visit(lease: Lease) -> Outcome:
        starts.setdefault(lease.host, []).append(time.monotonic())
        return done(lease)

    await Crew(frontier, HostLimits(spacing=0.03), visit).run(workers=2)
    for instants in starts.values():
        assert all(later - earlier >= 0.03 for earlier, later in pairwise(instants))
    firsts = sorted(instants[0] for instants in starts.values())
    assert firsts[-1] < min(instants[1] for instants in starts.values()), "all hosts begin before one is asked again"


async def test_a_stalled_host_costs_only_itself(frontier: SqliteFrontier) -> None:
    others = [f"http://fast{n % 3}.example/{n}" for n in range(60)]
    await frontier.add([Links([f"http://stalled.example/{n}" for n in range(20)]), Links(others)])
    release = asyncio.Event()
    left = len(others)

    async def visit(lease: Lease) -> Outcome:
        nonlocal left
        if lease.host == "stalled.example":
            await release.wait()
        else:
            left -= 1
            if not left:
                release.set()
        return done(lease)

    crew = Crew(frontier, HostLimits(limit_per_host=2), visit)
    await crew.run(workers=4)
    assert len(crew.visits) == 80, "the others were all done while it hung, else this would have timed out"


async def test_a_put_off_request_comes_back_when_it_is_due(frontier: SqliteFrontier) -> None:
    await frontier.add([Request("http://h.example/")])
    due = 0.0

    async def visit(lease: Lease) -> Outcome:
        nonlocal due
        if not lease.attempts:
            due = time.time() + 0.05
            return Postponed(error="x", not_before=due)
        assert time.time() >= due
        return done(lease)

    crew = Crew(frontier, HostLimits(), visit)
    await crew.run()
    assert len(crew.visits) == 2


async def test_work_of_an_earlier_run_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "again.crawl"
    first = await SqliteFrontier.open(path, spider="test")
    await first.add([Links([f"http://h{n}.example/" for n in range(10)])])
    await first.close()
    second = await SqliteFrontier.open(path, spider="test")
    crew = Crew(second, HostLimits())
    await crew.run()
    await second.close()
    assert len(crew.visits) == 10


async def test_after_a_stop_nothing_is_given_out(frontier: SqliteFrontier) -> None:
    await frontier.add([Links([f"http://h.example/{n}" for n in range(50)])])

    async def visit(lease: Lease) -> Outcome:
        crew.scheduler.stop()
        return done(lease)

    crew = Crew(frontier, HostLimits(limit_per_host=1), visit)
    await crew.run()
    assert len(crew.visits) == 1


async def test_a_suspended_host_is_left_alone_and_loses_nothing(frontier: SqliteFrontier) -> None:
    await frontier.add([Links([f"http://h.example/{n}" for n in range(3)])])
    scheduler = Scheduler(frontier, HostLimits())
    frontier.attach(admit=lambda *_: None, on_queued=scheduler.queued)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        supply = group.create_task(scheduler.keep_supplied())
        lease = await scheduler.next()
        assert lease
        with scheduler.suspended(lease):
            waiting = group.create_task(scheduler.next())
            for _ in range(10):
                await asyncio.sleep(0)
            assert not waiting.done()
        again = await waiting
        assert again == lease, "it comes first again"
        supply.cancel()


async def test_a_host_comes_first_once_it_is_known(frontier: SqliteFrontier) -> None:
    """However many wait: else what was learned of the first is forgotten before its turn comes round, and so for ever."""
    await frontier.add([Links([f"http://h{n}.example/" for n in range(50)])])
    scheduler = Scheduler(frontier, HostLimits())
    frontier.attach(admit=lambda *_: None, on_queued=scheduler.queued)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        supply = group.create_task(scheduler.keep_supplied())
        for _ in range(50):
            lease = await scheduler.next()
            assert lease
            with scheduler.suspended(lease):
                await asyncio.sleep(0)
            assert await scheduler.next() == lease
            scheduler.done(lease)
        supply.cancel()


async def test_a_page_limit_is_never_passed(frontier: SqliteFrontier) -> None:
    await frontier.add([Links([f"http://h{n}.example/" for n in range(30)])])
    most_under_way = 0

    async def visit(lease: Lease) -> Outcome:
        nonlocal most_under_way
        most_under_way = max(most_under_way, crew.scheduler.under_way)
        await asyncio.sleep(0)
        if crew.scheduler.under_way + frontier.counts.done >= 10:
            assert crew.scheduler.under_way + frontier.counts.done == 10
        return done(lease)

    crew = Crew(frontier, HostLimits(), visit)

    def may_start(under_way: int) -> bool:
        if frontier.counts.done >= 10:
            crew.scheduler.stop()
        return frontier.counts.done + under_way < 10

    crew.scheduler = Scheduler(frontier, crew.limits, may_start=may_start)
    await crew.run(workers=8)
    assert len(crew.visits) == 10


async def test_a_request_may_be_given_out_again_before_its_worker_says_that_it_is_done(
    frontier: SqliteFrontier,
) -> None:
    """A worker that has settled may have to wait before it says so, while what it put off is leased, and comes to another."""
    await frontier.add([Request("http://h.example/")])
    scheduler = Scheduler(frontier, HostLimits())
    frontier.attach(admit=lambda *_: None, on_queued=scheduler.queued)
    async with asyncio.timeout(60), asyncio.TaskGroup() as beside:
        supply = beside.create_task(scheduler.keep_supplied())
        first = await scheduler.next()
        assert first
        await frontier.settle(Settlement(lease=first, outcome=Postponed(error="busy", not_before=0.0)))
        second = await scheduler.next()
        assert second
        assert (second.id, second.attempts) == (first.id, 1)
        assert scheduler.under_way == 2
        scheduler.done(first)
        await frontier.settle(Settlement(lease=second, outcome=done(second)))
        scheduler.done(second)
        assert await scheduler.next() is None
        assert scheduler.under_way == 0
        supply.cancel()


async def test_the_end_does_not_depend_on_a_worker_that_does_not_come_back(frontier: SqliteFrontier) -> None:
    """The last request has lingered, so its worker leaves; whether pages were left out for nothing has to be decided all the same."""
    page, other = "http://h.example/page", "http://h.example/page?a"
    await frontier.add([Links([page, other])], depth=1)
    scheduler = Scheduler(frontier, HostLimits(limit_per_host=2))
    supply = asyncio.create_task(scheduler.keep_supplied())
    async with asyncio.timeout(10):
        leases = [await scheduler.next(), await scheduler.next()]
        waiting = asyncio.create_task(scheduler.next())
        await asyncio.sleep(0)
        for lease in leases:
            assert lease
            alias = page if lease.url == other else None
            await frontier.settle(Settlement(lease=lease, outcome=done(lease), alias=alias))
            scheduler.done(lease)
        assert await waiting is None
    supply.cancel()
    assert not frontier.is_undecided
    assert frontier.counts.done == frontier.counts.skipped == 1
