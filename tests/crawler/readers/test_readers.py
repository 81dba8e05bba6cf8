"""Pages read by other processes: the same comes of a crawl, whatever becomes of them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
from contextlib import closing
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.origin import HostKey
from crawler import Crawl, Report, Request, Settings, Spider
from crawler.errors import SpiderError, UsageError
from crawler.frontier.kept import kept_pages
from crawler.frontier.statefile import StateFile
from crawler.readers.messages import Answer, decode_from_reader, encode
from crawler.readers.pool import shares_of
from crawler.readers.tasks import encode_result
from crawler.source import Source
from tests.crawler.readers.spiders import (
    Abandoned,
    Belated,
    Evasive,
    Everything,
    Faulty,
    Follower,
    Forking,
    Held,
    KilledByFailure,
    Killer,
    Misspoken,
    Particular,
    Patient,
    Scribbler,
    Unclosed,
    Unencodable,
    Unopened,
    Whereabouts,
)
from tests.sites import Reply, Visit, page, redirect, serve

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.fetcher import Fetch
    from crawler.frontier.protocol import Lease

SPIDERS = __file__.replace("test_readers", "spiders")
QUICK: dict[str, Any] = {"robots": False, "retry_wait": 0.01, "commit_interval": 0.01, "per_host": 16}
NAMES = [f"page-{number}" for number in range(30)]
SITE = {"/": page("Home", *NAMES), **{f"/{name}": page(name) for name in NAMES}}


def settings(processes: int = 2, **changed: Any) -> Settings:
    return Settings(processes=processes, **{**QUICK, **changed})


async def crawl(
    state: Path, spider: Spider, processes: int = 2, source: Source | None = None, **changed: Any
) -> Report:
    async with asyncio.timeout(60):
        return await Crawl(spider, settings(processes, **changed), state=state, source=source).run()


def ask(state: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(state)) as db:
        return db.execute(sql).fetchall()


def items(state: Path) -> list[Any]:
    return [json.loads(data) for (data,) in ask(state, "SELECT data FROM item")]


def failures(state: Path) -> dict[str, str]:
    """The errors of pages, by the last part of their URLs."""
    rows = ask(state, "SELECT url, error FROM pages WHERE error IS NOT NULL")
    return {url.rpartition("/")[2]: error for url, error in rows}


# The same


async def test_what_comes_of_a_crawl_is_what_comes_of_it_in_one_process(tmp_path: Path) -> None:
    odd: Reply = (200, {"X-Odd": "caf\xe9 \xff", "X-Robots-Tag": "noindex", "Link": "</odd>; rel=canonical"}, "<p>")
    site = {
        "/": page("Home", "/moved", "/a?x=1", "/odd", "/missing", "/raises", "http://elsewhere.invalid/"),
        "/moved": redirect("/a"),
        "/a": page("A", "/", "deep/b", body="<a rel=nofollow href=/not>"),
        "/a?x=1": page("A, too", body='<link rel=canonical href="/a">'),
        "/deep/b": (200, {"Content-Type": "text/html; charset=windows-1252"}, "<title>\xe9</title>".encode("cp1252")),
        "/odd": odd,
        "/raises": page("Raises"),
        "/form": page("Form"),
        "/again": page("Again"),
    }
    async with serve(site) as server:
        for processes in (1, 2, 3):
            spider = Everything(start_urls=[f"{server.url}/"])
            await crawl(tmp_path / f"{processes}", spider, processes, concurrency=1)  # one order of fetching
    queries = (
        "SELECT data FROM item ORDER BY data",
        "SELECT url, final_url, status, depth, error, skipped, size, content_type FROM pages ORDER BY url, depth",
        "SELECT url, extra FROM request ORDER BY url, extra",
    )
    for query in queries:
        alone = ask(tmp_path / "1", query)
        assert len(alone) > 10
        assert ask(tmp_path / "2", query) == alone
        assert ask(tmp_path / "3", query) == alone
    assert "tests/crawler/readers/spiders.py" in failures(tmp_path / "2")["raises"]
    assert "ValueError: no article: é (in article)" in failures(tmp_path / "2")["raises"]


async def test_a_page_larger_than_what_is_sent_ahead_is_read(tmp_path: Path) -> None:
    large = page("Large", "/b", body="x" * (5 << 20))
    async with serve({"/": large, "/b": page("B")}) as site:
        await crawl(tmp_path / "test", Everything(start_urls=[f"{site.url}/"], depth=0))
    assert items(tmp_path / "test")[0]["size"] > 5 << 20
    assert items(tmp_path / "test")[1]["article"] == f"{site.url}/b"


async def test_who_does_what(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with serve({"/": page("Home", "/missing")}) as site:
        report = await crawl(tmp_path / "test", Whereabouts(start_urls=[f"{site.url}/"], log=log))
    assert report.finished
    done = [line.split() for line in log.read_text().splitlines()]
    assert [what for what, _ in done[:2]] == ["start", "opened"]
    assert [what for what, _ in done if what in ("parse", "failed")] == ["parse", "failed"]
    assert done[-1][0] == "closed"
    assert int(done[0][1]) == os.getpid()
    opened = [int(number) for what, number in done if what == "opened"]
    closed = [int(number) for what, number in done if what == "closed"]
    readers = set(opened)
    assert sorted(opened) == sorted(closed) == sorted(readers), "the second one, if it was there in time"
    assert {int(number) for _, number in done[1:]} == readers
    for reader in readers:
        with pytest.raises(ProcessLookupError):
            os.kill(reader, 0)


async def test_a_cancelled_task_of_the_spiders_own_fails_its_page(tmp_path: Path) -> None:
    async with serve({"/": page("Home")}) as site:
        report = await crawl(tmp_path / "test", Abandoned(start_urls=[f"{site.url}/"]))
    assert report.finished
    assert "CancelledError" in report.stats.last_error


# Requests, as the one crawl makes them


async def test_cookies_are_those_of_the_crawl_whoever_asks(tmp_path: Path) -> None:
    site = {
        "/": (200, {"Set-Cookie": "visit=1; Path=/"}, page("Home", *NAMES)[2]),
        **{f"/{name}": page(name) for name in NAMES},
    }
    async with serve(site) as server:
        await crawl(tmp_path / "test", Follower(start_urls=[f"{server.url}/"]), processes=3)
        assert [visit.headers.get("cookie") for visit in server.log] == [None, *["visit=1"] * len(NAMES)]
        await crawl(tmp_path / "test", Follower(start_urls=[f"{server.url}/again"]), processes=2)
        assert server.log[-1].headers["cookie"] == "visit=1", "the next run has them, too"


async def test_a_requests_own_cookies_go_with_those_of_the_crawl(tmp_path: Path) -> None:
    site = {"/": (200, {"Set-Cookie": "a=site; Path=/"}, page("Home", "/moved")[2]), "/moved": redirect("/b")}

    class Seeds(Follower):
        def start(self) -> list[Request]:
            return [Request(f"{server.url}/"), Request(f"{server.url}/b", headers={"Cookie": "b=own"}, priority=-1)]

    async with serve(site) as server:
        source = Source(f"{SPIDERS}:Follower")
        await crawl(tmp_path / "test", Seeds(), source=source, per_host=1)
    sent = [visit.headers.get("cookie", "") for visit in server.log if visit.path == "/b"]
    assert {frozenset(cookies.split("; ")) for cookies in sent} == {frozenset(["a=site", "b=own"])}


async def test_failures_are_told_apart_whoever_asks(tmp_path: Path) -> None:
    site = {
        "/": page("Home", "http://127.0.0.1:1/closed", "/busy", "/away"),
        "/busy": (503, {"Retry-After": "0"}, ""),
        "/away": redirect("mailto:somebody"),
    }
    async with serve(site) as server:
        await crawl(tmp_path / "test", Follower(start_urls=[f"{server.url}/"]), max_attempts=2)
    errors = {name: error.partition(" ")[0] for name, error in failures(tmp_path / "test").items()}
    assert errors == {"closed": "connect:", "busy": "http:", "away": "redirect:"}
    assert server.paths.count("/busy") == 2


async def test_what_was_not_foreseen_costs_one_page_wherever_it_happens(tmp_path: Path) -> None:
    async with serve({"/": page("Home", "/odd", "/b"), "/odd": page("Odd"), "/b": page("B")}) as site:
        for processes in (1, 2):
            await crawl(tmp_path / f"{processes}", Faulty(start_urls=[f"{site.url}/"]), processes)
    assert list(failures(tmp_path / "1")) == ["odd"]
    assert failures(tmp_path / "1")["odd"].startswith("internal: ")
    assert failures(tmp_path / "2") == failures(tmp_path / "1")
    assert site.paths.count("/") == 2


async def test_a_private_seed_opens_the_guard_of_every_process(tmp_path: Path) -> None:
    """Not only that of the process which found it to be private."""
    async with serve({"/": page("Home")}, host="0.0.0.0") as site:
        others = [f"http://127.0.0.{number}:{site.port}/" for number in range(2, 20)]
        async with serve({"/": page("Home", *others)}) as first:
            report = await crawl(tmp_path / "test", Follower(start_urls=[f"{first.url}/"]), processes=3)
    assert report.stats.done == 1 + len(others), failures(tmp_path / "test")


async def test_middlewares_stand_around_every_fetch_and_others_read(tmp_path: Path) -> None:
    asked: list[str] = []

    async def note(lease: Lease, fetch: Fetch) -> Any:
        asked.append(lease.url)
        return await fetch(lease)

    async with serve(SITE) as site, asyncio.timeout(60):
        log = tmp_path / "log"
        settings = Settings(processes=2, **QUICK)
        spider = Whereabouts(start_urls=[f"{site.url}/"], log=log)
        report = await Crawl(spider, settings, state=tmp_path / "test", middlewares=[note]).run()
    assert report.stats.done == len(asked) == len(SITE)
    parsed = [int(line.split()[1]) for line in log.read_text().splitlines() if line.startswith("parse")]
    assert len(parsed) == len(SITE)
    assert os.getpid() not in parsed


async def test_bodies_are_kept_whoever_fetches(tmp_path: Path) -> None:
    site = {**SITE, "/page-0": (200, {"X-Odd": "caf\xe9", "Content-Type": "text/html"}, b"<p>\xff")}
    async with serve(site) as server:
        await crawl(tmp_path / "test", Follower(start_urls=[f"{server.url}/"]), keep_bodies=True)
    kept = {found.url.rpartition("/")[2]: found for _, found in kept_pages(StateFile(tmp_path / "test"))}
    assert len(kept) == len(SITE)
    assert kept["page-0"].body == b"<p>\xff"
    assert kept["page-1"].title == "page-1"


async def test_a_host_is_free_while_a_spider_takes_its_time(tmp_path: Path) -> None:
    """With one connection to the host, the spider has three pages at once: what it waits for comes when all three do."""
    all_are_here = asyncio.Barrier(3)

    async def meet(_: Visit) -> Reply:
        await all_are_here.wait()
        return page("All are here")

    site = {"/": page("Home", "/a", "/b", "/c"), **{f"/{name}": page(name) for name in "abc"}}
    async with serve(site) as server, serve(meet) as meeting:
        spider = Patient(start_urls=[f"{server.url}/"], meeting=meeting.url)
        report = await crawl(tmp_path / "test", spider, per_host=1)
    assert report.stats.items == 3


@given(st.text(), st.integers(1, 100), st.integers(1, 20))
def test_all_connections_of_a_host_are_shared_evenly(host: str, connections: int, places: int) -> None:
    shares = shares_of(HostKey(host), connections, places)
    assert sum(shares) == connections
    assert max(shares) - min(shares) <= 1


# Death


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("exit", "it left with exit code 7"),
        ("crash", "it was killed by SIGSEGV"),
        ("kill", "it was killed by SIGKILL"),
    ],
)
async def test_the_death_of_a_reader_costs_the_page_it_was_at(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str, told: str
) -> None:
    async with serve(SITE) as site:
        spider = Killer(start_urls=[f"{site.url}/"], on=("page-5", "page-20"), how=how)
        with caplog.at_level(logging.WARNING):
            report = await crawl(tmp_path / "test", spider)
    assert report.finished
    assert set(site.paths) == set(SITE)
    assert failures(tmp_path / "test") == dict.fromkeys(
        ["page-5", "page-20"], f"spider: parse() ended the process that ran it, twice: {told}"
    )
    assert len([item for item in items(tmp_path / "test") if "path" in item]) == len(SITE) - 2
    assert len([item for item in items(tmp_path / "test") if "failed" in item]) == 2
    assert told in caplog.text


async def test_the_death_of_a_reader_is_survived_among_others(tmp_path: Path) -> None:
    async with serve(SITE) as site:
        report = await crawl(tmp_path / "test", Killer(start_urls=[f"{site.url}/"], on=("page-7",)), processes=4)
    assert report.finished
    assert list(failures(tmp_path / "test")) == ["page-7"]
    assert report.stats.done == len(SITE) - 1


async def test_a_reader_that_dies_of_a_failure_costs_nothing_else(tmp_path: Path) -> None:
    async with serve({"/": page("Home", "/missing", "/b"), "/b": page("B")}) as site:
        report = await crawl(tmp_path / "test", KilledByFailure(start_urls=[f"{site.url}/"]))
    assert report.finished
    assert failures(tmp_path / "test") == {
        "missing": "spider: failed() ended the process that ran it, twice: it left with exit code 7, told of: http: 404 Not Found"
    }


@pytest.mark.parametrize("junk", ["ff ff ff 7f", "03 00 00 00 61 62 63"], ids=["long", "no message"])
async def test_a_callback_that_writes_into_sockets_costs_its_page(tmp_path: Path, junk: str) -> None:
    async with serve({"/": page("Home", "/junk", "/b"), "/junk": page("Junk"), "/b": page("B")}) as site:
        report = await crawl(tmp_path / "test", Scribbler(start_urls=[f"{site.url}/"], junk=junk))
    assert report.finished
    assert failures(tmp_path / "test") == {
        "junk": "spider: parse() ended the process that ran it, twice: it wrote into the socket to the crawl's process, and was killed"
    }


async def test_a_host_does_not_wait_for_a_reader_that_is_hung(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where starts are to be apart, the next one waits until a reader says that its request has gone out."""
    monkeypatch.setattr("crawler.readers.pool.LOOK_SECONDS", 0.2)
    gate = Gate(answers=2)

    async def site(visit: Visit) -> Reply:
        match visit.path:
            case "/":
                return page("Home", "/held", "/b")
            case "/b":
                await gate.asked(1)
                return page("One reader is hung", "/c", "/d")
            case "/c" | "/d":
                await gate.asked(2)  # both readers have something to do, and so either may be given more
        return page("")

    async with serve(site) as server, serve(gate) as held:
        spider = Held(start_urls=[f"{server.url}/"], where="held", gate=held.url)
        with caplog.at_level(logging.WARNING):
            report = await crawl(tmp_path / "test", spider, delay=0.01)
    assert report.finished
    assert (report.stats.done, report.stats.items, report.stats.failed) == (5, 5, 0)
    (told,) = caplog.messages
    assert "as if a callback blocked it, while a host waited for its next request, and was killed" in told


