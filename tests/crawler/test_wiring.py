"""Settings of a whole crawl, from the user to the server: those that tests of the parts alone would not miss."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from crawler import Crawl, Page, Report, Settings, Spider
from crawler.politeness import Politeness
from crawler.workers import Job, WorkerPool
from spiders.site import SiteSpider
from tests.sites import Reply, Visit, page, redirect, serve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from client.origin import HostKey

PAGES = 6
SETTINGS = Settings(robots=False, per_host=4, commit_interval=0.01)
SLACK = 0.1
"""From the instant that the crawler counts from to the one at which the server has the request, on a busy machine."""


class Flat(Spider):
    """So many pages of each site."""

    name = "flat"

    def __init__(self, *sites: str) -> None:
        self.start_urls = [f"{site}/{number}" for site in sites for number in range(PAGES)]

    async def parse(self, page: Page) -> None: ...


async def crawl(folder: Path, spider: Spider, settings: Settings) -> Report:
    async with asyncio.timeout(60):
        return await Crawl(spider, settings, state=folder / "test.crawl").run()


def ask(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "test.crawl")) as db:
        return db.execute(sql).fetchall()


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def crawl_neighbours(
    folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, list[float]]:
    """Crawl three hosts at one address, which counts as a shared one as if it were public: how many requests were under way at
    once, and the instants at which they came."""
    defaults = Politeness.__init__.__kwdefaults__
    assert defaults
    monkeypatch.setitem(defaults, "is_shared", lambda _address: True)
    under_way = most = 0

    async def answer(_visit: Visit) -> Reply:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(20):  # others come meanwhile, if they may
            await asyncio.sleep(0)
        under_way -= 1
        return page("Here")

    async with AsyncExitStack() as stack:
        sites = [await stack.enter_async_context(serve(answer)) for _ in range(3)]
        report = await crawl(folder, Flat(*(site.url for site in sites)), settings)
        assert (report.finished, report.stats.done) == (True, 3 * PAGES)
        return most, sorted(visit.at for site in sites for visit in site.log)


async def test_hosts_at_one_address_share_its_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most, _ = await crawl_neighbours(tmp_path, replace(SETTINGS, per_ip=1), monkeypatch)
    assert most == 1


async def test_hosts_at_one_address_share_its_delay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, instants = await crawl_neighbours(tmp_path, replace(SETTINGS, ip_delay=0.03), monkeypatch)
    assert instants[-1] - instants[0] >= 0.03 * (len(instants) - 1) - SLACK


async def test_another_run_begins_at_the_pace_that_was_learned(tmp_path: Path) -> None:
    """With its first requests, and under the pause that is left."""
    refusals = iter(range(2))

    async def answer(_visit: Visit) -> Reply:
        await asyncio.sleep(0)
        if next(refusals, None) is not None:
            return 429, {"Retry-After": "0"}, ""
        return page("Here")

    async with serve(answer) as site:
        spider = Flat(site.url)
        await crawl(tmp_path, spider, replace(SETTINGS, per_host=1, max_pages=2))
        with closing(sqlite3.connect(tmp_path / "test.crawl")) as db:
            assert db.execute("UPDATE host_state SET pace = 0.3, latency = 0.001").rowcount == 1, "nothing was learned"
            db.commit()
        before = len(site.log)
        report = await crawl(tmp_path, spider, replace(SETTINGS, per_host=1))
        assert report.finished
        first, second = (visit.at for visit in site.log[before : before + 2])
        assert second - first >= 0.3 - SLACK


async def test_a_pace_is_no_slower_than_the_user_allows(tmp_path: Path) -> None:
    refusals = iter(range(12))

    async def answer(_visit: Visit) -> Reply:
        await asyncio.sleep(0)
        return (429, {}, "") if next(refusals, None) is not None else page("Here")

    settings = replace(SETTINGS, max_delay=0.02, retry_wait=0.001, max_attempts=20)
    async with serve(answer) as site:
        report = await crawl(tmp_path, Flat(site.url), settings)
        assert (report.finished, report.stats.done) == (True, PAGES)
        assert 0.0 < report.paces[0].spacing <= 0.02


# -- whose turn it is


async def test_no_more_hosts_take_turns_than_the_user_says(tmp_path: Path) -> None:
    """With one, each host is done before the next begins; with room for all, they alternate."""

    async def answer(_visit: Visit) -> Reply:
        return page("Here")

    async with AsyncExitStack() as stack:
        sites = [await stack.enter_async_context(serve(answer)) for _ in range(3)]
        for active_hosts in (1, 3):
            for site in sites:
                site.log.clear()
            (folder := tmp_path / str(active_hosts)).mkdir()
            settings = replace(SETTINGS, concurrency=1, active_hosts=active_hosts)
            assert (await crawl(folder, Flat(*(site.url for site in sites)), settings)).finished
            visits = sorted((visit.at, visit.host) for site in sites for visit in site.log)
            changes = sum(earlier[1] != later[1] for earlier, later in pairwise(visits))
            assert changes == 2 if active_hosts == 1 else changes > 2


async def test_a_host_that_was_given_up_is_tried_again_while_others_are_crawled(tmp_path: Path) -> None:
    is_back = asyncio.Event()
    tries = iter(range(1))

    async def hang_up_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if next(tries, None) is None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            is_back.set()
        await close(writer)

    async def wait(_visit: Visit) -> Reply:
        await is_back.wait()
        return page("Here")

    impatient = replace(SETTINGS, rest_after=1, max_rests=0, max_retry_wait=0.1, read_timeout=10.0)
    async with await asyncio.start_server(hang_up_once, "127.0.0.1", 0) as lame, serve(wait) as site:
        port = lame.sockets[0].getsockname()[1]
        report = await crawl(tmp_path, SiteSpider(start_urls=[f"http://127.0.0.1:{port}/", f"{site.url}/"]), impatient)
        assert (report.finished, report.stats.done, report.stats.aside) == (True, 2, 0)


@pytest.mark.parametrize("lingering", [0, 2])
async def test_no_more_requests_linger_than_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lingering: int
) -> None:
    """All hosts stall, until as many are asked at once as may be."""
    defaults = WorkerPool.__init__.__kwdefaults__
    assert defaults
    monkeypatch.setitem(defaults, "patience", 0.01)
    under_way = most = 0
    are_all, are_too_many = asyncio.Event(), asyncio.Event()

    async def stall(_visit: Visit) -> Reply:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if most >= 1 + lingering:
            are_all.set()
        if most > 1 + lingering:
            are_too_many.set()
        await are_all.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(are_too_many.wait(), 0.3)  # three times as long as it takes until one lingers
        under_way -= 1
        return page("Here")

    async with AsyncExitStack() as stack:
        sites = [await stack.enter_async_context(serve(stall)) for _ in range(6)]
        settings = replace(SETTINGS, concurrency=1, lingering=lingering)
        report = await crawl(tmp_path, SiteSpider(start_urls=[f"{site.url}/" for site in sites]), settings)
        assert (report.finished, report.stats.done) == (True, 6)
        assert most == 1 + lingering


async def test_the_workers_hear_of_the_end_of_every_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise requests that are long over would seem to linger, and further workers be hired in their place."""
    begin, end = WorkerPool.begin, WorkerPool.end
    under_way: set[Job] = set()
    begun = 0

    def note_begin(pool: WorkerPool, host: HostKey) -> Job:
        nonlocal begun
        begun += 1
        job = begin(pool, host)
        under_way.add(job)
        return job

    def note_end(pool: WorkerPool, job: Job) -> None:
        end(pool, job)
        under_way.discard(job)

    monkeypatch.setattr(WorkerPool, "begin", note_begin)
    monkeypatch.setattr(WorkerPool, "end", note_end)
    async with serve({"/": page("Home", "/a", "/lost"), "/a": page("A")}) as site:
        report = await crawl(tmp_path, SiteSpider(start_urls=[f"{site.url}/"]), replace(SETTINGS, robots=True))
    assert (report.stats.done, report.stats.failed) == (2, 1)
    assert begun == 4, "three pages, and robots.txt before the first"
    assert not under_way


