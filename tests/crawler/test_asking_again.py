"""A callback that wants its page asked for again."""

from __future__ import annotations

import asyncio
import json
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest

from crawler import Crawl, Page, Report, Request, Retry, Settings, Spider
from crawler.frontier.statefile import StateFile
from crawler.replay import Replay
from crawler.reports.why import in_words, why
from crawler.testing import page_of, take
from tests.crawler.readers.spiders import Insistent
from tests.sites import page, redirect, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.fetcher import Fetch, Unfit
    from crawler.frontier.protocol import Lease
    from tests.sites import Handler, Reply, Visit

QUICK: dict[str, Any] = {"robots": False, "retry_wait": 0.01, "commit_interval": 0.01}


def busy(times: int) -> Handler:
    """A site whose pages are themselves only after so many answers each."""
    answers: dict[str, int] = {}

    async def reply(visit: Visit) -> Reply:
        if visit.path == "/":
            return page("Home", "/a", "/b", "/moved")
        if visit.path == "/moved":
            return redirect("/c")
        answers[visit.path] = answers.get(visit.path, 0) + 1
        return page(
            "Later" if answers[visit.path] <= times else "Now", "/never" if answers[visit.path] <= times else "/"
        )

    return reply


def items(state: Path) -> list[Any]:
    with StateFile(state) as file:
        return [json.loads(item) for item in file.items()]


def pages(state: Path) -> dict[str, Any]:
    """What became of each page, by the last part of its URL."""
    with StateFile(state) as file:
        rows = file.query("SELECT url, status, error FROM pages")
        return {url.rpartition("/")[2]: (status, error) for url, status, error in rows}


async def crawl(state: Path, spider: Spider, **options: Any) -> Report:
    return await Crawl(spider, Settings(**{**QUICK, **options}), state=state).run()


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_page_is_asked_for_again_until_it_is_one(tmp_path: Path, processes: int) -> None:
    state = tmp_path / "a.crawl"
    async with serve(busy(2)) as site:
        report = await crawl(state, Insistent(start_urls=[f"{site.url}/"]), processes=processes, keep_bodies=True)
        assert sorted(site.paths) == ["/", *3 * ["/a"], *3 * ["/b"], *3 * ["/c"], "/moved"]
    assert (report.reason, report.stats.done, report.stats.failed) == ("finished", 4, 0)
    assert (report.stats.errors, report.stats.spider_errors) == ({"retry": 6}, [])
    assert sorted(item["page"] for item in items(state)) == ["a", "b", "c"], (
        "nothing is kept of the others, nor followed"
    )
    with StateFile(state) as file:
        (told,) = [list(in_words(why(file, f"{site.url}/a"), "a.crawl"))]
        assert [line.partition("UTC: ")[2] for line in told if "  try " in line] == ["retry: not yet ready: é"] * 2


@pytest.mark.parametrize("processes", [1, 2])
async def test_after_the_last_attempt_it_fails_for_that_reason(tmp_path: Path, processes: int) -> None:
    state = tmp_path / "a.crawl"
    async with serve(busy(9)) as site:
        spider = Insistent(start_urls=[f"{site.url}/"], after=0.0)
        report = await crawl(state, spider, processes=processes, max_attempts=2)
        assert site.paths.count("/a") == 2
    assert (report.stats.done, report.stats.failed, report.stats.spider_errors) == (1, 3, [])
    failed = (200, "retry: not yet ready: é")
    assert pages(state) == {"": (200, None), "a": failed, "b": failed, "moved": failed}
    assert sorted(item["failed"] for item in items(state)) == ["a", "b", "moved"]


async def test_the_wait_is_the_spiders_up_to_the_longest(tmp_path: Path) -> None:
    state = tmp_path / "a.crawl"
    async with serve(busy(1)) as site:
        report = await crawl(state, Insistent(start_urls=[f"{site.url}/"], after=3600.0), max_retry_wait=0.01)
    assert (report.reason, report.stats.done) == ("finished", 4)


async def test_attempts_count_after_a_stop(tmp_path: Path) -> None:
    """The first run is stopped while the page waits for its second try, which is the last one."""
    state = tmp_path / "a.crawl"

    class Stopping(Spider):
        crawl: Crawl

        def parse(self, page: Page) -> None:
            self.crawl.stop()
            raise Retry("not today", after=0)

    async with serve({"/": page("Home")}) as site:
        for reason in "interrupted", "finished":
            spider = Stopping(start_urls=[f"{site.url}/"])
            spider.crawl = Crawl(spider, Settings(max_attempts=2, **QUICK), state=state)
            report = await spider.crawl.run()
            assert report.reason == reason
        assert site.paths == ["/", "/"]
    assert pages(state) == {"": (200, "retry: not today")}