async def test_a_spider_that_kills_every_reader_ends_the_crawl_which_can_be_resumed(tmp_path: Path) -> None:
    async with serve(SITE) as site:
        with pytest.raises(SpiderError, match=r"5 reader processes in a row died .* the last at http.*exit code 7"):
            await crawl(tmp_path / "test", Killer(start_urls=[f"{site.url}/"], on=tuple(NAMES)), per_host=1)
        report = await crawl(tmp_path / "test", Killer(start_urls=[f"{site.url}/"]))
    assert report.finished
    assert report.stats.done + report.stats.failed == len(SITE)


async def test_pages_that_kill_their_readers_do_not_end_the_crawl(tmp_path: Path) -> None:
    """Deaths that are blamed on a page do not count: that page is done with."""
    names = NAMES[:6]
    async with serve({"/": page("Home", *names), **{f"/{name}": page(name) for name in names}}) as site:
        report = await crawl(tmp_path / "test", Killer(start_urls=[f"{site.url}/"], on=tuple(names)))
    assert report.finished
    assert sorted(failures(tmp_path / "test")) == names


# Stops


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_stop_cuts_opened_short(tmp_path: Path, processes: int) -> None:
    report = await stopped(tmp_path / "test", processes, "opened", blocks=False, times=1)
    assert report.stats.done == 0


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("where", ["parse", "closed"])
async def test_a_second_stop_cuts_short_what_waits(tmp_path: Path, where: str, processes: int) -> None:
    report = await stopped(tmp_path / "test", processes, where, blocks=False, times=2)
    assert report.stats.done == (where == "closed")


