"""Of pages that an earlier crawl kept, a new one asks only whether they have changed: and is then what a whole one is."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from crawler import Crawl, Report, Request, Settings, Spider
from crawler.errors import StateDamaged, UsageError
from crawler.frontier.kept import kept_pages
from crawler.frontier.statefile import StateFile
from crawler.reports.diff import Diff
from spiders.site import SiteSpider
from tests.crawler.changing_site import (
    CHANGES,
    NIGHT,
    OLD,
    SITE,
    UNCHANGED,
    ChangingSite,
    Choosy,
    Telling,
    dated,
    versioned,
)
from tests.servers.proxy import http_proxy
from tests.sites import page, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler.fetcher import Fetch, Middleware, Unfit
    from crawler.frontier.protocol import Lease
    from crawler.page import Page
    from tests.sites import Reply, Visit

QUICK: dict[str, Any] = {
    "robots": False,
    "retry_wait": 0.01,
    "commit_interval": 0.01,
    "keep_bodies": True,
    "concurrency": 1,  # one order of fetching
}


async def crawl(
    state: Path, spider: Spider | str, middlewares: list[Middleware] | None = None, **changed: Any
) -> Report:
    """With a spider, or of a whole site."""
    spider = SiteSpider(start_urls=[f"{spider}/"]) if isinstance(spider, str) else spider
    if "revalidate" in changed:
        changed["revalidate"] = str(changed["revalidate"])
    async with asyncio.timeout(60):
        return await Crawl(spider, Settings(**{**QUICK, **changed}), state=state, middlewares=middlewares or []).run()


def ask(state: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(state)) as db:
        return db.execute(sql).fetchall()


def spoil(state: Path, sql: str) -> None:
    with closing(sqlite3.connect(state)) as db:
        db.executescript(sql)


def titles(state: Path) -> list[str]:
    return sorted(json.loads(data)["title"] for (data,) in ask(state, "SELECT data FROM item"))


def kept(state: Path) -> dict[str, tuple[bytes, list[tuple[str, str]]]]:
    """Bodies and headers by URL, but for the date."""
    with StateFile(state) as file:
        return {
            page.url: (
                page.body,
                sorted((name.lower(), value) for name, value in page.headers.items() if name.lower() != "date"),
            )
            for _, page in kept_pages(file)
        }


def changes(old: Path, new: Path) -> list[str]:
    with StateFile(old) as before, StateFile(new) as after:
        return [json.loads(row)["url"] for row in Diff(before, after).rows()]


SAME = (
    "SELECT data FROM item ORDER BY data",
    "SELECT url, final_url, status, depth, referrer, error, skipped, size, content_type FROM pages ORDER BY url, depth",
    "SELECT url, found_on, depth, state, skipped, aside FROM links ORDER BY url, depth",
    "SELECT queued, leased, done, failed, skipped, items, bytes, hosts, aside FROM count",
)


def fetched_bodies(middleware_calls: list[str]) -> Middleware:
    async def watch(lease: Lease, fetch: Fetch) -> Page | Unfit:
        middleware_calls.append(lease.url)
        return await fetch(lease)

    return watch


@pytest.mark.parametrize(("processes", "has_middleware"), [(1, False), (1, True), (2, False), (2, True)])
async def test_what_comes_of_it_is_what_comes_of_a_whole_crawl(
    processes: int, has_middleware: bool, tmp_path: Path
) -> None:
    first, whole, known, third = (tmp_path / f"{name}.crawl" for name in ("first", "whole", "known", "third"))
    site = ChangingSite(SITE)
    called: list[str] = []
    options: dict[str, Any] = {"processes": processes}
    if has_middleware:
        options["middlewares"] = [fetched_bodies(called)]
    async with serve(site) as server:
        spider = Telling(start_urls=[f"{server.url}/"])
        await crawl(first, spider, **options)
        before = first.read_bytes()
        site.next_night(**CHANGES)
        await crawl(whole, spider, **options)
        statuses = {
            path: [200 if status == 304 else status for status in found] for path, found in site.statuses.items()
        }
        site.answers.clear()
        report = await crawl(known, spider, revalidate=first, **options)
        for query in SAME:
            assert ask(known, query) == ask(whole, query), query
        assert kept(known) == kept(whole)
        assert changes(whole, known) == []
        assert first.read_bytes() == before, "the earlier crawl is only read"
        assert sorted(path for path, (last, *_) in site.statuses.items() if last == 304) == sorted(UNCHANGED)
        assert {
            path: [200 if one == 304 else one for one in found] for path, found in site.statuses.items()
        } == statuses
        assert report.stats.not_modified == len(UNCHANGED)
        assert bool(called) == has_middleware

        site.next_night()
        report = await crawl(third, spider, revalidate=known, **options)
        assert changes(known, third) == []
        assert {path for path, found in site.statuses.items() if 304 in found} == {
            *UNCHANGED,
            "/changed",
            "/new",
            "/sudden",
        }


async def test_a_page_is_as_it_was_with_the_headers_of_tonight(tmp_path: Path) -> None:
    """RFC 9111 §3.2: what the 304 says replaces what was said, but for what tells how the body is to be read."""
    seen: list[Page] = []

    class Seeing(Spider):
        def parse(self, page: Page) -> None:
            seen.append(page)

    reply = versioned(
        (200, {"Content-Type": "text/plain", "X-Old": "1"}, b"text"),
        etag='"1"',
        set_cookie="a=1",
        expires=OLD,
        link="<a>",
    )
    site = ChangingSite({"/": reply})
    async with serve(site) as server:
        spider = Seeing(start_urls=[f"{server.url}/"])
        await crawl(tmp_path / "1", spider)
        site.next_night()
        site.on_304 = {
            "Expires": dated(NIGHT),
            "X-New": "2",
            "X-Hop": "3",
            "Connection": "X-Hop",
            "Content-Encoding": "br",
        }
        await crawl(tmp_path / "2", spider, revalidate=tmp_path / "1")
    before, after = seen
    assert (before.not_modified, after.not_modified) == (False, True)
    assert (after.status, after.body, after.content_type) == (200, b"text", "text/plain")
    assert after.fetched_at > before.fetched_at
    assert {name.lower(): value for name, value in after.headers.items()} == {
        "content-type": "text/plain",
        "content-length": "4",
        "x-old": "1",
        "x-new": "2",
        "etag": '"1"',
        "expires": dated(NIGHT),
        "date": dated(site.night),
        "link": "<a>",
    }


# What is asked about, and what is not


async def test_a_request_is_asked_about_that_says_the_same(tmp_path: Path) -> None:
    """Without a body, and without conditions of its own; by a date, only with the same headers of its own."""
    site = ChangingSite(
        {f"/{name}": versioned(page(name), etag='"1"') for name in ("key", "new-key", "post", "get", "more", "own")}
    )
    site.pages |= {f"/{name}": versioned(page(name), last_modified=OLD) for name in ("dated", "dated-new-key")}

    class Asking(Spider):
        night: int = 1

        def start(self) -> Iterator[Request]:
            url = self.start_urls[0]
            yield Request(f"{url}/key", headers={"X-Key": "1"})
            yield Request(f"{url}/new-key", headers={"X-Key": f"{self.night}"})
            yield Request(f"{url}/dated", headers={"X-Key": "1"})
            yield Request(f"{url}/dated-new-key", headers={"X-Key": f"{self.night}"})
            yield Request(f"{url}/post", method="POST", body=b"")
            yield Request(f"{url}/get", method="POST" if self.night == 1 else "GET")
            yield Request(f"{url}/more", callback="parse", context={"night": self.night}, priority=self.night)
            yield Request(f"{url}/own", headers={"if-none-match": '"2"'} if self.night == 2 else None)

        def parse(self, page: Page) -> Iterator[dict[str, str]]:
            yield {"url": page.url}

    async with serve(site) as server:
        await crawl(tmp_path / "1", Asking(start_urls=[server.url]))
        site.next_night()
        await crawl(tmp_path / "2", Asking(start_urls=[server.url], night=2), revalidate=tmp_path / "1")
    assert {path for path, status in site.answers if status == 304} == {"/key", "/new-key", "/dated", "/more"}


async def test_of_pages_fetched_again_the_last_counts(tmp_path: Path) -> None:
    replies = iter([page("First"), page("Second"), page("Third")])

    class Again(Spider):
        def parse(self, page: Page) -> Iterator[Any]:
            yield {"title": page.title}
            if page.title == "First":
                yield Request(page.url, again=True)

    async def answer(visit: Visit) -> Reply:
        if visit.headers.get("if-none-match") == '"2"':
            return 304, {}, ""
        number = len(server.log)
        return versioned(next(replies), etag=f'"{number}"')

    async with serve(answer) as server:
        spider = Again(start_urls=[server.url])
        await crawl(tmp_path / "1", spider)
        await crawl(tmp_path / "2", spider, revalidate=tmp_path / "1")
    assert titles(tmp_path / "2") == ["Second"]


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_304_that_nobody_asked_for_is_a_failure(processes: int, tmp_path: Path) -> None:
    pages = {"/": versioned(page("Home", "a"), etag='"1"'), "/a": page("A")}
    site = ChangingSite(pages)
    async with serve(site) as server:
        await crawl(tmp_path / "1", server.url)
        site.next_night(a=(304, {}, ""))
        await crawl(tmp_path / "2", server.url, revalidate=tmp_path / "1", processes=processes)
    assert ask(tmp_path / "2", "SELECT status, error FROM errors") == [(304, "http: 304 Not Modified")]
    assert site.statuses == {"/": [304], "/a": [304]}


@pytest.mark.parametrize("processes", [1, 2])
async def test_what_was_tried_in_vain_is_asked_for_whole(processes: int, tmp_path: Path) -> None:
    """Be it that the server cannot answer, or that the spider wants it again."""

    async def answer(visit: Visit) -> Reply:
        if "if-none-match" not in visit.headers:
            return versioned(page("Home", "/wanted"), etag='"1"')
        return (500, {}, "") if visit.path == "/" else (304, {}, "")

    async with serve(answer) as server:
        spider = Choosy(start_urls=[f"{server.url}/"])
        await crawl(tmp_path / "1", spider)
        report = await crawl(tmp_path / "2", spider, revalidate=tmp_path / "1", processes=processes)
    assert report.finished
    assert (report.stats.done, report.stats.not_modified) == (2, 0)
    assert server.paths == ["/", "/wanted", "/", "/", "/wanted", "/wanted"]


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_page_larger_than_may_be_is_as_it_would_be_if_it_came(processes: int, tmp_path: Path) -> None:
    site = ChangingSite({"/": versioned(page("Home", body="-" * 10_000), etag='"1"')})
    async with serve(site) as server:
        await crawl(tmp_path / "1", server.url)
        await crawl(tmp_path / "2", server.url, revalidate=tmp_path / "1", max_body_bytes=5000, processes=processes)
    assert ask(tmp_path / "2", "SELECT count(*) FROM errors WHERE error LIKE 'size:%'") == [(1,)]


async def test_sitemaps_are_asked_about_like_pages(tmp_path: Path) -> None:
    sitemap = '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>{}/listed</loc></url></urlset>'
    site = ChangingSite({"/": page("Home"), "/listed": page("Listed")})
    async with serve(site) as server:
        site.pages["/robots.txt"] = 200, {"Content-Type": "text/plain"}, f"Sitemap: {server.url}/sitemap.xml"
        site.pages["/sitemap.xml"] = versioned(
            (200, {"Content-Type": "text/xml"}, sitemap.format(server.url)), etag='"s"'
        )
        await crawl(tmp_path / "1", server.url, robots=True, sitemaps=True)
        site.next_night()
        await crawl(tmp_path / "2", server.url, robots=True, sitemaps=True, revalidate=tmp_path / "1")
    assert titles(tmp_path / "2") == ["Home", "Listed"]
    assert site.statuses["/sitemap.xml"] == [304]


@pytest.mark.parametrize("processes", [1, 2])
async def test_cookies_of_the_earlier_crawl_are_not_set_again(processes: int, tmp_path: Path) -> None:
    site = ChangingSite({"/": versioned(page("Home", "a"), etag='"1"', set_cookie="old=1"), "/a": page("A")})
    async with serve(site) as server:
        await crawl(tmp_path / "1", server.url)
        site.next_night()
        site.on_304 = {"Set-Cookie": "new=2"}
        await crawl(tmp_path / "2", server.url, revalidate=tmp_path / "1", processes=processes)
        assert "cookie" not in server.log[2].headers
        assert server.log[3].headers["cookie"] == "new=2"


async def test_what_is_asked_goes_through_a_proxy(tmp_path: Path) -> None:
    site = ChangingSite(SITE)
    async with serve(site) as server, http_proxy(names={"origin.example": "127.0.0.1"}) as proxy:
        url = f"http://origin.example:{server.port}"
        await crawl(tmp_path / "1", url, proxy=proxy.url)
        site.next_night()
        report = await crawl(tmp_path / "2", url, proxy=proxy.url, revalidate=tmp_path / "1")
    assert report.stats.not_modified >= len(UNCHANGED)
    assert titles(tmp_path / "1") == titles(tmp_path / "2")


# What cannot be had


DAMAGES = {
    "the pack": "UPDATE pack SET data = substr(data, 1, length(data) - 1); UPDATE body SET data = substr(data, 2) WHERE pack IS NULL",
    "the pack is gone": "DELETE FROM pack; UPDATE body SET pack = 1, start = 0, size = 1",
    "the body is gone": "DELETE FROM body",
    "another body": "UPDATE body SET start = 0, size = size - 1; UPDATE result SET size = size + 1",
    "the headers": "UPDATE response SET headers = '[['",
    "no text": "UPDATE response SET headers = x'ff'",
}


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_page_that_is_damaged_is_asked_for_whole(
    damage: str, processes: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = ChangingSite({path: versioned(page(path, "/a", "/b"), etag='"1"') for path in ("/", "/a", "/b")})
    async with serve(site) as server:
        await crawl(tmp_path / "1", server.url)
        spoil(tmp_path / "1", DAMAGES[damage])
        site.next_night()
        report = await crawl(tmp_path / "2", server.url, revalidate=tmp_path / "1", processes=processes)
    assert report.finished
    assert report.stats.not_modified == 0
    assert titles(tmp_path / "2") == ["/", "/a", "/b"]
    once_more = [200] if damage in ("the headers", "no text") else [304, 200]
    assert site.statuses == dict.fromkeys(("/", "/a", "/b"), once_more)
    if processes == 1:
        warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert len(warnings) == 1
        assert "a page is fetched in full" in warnings[0].getMessage()


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_304_for_another_version_is_no_answer(processes: int, tmp_path: Path) -> None:
    """RFC 9111 §4.3.4: it is not of what we have."""
    site = ChangingSite({"/": versioned(page("Home"), etag='"1"')})
    async with serve(site) as server:
        await crawl(tmp_path / "1", server.url)
        site.next_night()
        site.on_304 = {"Etag": '"2"'}
        await crawl(tmp_path / "2", server.url, revalidate=tmp_path / "1", processes=processes)
        assert site.statuses == {"/": [304, 200]}
        site.next_night()
        site.on_304 = {"Etag": 'W/"1"'}
        await crawl(tmp_path / "3", server.url, revalidate=tmp_path / "1", processes=processes)
        assert site.statuses == {"/": [304]}


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_condition_that_is_misunderstood_is_left_out(processes: int, tmp_path: Path) -> None:
    async def answer(visit: Visit) -> Reply:
        return (412, {}, "") if "if-none-match" in visit.headers else versioned(page("Home"), etag='"1"')

    async with serve(answer) as server:
        await crawl(tmp_path / "1", server.url)
        report = await crawl(tmp_path / "2", server.url, revalidate=tmp_path / "1", processes=processes)
    assert (report.stats.done, report.stats.not_modified, len(server.log)) == (1, 0, 3)


async def test_whoever_says_304_whatever_is_asked_fails_in_the_end(tmp_path: Path) -> None:
    site = ChangingSite({"/": versioned(page("Home"), etag='"1"')})
    async with serve(site) as server:
        await crawl(tmp_path / "1", server.url)
        spoil(tmp_path / "1", "DELETE FROM pack")
        spoil(tmp_path / "1", "DELETE FROM body")
        site.pages["/"] = 304, {}, ""
        site.next_night()
        await crawl(tmp_path / "2", server.url, revalidate=tmp_path / "1")
    assert ask(tmp_path / "2", "SELECT error FROM errors") == [("http: 304 Not Modified",)]
    assert site.statuses == {"/": [304, 304]}


# The earlier crawl


async def test_the_earlier_crawl_may_be_running(tmp_path: Path) -> None:
    """What it has committed when the new one begins is known."""
    is_held, may_end = asyncio.Event(), asyncio.Event()
    site = ChangingSite(SITE)

    async def answer(visit: Visit) -> Reply:
        if visit.path == "/gone":
            is_held.set()
            await may_end.wait()
        return await site(visit)

    async with serve(answer) as server, asyncio.TaskGroup() as group:
        first = group.create_task(crawl(tmp_path / "1", server.url, concurrency=8, per_host=8))
        await is_held.wait()
        while ask(tmp_path / "1", "SELECT done FROM count") < [(14,)]:  # noqa: ASYNC110 - what another crawl commits
            await asyncio.sleep(0.01)
        site.answers.clear()
        is_held.clear()
        second = group.create_task(crawl(tmp_path / "2", server.url, revalidate=tmp_path / "1"))
        await is_held.wait()
        may_end.set()
    assert first.result().finished
    assert second.result().finished
    assert second.result().stats.not_modified >= 8
    assert titles(tmp_path / "1") == titles(tmp_path / "2")


async def test_a_crawl_that_is_stopped_goes_on_with_it(tmp_path: Path) -> None:
    site = ChangingSite(SITE)
    async with serve(site) as server:
        spider = Telling(start_urls=[f"{server.url}/"])
        await crawl(tmp_path / "1", spider)
        site.next_night(**CHANGES)
        await crawl(tmp_path / "whole", spider)
        site.answers.clear()
        for most in (3, 8, 12):
            report = await crawl(tmp_path / "2", spider, revalidate=tmp_path / "1", max_pages=most)
            assert report.reason == "max_pages"
        report = await crawl(tmp_path / "2", spider, revalidate=tmp_path / "1")
    assert report.finished
    assert report.stats.not_modified == len(UNCHANGED)
    assert all(len(found) == 1 for path, found in site.statuses.items() if path != "/target"), site.statuses
    for query in SAME:
        assert ask(tmp_path / "2", query) == ask(tmp_path / "whole", query), query
    assert kept(tmp_path / "2") == kept(tmp_path / "whole")


async def test_a_crawl_that_goes_on_without_it_counts_what_was_not_modified(tmp_path: Path) -> None:
    """The bytes that it reports are those of all runs, too."""
    site = ChangingSite(SITE)
    async with serve(site) as server:
        spider = Telling(start_urls=[f"{server.url}/"])
        await crawl(tmp_path / "1", spider)
        first = await crawl(tmp_path / "2", spider, revalidate=tmp_path / "1", max_pages=5)
        last = await crawl(tmp_path / "2", spider)
    assert first.stats.not_modified > 0
    assert (last.stats.not_modified, last.stats.not_modified_bytes) == (
        first.stats.not_modified,
        first.stats.not_modified_bytes,
    )
    with StateFile(tmp_path / "2") as file:
        assert file.not_modified() == (last.stats.not_modified, last.stats.not_modified_bytes)


async def test_nothing_is_begun_with_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no crawl file")
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("new")
    wrong: dict[str, tuple[type[Exception], str]] = {
        "missing": (UsageError, "there is no crawl file"),
        "text": (StateDamaged, "is not a crawl file"),
        "empty": (StateDamaged, "is not a crawl file"),
        "new": (UsageError, "this is the crawl's own file"),
        "./new": (UsageError, "this is the crawl's own file"),
        "link": (UsageError, "this is the crawl's own file"),
        "~nobody-at-all/x": (UsageError, "there is no such user"),
    }
    for name, (kind, text) in wrong.items():
        path = name if name[0] == "~" else f"{tmp_path}/{name}"
        with pytest.raises(kind, match=text):
            await crawl(tmp_path / "new", "http://127.0.0.1:9", revalidate=path)
    assert not (tmp_path / "new").exists()


async def test_a_crawl_that_kept_nothing_is_named_and_all_is_fetched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = ChangingSite(SITE)
    async with serve(site) as server:
        await crawl(tmp_path / "1", server.url, keep_bodies=False)
        site.next_night()
        report = await crawl(tmp_path / "2", server.url, revalidate=tmp_path / "1")
    assert "has no kept pages" in caplog.text
    assert report.stats.not_modified == 0
    assert 304 not in dict(site.answers).values()


async def test_an_empty_name_is_none(tmp_path: Path) -> None:
    async with serve({"/": page("Home")}) as server:
        report = await crawl(tmp_path / "1", server.url, revalidate="")
    assert report.stats.done == 1
