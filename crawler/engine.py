"""The ring: the journey of each page, from the frontier and back into it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from crawler.fetcher import failed_with
from crawler.frontier.protocol import Settlement
from crawler.items import Harvest, gather
from crawler.outcome import Failed, Fetched
from crawler.page import Page
from crawler.request import Request, callback_name
from crawler.spider import callback_of, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from crawler.fetcher import Fetcher
    from crawler.frontier.protocol import Frontier, Lease
    from crawler.outcome import Outcome
    from crawler.politeness import Politeness
    from crawler.scheduler import Scheduler
    from crawler.spider import Spider
    from crawler.stats import Tally

_log = logging.getLogger(__name__)


class Engine:
    """Moves pages round the ring with a crew of `concurrency` workers. Put together by `crawler.crawl.Crawl`."""

    def __init__(
        self,
        spider: Spider,
        frontier: Frontier,
        *,
        scheduler: Scheduler,
        fetcher: Fetcher,
        politeness: Politeness,
        tally: Tally,
        concurrency: int,
        drain_timeout: float,
        parse_thread_bytes: int,
    ) -> None:
        self._spider = spider
        self._frontier = frontier
        self._scheduler = scheduler
        self._fetcher = fetcher
        self._politeness = politeness
        self._tally = tally
        self._concurrency = concurrency
        self._drain_timeout = drain_timeout
        self._parse_thread_bytes = parse_thread_bytes
        self._stopping = asyncio.Event()
        self._cutting_short = asyncio.Event()
        self._crew: list[asyncio.Task[None]] = []

    def stop(self, *, at_once: bool = False) -> None:
        """Begin nothing new, and end what is under way: within `drain_timeout`, or at once."""
        self._stopping.set()
        if at_once:
            self._cutting_short.set()

    async def run(self, *services: Callable[[], Coroutine[None, None, None]]) -> None:
        """Go round until nothing is left, or `stop`. `services` run beside the crew, and end with it."""
        async with asyncio.TaskGroup() as beside:
            helpers = [beside.create_task(serve()) for serve in (self._scheduler.keep_supplied, self._drain, *services)]
            async with asyncio.TaskGroup() as group:
                self._crew = [group.create_task(self._work()) for _ in range(self._concurrency)]
            for helper in helpers:
                helper.cancel()

    async def _work(self) -> None:
        """A worker's life: one page after the other."""
        while lease := await self._scheduler.next():
            if not self._politeness.knows(lease):
                with self._scheduler.suspended(lease):
                    await self._politeness.learn(lease)
                continue
            outcome, harvest = await self._visit(lease)
            self._tally.count(lease.url, outcome)
            await self._frontier.settle(
                Settlement(lease=lease, outcome=outcome, items=harvest.items, found=harvest.found)
            )
            self._scheduler.done(lease)

    async def _visit(self, lease: Lease) -> tuple[Outcome, Harvest]:
        """Fetch, and let the spider have what came."""
        fetched = self._politeness.judge(lease) or await self._fetch(lease)
        if not isinstance(fetched, Page):
            return await self._after_failure(lease, fetched)
        try:
            return _outcome_of(fetched), await self._digest(lease, fetched)
        except Exception as error:
            return await self._after_failure(lease, failed_with(fetched, f"spider: {explain(error)}"))

    async def _fetch(self, lease: Lease) -> Page | Outcome:
        try:
            return await self._fetcher.fetch(lease)
        except Exception as error:  # a fault of ours, or of a middleware: it may cost this page, not the crawl
            _log.exception("fetching %s", lease.url)
            return Failed(error=f"internal: {type(error).__name__}: {error}", final_url=lease.url)

    async def _digest(self, lease: Lease, page: Page) -> Harvest:
        """Call the spider, and gather what it gives."""
        if len(page.body) >= self._parse_thread_bytes and page.is_html:
            await asyncio.to_thread(page.parse_now)
        callback = callback_of(self._spider, lease.callback)
        return self._checked(await gather(callback(page)))

    async def _after_failure(self, lease: Lease, outcome: Outcome) -> tuple[Outcome, Harvest]:
        """Tell the spider of a failure that is final; what it gives in return is kept like a page's."""
        if not isinstance(outcome, Failed):
            return outcome, Harvest()
        try:
            return outcome, self._checked(await gather(self._spider.failed(_request_of(lease), outcome.error)))
        except Exception as error:
            return replace(outcome, error=f"spider: {explain(error)}, told of: {outcome.error}"), Harvest()

    def _checked(self, harvest: Harvest) -> Harvest:
        for found in harvest.found:
            callback_of(self._spider, callback_name(found.callback))
        return harvest

    async def _drain(self) -> None:
        """Once told to stop: let what is under way end, within its time, then cut it short."""
        await self._stopping.wait()
        self._scheduler.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_timeout):
                await self._cutting_short.wait()
        for worker in self._crew:
            worker.cancel()


def _outcome_of(page: Page) -> Fetched:
    return Fetched(
        status=page.status,
        final_url=page.url,
        content_type=page.content_type,
        size=len(page.body),
        elapsed=page.elapsed,
        fetched_at=page.fetched_at,
    )


def _request_of(lease: Lease) -> Request:
    return Request(
        lease.requested_url,
        method=lease.method,
        headers=lease.headers,
        body=lease.body,
        callback=lease.callback,
        priority=lease.priority,
        context=lease.context,
    )
