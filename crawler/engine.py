"""The ring: the journey of each page, from the frontier and back into it."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from crawler.cancellation import RAISED, is_ours
from crawler.errors import Stop
from crawler.faults import explain, text_of
from crawler.fetcher import FailedWithPage
from crawler.frontier.protocol import Settlement
from crawler.outcome import Failed, Postponed, in_short
from crawler.retries import Failure
from crawler.selection.sitemaps import depth_of_found
from crawler.stats import STOP_KIND
from crawler.visitor import Visited

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from crawler.frontier.protocol import Frontier, Lease
    from crawler.outcome import Outcome
    from crawler.politeness import Politeness
    from crawler.scheduler import Scheduler
    from crawler.selection.admission import Admission
    from crawler.selection.aliases import Aliases
    from crawler.selection.sitemaps import Discovery
    from crawler.stats import Tally
    from crawler.visitor import Visitor
    from crawler.workers import WorkerPool

_log = logging.getLogger(__name__)

_LEAVE_SECONDS = 2.0
"""How long a worker that is cut short has to clean up, before it is cut short again."""


class Engine:
    """Moves pages round the ring with a pool of workers. Put together by `crawler.crawl.Crawl`. `on_stop` is called with the reason when
    the spider wants the crawl to end (`crawler.errors.Stop`)."""

    def __init__(
        self,
        visitor: Visitor,
        frontier: Frontier,
        *,
        scheduler: Scheduler,
        politeness: Politeness,
        admission: Admission,
        aliases: Aliases | None,
        discovery: Discovery | None,
        tally: Tally,
        workers: WorkerPool,
        drain_timeout: float,
        on_stop: Callable[[str], None],
    ) -> None:
        self._visitor = visitor
        self._frontier = frontier
        self._scheduler = scheduler
        self._politeness = politeness
        self._admission = admission
        self._aliases = aliases
        self._discovery = discovery
        self._tally = tally
        self._workers = workers
        self._drain_timeout = drain_timeout
        self._on_stop = on_stop
        self._stopping = asyncio.Event()
        self._cutting_short = asyncio.Event()

    def stop(self, *, at_once: bool = False) -> None:
        """Begin nothing new, and end what is under way, within `drain_timeout` or at once."""
        self._stopping.set()
        if at_once:
            self._cutting_short.set()

    async def run(self, *services: Callable[[], Coroutine[None, None, None]]) -> None:
        """Go round until nothing is left, or until `stop`. `services` run beside the workers, and end with them."""
        async with asyncio.TaskGroup() as beside:
            helpers = [beside.create_task(serve()) for serve in (self._scheduler.keep_supplied, self._drain, *services)]
            await self._workers.run(self._work)
            for helper in helpers:
                helper.cancel()

    async def _work(self) -> None:
        """The life of a worker: one page after another."""
        while not self._workers.is_overstaffed and (lease := await self._scheduler.next()):
            job = self._workers.begin(lease.host)
            try:
                if self._politeness.knows(lease):
                    await self._go_round(lease)
                else:
                    await self._learn(lease)
            finally:
                self._workers.end(job)

    async def _learn(self, lease: Lease) -> None:
        """Find out what has to be known about its host before the page can be visited."""
        with self._scheduler.suspended(lease):
            await self._politeness.learn(lease)
            if self._discovery:
                await self._discovery.look(lease)

    async def _go_round(self, lease: Lease) -> None:
        """The journey of one page. Its results are not held here any longer than needed, since there are many workers.

        If it is cut short, so that nothing is settled, the others do not wait for it: the next run takes it up.
        """
        try:
            settlement = await self._visit(lease)
            if _log.isEnabledFor(logging.DEBUG):
                _log.debug("%s %s: %s", lease.method, lease.url, in_short(settlement.outcome))
            self._tally.count(lease.url, settlement.outcome)
            await self._frontier.settle(settlement)
        finally:
            self._scheduler.done(lease)

    async def _visit(self, lease: Lease) -> Settlement:
        """Have the page fetched and read, if politeness allows it."""
        result = self._politeness.judge(lease) or await self._try_visit(lease)
        if not isinstance(result, Visited):
            return await self._without_page(lease, result)
        fetched, harvest = result.fetched, result.harvest
        self._stop_if_wanted(harvest.stop)
        self._admission.visited(fetched.final_url, result.digest, lease.referrer, requested_url=lease.requested_url)
        return Settlement(
            lease=lease,
            outcome=fetched,
            items=harvest.items,
            found=harvest.found,
            kept=result.kept,
            alias=self._aliases.of(lease, fetched.final_url, harvest.canonical) if self._aliases else None,
            depth=depth_of_found(lease),
        )

    async def _try_visit(self, lease: Lease) -> Visited | Outcome:
        try:
            return await self._visitor.visit(lease)
        except Stop as raised:  # of a middleware; the request is for the next run
            self._stop_if_wanted(str(raised))
            return Postponed(error=f"{STOP_KIND}: {raised}", not_before=0.0, is_charged=False)
        except RAISED as error:  # a fault of ours, or of a middleware's: it may cost this page, but not the crawl
            if await is_ours(error):
                raise
            _log.exception("fetching %s", lease.url)
            if isinstance(error, asyncio.CancelledError):  # another page's callback may have done this
                failure = Failure("internal", text_of(error), is_temporary=True)
                return self._politeness.failed(lease, time.monotonic(), failure)
            return Failed(error=f"internal: {text_of(error)}", final_url=lease.url)

    async def _without_page(self, lease: Lease, outcome: Outcome) -> Settlement:
        """Settle a request that brought no page. If it has failed for good, tell the spider; what that gives is kept like a page's."""
        if not isinstance(outcome, Failed):
            return Settlement(lease=lease, outcome=outcome)
        try:
            page = outcome.page if isinstance(outcome, FailedWithPage) else None
            harvest = await self._visitor.take_failure(lease, outcome.error, page)
        except RAISED as error:
            if await is_ours(error):
                raise
            outcome = replace(outcome, error=f"spider: {explain(error)}, told of: {outcome.error}")
            return Settlement(lease=lease, outcome=outcome)
        self._stop_if_wanted(harvest.stop)
        return Settlement(lease=lease, outcome=outcome, items=harvest.items, found=harvest.found)

    def _stop_if_wanted(self, stop: str | None) -> None:
        """End the crawl if the spider says why (None: it does not want that). Its page is under way, and so still is settled."""
        if stop is not None:
            self._scheduler.stop()  # at once: the next request would be the one that a middleware was at
            self._on_stop(stop)

    async def _drain(self) -> None:
        """Once told to stop, let what is under way end, within its time, then cut it short; and again, in case a callback handles that
        like any other error and goes on."""
        await self._stopping.wait()
        self._scheduler.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_timeout):
                await self._cutting_short.wait()
        while True:
            self._workers.cancel()
            await asyncio.sleep(_LEAVE_SECONDS)
