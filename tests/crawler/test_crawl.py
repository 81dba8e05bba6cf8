"""The ring, whole: a spider, a real server, the crawl file."""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
from collections import deque
from contextlib import closing
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from crawler import Crawl, Links, Page, Report, Request, Settings, Spider
from crawler.errors import SpiderError, StorageError, UsageError
from crawler.exports import open_export
from crawler.frontier.statefile import StateFile
from crawler.outcome import Aside, Failed, Postponed, Redirected, SetAside
from crawler.replay import Replay
from spiders.site import SiteSpider
from tests.proof.crawlfile import read_items
from tests.sites import Reply, Site, Visit, page, redirect, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from crawler.fetcher import Fetch, Unfit
    from crawler.frontier.protocol import Lease

OUTPUTS = ("out.jsonl", "out.csv", "out.sqlite", "out.parquet")

QUICK = Settings(robots=False, retry_wait=0.01, commit_interval=0.01)


async def crawl(path: Path, spider: Spider, settings: Settings = QUICK, **parts: Any) -> Report:
    async with asyncio.timeout(60):
        return await Crawl(spider, settings, state=path / "test.crawl", **parts).run()


async def crawl_site(path: Path, site: Site, settings: Settings = QUICK, **parts: Any) -> Report:
    return await crawl(path, SiteSpider(start_urls=[f"{site.url}/"]), settings, **parts)


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path / "test.crawl")) as db:
        return db.execute(sql).fetchall()


def items(path: Path) -> list[Any]:
    return [json.loads(data) for (data,) in ask(path, "SELECT data FROM item ORDER BY id")]


async def test_a_site_is_crawled_once_and_whole(tmp_path: Path) -> None:
    pages = {
        "/": page("Home", "/a", "b#part", "/a?x=1", "http://elsewhere.invalid/"),
        "/a": page("A", "/", "/b", "mailto:x@y.z"),
        "/b": page("B", "/deep/c", "../"),
        "/a?x=1": page("A with a query"),
        "/deep/c": (200, {"Content-Type": "text/plain"}, "no links here: <a href='/d'>"),
    }
    async with serve(pages) as site:
        report = await crawl_site(tmp_path, site)
    assert report.finished
    assert sorted(site.paths) == sorted(pages)
    assert {item["title"] for item in items(tmp_path)} == {"Home", "A", "B", "A with a query"}
    assert (report.stats.done, report.stats.skipped, report.stats.failed) == (5, 1, 0)
    assert ask(tmp_path, "SELECT url, skipped FROM pages WHERE skipped IS NOT NULL") == [
        ("http://elsewhere.invalid/", "scope")
    ]


async def test_a_finished_crawl_asks_nothing_again(tmp_path: Path) -> None:
    async with serve({"/": page("Home")}) as site:
        await crawl_site(tmp_path, site)
        report = await crawl_site(tmp_path, site)
    assert report.finished
    assert site.paths == ["/"]


@pytest.mark.parametrize("stations", [["/a", "/b"], ["/a", "/b", "/c"]], ids=["two", "three"])
@pytest.mark.parametrize("per_host", [1, 4])
async def test_a_page_behind_a_detour_is_read_though_each_station_was_found(
    tmp_path: Path, stations: list[str], per_host: int
) -> None:
    """They redirect to each other, so that each might be left out for the next: until the cookie that they set is known."""
    onwards = dict(zip(stations, [*stations[1:], stations[0]], strict=True))

    async def reply(visit: Visit) -> Reply:
        if visit.path not in onwards:
            return page(visit.path, *(stations if visit.path == "/" else ()))
        if visit.path == "/a" and "seen=1" in visit.headers.get("cookie", ""):
            return page("A", "/behind")
        return 302, {"Location": onwards[visit.path], "Set-Cookie": "seen=1"}, ""

    async with serve(reply) as site:
        report = await crawl_site(tmp_path, site, replace(QUICK, per_host=per_host))
    assert report.finished
    assert "/behind" in site.paths
    assert site.paths.count("/a") <= 1 + len(stations)


LAMP, OTHER_LAMP = "/shop/lamp", "/shop/lamp?session=x"
CANONICAL_LAMP: Reply = (200, {}, f'<link rel="canonical" href="{LAMP}"><title>Lamp</title>')


@pytest.mark.parametrize(
    ("stations", "behind", "last"),
    [
        (["/a", "/b"], page("A"), "/a"),
        (["/a", "/b", "/c"], page("A"), "/a"),
        (["/a", "/b", "/c"], page("A"), "/b"),
        ([LAMP, OTHER_LAMP], CANONICAL_LAMP, LAMP),
    ],
    ids=["two", "three, at the first", "three, at the second", "a redirect and a canonical URL"],
)
async def test_a_stop_on_a_detour_costs_no_page(tmp_path: Path, stations: list[str], behind: Reply, last: str) -> None:
    """Whatever led where before it, is known after it, too. Of three stations, the last was not found on the page."""
    onwards = dict(zip(stations, [*stations[1:], stations[0]], strict=True))
    if behind is CANONICAL_LAMP:
        onwards.pop(OTHER_LAMP)

    async def reply(visit: Visit) -> Reply:
        if visit.path == "/":
            return page("Home", *stations[:2])
        if visit.path not in onwards or (visit.path == "/a" and "seen=1" in visit.headers.get("cookie", "")):
            return behind
        return 302, {"Location": onwards[visit.path], **({"Set-Cookie": "seen=1"} if visit.path != "/a" else {})}, ""

    async def stop_at(lease: Lease, fetch: Fetch) -> Page | Unfit:
        if lease.url == f"{site.url}{last}" and not lease.redirects:
            first.stop()
        return await fetch(lease)

    titles = []
    async with serve(reply) as site:
        for name in ("stopped", "whole"):
            (tmp_path / name).mkdir()
            parts: dict[str, Any] = {"settings": replace(QUICK, concurrency=1), "state": tmp_path / name / "test.crawl"}
            spider = SiteSpider(start_urls=[f"{site.url}/"])
            first = Crawl(spider, **parts, middlewares=[stop_at] if name == "stopped" else [])
            reports = [await first.run(), await Crawl(spider, **parts).run()]
            assert [report.finished for report in reports] == [name == "whole", True]
            titles.append(sorted(item["title"] for item in items(tmp_path / name)))
    assert titles[0] == titles[1]
    assert len(titles[1]) == 2


