"""Trying a spider on one page, which is fetched and handed to it as in a crawl."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from crawler.cancellation import RAISED, is_cancellation
from crawler.errors import Retry
from crawler.probe import Probes
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
    """What came of fetching the page; and what the spider gave for it, or the `Retry` that it raised: None if no page came."""

    probed: Probed
    taken: Taken | Retry | None = None


class SpiderRaised(Exception):
    """The spider raised `error`, by which it is told from errors of others."""

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
    """Fetch a page as in a crawl of the spider, and hand it to its method `callback`, by default `parse`, between `opened` and `closed`.

    Raises SpiderRaised; and InvalidUrl, before the spider is opened, for what is not a URL.
    """
    url = normalize(url)
    with Probes(settings, spider) as probes:
        with _faults_told_apart():
            await spider.opened()
        try:
            probed = await probes.probe(url, callback=callback, context=context)
            if probed.page is None:
                return Tried(probed)
            return Tried(probed, await _taken(spider, probed.page, callback))
        finally:
            with _faults_told_apart():
                await spider.closed()


async def _taken(spider: Spider, page: Page, callback: str | None) -> Taken | Retry:
    with _faults_told_apart():
        try:
            return await take(spider, page, callback)
        except Retry as raised:
            return raised


@contextmanager
def _faults_told_apart() -> Iterator[None]:
    """Turn what the spider raises into SpiderRaised, but not cancellation."""
    try:
        yield
    except RAISED as error:
        if is_cancellation(error):
            raise
        raise SpiderRaised(error) from error
