"""For tests of spiders: make a page, and see what a spider takes from it. Nothing is fetched, and there is no crawl file.

taken = asyncio.run(take(Books(), page_of("https://library.example/1.html", "<h1>Amber Tales</h1>"), "book"))
assert taken.items == [{"title": "Amber Tales"}]
"""

from __future__ import annotations

import sys
import time
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from crawler.callbacks import Callbacks
from crawler.cancellation import in_task_of_its_own
from crawler.frontier.protocol import Lease
from crawler.items import as_kept
from crawler.page import Page
from crawler.request import Links, Request, callback_name
from crawler.web.urls import host_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawler.request import Callback
    from crawler.spider import Spider

_HTML = {"Content-Type": "text/html; charset=utf-8"}


class Taken(NamedTuple):
    """What a callback gave, in order: `items` as in an output, read back from JSON; `requests` one by one; `stop`: why the crawl would
    end here (`crawler.Stop`), None if it would not; and `dropped`: how many items `keep_item` has dropped."""

    items: list[Any]
    requests: list[Request]
    stop: str | None = None
    dropped: int = 0


def page_of(
    url: str,
    body: str | bytes = "",
    *,
    status: int = 200,
    headers: Mapping[str, str] = _HTML,
    context: Mapping[str, Any] | None = None,
) -> Page:
    """A page as a spider would get it. A `body` given as text is encoded in UTF-8; `context` is that of its request.

    Raises InvalidUrl unless `url` is an absolute http or https URL, SpiderError when JSON cannot hold `context`.
    """
    request, _ = as_kept(Request(url, context=context))
    assert isinstance(request, Request)
    return Page(
        _lease(request.url, request.context),
        url=request.url,
        status=status,
        headers=CIMultiDictProxy(CIMultiDict(headers)),
        body=body if isinstance(body, bytes) else body.encode(),
        fetched_at=time.time(),
        elapsed=0.0,
    )


async def take(spider: Spider, page: Page, callback: Callback = None) -> Taken:
    """What a callback of the spider, by default `parse`, gives for a page. Raises whatever the spider raises, and SpiderError for
    anything that a crawl would not accept."""
    lease = _lease(page.url, page.context, callback)
    harvest = await in_task_of_its_own(Callbacks(spider, parse_thread_bytes=sys.maxsize).take(lease, page))
    requests = chain.from_iterable(found if isinstance(found, Links) else [found] for found in harvest.found)
    return Taken([msgspec.json.decode(item) for item in harvest.items], list(requests), harvest.stop, harvest.dropped)


def _lease(url: str, context: Mapping[str, Any] | None, callback: Callback = None) -> Lease:
    """The lease under which a crawl would have fetched the page."""
    return Lease(
        id=0,
        host=host_of(url),
        url=url,
        method="GET",
        depth=0,
        requested_url=url,
        callback=callback_name(callback),
        context=context,
    )