async def test_redirects_end_where_they_lead(tmp_path: Path) -> None:
    pages = {
        "/": page("Home", "/old", "/to-known", "/loop", "/out", "/nowhere", "/known"),
        "/old": redirect("/older", 301),
        "/older": redirect("new#fragment", 308),
        "/new": page("New"),
        "/known": page("Known"),
        "/to-known": redirect("/known"),
        "/loop": redirect("/loop"),
        "/out": redirect("http://elsewhere.invalid/"),
        "/nowhere": redirect("mailto:x@y.z"),
    }
    async with serve(pages) as site:
        report = await crawl_site(tmp_path, site)
    rows = {
        url.removeprefix(site.url): rest
        for url, *rest in ask(tmp_path, "SELECT url, final_url, status, skipped, error FROM pages")
    }
    assert rows["/old"] == [f"{site.url}/new", 200, None, None]
    assert rows["/out"][2] == "scope"
    assert rows["/loop"][3] == f"redirect: more than 10 in a row, the next to {site.url}/loop"
    assert rows["/nowhere"][3] == "redirect: to 'mailto:x@y.z', which is nothing to fetch"
    known = {rows["/known"][2], rows["/to-known"][2]}
    assert known == {None, "duplicate"}
    assert site.paths.count("/known") == 1
    assert (report.stats.done, report.stats.failed, report.stats.skipped) == (3, 2, 2)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/" + "x" * 60_000, "protocol: a header line of more than 8190 bytes"),
        ("/" + "{" * 4000, f"redirect: to '/{'{' * 199}…', which is nothing to fetch"),
    ],
    ids=["longer than a header", "longer with its escapes"],
)
async def test_a_redirect_to_too_long_a_url_is_a_failure_like_others(
    tmp_path: Path, location: str, expected: str
) -> None:
    async with serve({"/": redirect(location)}) as site:
        await crawl_site(tmp_path, site)
    ((error,),) = ask(tmp_path, "SELECT error FROM pages")
    assert error.startswith(expected)


async def test_a_seed_that_has_moved_takes_the_scope_along(tmp_path: Path) -> None:
    async with serve({"/": page("New home", "/page"), "/page": page("Page")}) as new:
        moved = f"http://localhost:{new.port}/"
        async with serve({"/": redirect(moved)}) as old:
            await crawl_site(tmp_path, old, Settings(robots=False, max_pages=1))
            report = await crawl_site(tmp_path, old)
    assert report.finished
    assert [item["url"] for item in items(tmp_path)] == [moved, f"{moved}page"]


async def test_robots_txt_is_asked_for_first_and_obeyed(tmp_path: Path) -> None:
    pages = {
        "/robots.txt": (
            200,
            {"Content-Type": "text/plain"},
            "User-agent: *\nDisallow: /private\nAllow: /private/not\n",
        ),
        "/": page("Home", "/private", "/private/not", "/open"),
        "/private/not": page("Not so private"),
        "/open": page("Open"),
    }
    async with serve(pages) as site:
        report = await crawl_site(tmp_path, site, Settings())
    assert site.paths[0] == "/robots.txt"
    assert site.paths.count("/robots.txt") == 1
    assert "/private" not in site.paths
    assert (report.stats.done, report.stats.skipped) == (3, 1)
    assert ask(tmp_path, "SELECT reason, detail FROM result WHERE state = 'skipped'") == [
        ("robots", "Disallow: /private")
    ]


async def test_without_a_robots_txt_everything_is_allowed(tmp_path: Path) -> None:
    async with serve({"/": page("Home", "/a"), "/a": page("A")}) as site:
        report = await crawl_site(tmp_path, site, Settings())
    assert (report.stats.done, report.stats.failed) == (2, 0)


async def test_while_robots_txt_cannot_be_had_nothing_is_asked(tmp_path: Path) -> None:
    asked = 0

    async def answer(visit: Visit) -> Reply:
        nonlocal asked
        if visit.path != "/robots.txt":
            return page("Home")
        asked += 1
        return (500, {}, "") if asked < 3 else (404, {}, "")

    async with serve(answer) as site:
        report = await crawl_site(tmp_path, site, Settings(retry_wait=0.01))
    assert site.paths == ["/robots.txt"] * 3 + ["/"]
    assert report.stats.done == 1
    errors = ask(tmp_path, "SELECT error FROM attempt")
    assert errors == [(f"robots: {site.url}/robots.txt answered 500",)] * 2


async def test_a_crawl_delay_becomes_the_hosts_distance(tmp_path: Path) -> None:
    robots = (200, {"Content-Type": "text/plain"}, "User-agent: *\nCrawl-delay: 0.1\n")
    pages = {"/robots.txt": robots, "/": page("Home", "/a", "/b"), "/a": page("A"), "/b": page("B")}
    async with serve(pages) as site:
        await crawl_site(tmp_path, site, Settings(per_host=8))
    instants = [visit.at for visit in site.log[1:]]
    assert all(later - earlier >= 0.09 for earlier, later in pairwise(instants))


async def test_what_may_pass_is_tried_again_and_what_may_not_is_not(tmp_path: Path) -> None:
    tries: dict[str, int] = {}

    async def answer(visit: Visit) -> Reply:
        tries[visit.path] = tries.get(visit.path, 0) + 1
        match visit.path:
            case "/":
                return page("Home", "/flaky", "/broken", "/missing")
            case "/flaky":
                return page("Flaky") if tries["/flaky"] > 1 else (502, {}, "")
            case "/broken":
                return 500, {}, "<title>Oops</title>"
            case _:
                return 404, {}, "<title>Gone</title>"

    async with serve(answer) as site:
        report = await crawl_site(tmp_path, site)
    assert tries == {"/": 1, "/flaky": 2, "/broken": 3, "/missing": 1}
    assert (report.stats.done, report.stats.failed) == (2, 2)
    assert ask(tmp_path, "SELECT url, status, error, attempts FROM errors ORDER BY url") == [
        (f"{site.url}/broken", 500, "http: 500 Internal Server Error", 3),
        (f"{site.url}/missing", 404, "http: 404 Not Found", 1),
    ]


