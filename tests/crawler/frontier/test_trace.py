"""What a crawl file tells of single URLs and hosts: also one of an earlier version, and while requests are on their way."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from client.origin import HostKey
from crawler.frontier import Settlement, SqliteFrontier, census, trace
from crawler.frontier.statefile import StateFile
from crawler.outcome import Aside, Failed, Postponed, Redirected
from crawler.reports.why import in_words, why
from crawler.request import Links, Request
from tests.crawler.frontier.test_migrations import VERSION_1

if TYPE_CHECKING:
    from pathlib import Path

A, B = "http://a.example", "http://b.example"


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A crawl with requests that are put off, redirected, leased, set aside and over."""
    path = tmp_path / "test.crawl"
    frontier = await SqliteFrontier.open(path, spider="test")
    await frontier.add([Links([f"{A}/{n}" for n in range(6)]), Request(f"{A}/0", method="POST", body=b"x")])
    late, moved, lost, *_ = await frontier.lease([HostKey("a.example")], 4)
    await frontier.settle(Settlement(lease=late, outcome=Postponed(error="http: 503", not_before=4e9)))
    await frontier.settle(Settlement(lease=moved, outcome=Redirected(status=302, url=f"{B}/new", method="GET")))
    outcome = Failed(error="timeout: too slow", final_url=lost.url)
    await frontier.settle(Settlement(lease=lost, outcome=outcome, found=[Links([f"{B}/child"])]))
    await frontier.set_aside(HostKey("b.example"), Aside.HOST, "out of reach")
    frontier.note_host(HostKey("a.example"), held=1000.0)
    await frontier.flush()
    await frontier._file.close()  # as a process does that is killed
    frontier._lock.release()
    return path


def told(path: Path, url: str) -> str:
    with StateFile(path) as file:
        return "\n".join(in_words(why(file, url), "test.crawl"))


@pytest.mark.parametrize(
    ("url", "state", "words"),
    [
        (f"{A}/0", "queued", "not due    before 2096-10-02 07:06:40 UTC"),
        (f"{A}/0", "queued", "UTC: http: 503"),
        (f"{A}/1", "aside", f"redirects  {A}/1 → {B}/new"),
        (f"{A}/1", "aside", "because its host could not be reached for long: out of reach"),
        (f"{A}/2", "failed", "state      failed: timeout: too slow"),
        (f"{A}/3", "queued", "waits, 1 request of its host before it; the crawl is paused"),
        (f"{A}/4", "queued", "waits, 2 requests of its host before it; the crawl is paused"),
        (f"{A}/4", "queued", "host       a.example is held since 1970-01-01 00:16:40 UTC"),
        (f"{B}/child", "aside", f"release    crawl release test.crawl --url {B}/child"),
        (f"{B}/child", "aside", f"found      at depth 1: {A}/2 → {B}/child"),
        (f"{B}/new", "aside", f"was met on the way of a redirect from {A}/1"),
    ],
)
def test_whatever_a_request_waits_for_is_told(path: Path, url: str, state: str, words: str) -> None:
    with StateFile(path) as file:
        answer = why(file, url)
    assert (answer.requests or answer.passed)[0].state == state
    assert words in told(path, url)


def test_requests_of_one_url_with_other_methods_are_told_apart(path: Path) -> None:
    with StateFile(path) as file:
        assert [trace.trace(file, number).method for number in trace.requests_for(file, f"{A}/0")] == ["GET", "POST"]
    assert f"POST {A}/0\n" in told(path, f"{A}/0")


def test_the_census_has_every_host(path: Path) -> None:
    with StateFile(path) as file:
        first, second = census.hosts(file, sort="aside")
        assert list(census.hosts(file, sort="host", limit=1)) == [second]
    assert (first.host, first.aside, first.queued, first.held) == ("b.example", 2, 0, None)
    assert (second.host, second.failed, second.queued) == ("a.example", 1, 5)
    assert second.held == "1970-01-01T00:16:40.000+00:00"


def test_a_file_of_an_earlier_version_is_told_of_without_being_changed(tmp_path: Path) -> None:
    path = tmp_path / "old.crawl"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1)
    with StateFile(path) as file:
        assert {row.host for row in census.hosts(file)} == {"h.example", "other.example", "new.example"}
        assert why(file, "http://h.example/6").requests[0].state == "queued"
        assert census.busiest(file, 5) == []
        assert file.status().urls.aside == 0
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchall() == [(1,)]
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'aside'").fetchall() == [(0,)]


async def test_orders_bring_a_file_of_an_earlier_version_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.crawl"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1)
    frontier = await SqliteFrontier.open(path, spider=None)
    assert await frontier.retry() == 2
    await frontier.close()
    with StateFile(path) as file:
        assert (file.status().urls.queued, file.status().urls.failed) == (8, 0)