@pytest.mark.parametrize("where", ["opened", "parse", "closed"])
async def test_a_second_stop_ends_readers_that_are_blocked(tmp_path: Path, where: str) -> None:
    report = await stopped(tmp_path / "test", 2, where, blocks=True, times=2)
    assert report.stats.done == (where == "closed")


@pytest.mark.parametrize("where", ["opened", "parse"])
async def test_a_stop_ends_readers_that_are_blocked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr("crawler.readers.pool._LEAVE_SECONDS", 0.05)
    report = await stopped(tmp_path / "test", 2, where, blocks=True, times=1)
    assert report.stats.done == 0
    assert bool(caplog.records) == (where == "parse"), "where nothing was read, nothing is lost"
    assert all("did not leave what it was at, and was killed" in record.message for record in caplog.records)


async def stopped(state: Path, processes: int, where: str, *, blocks: bool, times: int) -> Report:
    """What comes of a crawl that is told so many times to stop while its spider is held up; then, it is resumed."""
    gate = Gate()
    async with serve({"/": page("Home")}) as site, serve(gate) as held:
        spider = Held(start_urls=[f"{site.url}/"], where=where, gate=held.url, blocks=blocks)
        crawling = Crawl(spider, settings(processes, drain_timeout=0.05), state=state)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            running = group.create_task(crawling.run())
            await gate.asked(1)
            for _ in range(times):
                crawling.stop()
        assert running.result().reason == ("finished" if where == "closed" else "interrupted")
        resumed = await crawl(state, Held(start_urls=[f"{site.url}/"], where="nowhere"))
        assert (resumed.finished, resumed.stats.done, resumed.stats.items) == (True, 1, 1)
    return running.result()