async def test_a_server_may_ask_for_a_pause_of_the_whole_host(tmp_path: Path) -> None:
    told_at = 0.0

    async def answer(visit: Visit) -> Reply:
        nonlocal told_at
        if visit.path == "/":
            return page("Home", *(f"/{n}" for n in range(4)))
        if not told_at:
            told_at = visit.at
            return 429, {"Retry-After": "1"}, ""
        return page("Page")

    async with serve(answer) as site:
        report = await crawl_site(tmp_path, site, Settings(robots=False, per_host=1))
    assert report.stats.done == 5
    later = [visit.at for visit in site.log if visit.at > told_at]
    assert min(later) - told_at >= 0.95


async def test_a_dead_host_fails_and_the_others_go_on(tmp_path: Path) -> None:
    class Two(SiteSpider):
        scope = "any"

    async with serve({"/": page("Home", "http://127.0.0.1:1/", "/a"), "/a": page("A")}) as site:
        report = await crawl(tmp_path, Two(start_urls=[f"{site.url}/"]))
    assert (report.stats.done, report.stats.failed) == (2, 1)
    ((url, error),) = ask(tmp_path, "SELECT url, error FROM errors")
    assert url == "http://127.0.0.1:1/"
    assert error.startswith("connect: ")


async def test_callbacks_context_and_every_kind_of_yield(tmp_path: Path) -> None:
    class Shop(Spider):
        async def parse(self, page: Page) -> AsyncIterator[Any]:
            yield [page.follow(url="/book", callback=self.book, context={"shelf": 3}), None]
            yield Links([f"{page.url}a", f"{page.url}b"], callback="plain")

        def book(self, page: Page) -> dict[str, Any]:
            return {"title": page.title, "shelf": page.context["shelf"], "from": page.referrer}

        async def plain(self, page: Page) -> list[dict[str, str]]:
            return [{"title": page.title or ""}]

    pages = {"/": page("Home"), "/book": page("Moby"), "/a": page("A"), "/b": page("B")}
    async with serve(pages) as site:
        await crawl(tmp_path, Shop(start_urls=[f"{site.url}/"]))
    found = sorted(items(tmp_path), key=lambda item: item["title"])
    assert found == [{"title": "A"}, {"title": "B"}, {"title": "Moby", "shelf": 3, "from": f"{site.url}/"}]


async def test_a_spider_that_raises_loses_that_page_alone(tmp_path: Path) -> None:
    class Clumsy(SiteSpider):
        def parse(self, page: Page) -> Iterator[Any]:
            yield from super().parse(page)
            if page.url.endswith("/bad"):
                raise LookupError("no price")

    async with serve(
        {"/": page("Home", "/bad", "/good"), "/bad": page("Bad", "/behind"), "/good": page("Good")}
    ) as site:
        report = await crawl(tmp_path, Clumsy(start_urls=[f"{site.url}/"]))
    assert report.finished
    assert "/behind" not in site.paths, "what a page gave before it raised does not count"
    assert {item["title"] for item in items(tmp_path)} == {"Home", "Good"}
    ((error,),) = ask(tmp_path, "SELECT error FROM errors")
    assert error.startswith(f"spider: {__file__}:")
    assert error.endswith("LookupError: no price (in parse)")
    assert report.stats.spider_errors == [error.removeprefix("spider: ")]


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"url": 7}, "a URL must be text, not int"),
        ({"url": "/about"}, "is not a URL that can be fetched"),
        ({"method": None}, "the method of a request must be a word such as POST, not None"),
        ({"method": "GET\r\nX: y"}, "the method of a request must be a word"),
        ({"method": "POST", "body": "q=1"}, "must be bytes, not str; .encode() makes them of text"),
        ({"headers": [("A", "b")]}, "the headers of a request must be a mapping, not list"),
        ({"headers": {"A": 1}}, "names and values of headers must be text: 'A': 1"),
        ({"headers": {"A": "\ud800"}}, "UnicodeEncodeError"),
        ({"headers": {"A": "b\r\nC: d"}}, "this is not a header that can be sent: 'A'"),
        ({"headers": {"A b": "c"}}, "this is not a header that can be sent: 'A b'"),
        ({"callback": 7}, "a callback must be a method of the spider, or its name, not 7"),
        ({"priority": "1"}, "a priority must be a whole number, not '1'"),
        ({"priority": 2**70}, "a priority must lie between -2^53 and 2^53"),
        ({"context": [1]}, "the context of a request must be a mapping, not list"),
        ({"context": {"a": "\ud800"}}, "the context of a request cannot be written as JSON"),
    ],
)
async def test_a_request_that_cannot_be_kept_is_a_fault_of_its_page_and_loses_nothing(
    tmp_path: Path, asked: dict[str, Any], complaint: str
) -> None:
    class Careless(SiteSpider):
        def parse(self, page: Page) -> Iterator[Any]:
            yield from super().parse(page)
            if page.url.endswith("/bad"):
                yield Request(**{"url": page.url, **asked})

    pages = {"/": page("Home", "/bad", "/good"), "/bad": page("Bad"), "/good": page("Good", "/behind")}
    async with serve({**pages, "/behind": page("Behind")}) as site:
        report = await crawl(tmp_path, Careless(start_urls=[f"{site.url}/"]))
    assert report.finished
    assert {item["title"] for item in items(tmp_path)} == {"Home", "Good", "Behind"}
    ((error,),) = ask(tmp_path, "SELECT error FROM errors")
    assert error.startswith("spider: ")
    assert complaint in error


async def test_a_context_is_kept_as_it_was_when_it_was_given(tmp_path: Path) -> None:
    """Whatever JSON can be made of, as text of any kind; and later changes are the spider's own affair."""

    class Text(str):
        __slots__ = ()

    class Counting(Spider):
        def parse(self, page: Page) -> Iterator[Any]:
            if page.context:
                yield {"url": page.url, **page.context}
                return
            context: dict[str, Any] = {"of": deque([1, 2]), "from": MappingProxyType({"a": Text("b")}).keys()}
            for number in range(3):
                context["number"] = number
                yield Request(page.urljoin(str(number)), context=context, headers={Text("A"): Text("b")})
            context["page"] = page

    async with serve({"/": page("Home"), **{f"/{n}": page(str(n)) for n in range(3)}}) as site:
        report = await crawl(tmp_path, Counting(start_urls=[f"{site.url}/"]))
    assert report.finished
    assert sorted(items(tmp_path), key=lambda item: item["url"]) == [
        {"url": f"{site.url}/{number}", "of": [1, 2], "from": ["a"], "number": number} for number in range(3)
    ]


