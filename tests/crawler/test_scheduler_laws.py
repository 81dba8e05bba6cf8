"""What holds of the scheduler whatever the crawl: hosts, priorities, windows, delays, failures and ends are made up."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.limits import HostLimits
from crawler.frontier import SqliteFrontier
from crawler.outcome import Postponed
from crawler.request import Links, Request
from tests.crawler.crew import Crew, done

if TYPE_CHECKING:
    from crawler.frontier import Lease
    from crawler.outcome import Outcome

MAX_HOSTS = 9


@dataclass(frozen=True, slots=True)
class Web:
    """What there is to crawl: for each request its host and its priority, what it leads to, and how often it fails."""

    seeds: list[tuple[int, int]]
    found: dict[int, list[int]]
    failures: dict[int, int]

    def requests(self) -> list[Request]:
        return [Request(url(host, n), priority=priority) for n, (host, priority) in enumerate(self.seeds)]

    def links(self) -> dict[str, list[str]]:
        """By the URL of a seed, what it leads to: on any host, known before or not."""
        return {
            url(host, n): [url(target, f"{n}/{i}") for i, target in enumerate(self.found.get(n, []))]
            for n, (host, _) in enumerate(self.seeds)
        }

    def urls(self) -> list[str]:
        links = self.links()
        return [*links, *(found for targets in links.values() for found in targets)]


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is crawled."""

    workers: int
    active_hosts: int
    per_host: int
    spacing: float


hosts = st.integers(0, MAX_HOSTS)
webs = st.builds(
    Web,
    seeds=st.lists(st.tuples(hosts, st.integers(-2, 2)), min_size=1, max_size=40),
    found=st.dictionaries(st.integers(0, 39), st.lists(hosts, max_size=6), max_size=10),
    failures=st.dictionaries(st.integers(0, 39), st.integers(1, 2), max_size=5),
)
manners = st.builds(
    Manner,
    workers=st.integers(1, 5),
    active_hosts=st.integers(1, 2 * MAX_HOSTS),
    per_host=st.integers(0, 2),
    spacing=st.sampled_from([0.0, 0.0, 0.001]),
)
law = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def url(host: int, path: object) -> str:
    return f"http://h{host}.example/{path}"


class Run:
    """One run of a crawl over a made-up web; it stops after `stop_after` visits."""

    def __init__(self, frontier: SqliteFrontier, web: Web, manner: Manner, *, stop_after: int | None = None) -> None:
        limits = HostLimits(limit_per_host=manner.per_host, spacing=manner.spacing)
        self.crew = Crew(frontier, limits, self._visit, active_hosts=manner.active_hosts)
        self.crew.found = web.links()
        self.given: Counter[str] = Counter()
        self._failures = {url(web.seeds[n][0], n): times for n, times in web.failures.items() if n < len(web.seeds)}
        self._stop_after = stop_after
        self._manner = manner

    async def go(self) -> list[Lease]:
        """Those that were done, in order."""
        await self.crew.run(workers=self._manner.workers)
        return [lease for lease in self.crew.visits if lease.attempts >= self._failures.get(lease.url, 0)]

    async def _visit(self, lease: Lease) -> Outcome:
        self.given[lease.url] += 1
        if self.given.total() == self._stop_after:
            self.crew.scheduler.stop()
        await asyncio.sleep(0)
        if lease.attempts < self._failures.get(lease.url, 0):
            return Postponed(error="x", not_before=self.crew.frontier.now() + 0.002 * lease.attempts)
        return done(lease)


@law
@given(webs, manners)
def test_every_request_is_done_once_whatever_fits_into_the_window(web: Web, manner: Manner) -> None:
    async def crawl() -> None:
        with tempfile.TemporaryDirectory() as folder:
            frontier = await SqliteFrontier.open(Path(folder, "law.crawl"), spider="law")
            await frontier.add(web.requests())
            finished = await Run(frontier, web, manner).go()
            assert Counter(lease.url for lease in finished) == Counter(web.urls())
            assert (frontier.counts.queued, frontier.counts.leased) == (0, 0)
            await frontier.close()

    asyncio.run(crawl())


@law
@given(webs, manners, st.lists(st.integers(1, 20), max_size=3))
def test_it_stops_at_any_point_and_goes_on_later(web: Web, manner: Manner, stops: list[int]) -> None:
    async def crawl() -> None:
        finished: list[str] = []
        with tempfile.TemporaryDirectory() as folder:
            for stop_after in (*stops, None):
                frontier = await SqliteFrontier.open(Path(folder, "law.crawl"), spider="law")
                await frontier.add(web.requests())
                run = Run(frontier, web, manner, stop_after=stop_after)
                finished += [lease.url for lease in await run.go()]
                if stop_after:
                    assert run.given.total() < stop_after + manner.workers, "no more than was under way"
                await frontier.close()
        assert Counter(finished) == Counter(web.urls())

    asyncio.run(crawl())


@law
@given(st.integers(1, 300), st.integers(1, 4))
def test_the_only_host_may_be_held_at_any_point(held_after: int, workers: int) -> None:
    async def crawl() -> None:
        with tempfile.TemporaryDirectory() as folder:
            frontier = await SqliteFrontier.open(Path(folder, "law.crawl"), spider="law")
            await frontier.add([Links([url(0, n) for n in range(300)])])

            async def visit(lease: Lease) -> Outcome:
                if len(crew.visits) + 1 >= held_after:
                    crew.scheduler.hold(lease.host)
                return done(lease)

            crew = Crew(frontier, HostLimits(), visit)
            await crew.run(workers=workers)
            assert held_after <= len(crew.visits) < held_after + workers
            assert frontier.counts.queued + frontier.counts.leased == 300 - len(crew.visits)
            await frontier.close()

    asyncio.run(crawl())


@law
@given(st.lists(st.tuples(hosts, st.integers(-3, 3)), min_size=1, max_size=60), manners)
def test_a_host_is_asked_in_the_order_of_priorities(seeds: list[tuple[int, int]], manner: Manner) -> None:
    """Strictly so where all is known from the start, whichever hosts are in the window, and when."""
    web = Web(seeds, {}, {})

    async def crawl() -> None:
        with tempfile.TemporaryDirectory() as folder:
            frontier = await SqliteFrontier.open(Path(folder, "law.crawl"), spider="law")
            await frontier.add(web.requests())
            given: dict[str, list[tuple[int, int]]] = {}
            run = Run(frontier, web, manner)

            async def visit(lease: Lease) -> Outcome:
                given.setdefault(lease.host, []).append((-lease.priority, lease.id))
                return done(lease)

            run.crew.visit = visit
            await run.go()
            for order in given.values():
                assert all(earlier < later for earlier, later in pairwise(order))
            await frontier.close()

    asyncio.run(crawl())
