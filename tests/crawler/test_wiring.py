"""Manners of a whole crawl, from its settings to the server: those that tests of the parts alone would not miss."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from crawler import Crawl, Page, Report, Settings, Spider
from crawler.politeness import Politeness
from tests.sites import Reply, Visit, page, serve

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAGES = 6
SETTINGS = Settings(robots=False, per_host=4, commit_interval=0.01)
SLACK = 0.005
"""From the instant that the crawler counts from to the one at which the server has the request."""


class Flat(Spider):
    """So many pages of each site."""

    name = "flat"

    def __init__(self, *sites: str) -> None:
        self.start_urls = [f"{site}/{number}" for site in sites for number in range(PAGES)]

    async def parse(self, page: Page) -> None: ...


async def crawl(folder: Path, spider: Spider, settings: Settings) -> Report:
    async with asyncio.timeout(60):
        return await Crawl(spider, settings, state=folder / "test.crawl").run()


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
    assert min(later - earlier for earlier, later in pairwise(instants)) >= 0.03 - SLACK


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
            ((pace,),) = db.execute("SELECT pace FROM host_state")
            assert pace > 0.0
            db.execute("UPDATE host_state SET pace = 0.2")
            db.commit()
        before = len(site.log)
        report = await crawl(tmp_path, spider, replace(SETTINGS, per_host=1))
        assert report.finished
        first, second = (visit.at for visit in site.log[before : before + 2])
        assert second - first >= 0.2 - SLACK