async def test_links_of_ones_own_are_made_canonical(tmp_path: Path) -> None:
    class Own(Spider):
        def parse(self, page: Page) -> Iterator[Any]:
            site = self.start_urls[0]
            yield Links([f"{site}a#one", f"{site}x/../a", f"{site}%61"], priority=1)

    async with serve({"/": page("Home"), "/a": page("A")}) as site:
        await crawl(tmp_path, Own(start_urls=[f"{site.url}/"]))
    assert ask(tmp_path, "SELECT url FROM pages") == [(f"{site.url}/",), (f"{site.url}/a",)]


@pytest.mark.parametrize("urls", [["/a"], [7]])
async def test_links_that_are_none_are_a_fault_of_their_page(tmp_path: Path, urls: list[Any]) -> None:
    class Wrong(Spider):
        def parse(self, page: Page) -> Any:
            return Links(urls)

    async with serve({"/": page("Home")}) as site:
        await crawl(tmp_path, Wrong(start_urls=[f"{site.url}/"]))
    ((error,),) = ask(tmp_path, "SELECT error FROM errors")
    assert error.startswith("spider: ")


@pytest.mark.parametrize("where", ["parse", "failed"])
@pytest.mark.parametrize("raised", [asyncio.CancelledError("of a task of its own"), SystemExit(0)])
async def test_a_spider_that_gives_up_loses_that_page_alone(tmp_path: Path, where: str, raised: BaseException) -> None:
    """What awaiting a task that was cancelled raises must not be taken for the end of the crawl, nor `sys.exit()`."""

    class Weary(SiteSpider):
        def parse(self, page: Page) -> Iterator[Any]:
            yield from super().parse(page)
            if where == "parse" and page.url.endswith("/bad"):
                raise raised

        def failed(self, request: Request, error: str) -> None:
            if where == "failed":
                raise raised

    pages = {"/": page("Home", "/bad", "/good"), "/good": page("Good", "/behind"), "/behind": page("Behind")}
    if where == "parse":
        pages["/bad"] = page("Bad")
    async with serve(pages) as site:
        report = await crawl(tmp_path, Weary(start_urls=[f"{site.url}/"]))
    assert report.finished
    assert (report.stats.done, report.stats.failed, report.stats.queued, report.stats.leased) == (3, 1, 0, 0)
    ((error,),) = ask(tmp_path, "SELECT error FROM errors")
    assert type(raised).__name__ in error


class Panic(BaseException):
    """As libraries in Rust raise it: no Exception."""


@pytest.mark.parametrize("concurrency", [1, 64])
@pytest.mark.parametrize("how", ["awaits", "returns", "panics", "told"])
async def test_what_a_spider_does_to_its_own_task_costs_that_page_alone(
    tmp_path: Path, concurrency: int, how: str
) -> None:
    """A worker that goes would take what it has in hand along, and with the last one the crawl would wait forever."""

    class Selfish(Spider):
        async def parse(self, page: Page) -> Any:
            task = asyncio.current_task()
            assert task
            if "/bad" in page.url:
                if how == "panics":
                    raise Panic("index out of bounds")
                task.cancel()
                task.cancel()
                if how == "awaits":
                    await asyncio.sleep(0)
            return page.follow_all()

        async def failed(self, request: Request, error: str) -> None:
            task = asyncio.current_task()
            assert task
            task.cancel()

    bad = {f"/bad{number}": page("Bad") for number in range(2 * concurrency)}
    pages = {"/": page("Home", *bad, "/good"), **bad, "/good": page("Good", "/behind"), "/behind": page("Behind")}
    if how == "told":
        pages = {path: page for path, page in pages.items() if path not in bad}
    async with serve(pages) as site, asyncio.timeout(60):
        settings = Settings(robots=False, concurrency=concurrency, max_attempts=1)
        spider = Selfish(start_urls=[f"{site.url}/"])
        report = await Crawl(spider, settings, state=tmp_path / "test.crawl").run()
    assert report.finished
    fail = 0 if how == "returns" else len(bad)
    assert (report.stats.done, report.stats.failed) == (3 + 2 * concurrency - fail, fail)


async def test_a_callback_that_goes_on_after_any_error_is_cut_short_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.engine._LEAVE_SECONDS", 0.01)
    is_there = asyncio.Event()
    tries = 0

    class Stubborn(Spider):
        async def parse(self, page: Page) -> Any:
            nonlocal tries
            for tries in range(1, 6):  # noqa: B007 - looked at afterwards
                try:
                    is_there.set()
                    await asyncio.Event().wait()
                except BaseException:
                    continue
            return {"tries": tries}

    async with serve({"/": page("Home")}) as site, asyncio.timeout(60), asyncio.TaskGroup() as group:
        crawl = Crawl(Stubborn(start_urls=[f"{site.url}/"]), QUICK, state=tmp_path / "test.crawl")
        running = group.create_task(crawl.run())
        await is_there.wait()
        crawl.stop()
        crawl.stop()
    assert (running.result().stats.done, tries) == (1, 5)


async def test_a_middleware_that_cancels_its_own_task_loses_that_page_alone(tmp_path: Path) -> None:
    async def selfish(lease: Lease, fetch: Fetch) -> Page | Unfit:
        task = asyncio.current_task()
        assert task
        if lease.url.endswith("/bad"):
            task.cancel()
            await asyncio.sleep(0)
        return await fetch(lease)

    async with serve({"/": page("Home", "/bad", "/good"), "/bad": page("Bad"), "/good": page("Good")}) as site:
        async with asyncio.timeout(60):
            crawl = Crawl(
                SiteSpider(start_urls=[f"{site.url}/"]),
                Settings(robots=False, concurrency=1, retry_wait=0.01),
                state=tmp_path / "test.crawl",
                middlewares=[selfish],
            )
            report = await crawl.run()
    assert (report.finished, report.stats.done, report.stats.failed) == (True, 2, 1)


