"""The ring: the journey of each page, from the frontier and back into it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from crawler.discovery import depth_of_found
from crawler.fetcher import failed_with
from crawler.frontier.protocol import Settlement
from crawler.outcome import Failed, Fetched
from crawler.page import Page
from crawler.spider import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from crawler.admission import Admission
    from crawler.aliases import Aliases
    from crawler.callbacks import Reader
    from crawler.crew import Crew
    from crawler.discovery import Discovery
    from crawler.fetcher import Fetcher
    from crawler.frontier.protocol import Frontier, Lease
    from crawler.outcome import Outcome
    from crawler.politeness import Politeness
    from crawler.scheduler import Scheduler
    from crawler.stats import Tally

_log = logging.getLogger(__name__)


class Engine:
    """Moves pages round the ring with a crew of workers. Put together by `crawler.crawl.Crawl`."""

    def __init__(
        self,
        reader: Reader,
        frontier: Frontier,
        *,
        scheduler: Scheduler,
        fetcher: Fetcher,
        politeness: Politeness,
        admission: Admission,
        aliases: Aliases | None,
        discovery: Discovery | None,
        tally: Tally,
        crew: Crew,
        drain_timeout: float,
        keeps_bodies: bool = False,
    ) -> None:
        self._reader = reader
        self._frontier = frontier
        self._scheduler = scheduler
        self._fetcher = fetcher
        self._politeness = politeness
        self._admission = admission
        self._aliases = aliases
        self._discovery = discovery
        self._tally = tally
        self._crew = crew
        self._drain_timeout = drain_timeout
        self._keeps_bodies = keeps_bodies
        self._stopping = asyncio.Event()
        self._cutting_short = asyncio.Event()

    def stop(self, *, at_once: bool = False) -> None:
        """Begin nothing new, and end what is under way: within `drain_timeout`, or at once."""
        self._stopping.set()
        if at_once:
            self._cutting_short.set()

    async def run(self, *services: Callable[[], Coroutine[None, None, None]]) -> None:
        """Go round until nothing is left, or `stop`. `services` run beside the crew, and end with it."""
        async with asyncio.TaskGroup() as beside:
            helpers = [beside.create_task(serve()) for serve in (self._scheduler.keep_supplied, self._drain, *services)]
            await self._crew.run(self._work)
            for helper in helpers:
                helper.cancel()

    async def _work(self) -> None:
        """A worker's life: one page after the other."""
        while not self._crew.is_overstaffed and (lease := await self._scheduler.next()):
            job = self._crew.begin(lease.host)
            if self._politeness.knows(lease):
                settlement = await self._visit(lease)
                self._tally.count(lease.url, settlement.outcome)
                await self._frontier.settle(settlement)
                self._scheduler.done(lease)
            else:
                with self._scheduler.suspended(lease):
                    await self._politeness.learn(lease)
                    if self._discovery:
                        await self._discovery.look(lease)
            self._crew.end(job)

    async def _visit(self, lease: Lease) -> Settlement:
        """Fetch, and let the spider have what came."""
        fetched = self._politeness.judge(lease) or await self._fetch(lease)
        if not isinstance(fetched, Page):
            return await self._come_to_nothing(lease, fetched)
        try:
            harvest = await self._reader.take(lease, fetched)
        except Exception as error:  # a spider may raise anything: the page fails, the crawl goes on
            return await self._come_to_nothing(lease, failed_with(fetched, f"spider: {explain(error)}"))
        self._admission.visited(fetched.url, fetched.body, fetched.referrer)
        kept = None
        if self._keeps_bodies:
            from crawler.store import keep  # and with it zstd and hashlib: most crawls keep no bodies

            kept = keep(fetched.headers, fetched.body)
        return Settlement(
            lease=lease,
            outcome=_outcome_of(fetched),
            items=harvest.items,
            found=harvest.found,
            kept=kept,
            alias=self._aliases.of(lease, fetched, harvest.canonical) if self._aliases else None,
            depth=depth_of_found(lease),
        )

    async def _fetch(self, lease: Lease) -> Page | Outcome:
        try:
            return await self._fetcher.fetch(lease)
        except Exception as error:  # a fault of ours, or of a middleware: it may cost this page, not the crawl
            _log.exception("fetching %s", lease.url)
            return Failed(error=f"internal: {type(error).__name__}: {error}", final_url=lease.url)

    async def _come_to_nothing(self, lease: Lease, outcome: Outcome) -> Settlement:
        """Tell the spider of a failure that is final; what it gives in return is kept like a page's."""
        if not isinstance(outcome, Failed):
            return Settlement(lease=lease, outcome=outcome)
        try:
            harvest = await self._reader.take_failure(lease, outcome.error)
        except Exception as error:
            outcome = replace(outcome, error=f"spider: {explain(error)}, told of: {outcome.error}")
            return Settlement(lease=lease, outcome=outcome)
        return Settlement(lease=lease, outcome=outcome, items=harvest.items, found=harvest.found)

    async def _drain(self) -> None:
        """Once told to stop: let what is under way end, within its time, then cut it short."""
        await self._stopping.wait()
        self._scheduler.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_timeout):
                await self._cutting_short.wait()
        self._crew.cancel()


def _outcome_of(page: Page) -> Fetched:
    return Fetched(
        status=page.status,
        final_url=page.url,
        content_type=page.content_type,
        size=len(page.body),
        elapsed=page.elapsed,
        fetched_at=page.fetched_at,
    )
