"""A visit to a page: it is fetched, and the spider has it. By this process alone; `crawler.readers` has others do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from crawler.cancellation import RAISED, is_cancellation
from crawler.errors import Retry
from crawler.exchange import fetched_of
from crawler.fetcher import Unfit, failed_with
from crawler.headers import text_of
from crawler.selection.traps import digest_of
from crawler.spider import explain

if TYPE_CHECKING:
    from crawler.callbacks import Reader
    from crawler.fetcher import Fetcher
    from crawler.frontier.protocol import Lease
    from crawler.items import Harvest
    from crawler.outcome import Failed, Fetched
    from crawler.page import Page
    from crawler.store import Keeper, Kept


class Visited(Struct, frozen=True):
    """A page that was fetched and read. `digest` is that of its body (crawler/selection/traps.py), `kept` what is to be kept of it."""

    fetched: Fetched
    harvest: Harvest
    digest: int
    kept: Kept | None = None


class Visitor(Protocol):
    """Whoever goes to see what is leased."""

    async def visit(self, lease: Lease) -> Visited | Unfit:
        """What the page gave; or what becomes of a request that has brought none, or one that the spider raises on."""

    async def tell(self, lease: Lease, error: str, page: Page | None) -> Harvest:
        """What the spider gives when it is told that a request has failed for good; `page`: what came with another status, if it
        did. Raises whatever the spider raises, and SpiderError."""


class OwnVisitor(Visitor):
    """Fetches by itself, and has a reader read what it has fetched. With `keeps_bodies`, they are to be kept."""

    def __init__(self, fetcher: Fetcher, reader: Reader, *, keeps_bodies: bool = False) -> None:
        self._fetcher = fetcher
        self._reader = reader
        self._keeper = new_keeper() if keeps_bodies else None

    async def visit(self, lease: Lease) -> Visited | Unfit:
        try:
            page = await self._fetcher.fetch(lease)
        except Retry as raised:  # of a middleware
            return self._fetcher.unwanted(lease, raised)
        if isinstance(page, Unfit):
            return page
        try:
            harvest = await self._reader.take(lease, page)
        except Retry as raised:
            return self._fetcher.unwanted(lease, raised, fetched_of(page))
        except RAISED as error:  # the page fails, the crawl goes on
            if is_cancellation(error):  # whose, the engine finds out
                raise
            return spoilt(fetched_of(page), explain(error))
        digest = digest_of(page.body)
        kept = self._keeper.keep(text_of(page.headers), page.body, digest) if self._keeper else None
        return Visited(fetched_of(page), harvest, digest, kept)

    async def tell(self, lease: Lease, error: str, page: Page | None) -> Harvest:
        return await self._reader.take_failure(lease, error, page)


def new_keeper() -> Keeper:
    """What makes pages ready to be kept."""
    from crawler.store import Keeper  # and with it zstd: most crawls keep no bodies

    return Keeper()


def spoilt(fetched: Fetched, raised: str) -> Failed:
    """What becomes of a page on which the spider raised; or that is too costly to parse, which says its kind itself, in whichever
    process it was raised (crawler.errors.TooCostly)."""
    return failed_with(fetched, raised if raised.startswith("size: ") else f"spider: {raised}")