@pytest.mark.parametrize(
    "given", ["http://h.example/", 7, {"x": object()}, Request("http://h.example/", callback="nope")]
)
async def test_a_wrong_yield_is_a_failure_that_says_why(tmp_path: Path, given: Any) -> None:
    class Wrong(Spider):
        def parse(self, page: Page) -> Any:
            return given

    async with serve({"/": page("Home")}) as site:
        await crawl(tmp_path, Wrong(start_urls=[f"{site.url}/"]))
    ((error,),) = ask(tmp_path, "SELECT error FROM errors")
    assert error.startswith("spider: ")


async def test_the_spider_hears_of_final_failures(tmp_path: Path) -> None:
    class Listening(SiteSpider):
        def failed(self, request: Request, error: str) -> dict[str, str]:
            return {"url": request.url, "error": error}

    async with serve({"/": page("Home", "/gone")}) as site:
        await crawl(tmp_path, Listening(start_urls=[f"{site.url}/"]))
    assert items(tmp_path)[-1] == {"url": f"{site.url}/gone", "error": "http: 404 Not Found"}


@pytest.mark.parametrize("hook", ["start", "opened", "closed"])
async def test_a_hook_that_raises_is_told_with_its_place(tmp_path: Path, hook: str) -> None:
    async def broken(self: Spider) -> None:
        raise LookupError("no key")

    spider = type("Broken", (SiteSpider,), {hook: broken})
    async with serve({"/": page("Home")}) as site:
        with pytest.raises(SpiderError, match=rf"the spider's {hook}\(\) raised: .*LookupError: no key"):
            await crawl(tmp_path, spider(start_urls=[f"{site.url}/"]))


async def test_a_spider_without_seeds_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(SpiderError, match="has no seeds"):
        await crawl(tmp_path, SiteSpider())


async def test_seeds_come_from_any_kind_of_start(tmp_path: Path) -> None:
    class Generating(SiteSpider):
        async def start(self) -> AsyncIterator[Any]:
            yield self.start_urls[0]
            yield Request(f"{self.start_urls[0]}a")
            yield Links([f"{self.start_urls[0]}b"])

    async with serve({path: page(path) for path in ("/", "/a", "/b")}) as site:
        report = await crawl(tmp_path, Generating(start_urls=[f"{site.url}/"]))
    assert report.stats.done == 3


async def test_a_start_that_waits_can_be_stopped(tmp_path: Path) -> None:
    class Waiting(SiteSpider):
        async def start(self) -> AsyncIterator[Any]:
            yield self.start_urls[0]
            waiting.set()
            await asyncio.get_running_loop().create_future()

    waiting = asyncio.Event()
    spider = Waiting(start_urls=["http://127.0.0.1:1/"])
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        one = Crawl(spider, QUICK, state=tmp_path / "s.crawl")
        running = group.create_task(one.run())
        await waiting.wait()
        one.stop()
        one.stop()
    assert running.result().reason == "interrupted"


async def test_a_start_that_gives_up_is_told_with_its_place(tmp_path: Path) -> None:
    class Weary(SiteSpider):
        def start(self) -> Any:
            raise SystemExit(0)

    with pytest.raises(SpiderError, match=r"the spider's start\(\) raised: .*SystemExit"):
        await crawl(tmp_path, Weary())


async def test_depth_is_limited(tmp_path: Path) -> None:
    chain = {f"/{n}": page(str(n), f"/{n + 1}") for n in range(10)} | {"/": page("Home", "/1")}
    async with serve(chain) as site:
        report = await crawl_site(tmp_path, site, Settings(robots=False, max_depth=3))
    assert site.paths == ["/", "/1", "/2", "/3"]
    assert report.finished
    assert ask(tmp_path, "SELECT url, skipped FROM pages WHERE skipped IS NOT NULL") == [(f"{site.url}/4", "depth")]


async def test_a_larger_budget_goes_on_where_the_smaller_one_ended(tmp_path: Path) -> None:
    pages = {"/": page("Home", *(f"/{n}" for n in range(9)))} | {f"/{n}": page(f"Page {n}") for n in range(9)}
    async with serve(pages) as site:
        for budget in (4, 4, 7, 0):
            report = await crawl_site(tmp_path, site, replace(QUICK, max_pages_per_host=budget))
            assert report.finished
            assert (report.stats.done, report.stats.aside) == (budget or 10, 10 - (budget or 10))
    assert sorted(site.paths) == sorted(pages)


async def test_a_page_limit_is_exact_and_the_crawl_can_go_on(tmp_path: Path) -> None:
    pages = {"/": page("Home", *(f"/{n}" for n in range(30)))} | {f"/{n}": page(str(n)) for n in range(30)}
    async with serve(pages) as site:
        report = await crawl_site(tmp_path, site, Settings(robots=False, max_pages=10, per_host=8))
        assert (report.reason, report.stats.done, len(site.log)) == ("max_pages", 10, 10)
        report = await crawl_site(tmp_path, site, Settings(robots=False, max_pages=10))
        assert (report.reason, len(site.log)) == ("max_pages", 10)
        report = await crawl_site(tmp_path, site)
    assert report.finished
    assert sorted(site.paths) == sorted(pages)


async def test_a_time_limit_ends_the_run(tmp_path: Path) -> None:
    async def endless(visit: Visit) -> Reply:
        return page("Page", f"{visit.path}x")

    async with serve(endless) as site:
        report = await crawl_site(tmp_path, site, Settings(robots=False, max_time=0.3))
    assert report.reason == "max_time"
    assert ask(tmp_path, "SELECT why FROM run") == [("max_time",)]


async def test_a_stop_lets_what_is_under_way_end(tmp_path: Path) -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def answer(visit: Visit) -> Reply:
        begun.set()
        await finish.wait()
        return page("Slow", "/more")

    async with serve(answer) as site:
        running = Crawl(SiteSpider(start_urls=[f"{site.url}/"]), QUICK, state=tmp_path / "test.crawl")
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            run = group.create_task(running.run())
            await begun.wait()
            running.stop()
            finish.set()
        report = run.result()
    assert (report.reason, report.stats.done, report.stats.queued) == ("interrupted", 1, 1)
    assert [item["title"] for item in items(tmp_path)] == ["Slow"]