async def test_who_hears_of_a_failure_cannot_have_it_again(tmp_path: Path) -> None:
    state = tmp_path / "a.crawl"

    class Never(Spider):
        def failed(self, request: Request, error: str) -> None:
            raise Retry("once more")

    async with serve({}) as site:
        report = await crawl(state, Never(start_urls=[f"{site.url}/"]))
    assert report.stats.failed == 1
    ((_, error),) = pages(state).values()
    assert error.startswith(f"spider: {__file__}:")
    assert "Retry: once more" in error
    assert "if failed() yields it with again=True, told of: http: 404 Not Found" in error


async def test_a_page_that_a_middleware_fetched_is_asked_for_again(tmp_path: Path) -> None:
    async def around(lease: Lease, fetch: Fetch) -> Page | Unfit:
        return await fetch(lease)

    for processes in 1, 2:
        async with serve(busy(1)) as site:
            spider = Insistent(start_urls=[f"{site.url}/"])
            settings = Settings(processes=processes, **QUICK)
            report = await Crawl(spider, settings, state=tmp_path / f"{processes}.crawl", middlewares=[around]).run()
        assert (report.stats.done, report.stats.errors) == (4, {"retry": 3})


async def test_a_middleware_may_ask_again(tmp_path: Path) -> None:
    async def patient(lease: Lease, fetch: Fetch) -> Page | Unfit:
        came = await fetch(lease)
        if isinstance(came, Page) and came.title == "Later":
            raise Retry("too soon", after=0)
        return came

    class Careful(Insistent):
        middlewares = (patient,)

    state = tmp_path / "a.crawl"
    async with serve(busy(2)) as site:
        spider = Careful(start_urls=[f"{site.url}/"])
        report = await crawl(state, spider, max_attempts=2)
        assert site.paths.count("/a") == 2
    assert (report.stats.done, report.stats.errors) == (1, {"retry": 6})
    failed = (None, "retry: too soon")
    assert pages(state) == {"": (200, None), "a": failed, "b": failed, "moved": failed}


async def test_a_callback_that_yields_what_was_asked_for_first_goes_back_to_it(tmp_path: Path) -> None:
    """`Retry` asks again where redirects led; this where they began, though both are known by then."""
    state = tmp_path / "a.crawl"
    times = 0

    async def reply(visit: Visit) -> Reply:
        nonlocal times
        times += visit.path == "/mine"
        return page("Sign in") if visit.path == "/signin" else page("Mine") if times > 2 else redirect("/signin")

    class Member(Spider):
        def parse(self, page: Page) -> Any:
            if page.title == "Sign in":
                return Request(page.requested_url, again=True)
            return {"page": page.title}

    async with serve(reply) as site:
        report = await crawl(state, Member(start_urls=[f"{site.url}/mine"]))
        assert site.paths == ["/mine", "/signin", "/mine", "/signin", "/mine"]
    assert report.finished
    assert items(state) == [{"page": "Mine"}]


async def test_a_replay_tells_what_it_would_ask_for_again(tmp_path: Path) -> None:
    state = tmp_path / "a.crawl"

    class Taking(Spider):
        name = "insistent"

        def parse(self, page: Page) -> Iterator[Any]:
            yield page.follow_all()

    def replayed() -> tuple[list[str], Replay]:
        with StateFile(state) as file:
            replay = Replay(Insistent(), file)
            return list(replay.items()), replay

    async with serve({"/": page("Home", "/a", "/b"), "/a": page("Now"), "/b": page("Later")}) as site:
        await crawl(state, Taking(start_urls=[f"{site.url}/"]), keep_bodies=True)
        found, replay = await asyncio.to_thread(replayed)
    assert [json.loads(item)["page"] for item in found] == ["a"]
    assert (replay.pages, replay.errors) == (3, [])
    assert replay.wanted_again == [f"{site.url}/b: not yet ready: é"]


async def test_a_test_of_a_spider_sees_it() -> None:
    with pytest.raises(Retry, match="not yet ready") as caught:
        await take(Insistent(after=3.0), page_of("https://library.example/a", "<title>Later</title>"))
    assert caught.value.after == 3.0


@pytest.mark.parametrize("after", [-1, inf, nan])
def test_a_wait_that_is_none_is_refused(after: float) -> None:
    with pytest.raises(ValueError, match="0 or more, not"):
        Retry("why", after=after)
