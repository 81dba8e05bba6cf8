"""Calling the spider: what its callbacks give is gathered and checked before anything else is done with it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, Protocol

from crawler.cancellation import is_cancelled, uncancel
from crawler.errors import Retry, SpiderError, TooCostly
from crawler.faults import explain, from_the_users_code
from crawler.items import Harvest, Sieve, gather
from crawler.request import Request, callback_name
from crawler.spider import ErrorText, callback_of, hears_of_failures, sifts_items
from crawler.web import costs

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.frontier.protocol import Lease
    from crawler.page import Page
    from crawler.spider import Spider

_log = logging.getLogger(__name__)

_FAILED = "failed"


class Reader(Protocol):
    """Has pages read by the spider: here, or in another process."""

    async def take(self, lease: Lease, page: Page) -> Harvest:
        """What the callback that the request names gives for a page. Raises whatever the spider raises, Retry included, and
        SpiderError."""

    async def take_failure(self, lease: Lease, error: str, page: Page | None) -> Harvest:
        """What the spider's `failed` gives for a request that has failed for good; `page`: the one that came with another status, if
        one did. Raises whatever the spider raises, and SpiderError."""


class Callbacks(Reader):
    """Calls the methods of one spider; with `canonical`, notes which canonical URL each page names.

    HTML of at least `parse_thread_bytes` is first parsed in a thread, beside the loop, if the callback used the tree of the previous
    page, or if its links cannot be found without one. One such page is parsed at a time: its tree takes twelve times the memory of its
    body, and what one thread has freed, the C library keeps for that thread.

    A smaller page is parsed likewise if it looks slow (crawler/web/costs.py) and the tree of the previous page was used. A page that is
    not parsed within `parse_seconds` fails, and is not waited for any longer: its thread cannot be ended, but the crawl can.
    """

    def __init__(
        self, spider: Spider, *, parse_thread_bytes: int, canonical: bool = False, parse_seconds: float = 60.0
    ) -> None:
        self._spider = spider
        self._parse_thread_bytes = parse_thread_bytes
        self._parse_seconds = parse_seconds
        self._canonical = canonical
        self._pid = os.getpid()
        self._parsing = asyncio.Lock()
        self._want_trees: set[str | None] = set()
        self._sifts = sifts_items(spider)

    @property
    def want_error_pages(self) -> bool:
        """Whether the spider overrides `failed`, and so may use the pages that came with errors."""
        return hears_of_failures(self._spider)

    async def take(self, lease: Lease, page: Page) -> Harvest:
        name = lease.callback
        await self._make_ready(page, wants_tree=name in self._want_trees)
        callback = callback_of(self._spider, name)
        try:
            sieve = Sieve(self._spider.keep_item, page) if self._sifts else None
            harvest = self._checked(await gather(callback, page, sieve=sieve))
        except Retry as raised:
            _log.info("the spider wants %s again: %s", page.url, raised)
            raise
        except (Exception, SystemExit) as error:
            own = from_the_users_code(error.__traceback__)
            _log.info("the spider raised on %s", page.url, exc_info=(type(error), error, own))
            raise
        finally:
            if os.getpid() != self._pid or is_cancelled():
                await self._undo_interference()
        if harvest.stop is not None:
            _log.info("the spider stops the crawl at %s: %s", page.url, harvest.stop)
        self._note_tree_use(name, page)
        if self._canonical:
            harvest.canonical = page.directives.canonical
        return harvest

    async def _make_ready(self, page: Page, *, wants_tree: bool) -> None:
        """Parse a page beside the loop, if that takes long."""
        if wants_tree:
            page.expect_dom()
        is_large = len(page.body) >= self._parse_thread_bytes
        if (is_large or wants_tree) and page.is_html:
            is_slow = costs.is_slow(page.body)
            if is_large or is_slow:
                async with self._parsing:
                    await self._parse_beside(page, page.parse_now if wants_tree or is_slow else page.look_now)

    def _note_tree_use(self, name: str | None, page: Page) -> None:
        """Note whether a callback used the tree: if so, it is expected to use that of the next page."""
        if page.dom_was_asked_for:
            self._want_trees.add(name)
        else:
            self._want_trees.discard(name)

    async def _parse_beside(self, page: Page, parse: Callable[[], None]) -> None:
        """Parse a page in a thread. If its tree is refused, the callback gets it all the same: it may not need the tree."""
        try:
            with suppress(TooCostly):
                async with asyncio.timeout(self._parse_seconds):
                    await _in_thread_of_its_own(parse)
        except TimeoutError:
            raise TooCostly(f"size: {page.url} was not parsed within {self._parse_seconds:g} seconds") from None

    async def take_failure(self, lease: Lease, error: str, page: Page | None) -> Harvest:
        if page and _FAILED in self._want_trees:
            await self._make_ready(page, wants_tree=True)
        request = Request(
            lease.requested_url,
            method=lease.method,
            headers=lease.headers,
            body=lease.body,
            callback=lease.callback,
            priority=lease.priority,
            context=lease.context,
            read_timeout=lease.read_timeout,
            total_timeout=lease.total_timeout,
            max_attempts=lease.max_attempts,
        )
        try:
            sieve = Sieve(self._spider.keep_item, page) if self._sifts else None
            harvest = self._checked(await gather(self._spider.failed, request, ErrorText(error, page), sieve=sieve))
        except Retry as raised:
            raise SpiderError(
                f"{explain(raised)}; what has failed for good is asked for again if failed() yields it with again=True"
            ) from None
        finally:
            if os.getpid() != self._pid or is_cancelled():
                await self._undo_interference()
        if page:
            self._note_tree_use(_FAILED, page)
        return harvest

    async def _undo_interference(self) -> None:
        """Undo what a callback has done to the process, by forking it, or to the task it ran in, by cancelling it."""
        if os.getpid() != self._pid:
            _leave()
        await uncancel()

    def _checked(self, harvest: Harvest) -> Harvest:
        for found in harvest.found:
            callback_of(self._spider, callback_name(found.callback))
        return harvest


def _leave() -> NoReturn:
    """End a fork that a callback has made and returned from: the crawl must not go on in it, too. Buffers are not flushed, since their
    contents would be written twice."""
    match sys.exc_info()[1]:
        case None | SystemExit(code=None):
            os._exit(0)
        case SystemExit(code=int(code)):
            os._exit(code)
        case error:
            os.write(2, f"in a fork of the crawl: {explain(error)}\n".encode("utf-8", "replace"))
            os._exit(1)


async def _in_thread_of_its_own(work: Callable[[], None]) -> None:
    """Do the work in a thread that need not end before the process, as those of asyncio's pool must."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if done.done():  # it took too long
            return
        if error:
            done.set_exception(error)
        else:
            done.set_result(None)

    def run() -> None:
        error = None
        try:
            work()
        except BaseException as raised:  # for whoever waits
            error = raised
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, error)

    threading.Thread(target=run, name="parsing", daemon=True).start()
    await done