async def test_a_second_stop_cuts_short_and_loses_nothing(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def answer(visit: Visit) -> Reply:
        if not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        return page("Home")

    async with serve(answer) as site:
        running = Crawl(SiteSpider(start_urls=[f"{site.url}/"]), QUICK, state=tmp_path / "test.crawl")
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            run = group.create_task(running.run())
            await begun.wait()
            running.stop()
            running.stop()
        assert (run.result().reason, run.result().stats.done) == ("interrupted", 0)
        assert ask(tmp_path, "SELECT queued, leased FROM count") == [(1, 0)]
        report = await crawl_site(tmp_path, site)
    assert (report.reason, report.stats.done) == ("finished", 1)


async def test_exports_follow_the_items(tmp_path: Path) -> None:
    pages = {"/": page("Home", *(f"/{n}" for n in range(20)))} | {f"/{n}": page(str(n)) for n in range(20)}
    async with serve(pages) as site:
        for limit in (7, 0):
            exports = [open_export(str(tmp_path / name)) for name in OUTPUTS]
            await crawl_site(tmp_path, site, Settings(robots=False, max_pages=limit), exports=exports)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == items(tmp_path)
    assert len(lines) == 21
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 22
    for name in ("out.sqlite", "out.parquet"):
        assert read_items(tmp_path / name) == items(tmp_path)


async def test_an_export_that_is_added_later_gets_everything(tmp_path: Path) -> None:
    async with serve({"/": page("Home", "/a"), "/a": page("A")}) as site:
        await crawl_site(tmp_path, site)
        await crawl_site(tmp_path, site, exports=[open_export(str(tmp_path / "late.jsonl"))])
    assert len((tmp_path / "late.jsonl").read_text().splitlines()) == 2


async def test_fresh_begins_anew(tmp_path: Path) -> None:
    async with serve({"/": page("Home")}) as site:
        await crawl_site(tmp_path, site)
        await crawl_site(tmp_path, site, fresh=True)
    assert site.paths == ["/", "/"]


async def test_a_page_too_large_fails_and_costs_no_more_than_the_bound(tmp_path: Path) -> None:
    async with serve({"/": page("Home", "/big"), "/big": page("Big", body="x" * 200_000)}) as site:
        report = await crawl_site(tmp_path, site, Settings(robots=False, max_body_bytes=50_000))
    assert (report.stats.done, report.stats.failed) == (1, 1)
    ((error,),) = ask(tmp_path, "SELECT error FROM errors")
    assert error.startswith("size: ")


async def test_a_large_page_is_parsed_beside_the_loop(tmp_path: Path) -> None:
    big = page("Big", *(f"/{n}" for n in range(50)), body="<p>" + "word " * 100_000)
    async with serve({"/": big} | {f"/{n}": page(str(n)) for n in range(50)}) as site:
        report = await crawl_site(tmp_path, site)
    assert report.stats.done == 51


async def test_a_seed_by_a_private_name_may_lead_to_private_addresses(tmp_path: Path) -> None:
    """The rule that links do not lead inside is for public hosts; what it refuses is tested with the guard, in the client."""
    async with serve({"/": page("Inside")}) as inner, serve({"/": page("Home", f"{inner.url}/")}) as site:

        class Anywhere(SiteSpider):
            scope = "any"

        report = await crawl(tmp_path, Anywhere(start_urls=[f"http://localhost:{site.port}/"]))
    assert report.stats.done == 2


async def test_cookies_are_kept_over_the_crawl(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> Reply:
        if visit.path == "/":
            return 200, {"Set-Cookie": "session=42; Path=/"}, '<a href="/inside">in</a>'
        return page("Inside") if visit.headers.get("cookie") == "session=42" else (403, {}, "")

    async with serve(answer) as site:
        report = await crawl_site(tmp_path, site)
    assert report.stats.done == 2


async def test_middlewares_stand_around_every_fetch(tmp_path: Path) -> None:
    seen: list[str] = []

    async def outer(lease: Any, fetch: Fetch) -> Any:
        seen.append("outer")
        return await fetch(lease)

    async def inner(lease: Any, fetch: Fetch) -> Any:
        seen.append("inner")
        lease.headers = {"X-Token": "1"}
        return await fetch(lease)

    class Keyed(SiteSpider):
        middlewares = (inner,)

    async with serve({"/": page("Home")}) as site:
        await crawl(tmp_path, Keyed(start_urls=[f"{site.url}/"]), middlewares=[outer])
    assert seen == ["outer", "inner"]
    assert site.log[0].headers["x-token"] == "1"


async def test_a_fault_in_a_middleware_costs_one_page(tmp_path: Path) -> None:
    async def faulty(lease: Any, fetch: Fetch) -> Any:
        if lease.url.endswith("/a"):
            raise RuntimeError("oh")
        return await fetch(lease)

    async with serve({"/": page("Home", "/a", "/b"), "/b": page("B")}) as site:
        report = await crawl_site(tmp_path, site, middlewares=[faulty])
    assert (report.stats.done, report.stats.failed) == (2, 1)
    assert ask(tmp_path, "SELECT error FROM errors") == [("internal: RuntimeError: oh",)]


async def test_a_middleware_that_returns_nothing_is_told_what_to_return(tmp_path: Path) -> None:
    async def forgetful(lease: Lease, fetch: Fetch) -> Any:
        await fetch(lease)

    async with serve({"/": page("Home")}) as site:
        await crawl_site(tmp_path, site, middlewares=[forgetful])
    ((error,),) = ask(tmp_path, "SELECT error FROM errors")
    assert error.startswith("internal: TypeError: a middleware returns what fetch(lease) gave, or one like it; ")
    assert error.endswith("forgetful returned None")


@pytest.mark.parametrize(
    "outcome",
    [
        Redirected(status=302, url="to nowhere", method="GET"),
        Postponed(error="later", not_before=math.nan),
        Postponed(error="never", not_before=math.inf),
        Failed(error="http: 500", final_url="http://h.example/\ud800"),
        Failed(error="http: 500", final_url="http://h.example/", elapsed=math.nan),
        Postponed(error="later", not_before=0.0, is_charged=0.5),  # type: ignore[arg-type]
        Failed(error=None, final_url="http://h.example/"),  # type: ignore[arg-type]
        Failed(error="http: 500", final_url="http://h.example/", content_type=b"text/html"),  # type: ignore[arg-type]
        Failed(error="http: 500", final_url="http://h.example/", size=1 << 64),
        SetAside("mine"),  # type: ignore[arg-type]
        SetAside(Aside.HOST, None),  # type: ignore[arg-type]
        {"url": "http://h.example/\ud800"},
        {"elapsed": math.nan},
        {"status": "200"},
        {"status": 1 << 64},
        "http://[::1",
    ],
    ids=repr,
)
async def test_what_a_middleware_gives_and_nobody_can_keep_costs_one_page(tmp_path: Path, outcome: Any) -> None:
    """Be it an outcome, a page that it has changed, or a URL that it asks for. In the file, it would end each further run."""

    async def careless(lease: Lease, fetch: Fetch) -> Any:
        if not lease.url.endswith("/a"):
            return await fetch(lease)
        if isinstance(outcome, str):
            lease.url = outcome
        came = await fetch(lease)
        if not isinstance(outcome, dict):
            return outcome
        for name, value in outcome.items():
            setattr(came, name, value)
        return came

    async with serve({"/": page("Home", "/a", "/b"), "/a": page("A"), "/b": page("B")}) as site:
        for _ in range(2):
            report = await crawl_site(tmp_path, site, middlewares=[careless])
            assert (report.reason, report.stats.done, report.stats.failed) == ("finished", 2, 1)
    assert ask(tmp_path, "SELECT error FROM errors")[0][0].startswith("internal: ")


@pytest.mark.parametrize("is_inner", [False, True])
async def test_redirects_that_a_middleware_makes_are_held_to_the_limit(tmp_path: Path, is_inner: bool) -> None:
    """Where it sends a request on without end, be it the outermost of middlewares or not."""

    async def endless(lease: Lease, fetch: Fetch) -> Page | Unfit:
        return Redirected(status=302, url=f"{lease.url}x", method="GET")

    async def passing(lease: Lease, fetch: Fetch) -> Page | Unfit:
        return await fetch(lease)

    async with serve({}) as site:
        middlewares = [passing, endless] if is_inner else [endless]
        report = await crawl_site(tmp_path, site, replace(QUICK, max_redirects=3), middlewares=middlewares)
        assert site.paths == []
        assert (report.reason, report.stats.failed) == ("finished", 1)
        error = f"redirect: more than 3 in a row, the next to {site.url}/xxxx"
        assert ask(tmp_path, "SELECT status, error, final_url FROM errors") == [(302, error, f"{site.url}/xxx")]


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_middleware_cannot_make_one_request_of_another(tmp_path: Path, processes: int) -> None:
    async def confusing(lease: Any, fetch: Fetch) -> Any:
        lease.id, lease.priority, lease.redirects = 1, "high", 5
        came = await fetch(lease)
        lease.headers, lease.callback, lease.max_attempts, lease.read_timeout = {"X": 5}, print, "many", "long"
        return came

    async with serve({"/": page("Home", "/a", "/b"), "/a": page("A"), "/b": page("B")}) as site:
        report = await crawl_site(tmp_path, site, middlewares=[confusing], settings=replace(QUICK, processes=processes))
    assert (report.reason, report.stats.done, report.stats.failed) == ("finished", 3, 0)


async def test_a_request_can_post_with_headers_of_its_own(tmp_path: Path) -> None:
    class Poster(Spider):
        def start(self) -> list[Request]:
            return [Request(self.start_urls[0], method="POST", body=b"q=1", headers={"X-A": "b", "User-Agent": "me"})]

        def parse(self, page: Page) -> None:
            return None

    async with serve({"/": page("Home")}) as site:
        await crawl(tmp_path, Poster(start_urls=[f"{site.url}/"]))
    (visit,) = site.log
    assert (visit.method, visit.body, visit.headers["x-a"], visit.headers["user-agent"]) == ("POST", b"q=1", "b", "me")


async def test_credentials_stay_with_their_origin(tmp_path: Path) -> None:
    class Secret(Spider):
        scope = "any"

        def start(self) -> list[Request]:
            return [Request(self.start_urls[0], headers={"Authorization": "Bearer x", "X-Kept": "1"})]

        def parse(self, page: Page) -> None:
            return None

    async with serve({"/": page("There")}) as other, serve({"/": redirect(f"{other.url}/")}) as site:
        await crawl(tmp_path, Secret(start_urls=[f"{site.url}/"]))
    assert site.log[0].headers["authorization"] == "Bearer x"
    assert "authorization" not in other.log[0].headers
    assert other.log[0].headers["x-kept"] == "1"


async def test_an_export_that_cannot_be_written_ends_the_crawl_and_loses_nothing(tmp_path: Path) -> None:
    class Full:
        """A real export whose disk is full from the third item on."""

        def __init__(self) -> None:
            self.export = open_export(str(tmp_path / "out.jsonl"))
            self.path = self.export.path
            self.open = self.export.open
            self.close = self.export.close

        def write(self, first_item: int, items: Any) -> Any:
            if first_item + len(items) > 3:
                raise StorageError("cannot write out.jsonl: no space left")
            return self.export.write(first_item, items)

    pages = {"/": page("Home", *(f"/{n}" for n in range(20)))} | {f"/{n}": page(str(n)) for n in range(20)}
    async with serve(pages) as site:
        with pytest.raises(StorageError, match="no space left"):
            await crawl_site(tmp_path, site, exports=[Full()])
        report = await crawl_site(tmp_path, site, exports=[open_export(str(tmp_path / "out.jsonl"))])
    assert report.finished
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert lines == items(tmp_path)
    assert len(lines) == 21


async def test_without_settings_the_spiders_own_hold(tmp_path: Path) -> None:
    class Modest(SiteSpider):
        settings = {"max_pages": 1, "robots": False}  # noqa: RUF012

    async with serve({"/": page("Home", "/a"), "/a": page("A")}) as site, asyncio.timeout(60):
        report = await Crawl(Modest(start_urls=[f"{site.url}/"]), state=tmp_path / "test.crawl").run()
    assert (report.reason, site.paths) == ("max_pages", ["/"])


async def test_hosts_that_are_out_of_scope_are_not_counted(tmp_path: Path) -> None:
    async with serve({"/": page("Home", *(f"http://h{n}.invalid/" for n in range(9)))}) as site:
        report = await crawl_site(tmp_path, site)
    assert (report.stats.hosts, report.stats.skipped) == (1, 9)
    assert ask(tmp_path, "SELECT host FROM hosts") == [(f"127.0.0.1:{site.port}",)]


async def test_pages_are_kept_on_demand_and_can_be_replayed(tmp_path: Path) -> None:
    class Titles(Spider):
        def parse(self, page: Page) -> Iterator[Any]:
            yield {"title": page.title, "url": page.url, "from": page.referrer}
            yield page.follow_all(callback="inner", context={"deep": True})

        def inner(self, page: Page) -> dict[str, Any]:
            return {
                "title": page.title,
                "deep": page.context["deep"],
                "redirects": list(page.redirects),
                "kind": page.content_type,
            }

    class Better(Titles):
        name = "titles"

        def inner(self, page: Page) -> dict[str, Any]:
            if page.url.endswith("/b"):
                raise LookupError("no b")
            return super().inner(page) | {"better": True}

    pages = {
        "/": page("Home ü", "/a", "/old", "/b"),
        "/a": page("A"),
        "/b": page("A"),
        "/old": redirect("/new"),
        "/new": page("New"),
    }
    async with serve(pages) as site:
        await crawl(tmp_path, Titles(start_urls=[f"{site.url}/"]), replace(QUICK, keep_bodies=True))
    assert ask(tmp_path, "SELECT count(*) FROM response, body WHERE digest = body") == [(4,)]
    assert ask(tmp_path, "SELECT count(DISTINCT body) FROM response") == [(4,)]

    def replayed(spider: Spider) -> tuple[list[Any], Replay]:
        with StateFile(tmp_path / "test.crawl") as file:
            replay = Replay(spider, file)
            return [json.loads(item) for item in replay.items()], replay

    def by_title(found: list[Any]) -> list[Any]:
        return sorted(found, key=json.dumps)

    again, replay = await asyncio.to_thread(replayed, Titles())
    assert by_title(again) == by_title(items(tmp_path))
    assert (replay.pages, replay.errors) == (4, [])
    better, replay = await asyncio.to_thread(replayed, Better())
    assert [item.get("better") for item in better] == [None, True, True]
    ((error),) = replay.errors
    assert error.startswith(f"{site.url}/b: ")
    assert "LookupError: no b" in error


async def test_without_kept_pages_there_is_nothing_to_replay(tmp_path: Path) -> None:
    async with serve({"/": page("Home")}) as site:
        await crawl_site(tmp_path, site)

    def replayed() -> list[str]:
        with StateFile(tmp_path / "test.crawl") as file:
            return list(Replay(SiteSpider(), file).items())

    with pytest.raises(UsageError, match="--keep-bodies"):
        await asyncio.to_thread(replayed)


async def test_headers_of_the_settings_go_with_every_request_below_its_own(tmp_path: Path) -> None:
    class German(Spider):
        def start(self) -> Any:
            yield Request(f"{site.url}/", headers={"accept": "text/plain"})

        def parse(self, page: Page) -> Any:
            yield page.follow(url="/a")

    settings = replace(QUICK, robots=True, headers={"Accept-Language": "de", "Accept": "text/html"})
    async with serve({"/": page("Home"), "/a": page("A")}) as site:
        await crawl(tmp_path, German(), settings)
    assert [(visit.path, visit.headers["accept-language"], visit.headers["accept"]) for visit in site.log] == [
        ("/robots.txt", "de", "text/html"),
        ("/", "de", "text/plain"),
        ("/a", "de", "text/html"),
    ]


async def test_files_may_be_given_by_name(tmp_path: Path) -> None:
    async with serve({"/": page("Home")}) as site:
        spider = SiteSpider(start_urls=[site.url])
        outputs: list[Path | str] = [str(tmp_path / "a.jsonl"), tmp_path / "b.csv"]
        await Crawl(spider, QUICK, state=str(tmp_path / "s.crawl"), exports=outputs).run()
    assert (tmp_path / "s.crawl").exists()
    assert json.loads((tmp_path / "a.jsonl").read_text())["title"] == "Home"
    assert (tmp_path / "b.csv").read_text().startswith("url,status,title,depth\n")


def test_what_no_crawl_can_be_made_of_is_refused_before_it_runs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"takes a spider, not its class: write SiteSpider\(\)"):
        Crawl(SiteSpider, state=tmp_path / "s.crawl")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="Settings: delay = 'x': it takes a number"):
        Crawl(SiteSpider(), Settings(delay="x"), state=tmp_path / "s.crawl")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="settings of the crawl: there is no setting 'delays'; did you mean 'delay'"):
        Crawl(SiteSpider(), {"delays": 1}, state=tmp_path / "s.crawl")
    with pytest.raises(UsageError, match="no format is called"):
        Crawl(SiteSpider(), state=tmp_path / "s.crawl", exports=["a.xlsx"])
    with pytest.raises(UsageError, match=r"exports of a crawl are a list: write \['a.csv'\]"):
        Crawl(SiteSpider(), state=tmp_path / "s.crawl", exports="a.csv")


@pytest.mark.parametrize(
    ("settings", "depths"), [(None, 2), ({"robots": False}, 2), ({"max_depth": 2}, 3), (Settings(), 4)]
)
async def test_a_mapping_overrules_some_settings_of_a_spider_and_leaves_the_others(
    tmp_path: Path, settings: Settings | dict[str, Any] | None, depths: int
) -> None:
    class Near(SiteSpider):
        settings = MappingProxyType({"max_depth": 1, "commit_interval": 0.01})

    pages = {f"/{n}": page(str(n), f"/{n + 1}") for n in range(3)}
    async with serve({**pages, "/3": page("3")}) as site:
        report = await Crawl(Near(start_urls=[f"{site.url}/0"]), settings, state=tmp_path / "s.crawl").run()
    assert report.stats.done == depths
