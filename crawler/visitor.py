"""A visit to a page: it is fetched, and read by the spider. Here, one process does both; `crawler.readers` leaves it to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from crawler.cancellation import RAISED, is_cancellation
from crawler.errors import Retry
from crawler.exchange import fetched_of
from crawler.faults import explain
from crawler.fetcher import Unfit, failed_with
from crawler.headers import headers_to_json
from crawler.selection.traps import digest_of

if TYPE_CHECKING:
    from crawler.callbacks import Reader
    from crawler.fetcher import Fetcher
    from crawler.frontier.protocol import Lease
    from crawler.items import Harvest
    from crawler.outcome import Failed, Fetched
    from crawler.page import Page
    from crawler.store import Keeper, Kept


class Visited(Struct, frozen=True):
    """A page that was fetched and read. `digest`: that of its body (crawler/selection/traps.py); `kept`: what is to be kept of it."""

    fetched: Fetched
    harvest: Harvest
    digest: int
    kept: Kept | None = None


class Visitor(Protocol):
    """Visits what is leased."""

    async def visit(self, lease: Lease) -> Visited | Unfit:
        """The page and what the spider gave for it; or what becomes of a request that brought no page, or one that the spider raised
        on. Raises `Stop`, if a middleware does."""

    async def take_failure(self, lease: Lease, error: str, page: Page | None) -> Harvest:
        """What the spider's `failed` gives for a request that has failed for good; `page`: the one that came with another status, if
        one did. Raises whatever the spider raises, and SpiderError."""


class OwnVisitor(Visitor):
    """Fetches pages itself, and has a reader read them. With `keeps_bodies`, bodies are to be kept."""

    def __init__(self, fetcher: Fetcher, reader: Reader, *, keeps_bodies: bool = False) -> None:
        self._fetcher = fetcher
        self._reader = reader
        self._keeper = new_keeper() if keeps_bodies else None

    async def visit(self, lease: Lease) -> Visited | Unfit:
        try:
            page = await self._fetcher.fetch(lease)
        except Retry as raised:  # of a middleware
            return self._fetcher.wanted_again(lease, raised)
        if isinstance(page, Unfit):
            return page
        try:
            harvest = await self._reader.take(lease, page)
        except Retry as raised:
            return self._fetcher.wanted_again(lease, raised, fetched_of(page))
        except RAISED as error:  # the page fails, the crawl goes on
            if is_cancellation(error):  # the engine finds out whose
                raise
            return failed_by_spider(fetched_of(page), explain(error))
        digest = digest_of(page.body)
        kept = self._keeper.keep(headers_to_json(page.headers), page.body, digest) if self._keeper else None
        return Visited(fetched_of(page), harvest, digest, kept)

    async def take_failure(self, lease: Lease, error: str, page: Page | None) -> Harvest:
        return await self._reader.take_failure(lease, error, page)


def new_keeper() -> Keeper:
    """Makes pages ready to be kept."""
    from crawler.store import Keeper  # and with it zstd: most crawls keep no bodies

    return Keeper()


def failed_by_spider(fetched: Fetched, raised: str) -> Failed:
    """What becomes of a page on which the spider raised this. A page that is too costly to parse (crawler.errors.TooCostly) is recognised
    by the text, since it may have been raised in another process."""
    return failed_with(fetched, raised if raised.startswith("size: ") else f"spider: {raised}")