# -- traps, with thresholds of one's own


def date_of(number: int) -> str:
    return f"/2024/01/{number:02}"


MAZE = page("Maze", "deeper/")

TRAPS: Mapping[str, tuple[dict[str, Any], dict[str, Reply], str]] = {
    "repeats": ({"trap_repeats": 1}, {"/": page("Home", "/a/a/b")}, "/a stands 2 times in a row in its path"),
    "length": ({"trap_url_length": 40}, {"/": page("Home", f"/{'x' * 40}")}, "a URL of "),
    "dates": (
        {"trap_dates": 2},
        {"/": page("Home", date_of(1)), **{date_of(n): page(date_of(n), date_of(n + 1)) for n in range(1, 9)}},
        "led to nothing but further dates",
    ),
    "steps": (
        {"trap_steps": 2, "trap_dates": 1},
        {"/": page("Home", "/p1"), **{f"/p{n}": page(f"{n}", f"/p{n + 1}") for n in range(1, 9)}},
        "the last 2 steps led from one page like ",
    ),
    "copies": (
        {"trap_copies": 2, "trap_repeats": 0},
        {"/": page("Home", "/maze/"), **{f"/maze/{'deeper/' * n}": MAZE for n in range(9)}},
        "found on a copy of the very page",
    ),
    "copies that redirects lead to": (
        {"trap_copies": 2, "trap_repeats": 0},
        {
            "/": page("Home", "/maze"),
            **{f"/maze{'/x' * n}": redirect(f"/maze{'/x' * n}/", 301) for n in range(9)},
            **{f"/maze{'/x' * n}/": page("Maze", "x") for n in range(9)},
        },
        "found on a copy of the very page",
    ),
    "pattern": (
        {"trap_pattern": 2},
        {"/": page("Home", *(f"/shop?q={n}" for n in range(5))), **{f"/shop?q={n}": page(f"{n}") for n in range(5)}},
        "2 URLs like ",
    ),
}


