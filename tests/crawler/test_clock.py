"""The system's clock may jump, in either direction: that stops no crawl, and makes none impolite."""

from __future__ import annotations

import asyncio
import itertools
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from client.origin import HostKey
from crawler import Page, Spider
from crawler.crawl import Crawl
from crawler.frontier import Settlement, SqliteFrontier
from crawler.outcome import Postponed
from crawler.request import Request
from crawler.settings import Settings
from tests.sites import page, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sites import Reply, Visit

HOST = HostKey("h.example")
DAY = 86400.0
DELAY = 0.05
RETRY_AFTER = 1.0

JUMPS = {
    "back": lambda _call: -DAY,
    "forward": lambda _call: 400 * DAY,
    "to and fro": lambda call: DAY * (-1) ** call,
    "ever further back": lambda call: -DAY * call,
}


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
async def test_a_crawl_goes_on_as_politely_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: Callable[[int], float]
) -> None:
    """From the first page on, each look at the clock finds it somewhere else."""
    real, calls = time.time, itertools.count()
    pages = [f"/{n}" for n in range(8)]
    refused: list[float] = []

    async def reply(visit: Visit) -> Reply:
        if visit.path == "/":
            monkeypatch.setattr(time, "time", lambda: real() + jump(next(calls)))
            return page("Home", *pages)
        if visit.path == "/3" and not refused:
            refused.append(visit.at)
            return 503, {"Retry-After": f"{RETRY_AFTER:.0f}"}, ""
        return page(visit.path)

    class Clocked(Spider):
        async def parse(self, page: Page) -> Any:
            yield {"url": page.url}
            yield page.follow_all("a")

    async with serve(reply) as site:
        spider = Clocked()
        spider.start_urls = [f"{site.url}/"]
        settings = Settings(delay=DELAY, per_host=1, robots=False, max_attempts=5)
        async with asyncio.timeout(30):
            report = await Crawl(spider, settings, state=tmp_path / "clock.crawl").run()
    assert report.finished
    assert sorted(site.paths) == sorted(["/", *pages, "/3"])
    instants = [visit.at for visit in site.log]
    assert min(later - earlier for earlier, later in pairwise(instants)) >= DELAY - 0.01
    (refused_at,) = refused
    assert min(at for at in instants if at > refused_at) - refused_at >= RETRY_AFTER - 0.01


@pytest.mark.parametrize("ahead", [-400 * DAY, 400 * DAY], ids=["fast", "slow"])
async def test_a_clock_that_was_set_between_two_runs_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """What was put off for a moment is due after a moment at most, whatever time it is said to be now."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - ahead)
    frontier = await SqliteFrontier.open(tmp_path / "test.crawl", spider="test")
    await frontier.add([Request(f"http://{HOST}/")])
    (lease,) = await frontier.lease([HOST], 1)
    put_off = Postponed(error="http: 503", not_before=frontier.now() + 5.0)
    await frontier.settle(Settlement(lease=lease, outcome=put_off))
    await frontier.close()

    monkeypatch.setattr(time, "time", real)
    again = await SqliteFrontier.open(tmp_path / "test.crawl", spider="test")
    ((_, due_at),) = await again.hosts()
    assert due_at - again.now() <= 5.0
    await again.close()


async def test_the_frontiers_clock_does_not_jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frontier = await SqliteFrontier.open(tmp_path / "test.crawl", spider="test")
    before = frontier.now()
    assert abs(before - time.time()) < 60.0
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert before <= frontier.now() < before + 60.0
    await frontier.close()
