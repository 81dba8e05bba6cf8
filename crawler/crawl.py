"""One crawl: puts the parts together, runs them, and takes them apart again in order."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.callbacks import Callbacks
from crawler.control.steering import RunningCrawl, Steering
from crawler.engine import Engine
from crawler.errors import CrawlError, ProxyError, UsageError, leaves
from crawler.exchange import exchange
from crawler.exports import open_export
from crawler.exports.feed import ExportFeed
from crawler.fetcher import Fetcher
from crawler.frontier import SqliteFrontier
from crawler.frontier.rows import clean
from crawler.frontier.sqlite import discard
from crawler.lifecycle import close_spider, open_spider
from crawler.network import open_network
from crawler.politeness import Politeness
from crawler.readers.launch import Launches, number_of_readers
from crawler.report import Report, stats_of
from crawler.retries import RetryPolicy
from crawler.scheduler import Scheduler
from crawler.selection.admission import Admission
from crawler.selection.aliases import Aliases
from crawler.selection.detours import MOST_DETOURS, Detours
from crawler.selection.seeds import Seeding
from crawler.selection.sitemaps import Discovery
from crawler.selection.traps import Thresholds, Traps
from crawler.settings import settings_for
from crawler.source import Source
from crawler.stats import Tally
from crawler.visitor import OwnVisitor
from crawler.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from client.limits import HostLimits
    from client.origin import HostKey
    from crawler.exports.protocol import Export
    from crawler.fetcher import Middleware
    from crawler.hosts.proxy_gate import ProxyGate
    from crawler.network import Network
    from crawler.revalidation import Revalidation
    from crawler.settings import Settings
    from crawler.spider import Spider
    from crawler.stats import Stats
    from crawler.visitor import Visitor

_URLS_REMEMBERED = 100_000
"""This many URLs are read and examined in a tenth of a second."""

_PACES_REPORTED = 1000
"""For how many hosts the report tells the pace."""

_STOPPED = "stopped"
"""The reason of a run that the spider has ended."""

_RULES = ("user_agent", "robots", "nofollow", "canonical", "max_crawl_delay", "max_depth")


class Crawl:
    """A spider, its settings and its crawl file. `run` starts the crawl, or goes on where an earlier run stopped.

    Without `settings`, the defaults and the spider's own hold; a mapping overrides those that it names, and a `Settings` replaces all of
    them. `exports` are where items go: each is a file name, as for `-o`, or an `Export`. `fresh` discards the crawl file first. `source`
    says how other processes can make the same spider; it is needed if `processes` is more than 1 and this cannot be derived from the
    spider. `launches`: these processes, if they have been started already.

    Raises SettingError for invalid settings; UsageError for an output that cannot be written, and for a spider without a `source` that
    other processes cannot make.
    """

    def __init__(
        self,
        spider: Spider,
        settings: Settings | Mapping[str, Any] | None = None,
        *,
        state: Path | str,
        exports: Sequence[Export | Path | str] = (),
        fresh: bool = False,
        middlewares: Sequence[Middleware] = (),
        source: Source | None = None,
        launches: Launches | None = None,
    ) -> None:
        if isinstance(spider, type):
            raise UsageError(f"a crawl takes a spider, not its class: write {spider.__name__}()")
        if isinstance(exports, str | Path):
            raise UsageError(f"the exports of a crawl are a list: write [{str(exports)!r}]")
        self._spider = spider
        self._settings = settings_for(spider, settings)
        self._source = source or (Source.of(spider) if self._settings.processes > 1 else None)
        self._launches = launches
        self._state = Path(state)
        self._exports = [open_export(str(one)) if isinstance(one, Path | str) else one for one in exports]
        self._fresh = fresh
        self._middlewares = (*middlewares, *spider.middlewares)
        self._tally = Tally()
        self._revalidation: Revalidation | None = None
        self._detours = Detours()
        self._frontier: SqliteFrontier | None = None
        self._scheduler: Scheduler | None = None
        self._politeness: Politeness | None = None
        self._proxy_gate: ProxyGate | None = None
        self._seeding: Seeding | None = None
        self._engine: Engine | None = None
        traps = Traps(Thresholds.of(self._settings)) if self._settings.traps else None
        self._admission = Admission(spider.scope, self._settings.max_depth, traps)
        self._reason = ""
        self._why = ""
        self._stopping = asyncio.Event()
        self._in_haste = asyncio.Event()

    def stop(self) -> None:
        """Begin nothing new, end what is under way within `drain_timeout`, and commit. The second time, end it at once."""
        (self._in_haste if self._stopping.is_set() else self._stopping).set()
        self._end("interrupted", at_once=self._in_haste.is_set())

    def stats(self) -> Stats:
        """How the crawl stands; before the run has begun, all counts are zero."""
        active = self._scheduler.under_way if self._scheduler else 0
        return stats_of(self._spider.crawl_name(), self._frontier, self._tally, active=active)

    async def run(self) -> Report:
        """Crawl until nothing is left, `stop` is called, or a limit is reached. Raises the errors of crawler/errors.py. Cancelled, it
        commits what is settled and closes the crawl file."""
        try:
            with self._launches or Launches() as launches:
                launches.resize(number_of_readers(self._settings))
                async with self._revalidating() as self._revalidation:
                    return await self._run(launches)
        except BaseExceptionGroup as group:
            if known := group.subgroup(CrawlError):
                raise next(leaves(known)) from None
            raise

    def _revalidating(self) -> AbstractAsyncContextManager[Revalidation | None]:
        """Before anything is begun, the earlier crawl is looked into, if there is to be asked only what has changed since."""
        if not self._settings.revalidate:
            return nullcontext()
        from crawler.revalidation import revalidating

        return revalidating(Path(self._settings.revalidate), self._state, self._settings)

    async def _run(self, launches: Launches) -> Report:
        if self._fresh:
            discard(self._state)
        settings = self._settings
        self._frontier = frontier = await SqliteFrontier.open(
            self._state,
            spider=self._spider.crawl_name(),
            commit_pages=settings.commit_pages,
            commit_interval=settings.commit_interval,
            remembered=settings.remembered,
        )
        reason = "failed"
        try:
            async with ExportFeed(self._exports, frontier):
                reason = await self._crawl(frontier, launches)
            if self._proxy_gate and self._proxy_gate.verdict:  # now that all outputs are complete
                raise ProxyError(self._proxy_gate.verdict)
        finally:
            await frontier.close(reason)
        paces = self._politeness.paces(_PACES_REPORTED) if self._politeness else []
        why = self._why if reason == _STOPPED else ""
        return Report(reason=reason, stats=self.stats(), why=why, paces=paces, max_crawl_delay=settings.max_crawl_delay)

    async def _crawl(self, frontier: SqliteFrontier, launches: Launches) -> str:
        """Take up what the file holds, add seeds, and work through all of it; returns how that ended."""
        await self._remember(frontier)
        is_seeded = await self._seed(frontier)
        await Steering(frontier).obey()
        await self._describe(frontier)
        self._proxy_gate = self._new_proxy_gate()
        trusted = self._admission.seed_names
        async with open_network(
            self._settings, frontier, trusted_hosts=trusted, others_fetch=self._others_fetch
        ) as network:
            await self._work_through(frontier, network, launches)
        await self._describe(frontier)
        if self._proxy_gate and self._proxy_gate.verdict:
            return "failed"
        if self._reason == _STOPPED:  # even if nothing is left: the last page might have given more
            return _STOPPED
        is_left = frontier.counts.queued or frontier.counts.leased or frontier.is_undecided
        return "finished" if is_seeded and not is_left else self._reason or "held"

    async def _remember(self, frontier: SqliteFrontier) -> None:
        """Take up what earlier runs found, as far as new requests are judged by it."""
        self._admission.extend(await frontier.seed_urls())
        if self._settings.traps:
            self._admission.remember(await frontier.latest_urls(_URLS_REMEMBERED))
        self._detours.remember(await frontier.left_out(MOST_DETOURS))
        self._tally.not_modified, self._tally.not_modified_bytes = await frontier.not_modified()
        if self._revalidation:
            await frontier.describe(revalidated=msgspec.json.encode(self._settings.revalidate).decode())

    async def _seed(self, frontier: SqliteFrontier) -> bool:
        """Queue what a larger budget now allows, then add the spider's seeds; returns whether these were all."""
        self._attach(frontier, on_queued=lambda _host, _not_before: None)
        await frontier.fill_budgets()
        self._seeding = Seeding(self._spider, frontier)
        if self._reason:
            self._seeding.stop()
        await self._seeding.run()
        return self._seeding.is_complete

    def _attach(self, frontier: SqliteFrontier, *, on_queued: Callable[[HostKey, float], None]) -> None:
        """Have the frontier ask which requests may come in, and tell of those that have."""
        most = self._settings.max_pages_per_host
        frontier.attach(admit=self._admission.refuse, on_queued=on_queued, max_pages_per_host=most)

    async def _describe(self, frontier: SqliteFrontier) -> None:
        """Keep the rules of this crawl in its file, for `crawl why` and others that read it."""
        rules = {name: getattr(self._settings, name) for name in _RULES}
        scope = self._admission.scope.described()
        await frontier.describe(rules=msgspec.json.encode(rules).decode(), scope=msgspec.json.encode(scope).decode())

    async def _work_through(self, frontier: SqliteFrontier, network: Network, launches: Launches) -> None:
        """Put the ring together, and go round it until the end."""
        settings, limits, proxy_gate = self._settings, network.limits, self._proxy_gate
        self._scheduler = scheduler = Scheduler(
            frontier, limits, active_hosts=settings.active_hosts, may_start=self._may_start
        )
        self._attach(frontier, on_queued=scheduler.queued)
        retries = RetryPolicy.of(settings, now=frontier.now)
        locate = network.connector.addresses_of
        self._politeness = politeness = Politeness(
            network.session, limits, retries, settings, frontier, locate=locate, proxy_gate=proxy_gate
        )
        politeness.resume()
        steering = Steering(frontier, RunningCrawl(scheduler, politeness))
        steering.resume()
        fetcher = Fetcher(
            network.session,
            politeness,
            retries,
            settings,
            exchange=self._revalidation.exchange if self._revalidation else exchange,
            detours=self._detours,
            middlewares=self._middlewares,
            proxy_gate=proxy_gate,
        )
        async with self._visiting(fetcher, network, launches) as visitor:
            self._engine = self._new_engine(visitor, frontier, scheduler, politeness, limits)
            try:
                await self._run_engine(self._engine, frontier, steering, politeness)
            finally:
                politeness.save()
                if proxy_gate:
                    proxy_gate.close()

    async def _run_engine(
        self, engine: Engine, frontier: SqliteFrontier, steering: Steering, politeness: Politeness
    ) -> None:
        if self._reason or not self._may_start(0):
            return
        services = [frontier.keep_committing, steering.keep_listening, politeness.keep_setting_aside]
        if self._settings.max_time:
            services.append(self._end_in_time)
        await engine.run(*services)

    # ------------------------------------------------------------------ what a run is made of

    def _new_proxy_gate(self) -> ProxyGate | None:
        """The proxy that requests go through, if there is one."""
        if not self._settings.proxy:
            return None
        from crawler.hosts.proxy_gate import ProxyGate

        def open_again() -> None:
            if self._scheduler:
                self._scheduler.reopen()

        return ProxyGate(self._settings, open_again=open_again, give_up=lambda: self._end("failed"))

    def _new_engine(
        self,
        visitor: Visitor,
        frontier: SqliteFrontier,
        scheduler: Scheduler,
        politeness: Politeness,
        limits: HostLimits,
    ) -> Engine:
        settings = self._settings
        return Engine(
            visitor,
            frontier,
            scheduler=scheduler,
            politeness=politeness,
            admission=self._admission,
            aliases=Aliases(self._detours) if settings.canonical else None,
            discovery=Discovery(frontier, politeness) if settings.sitemaps else None,
            tally=self._tally,
            workers=WorkerPool.of(settings, limits),
            drain_timeout=settings.drain_timeout,
            on_stop=self._stop_for_the_spider,
        )

    @asynccontextmanager
    async def _visiting(self, fetcher: Fetcher, network: Network, launches: Launches) -> AsyncIterator[Visitor]:
        """What visits pages, in this process or in others; the spider is open while the block lasts."""
        settings = self._settings
        if settings.processes > 1 and self._source:
            async with self._visiting_by_readers(self._source, fetcher, network, launches) as visitor:
                yield visitor
            return
        is_open = await open_spider(self._spider, self._stopping)
        try:
            reader = Callbacks(
                self._spider, parse_thread_bytes=settings.parse_thread_bytes, canonical=settings.canonical
            )
            yield OwnVisitor(fetcher, reader, keeps_bodies=settings.keep_bodies)
        finally:
            if is_open:
                await close_spider(self._spider, self._in_haste)

    @asynccontextmanager
    async def _visiting_by_readers(
        self, source: Source, fetcher: Fetcher, network: Network, launches: Launches
    ) -> AsyncIterator[Visitor]:
        """The same by other processes, each with a spider of its own. With middlewares they only read what is fetched here."""
        from crawler.readers.pool import Readers
        from crawler.readers.visitor import RemoteVisitor

        settings = self._settings
        async with Readers.reading(
            self._spider,
            source,
            settings,
            launches,
            stopping=self._stopping,
            in_haste=self._in_haste,
            trusted_hosts=self._admission.seed_names,
        ) as readers:
            if not self._others_fetch:
                yield OwnVisitor(fetcher, readers, keeps_bodies=settings.keep_bodies)
                return
            find = self._revalidation.find if self._revalidation else None
            yield RemoteVisitor(readers, fetcher, network, keeps_bodies=settings.keep_bodies, find=find)

    @property
    def _others_fetch(self) -> bool:
        """Whether other processes make the requests. Middlewares run in this process: with any, others only read pages."""
        return self._settings.processes > 1 and not self._middlewares

    # ------------------------------------------------------------------ how a run ends

    def _end(self, reason: str, *, at_once: bool = False) -> None:
        self._reason = self._reason or reason
        if self._seeding:
            self._seeding.stop()
        if self._engine:
            self._engine.stop(at_once=at_once)

    def _stop_for_the_spider(self, why: str) -> None:
        """End the crawl because the spider wants that."""
        if not self._reason:
            self._why = clean(why)
        self._end(_STOPPED)

    async def _end_in_time(self) -> None:
        await asyncio.sleep(self._settings.max_time)
        self._end("max_time")

    def _may_start(self, under_way: int) -> bool:
        """Whether another page may be begun: if the proxy can be reached, and within `max_pages`. Once that many are done, the crawl
        stops."""
        if self._proxy_gate and not self._proxy_gate.is_open:
            return False
        most = self._settings.max_pages
        if not most or self._frontier is None:
            return True
        done = self._frontier.counts.done
        if done >= most:
            self._end("max_pages")
        return done + under_way < most
