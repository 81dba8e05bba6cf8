"""The crawl's cookies outlast the run."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest
from yarl import URL

from crawler import Crawl, Settings
from crawler.cookies import open_jar
from crawler.frontier import SqliteFrontier
from spiders.site import SiteSpider
from tests.sites import Reply, Visit, page, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from client import CookieJar

SITE = URL("https://www.site.example/a/b")


@asynccontextmanager
async def jar_of(path: Path) -> AsyncIterator[CookieJar]:
    frontier = await SqliteFrontier.open(path / "test.crawl", spider="site")
    try:
        yield await open_jar(frontier)
    finally:
        await frontier.close()


def kept(path: Path) -> list[tuple[str, str, str, str]]:
    """Domain, path, name and value of the cookies in the file."""
    with closing(sqlite3.connect(path / "test.crawl")) as db:
        rows = db.execute("SELECT domain, path, name, data FROM cookie ORDER BY domain, path, name").fetchall()
    return [(domain, where, name, json.loads(data)["cookie"]["value"]) for domain, where, name, data in rows]


async def test_a_crawl_that_goes_on_is_the_same_visitor(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> Reply:
        status, headers, body = page(visit.path, "/next")
        return status, {"Set-Cookie": "visitor=7"} if visit.path == "/" else headers, body

    async with serve(answer) as site:
        for most in (1, 0):
            settings = Settings(robots=False, max_pages=most, concurrency=1)
            await Crawl(SiteSpider(start_urls=[f"{site.url}/"]), settings, state=tmp_path / "test.crawl").run()
    assert [(visit.path, visit.headers.get("cookie")) for visit in site.log] == [("/", None), ("/next", "visitor=7")]


async def test_octets_that_are_no_text_are_kept(tmp_path: Path) -> None:
    """Servers set what they like (RFC 6265bis §5.6): it comes back as it was, in this run and in the next."""
    for _ in range(2):
        async with jar_of(tmp_path) as jar:
            jar.store([b"na\xefve=caf\xe9; Max-Age=1000".decode("utf-8", "surrogateescape")], SITE)
    async with jar_of(tmp_path) as jar:
        header = jar.cookie_header(SITE)
    assert header is not None
    assert header.encode("utf-8", "surrogateescape") == b"na\xefve=caf\xe9"
    assert kept(tmp_path) == [("www.site.example", "/a", "na\\udcefve", "caf\udce9")]


async def test_what_differs_in_who_receives_it_is_kept_apart(tmp_path: Path) -> None:
    """The host's own cookie, and that of all hosts of its domain: same name, same path."""
    async with jar_of(tmp_path) as jar:
        jar.store(["n=own; Path=/", "n=all; Domain=site.example; Path=/", "n=here"], URL("https://site.example/a/b"))
    assert kept(tmp_path) == [
        (".site.example", "/", "n", "all"),
        ("site.example", "/", "n", "own"),
        ("site.example", "/a", "n", "here"),
    ]
    async with jar_of(tmp_path) as jar:
        assert jar.cookie_header(URL("https://site.example/a/")) == "n=here; n=own; n=all"
        assert jar.cookie_header(URL("https://www.site.example/")) == "n=all"


async def test_what_is_gone_is_not_kept(tmp_path: Path) -> None:
    """Deleted by the server, expired, replaced, cleared."""
    async with jar_of(tmp_path) as jar:
        jar.store(["a=1", "b=1", "c=1", "d=1; Max-Age=1000"], SITE)
        jar.store(["a=; Max-Age=0", "b=2"], SITE)
        jar.clear(lambda morsel: morsel.key == "c")
    assert kept(tmp_path) == [("www.site.example", "/a", "b", "2"), ("www.site.example", "/a", "d", "1")]
    async with jar_of(tmp_path) as jar:
        jar.clear()
    assert kept(tmp_path) == []


async def test_what_has_expired_meanwhile_is_not_sent(tmp_path: Path) -> None:
    async with jar_of(tmp_path) as jar:
        jar.store(["a=1; Max-Age=1000", "b=1"], SITE)
    with closing(sqlite3.connect(tmp_path / "test.crawl")) as db, db:
        db.execute(
            "UPDATE cookie SET data = json_set(data, '$.cookie.expires', ?) WHERE name = 'a'", (time.time() - 1,)
        )
    async with jar_of(tmp_path) as jar:
        assert jar.cookie_header(SITE) == "b=1"


async def test_only_what_changes_is_written(tmp_path: Path) -> None:
    told: list[str] = []
    async with jar_of(tmp_path) as jar:
        jar.watch(lambda record, place: told.append(f"{record['name']}={record['value']}{'' if place else ' is gone'}"))
        for _ in range(3):
            jar.store(["a=1", "b=1; Secure"], SITE)
            jar.cookie_header(SITE)
        assert told == ["a=1", "b=1"]
        jar.store(["a=2", "b=1"], SITE)
        assert told == ["a=1", "b=1", "a=2", "b=1"]
        jar.clear_domain("site.example")
        assert told[4:] == ["a=2 is gone", "b=1 is gone"]


@pytest.mark.parametrize("data", ["{}", "[", '{"name": 1}'])
async def test_cookies_that_cannot_be_read_do_not_stop_the_crawl(
    tmp_path: Path, data: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The file is open to its owner."""
    async with jar_of(tmp_path) as jar:
        jar.store(["a=1"], SITE)
    with closing(sqlite3.connect(tmp_path / "test.crawl")) as db, db:
        db.execute("UPDATE cookie SET data = ?", (data,))
    async with jar_of(tmp_path) as jar:
        assert len(jar) == 0
    assert "without the cookies" in caplog.text
