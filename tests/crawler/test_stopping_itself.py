"""A spider that ends its crawl: `Stop`."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from crawler import Crawl, Page, Report, Settings, Spider, Stop
from crawler.frontier.statefile import StateFile
from crawler.replay import Replay
from crawler.testing import page_of, take
from spiders.rules import Rule, RulesSpider
from tests.crawler.readers.spiders import Satisfied
from tests.sites import page, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.fetcher import Fetch, Unfit
    from crawler.frontier.protocol import Lease
    from tests.sites import Reply, Visit

ONE_BY_ONE: dict[str, Any] = {"robots": False, "commit_interval": 0.01, "concurrency": 1, "processes": 1}
SITE = {
    "/": page("Home", "/enough", "/b"),
    "/enough": page("Enough", "/c"),
    "/b": page("B"),
    "/c": page("C"),
}
PROCESSES = pytest.mark.parametrize("processes", [1, 2])


async def crawl(state: Path, spider: Spider, **options: Any) -> Report:
    return await Crawl(spider, Settings(**{**ONE_BY_ONE, **options}), state=state).run()


def left(report: Report) -> int:
    """How many requests wait for the next run."""
    return report.stats.queued + report.stats.leased


def items(state: Path) -> list[Any]:
    with StateFile(state) as file:
        return [json.loads(item) for item in file.items()]


def given(state: Path) -> list[str]:
    return [item["page"] for item in items(state)]


@PROCESSES
@pytest.mark.parametrize("kind", ["generator", "asynchronous"])
async def test_what_was_given_before_is_kept_and_the_next_run_goes_on(
    tmp_path: Path, kind: str, processes: int
) -> None:
    state = tmp_path / "a.crawl"
    async with serve(SITE) as site:
        spider = Satisfied(start_urls=[f"{site.url}/"], kind=kind)
        report = await crawl(state, spider, processes=processes)
        assert (report.reason, report.finished) == ("stopped", False)
        assert report.why.startswith("that is enough: é")
        assert (report.stats.done, left(report), report.stats.errors) == (2, 2, {})
        assert site.paths == ["/", "/enough"]
        assert given(state) == ["/", "/enough"]
        report = await crawl(state, Satisfied(start_urls=[f"{site.url}/"], kind=kind), processes=processes)
        assert (report.reason, report.why) == ("finished", "")
        assert sorted(site.paths) == ["/", "/b", "/c", "/enough"]
    assert sorted(given(state)) == ["/", "/b", "/c", "/enough"]


@PROCESSES
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_what_returns_its_all_has_given_nothing_and_its_page_is_done(
    tmp_path: Path, kind: str, processes: int
) -> None:
    state = tmp_path / "a.crawl"
    async with serve(SITE) as site:
        report = await crawl(state, Satisfied(start_urls=[f"{site.url}/"], kind=kind), processes=processes)
        assert (report.reason, report.stats.done, left(report)) == ("stopped", 2, 1)
        assert (await crawl(state, Satisfied(), processes=processes)).finished
        assert site.paths == ["/", "/enough", "/b"]
    assert given(state) == ["/", "/b"]


@PROCESSES
async def test_who_hears_of_a_failure_may_end_it(tmp_path: Path, processes: int) -> None:
    state = tmp_path / "a.crawl"
    async with serve({"/": page("Home", "/missing", "/b"), "/b": page("B")}) as site:
        report = await crawl(state, Satisfied(start_urls=[f"{site.url}/"]), processes=processes)
        assert (report.reason, report.why) == ("stopped", "http: 404 Not Found")
        assert (report.stats.done, report.stats.failed, left(report)) == (1, 1, 1)
        assert site.paths == ["/", "/missing"]
    assert items(state) == [{"page": "/"}, {"failed": "/missing"}]


@PROCESSES
async def test_a_middleware_may_end_it_and_its_request_is_for_the_next_run(tmp_path: Path, processes: int) -> None:
    state = tmp_path / "a.crawl"

    async def around(lease: Lease, fetch: Fetch) -> Page | Unfit:
        if lease.url.endswith("/enough"):
            raise Stop("the day is over")
        return await fetch(lease)

    async with serve(SITE) as site:
        settings = Settings(**{**ONE_BY_ONE, "processes": processes, "max_attempts": 1})
        for _ in range(2):
            spider = Satisfied(start_urls=[f"{site.url}/"])
            report = await Crawl(spider, settings, state=state, middlewares=[around]).run()
            assert (report.reason, report.why, report.stats.failed) == ("stopped", "the day is over", 0)
            assert (left(report), report.stats.errors, report.stats.last_error) == (2, {}, "")
            with StateFile(state) as file:
                assert not any(tries for (tries,) in file.query("SELECT attempts FROM queue")), "it was no attempt"
        assert site.paths == ["/"]
        await crawl(state, Satisfied(), processes=processes)
        assert site.paths[:2] == ["/", "/enough"]
    assert given(state) == ["/", "/enough"]


async def test_what_is_under_way_ends_and_the_first_reason_counts(tmp_path: Path) -> None:
    """The slow page is asked for before the spider has enough, and is answered after."""
    state = tmp_path / "a.crawl"
    is_asked, has_enough = asyncio.Event(), asyncio.Event()

    async def reply(visit: Visit) -> Reply:
        if visit.path == "/":
            return page("Home", "/enough", "/slow")
        if visit.path == "/slow":
            is_asked.set()
            await has_enough.wait()
            return page("Slow", "/further")
        await is_asked.wait()
        return page("Enough")

    class Telling(Spider):
        def parse(self, page: Page) -> Iterator[Any]:
            yield {"page": page.title}
            yield page.follow_all()
            if page.depth:
                has_enough.set()
                raise Stop(page.title or "")

    async with serve(reply) as site:
        report = await crawl(state, Telling(start_urls=[f"{site.url}/"]), concurrency=2, per_host=2)
        assert sorted(site.paths) == ["/", "/enough", "/slow"]
    assert (report.reason, report.why) == ("stopped", "Enough")
    assert (report.stats.done, left(report)) == (3, 1)
    assert given(state) == ["Home", "Enough", "Slow"]


async def test_it_is_stopped_though_nothing_is_left(tmp_path: Path) -> None:
    """Nobody knows what the last page would have given."""
    state = tmp_path / "a.crawl"
    async with serve({"/enough": page("Enough")}) as site:
        report = await crawl(state, Satisfied(start_urls=[f"{site.url}/enough"], kind="plain"))
        assert (report.reason, left(report)) == ("stopped", 0)
        assert (await crawl(state, Satisfied(start_urls=[f"{site.url}/enough"]))).finished


async def test_the_links_of_rules_are_kept_as_well(tmp_path: Path) -> None:
    state = tmp_path / "a.crawl"

    class Ruled(RulesSpider):
        rules = (Rule(callback="told", follow=True),)

        def told(self, page: Page) -> Iterator[Any]:
            yield {"page": page.title}
            raise Stop("one is enough")

    async with serve({"/": page("Home", "/a"), "/a": page("A", "/b"), "/b": page("B")}) as site:
        report = await crawl(state, Ruled(start_urls=[f"{site.url}/"]))
    assert (report.reason, report.why, report.stats.done, left(report)) == ("stopped", "one is enough", 2, 1)
    assert given(state) == ["A"]


async def test_a_test_of_a_spider_sees_it() -> None:
    taken = await take(Satisfied(), page_of("https://library.example/enough", '<a href="/c">'), "generator")
    assert taken.items == [{"page": "/enough"}]
    assert [request.url for request in taken.requests] == ["https://library.example/c"]
    assert (taken.stop or "").startswith("that is enough")
    assert (await take(Satisfied(), page_of("https://library.example/"), "generator")).stop is None


async def test_a_replay_reads_all_pages(tmp_path: Path) -> None:
    state = tmp_path / "a.crawl"

    def replayed() -> list[str]:
        with StateFile(state) as file:
            return list(Replay(Satisfied(), file).items())

    async with serve(SITE) as site:
        for _ in range(2):
            await crawl(state, Satisfied(start_urls=[f"{site.url}/"]), keep_bodies=True)
    assert [json.loads(item)["page"] for item in await asyncio.to_thread(replayed)] == ["/", "/enough", "/b", "/c"]
