"""The seeds of a crawl: what the spider's `start` gives, offered to the frontier."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any

from crawler.errors import SpiderError
from crawler.faults import faults_of_the_spider
from crawler.items import as_kept
from crawler.request import Links, Request
from crawler.spider import seedless

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from crawler.frontier.protocol import Frontier
    from crawler.spider import Spider

_AT_ONCE = 1000
_WEIGHT_AT_ONCE = 16 << 20
"""Characters of what the spider has put into seeds (`as_kept`)."""


class Seeding:
    """Offers seeds, in portions; those of an earlier run are known already. `start` may wait for anything, for any time; `stop` cuts it
    short, and the next run calls it again.
    """

    def __init__(self, spider: Spider, frontier: Frontier) -> None:
        self._spider = spider
        self._frontier = frontier
        self._time: asyncio.Timeout | None = None
        self._is_stopped = False
        self.is_complete = False
        """Whether all that `start` gives has been offered."""

    def stop(self) -> None:
        """Offer no more seeds; calling this again changes nothing."""
        if self._is_stopped:
            return
        self._is_stopped = True
        if self._time:
            self._time.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Offer all seeds. Raises SpiderError when `start` raises, when it gives what is not a seed, or when there is nothing to crawl."""
        if self._is_stopped:
            return
        try:
            async with asyncio.timeout(None) as self._time:
                await self._offer()
                self.is_complete = True
        except TimeoutError:
            if not self._is_stopped:
                raise
        finally:
            self._time = None
        if not (self._frontier.counts.hosts or self._is_stopped):
            raise seedless(self._spider)

    async def _offer(self) -> None:
        chunk: list[Request | Links] = []
        weight = 0
        with faults_of_the_spider("start()"):
            async for seed, its_weight in _seeds_of(self._spider):
                chunk.append(seed)
                weight += its_weight
                if len(chunk) == _AT_ONCE or weight >= _WEIGHT_AT_ONCE:
                    await self._frontier.add(chunk)
                    chunk.clear()
                    weight = 0
        await self._frontier.add(chunk)


async def _seeds_of(spider: Spider) -> AsyncIterator[tuple[Request | Links, int]]:
    """What `start` gives, in whatever form, and the weight of each (`as_kept`)."""
    given: Any = spider.start()
    if inspect.isawaitable(given):
        given = await given
    if isinstance(given, AsyncIterable):
        async for seed in given:
            yield _seed(spider, seed)
    else:
        for seed in given:
            yield _seed(spider, seed)


def _seed(spider: Spider, given: Any) -> tuple[Request | Links, int]:
    if isinstance(given, str):
        return Request(given), len(given)
    if isinstance(given, Request | Links):
        return as_kept(given)
    raise SpiderError(f"start() of {type(spider).__name__} gave {given!r}; it gives requests, or URLs")
