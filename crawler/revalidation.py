"""Conditional requests (RFC 9110 §13) for pages that an earlier crawl kept: the page that was kept takes the place of one that has not
changed, as if it had been sent. Loaded only for crawls with the setting `revalidate`, and their readers.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from crawler.errors import CrawlError, UsageError
from crawler.exchange import Response, exchange
from crawler.frontier.known import KnownPages, KnownUrls
from crawler.page import UnmodifiedPage
from crawler.web.validators import CONDITIONAL, conditions_of, is_of, updated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from client import ClientSession
    from crawler.exchange import NoResponse
    from crawler.frontier.known import KnownPage
    from crawler.frontier.protocol import Lease
    from crawler.page import Page
    from crawler.settings import Settings
    from crawler.web.directives import Obedience

_log = logging.getLogger(__name__)

_OK = 200
_NOT_MODIFIED = 304
_PRECONDITION_FAILED = 412
"""The answer of a server that mistakes the condition for one of another kind."""


class ConditionalRequests:
    """Requests known pages only if they have changed. They are known by the numbers of their requests in the earlier crawl."""

    def __init__(self, pages: KnownPages, settings: Settings) -> None:
        self._pages = pages
        self._most_bytes = settings.max_body_bytes
        self._has_lost = False

    async def exchange(
        self, session: ClientSession, lease: Lease, obedience: Obedience, known: int, **options: Any
    ) -> Response | NoResponse:
        """Like `exchange`, which takes the `options`. If the page has not changed, but its body cannot be read, the response keeps its status
        304, and the page has to be requested without a condition."""
        page = self._read(lease, known)
        if not (page and (conditions := _conditions_of(page, lease))):
            return await exchange(session, lease, obedience, **options)
        asked = replace(lease, headers={**(lease.headers or {}), **conditions})
        result = await exchange(session, asked, obedience, **options)
        if isinstance(result, Response) and result.page.status in (_NOT_MODIFIED, _PRECONDITION_FAILED):
            return result._replace(page=self._as_it_was(lease, page, result.page, obedience))
        return result

    def _as_it_was(self, lease: Lease, known: KnownPage, answer: Page, obedience: Obedience) -> UnmodifiedPage:
        """The known page, as if it had been sent; or the response of status 304, if its body cannot be read."""
        is_known = answer.status == _NOT_MODIFIED and is_of(answer.headers, known.headers)
        body = self._body_of(known) if is_known else None
        return UnmodifiedPage(
            lease,
            url=lease.url,
            status=_NOT_MODIFIED if body is None else _OK,
            headers=updated(known.headers, answer.headers),
            body=body or b"",
            fetched_at=answer.fetched_at,
            elapsed=answer.elapsed,
            obedience=obedience,
        )

    def _read(self, lease: Lease, number: int) -> KnownPage | None:
        """The page as it was, if it may be used."""
        try:
            known = self._pages.read(number)
        except CrawlError as error:
            self._lose(error)
            return None
        return known if known and known.url == lease.url and known.size <= self._most_bytes else None

    def _body_of(self, page: KnownPage) -> bytes | None:
        try:
            return self._pages.body_of(page)
        except CrawlError as error:
            self._lose(error)
            return None

    def _lose(self, error: CrawlError) -> None:
        """Log that something cannot be read; as a warning only the first time, since much may be unreadable."""
        _log.log(logging.INFO if self._has_lost else logging.WARNING, "a page is fetched in full: %s", error)
        self._has_lost = True


def _conditions_of(page: KnownPage, lease: Lease) -> dict[str, str]:
    return conditions_of(page.headers, same_request=page.own == dict(lease.headers or {}))


class Revalidation:
    """Decides which pages are requested conditionally, and requests them."""

    def __init__(self, urls: KnownUrls, conditional: ConditionalRequests, settings: Settings) -> None:
        self._urls = urls
        self._conditional = conditional
        self._is_ours = CONDITIONAL.isdisjoint(map(str.lower, settings.headers))

    def find(self, lease: Lease) -> int | None:
        """The number of the request that brought the page in the earlier crawl; None if it is to be requested without a condition. A second
        attempt has none: the server may not cope with conditions, and a spider that asks for a page again does not want the old one."""
        if lease.method != "GET" or lease.body is not None or lease.attempts or not self._is_ours:
            return None
        if lease.headers and not CONDITIONAL.isdisjoint(map(str.lower, lease.headers)):
            return None
        return self._urls.find(lease.url)

    async def exchange(self, session: ClientSession, lease: Lease, obedience: Obedience) -> Response | NoResponse:
        """Like `crawler.exchange.exchange`, but without receiving the body of a page that has not changed."""
        if (known := self.find(lease)) is None:
            return await exchange(session, lease, obedience)
        result = await self._conditional.exchange(session, lease, obedience, known)
        if isinstance(result, Response) and result.page.not_modified and result.page.status == _NOT_MODIFIED:
            return await exchange(session, lease, obedience)
        return result


@asynccontextmanager
async def revalidating(path: Path, state: Path, settings: Settings) -> AsyncIterator[Revalidation]:
    """Use the crawl file at `path` for the crawl with the file `state`.

    Raises UsageError if they are the same file, and what `StateFile` raises.
    """
    if _are_one(path, state):
        raise UsageError(f"revalidate = {str(path)!r}: this is the crawl's own file; name that of an earlier crawl")
    with KnownPages(path) as pages:
        if not pages.has_any:
            _log.warning("%s has no kept pages (--keep-bodies keeps them): all pages are fetched in full", path)
        urls = await asyncio.to_thread(KnownUrls.of, path)
        try:
            yield Revalidation(urls, ConditionalRequests(pages, settings), settings)
        finally:
            urls.close()


def _are_one(path: Path, state: Path) -> bool:
    return path.resolve() == state.resolve() or (path.exists() and state.exists() and path.samefile(state))


@contextmanager
def conditional_requests(path: Path, settings: Settings) -> Iterator[ConditionalRequests | None]:
    """For a reader, which is told the numbers of requests. None if the file is gone meanwhile, or not a crawl file any more."""
    try:
        pages = KnownPages(path)
    except CrawlError as error:
        _log.warning("all pages are fetched in full: %s", error)
        yield None
        return
    with pages:
        yield ConditionalRequests(pages, settings)