@pytest.mark.parametrize("name", TRAPS)
async def test_suspicion_begins_where_the_user_says(tmp_path: Path, name: str) -> None:
    """What is suspected stands aside and says why; with `traps` switched off, or a threshold of 0, nothing is."""
    thresholds, pages, told = TRAPS[name]
    async with serve(pages) as site:
        spider = SiteSpider(start_urls=[f"{site.url}/"])
        tricked = Settings(robots=False, commit_interval=0.01, **thresholds)
        assert (await crawl(tmp_path, spider, tricked)).stats.aside
        assert all(told in detail for (detail,) in ask(tmp_path, "SELECT detail FROM aside WHERE reason = 'trap'"))
    never: dict[str, Any] = dict.fromkeys(thresholds, 0)
    for name, trusting in {"off": replace(tricked, traps=False), "never": replace(tricked, **never)}.items():
        async with serve(pages) as site:
            (folder := tmp_path / name).mkdir()
            report = await crawl(folder, SiteSpider(start_urls=[f"{site.url}/"]), trusting)
            assert (report.finished, report.stats.aside) == (True, 0)


# -- bounds of one request


async def test_a_request_takes_no_longer_in_all_than_it_may(tmp_path: Path) -> None:
    """However busily its response trickles in."""

    has_gone = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        await close(writer)
        has_gone.set()

    async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = replace(SETTINGS, total_timeout=0.2, max_attempts=1)
        await crawl(tmp_path, SiteSpider(start_urls=[f"http://127.0.0.1:{port}/"]), settings)
        await has_gone.wait()
    ((error,),) = ask(tmp_path, "SELECT error FROM errors")
    assert error.startswith("timeout: ")


async def test_redirects_are_followed_as_far_as_the_user_says(tmp_path: Path) -> None:
    pages = {"/": redirect("/1"), "/1": redirect("/2"), "/2": redirect("/3"), "/3": page("Here")}
    async with serve(pages) as site:
        await crawl(tmp_path, SiteSpider(start_urls=[f"{site.url}/"]), replace(SETTINGS, max_redirects=2))
        assert site.paths == ["/", "/1", "/2"]
    ((error,),) = ask(tmp_path, "SELECT error FROM errors")
    assert error.startswith("redirect: more than 2 in a row")


# -- what is said to this crawler by its name


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("user_agent", "left_out"),
    [("examplebot/2.0", {"/no", "/behind-header", "/behind-meta"}), ("elsebot/1.0 (examplebot)", set())],
)
async def test_rules_for_one_crawler_are_for_that_one(
    tmp_path: Path, user_agent: str, left_out: set[str], processes: int
) -> None:
    """In robots.txt, in `X-Robots-Tag` and in `<meta>`; it is called what its requests say."""
    pages: dict[str, Reply] = {
        "/robots.txt": (200, {"Content-Type": "text/plain"}, "User-agent: examplebot\nDisallow: /no\n"),
        "/": page("Home", "/no", "/header", "/meta"),
        "/no": page("No"),
        "/header": (200, {"X-Robots-Tag": "otherbot: noindex, examplebot: nofollow"}, page("", "/behind-header")[2]),
        "/meta": page("Meta", "/behind-meta", body='<meta name="examplebot" content="nofollow">'),
        "/behind-header": page("Header"),
        "/behind-meta": page("Meta"),
    }
    async with serve(pages) as site:
        settings = Settings(user_agent=user_agent, commit_interval=0.01, processes=processes)
        assert (await crawl(tmp_path, SiteSpider(start_urls=[f"{site.url}/"]), settings)).finished
        assert set(site.paths) == set(pages) - left_out
        assert {visit.headers["user-agent"] for visit in site.log} == {user_agent}
