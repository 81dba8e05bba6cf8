"""A spider, tried on one page that is asked for and handed to it as in a crawl."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from crawler.cancellation import sent_home_by
from crawler.errors import Retry
from crawler.probe import Probes
from crawler.spider import RAISED, is_cancellation
from crawler.testing import take
from crawler.web.urls import normalize

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from crawler.page import Page
    from crawler.probe import Probed
    from crawler.settings import Settings
    from crawler.spider import Spider
    from crawler.testing import Taken


class Tried(NamedTuple):
    """What came of asking for the page; and what the spider gave for it, or that it wants it asked for again: None if no page came."""

    probed: Probed
    taken: Taken | Retry | None = None


class SpiderRaised(Exception):
    """The spider raised `error`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


async def try_spider(
    spider: Spider,
    settings: Settings,
    url: str,
    *,
    callback: str | None = None,
    context: Mapping[str, Any] | None = None,
) -> Tried:
    """Ask for a page as for the spider, and hand it to its method `callback`, by default `parse`, between `opened` and `closed`.

    Raises SpiderRaised; and InvalidUrl for what is no URL, before the spider is opened.
    """
    url = normalize(url)
    with Probes(settings, spider) as probes:
        with _faults_told_apart():
            await spider.opened()
        try:
            probed = await probes.probe(url, callback=callback, context=context)
            if probed.page is None:
                return Tried(probed)
            taking = _taken(spider, probed.page, callback, parent=asyncio.current_task())
            return Tried(probed, await asyncio.create_task(taking))
        finally:
            with _faults_told_apart():
                await spider.closed()


async def _taken(
    spider: Spider, page: Page, callback: str | None, *, parent: asyncio.Task[Any] | None
) -> Taken | Retry:
    """In a task of its own, which the spider may cancel, as it may that of a worker."""
    sent_home_by(parent, lambda: False)
    with _faults_told_apart():
        try:
            return await take(spider, page, callback)
        except Retry as raised:
            return raised


@contextmanager
def _faults_told_apart() -> Iterator[None]:
    """What the spider raises, from what others do, and from the end of all."""
    try:
        yield
    except RAISED as error:
        if is_cancellation(error):
            raise
        raise SpiderRaised(error) from error
