"""The spider, called: what its callbacks give, gathered and checked before anything is made of it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, Protocol

from crawler.cancellation import disown, is_cancelled
from crawler.errors import Retry, SpiderError, TooCostly
from crawler.items import Harvest, gather
from crawler.request import Request, callback_name
from crawler.spider import ErrorText, callback_of, explain, from_the_users_code, hears_of_failures
from crawler.web import costs

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.frontier.protocol import Lease
    from crawler.page import Page
    from crawler.spider import Spider

_log = logging.getLogger(__name__)

_FAILED = "failed"


class Reader(Protocol):
    """Whoever has pages read by the spider: here, or in another process."""

    async def take(self, lease: Lease, page: Page) -> Harvest:
        """What the callback that the request names gives for a page. Raises whatever the spider raises, Retry among it, and
        SpiderError."""

    async def take_failure(self, lease: Lease, error: str, page: Page | None) -> Harvest:
        """What the spider gives when it is told that a request has failed for good; `page`: what came with another status, if it
        did. Raises as `take` does."""


class Callbacks(Reader):
    """Calls the methods of one spider; with `canonical`, it is noted which canonical URL each page names.

    HTML of at least `parse_thread_bytes` is parsed in a thread first, beside the loop, if the callback asked for the tree of
    the page before, or if its links cannot be found without. One such page at a time: its tree takes twelve times the memory of its body, and what
    one thread has freed, the C library keeps for that thread.

    So is a smaller one that looks as if it took long (crawler/web/costs.py), if the tree of the page before was asked for. What is
    not parsed in `parse_seconds` fails, and nobody waits for it longer: nothing can end its thread, but the crawl may.
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

    @property
    def want_error_pages(self) -> bool:
        """Whether the spider hears of failures, and may ask for the pages that came."""
        return hears_of_failures(self._spider)

    async def take(self, lease: Lease, page: Page) -> Harvest:
        name = lease.callback
        await self._make_ready(page, wants_tree=name in self._want_trees)
        callback = callback_of(self._spider, name)
        try:
            harvest = self._checked(await gather(callback, page))
        except Retry as raised:
            _log.info("the spider wants %s again: %s", page.url, raised)
            raise
        except (Exception, SystemExit) as error:
            own = from_the_users_code(error.__traceback__)
            _log.info("the spider raised on %s", page.url, exc_info=(type(error), error, own))
            raise
        finally:
            if os.getpid() != self._pid or is_cancelled():
                await self._come_back()
        if harvest.stop is not None:
            _log.info("the spider stops the crawl at %s: %s", page.url, harvest.stop)
        self._note_wish(name, page)
        if self._canonical:
            harvest.canonical = page.directives.canonical
        return harvest

    async def _make_ready(self, page: Page, *, wants_tree: bool) -> None:
        """Have a page parsed beside the loop, if it takes long."""
        if wants_tree:
            page.expect_dom()
        is_large = len(page.body) >= self._parse_thread_bytes
        if (is_large or wants_tree) and page.is_html:
            is_slow = costs.is_slow(page.body)
            if is_large or is_slow:
                async with self._parsing:
                    await self._parse_beside(page, page.parse_now if wants_tree or is_slow else page.look_now)

    def _note_wish(self, name: str | None, page: Page) -> None:
        """Whether this callback wants trees is told by whether it did so the last time."""
        if page.dom_was_asked_for:
            self._want_trees.add(name)
        else:
            self._want_trees.discard(name)

    async def _parse_beside(self, page: Page, parse: Callable[[], None]) -> None:
        """Have a page parsed in a thread. One whose tree is refused is left to the callback: it may do without."""
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
            harvest = self._checked(await gather(self._spider.failed, request, ErrorText(error, page)))
        except Retry as raised:
            raise SpiderError(
                f"{explain(raised)}; what has failed for good is asked for again if failed() yields it with again=True"
            ) from None
        finally:
            if os.getpid() != self._pid or is_cancelled():
                await self._come_back()
        if page:
            self._note_wish(_FAILED, page)
        return harvest

    async def _come_back(self) -> None:
        """The spider is through: what it has done to the process or the task that it was called in is not to last."""
        if os.getpid() != self._pid:
            _leave()
        await disown()

    def _checked(self, harvest: Harvest) -> Harvest:
        for found in harvest.found:
            callback_of(self._spider, callback_name(found.callback))
        return harvest


def _leave() -> NoReturn:
    """End a fork that a callback has made, and that comes back from it: here, nothing of the crawl is to go on. What others have
    left in buffers is not written once more."""
    match sys.exc_info()[1]:
        case None | SystemExit(code=None):
            os._exit(0)
        case SystemExit(code=int(code)):
            os._exit(code)
        case error:
            os.write(2, f"in a fork of the crawl: {explain(error)}\n".encode("utf-8", "replace"))
            os._exit(1)


async def _in_thread_of_its_own(work: Callable[[], None]) -> None:
    """Do it in a thread that nobody waits for at the end: those of asyncio's pool must end before the process can."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if done.done():  # waited for in vain
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
