"""Hosts that have stalled: their requests wait, and the workers are with the others."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import AsyncExitStack, closing
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from crawler import Crawl, Links, Page, Settings, Spider
from crawler.web.scope import Scope
from tests.sites import Reply, Visit, page, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.sites import Handler

STALLED = 10
WELL = 5
PAGES = 20
PAGES_BEFORE = 250
"""So many show what is usual; before, more is put up with."""

SETTINGS = Settings(concurrency=4, robots=False, retry_wait=0.01, rest_after=100, commit_interval=0.01)


class Wide(Spider):
    """Reads one site first; its last page leads to all others."""

    scope = Scope.of(anywhere=True)

    def __init__(self, first: str, others: list[str]) -> None:
        super().__init__()
        self._first = first
        self._others = others

    def start(self) -> Iterator[Links]:
        yield Links([self._first])

    async def parse(self, page: Page) -> AsyncIterator[Links]:
        if page.url.endswith(f"/{PAGES_BEFORE - 1}"):
            yield Links(self._others)
        yield Links(page.links())


def site_of(pages: int) -> dict[str, Reply]:
    paths = [f"/{number}" for number in range(1, pages)]
    return {"/": page("start", *paths), **{path: page(path) for path in paths}}


class Web:
    """Hosts, each a server and a port of its own, in the ways they may be."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.may_answer = asyncio.Event()
        self.left = WELL * PAGES
        self._site = site_of(PAGES)

    async def be_well(self, visit: Visit) -> Reply:
        self.left -= 1
        if not self.left:
            self.may_answer.set()
        return self._site[visit.path]

    async def stall(self, visit: Visit) -> Reply:
        self.asked[visit.host] += 1
        await self.may_answer.wait()
        return page("at last")

    async def stall_once(self, visit: Visit) -> Reply:
        self.asked[visit.host] += 1
        if self.asked[visit.host] == 1:
            await asyncio.Event().wait()  # until the connection is closed
        return page("at last")

    async def crawl(self, path: Path, settings: Settings, *, stalled: Handler) -> bool:
        """Whether everything was fetched."""
        handlers: list[Handler | dict[str, Reply]] = [
            site_of(PAGES_BEFORE),
            *[stalled] * STALLED,
            *[self.be_well] * WELL,
        ]
        async with AsyncExitStack() as stack:
            sites = [await stack.enter_async_context(serve(handler)) for handler in handlers]
            first, *others = (f"{site.url}/" for site in sites)
            spider = Wide(first, others)
            async with asyncio.timeout(25):
                report = await Crawl(spider, settings, state=path / "test.crawl").run()
            return report.finished and report.stats.done == PAGES_BEFORE + WELL * PAGES + STALLED


@pytest.fixture
async def web() -> Web:
    return Web()


async def test_more_stalled_hosts_than_workers_do_not_keep_the_others_waiting(web: Web, tmp_path: Path) -> None:
    """They answer when all the others are done: were workers with them, both would wait until `read_timeout`."""
    assert await web.crawl(tmp_path, SETTINGS, stalled=web.stall)
    assert set(web.asked.values()) == {1}, "what lingers is not given up"


async def test_what_lingered_is_asked_again_after_its_time_and_nothing_is_lost(web: Web, tmp_path: Path) -> None:
    settings = replace(SETTINGS, read_timeout=2.5)
    assert await web.crawl(tmp_path, settings, stalled=web.stall_once)
    assert len(web.asked) == STALLED
    assert set(web.asked.values()) == {2}
    with closing(sqlite3.connect(tmp_path / "test.crawl")) as db:
        assert db.execute("SELECT count(*), count(DISTINCT request) FROM attempt").fetchone() == (STALLED, STALLED)
        assert db.execute("SELECT count(*) FROM queue").fetchone() == (0,)
