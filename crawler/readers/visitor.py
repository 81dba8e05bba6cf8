"""Visits by readers: they fetch and read; what becomes of their requests is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yarl import URL

from crawler.errors import SpiderError
from crawler.outcome import Failed
from crawler.readers import translation
from crawler.readers.messages import VisitFailed, VisitResult
from crawler.readers.pool import ReaderDied
from crawler.visitor import Visited, Visitor, failed_by_spider, new_keeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.fetcher import Fetcher, Unfit
    from crawler.frontier.protocol import Lease
    from crawler.items import Harvest
    from crawler.network import Network
    from crawler.page import Page
    from crawler.readers.pool import Readers


class RemoteVisitor(Visitor):
    """Has readers fetch and read. The limits, cookies and address guard of `network` hold for all of them; `fetcher` says what
    becomes of requests. With `keeps_bodies`, the bodies of pages are kept. `find` tells which request brought a page in an earlier
    crawl, if that is of use."""

    def __init__(
        self,
        readers: Readers,
        fetcher: Fetcher,
        network: Network,
        *,
        keeps_bodies: bool = False,
        find: Callable[[Lease], int | None] | None = None,
    ) -> None:
        self._readers = readers
        self._fetcher = fetcher
        self._limits = network.limits
        self._jar = network.jar
        self._guard = network.guard
        self._keeper = new_keeper() if keeps_bodies else None
        self._find = find

    async def visit(self, lease: Lease) -> Visited | Unfit:
        try:
            known = self._find(lease) if self._find else None
            result = await self._request(lease, known)
            if isinstance(result, VisitResult) and result.fetched.not_modified and result.answer is None:
                self._take_cookies(lease, result)
                result = await self._request(lease)  # without the condition: the page as it was cannot be read
        except SpiderError as error:
            return Failed(error=f"spider: {error}", final_url=lease.url)
        if isinstance(result, VisitFailed):
            return self._fetcher.failed(lease, result.failure, result.began_at)
        return self._conclude(lease, result)

    async def _request(self, lease: Lease, known: int | None = None) -> VisitResult | VisitFailed:
        try:
            return await self._request_once(lease, known)
        except ReaderDied:
            return await self._request_once(lease, known, is_suspect=True)

    async def _request_once(
        self, lease: Lease, known: int | None, *, is_suspect: bool = False
    ) -> VisitResult | VisitFailed:
        slot = self._limits.acquire_nowait(lease.host) or await self._limits.acquire(lease.host)
        try:
            cookies = self._jar.cookie_header(URL(lease.url, encoded=True)) if len(self._jar) else None
            return await self._readers.visit(
                lease, slot, cookies, may_be_private=self._guard.is_open, is_suspect=is_suspect, known=known
            )
        finally:
            slot.release()

    async def take_failure(self, lease: Lease, error: str, page: Page | None) -> Harvest:
        return await self._readers.take_failure(lease, error, page)

    def _take_cookies(self, lease: Lease, seen: VisitResult) -> None:
        if seen.cookies:
            self._jar.store(translation.cookies_of(seen), URL(lease.url, encoded=True))

    def _conclude(self, lease: Lease, seen: VisitResult) -> Visited | Unfit:
        """What becomes of a request that was answered."""
        if seen.is_private:
            self._guard.open()
        self._take_cookies(lease, seen)
        answer = seen.answer
        if answer is None:
            headers = translation.headers_of(seen)
            page = translation.page_of(seen.page, lease) if seen.page else None  # on its way to whoever hears of it
            return self._fetcher.unsuccessful(lease, seen.fetched, headers, seen.began_at, seen.latency, page=page)
        self._fetcher.answered(lease, seen.began_at, seen.latency)
        if answer.again is not None:
            return self._fetcher.wanted_again(lease, translation.retry_of(answer.again), seen.fetched)
        if answer.error is not None:
            return failed_by_spider(seen.fetched, answer.error)
        return translation.visited_of(seen, answer, self._keeper)