class Gate:
    """A site that answers once it is asked `answers` times, or never."""

    def __init__(self, answers: float = inf) -> None:
        self._answers = answers
        self._number = 0
        self._is_asked = asyncio.Condition()

    async def __call__(self, _: Visit) -> Reply:
        async with self._is_asked:
            self._number += 1
            self._is_asked.notify_all()
        if self._number >= self._answers:
            return page("Open")
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def asked(self, times: int) -> None:
        """Wait until it has been asked so many times."""
        async with self._is_asked:
            await self._is_asked.wait_for(lambda: self._number >= times)


# What a spider's own faults become


@pytest.mark.parametrize("processes", [1, 2])
async def test_in_a_fork_that_comes_back_from_a_callback_nothing_goes_on(tmp_path: Path, processes: int) -> None:
    names = ["returns", "leaves", "raises"]
    async with serve({"/": page("Home", *names), **{f"/{name}": page(name) for name in names}}) as site:
        report = await crawl(tmp_path / "test", Forking(start_urls=[f"{site.url}/"]), processes)
    assert report.finished
    assert sorted(site.paths) == sorted(["/", *(f"/{name}" for name in names)])
    codes = {item["of"]: item["code"] for item in items(tmp_path / "test") if "of" in item}
    assert codes == {"returns": 0, "leaves": 5, "raises": 1}


async def test_an_answer_that_cannot_be_sent_fails_its_page(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serve({"/": page("Home", "/form", "/b"), "/form": page("Form"), "/b": page("B")}) as site:
        report = await crawl(tmp_path / "test", Unencodable(start_urls=[f"{site.url}/"]))
    assert report.finished
    assert failures(tmp_path / "test") == {
        "form": "spider: what it gives for the page cannot be sent: Encoding objects of type Form is unsupported"
    }
    assert not caplog.records


def test_an_answer_that_is_too_long_fails_its_page() -> None:
    answer = Answer(3, ["x" * 1000])
    assert encode_result(answer, 2000) == encode(answer)
    told = decode_from_reader(encode_result(answer, 1000))
    assert told == Answer(3, error="what it gives for the page takes 1,012 bytes; at most 1,000 are taken")


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_redirect_whose_bytes_are_no_text_is_followed_as_browsers_do(tmp_path: Path, processes: int) -> None:
    """As servers write it that have never heard of UTF-8."""
    site = {"/": page("Home", "/old"), "/old": redirect("/caf\xe9?\xff=1"), "/caf%E9?%FF=1": page("Café")}
    async with serve(site) as served:
        report = await crawl(tmp_path / "test", Follower(start_urls=[f"{served.url}/"]), processes)
    assert (report.stats.done, report.stats.failed) == (2, 0)
    assert served.paths == ["/", "/old", "/caf%E9?%FF=1"]


async def test_to_leave_the_program_fails_the_page(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serve(SITE) as site:
        spider = Killer(start_urls=[f"{site.url}/"], on=("page-5",), how="leave")
        report = await crawl(tmp_path / "test", spider)
    assert report.finished
    assert failures(tmp_path / "test")["page-5"].endswith("SystemExit: 9 (in _end)")
    assert not caplog.records


async def test_a_callback_that_cancels_its_own_task_takes_no_other_along(tmp_path: Path) -> None:
    async with serve(SITE) as site:
        spider = Killer(start_urls=[f"{site.url}/"], on=tuple(NAMES), how="cancel")
        report = await crawl(tmp_path / "test", spider)
    assert (report.finished, report.stats.done, report.stats.failed) == (True, 31, 0)


async def test_a_callback_that_cancels_its_task_late_takes_nothing_along(tmp_path: Path) -> None:
    """The task waits by then, or reads another page."""
    async with serve(SITE) as site:
        report = await crawl(tmp_path / "test", Belated(start_urls=[f"{site.url}/"]))
    assert (report.finished, report.stats.done, report.stats.failed) == (True, 31, 0)


async def test_a_page_that_another_ones_callback_cuts_short_is_asked_for_again(tmp_path: Path) -> None:
    """With one request at a time, one reader has them all, and one task of it."""
    is_asked, is_asked_again = asyncio.Event(), asyncio.Event()

    async def reply(visit: Visit) -> Reply:
        if visit.path == "/":
            return page("Home", "/late")
        if visit.path == "/late":
            return page("Late", "/next")
        if is_asked.is_set():
            is_asked_again.set()
        is_asked.set()
        await is_asked_again.wait()
        return page("Next")

    async def gate(_: Visit) -> Reply:
        await is_asked.wait()
        return page("Open")

    async with serve(reply) as site, serve(gate) as opening:
        spider = Belated(start_urls=[f"{site.url}/"], gate=opening.url)
        report = await crawl(tmp_path / "test", spider, concurrency=1)
        assert site.paths == ["/", "/late", "/next", "/next"]
    assert (report.finished, report.stats.done, report.stats.failed) == (True, 3, 0)


async def test_what_is_told_of_requests_that_nobody_knows_of_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve({"/": page("Home", "/a"), "/a": page("A")}) as site:
        report = await crawl(tmp_path / "test", Misspoken(start_urls=[f"{site.url}/"]))
    assert (report.finished, report.stats.done, report.stats.failed) == (True, 2, 0)
    assert not caplog.records


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_retry_of_ones_own_kind_costs_no_more_than_its_page(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, processes: int
) -> None:
    pages = {"/": page("Home", "/again", "/odd", "/b"), "/again": page("A"), "/odd": page("O"), "/b": page("B")}
    async with serve(pages) as site:
        report = await crawl(tmp_path / "test", Evasive(start_urls=[f"{site.url}/"]), processes, max_attempts=2)
    assert (report.finished, report.stats.done) == (True, 2)
    failed = failures(tmp_path / "test")
    assert failed["again"] == "retry: A is not yet ready"
    assert failed["odd"].startswith("internal: ")
    assert not [one for one in caplog.messages if "died" in one]


async def test_a_spider_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    async with serve(SITE) as site:
        with pytest.raises(SpiderError, match=r"^the spider's opened\(\) raised: .*LookupError: no model"):
            await crawl(tmp_path / "test", Unopened(start_urls=[f"{site.url}/"]))
    assert not site.log


async def test_a_spider_that_cannot_be_closed_says_why(tmp_path: Path) -> None:
    async with serve(SITE) as site:
        with pytest.raises(SpiderError, match=r"^the spider's closed\(\) raised: .*LookupError: no room"):
            await crawl(tmp_path / "test", Unclosed(start_urls=[f"{site.url}/"]))
    assert ask(tmp_path / "test", "SELECT count(*) FROM result WHERE state = 'done'") == [(1,)]


async def test_a_spider_that_readers_cannot_make_is_refused_before_anything_is_begun(tmp_path: Path) -> None:
    class Local(Spider):
        start_urls = ("http://127.0.0.1/",)

    with pytest.raises(UsageError, match=r"define it at the top of a file, or give Crawl\(…, source="):
        await crawl(tmp_path / "test", Local())
    with pytest.raises(UsageError, match=r"a constructor of its own.*give Crawl\(…, source="):
        await crawl(tmp_path / "test", Particular("http://127.0.0.1/"))
    assert not (tmp_path / "test").exists()


async def test_a_source_makes_any_spider(tmp_path: Path) -> None:
    async with serve({"/": page("Home")}) as site:
        source = Source(f"{SPIDERS}:Particular", {"site": f"{site.url}/"})
        await crawl(tmp_path / "test", Particular(f"{site.url}/"), source=source)
    assert items(tmp_path / "test") == [{"url": f"{site.url}/"}]


async def test_a_source_that_is_none_ends_the_crawl(tmp_path: Path) -> None:
    async with serve({"/": page("Home")}) as site:
        spider = Killer(start_urls=[f"{site.url}/"])
        with pytest.raises(SpiderError, match=r"there is no file gone\.py"):
            await crawl(tmp_path / "test", spider, source=Source("gone.py"))
