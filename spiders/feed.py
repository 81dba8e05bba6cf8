"""A spider for sites that publish what is new on them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

import msgspec

from crawler.errors import SpiderError
from crawler.request import Request
from crawler.selection.traps import digest_of
from crawler.spider import Spider
from crawler.web import feeds, gzipped, media_type
from spiders._paging import context_of_next, own_context, seen_before

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from crawler.page import Page
    from crawler.request import Links
    from crawler.web.feeds import Entry, Feed

_log = logging.getLogger(__name__)

_FEED_TYPES = frozenset({"application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml"})


class FeedSpider(Spider):
    """The entries of feeds (RSS, Atom, JSON Feed), each an item: `id`, `url`, `title`, `author`, `published`, `updated`, `summary`,
    `content`, `categories`, `enclosures` (see `crawler.web.feeds.Entry`), and `feed`, the URL of the feed.

    A seed is a feed, or a page that links to one; of several, the first is used. A feed that spans several documents (RFC 5005) is
    followed to its oldest, at most `max_feed_pages` documents. Entries that were in the first or the previous document are not taken
    again.

    If a subclass has a method `parse_entry`, it gets the page of each entry instead, from any host; what the feed says about the entry is
    `page.context["entry"]`. An entry without a page is still an item.

    With `watch`, each run reads all documents of each feed again, because new entries may have moved any other to a later one.
    """

    name = "feed"
    scope = "any"
    max_feed_pages: int = 1000
    watch: bool = False

    def start(self) -> Iterable[Request | Links]:
        seeds = cast("list[Request]", super().start())
        return [msgspec.structs.replace(seed, again=self.watch) for seed in seeds]

    async def parse(self, page: Page) -> AsyncIterator[Any]:
        feed = await asyncio.to_thread(_read, page)
        if feed is None:
            yield _feed_named_by(page, again=self.watch)
            return
        if feed.problem:
            _log.warning("the feed %s was read in part: %s", page.url, feed.problem)
        digests = [_digest(entry) for entry in feed.entries]
        seen = set().union(*seen_before(page))
        for entry, digest in zip(feed.entries, digests, strict=True):
            if digest not in seen:
                yield self._taken(entry, page)
        if feed.following and (context := context_of_next(page, digests, most=self.max_feed_pages)):
            yield Request(feed.following, context=context, again=self.watch)

    def item(self, entry: Entry, page: Page) -> dict[str, Any] | None:
        """The item for an entry of the feed `page`; None for an entry that is not wanted."""
        return {**msgspec.structs.asdict(entry), "feed": page.url}

    def parse_entry(self, page: Page) -> Any:
        """The callback of entries' pages, which are fetched only if a subclass overrides it."""
        return page.context["entry"]

    def _taken(self, entry: Entry, page: Page) -> Request | dict[str, Any] | None:
        item = self.item(entry, page)
        if item is None or entry.url is None or type(self).parse_entry is FeedSpider.parse_entry:
            return item
        return Request(entry.url, callback="parse_entry", context={**own_context(page), "entry": item})


def _read(page: Page) -> Feed | None:
    """The feed on a page, which may be compressed; None if there is none."""
    if not gzipped.is_gzip(page.body):
        return feeds.read(page.url, page.text)
    from crawler.web.document import Document  # few feeds are, and it imports all that reads pages

    body, problem = gzipped.whole(page.body, feeds.MAX_BYTES)
    feed = feeds.read(page.url, Document(page.url, page.headers, body).text)
    return feed._replace(problem=problem) if feed and problem else feed


def _digest(entry: Entry) -> int:
    """A digest that identifies an entry; it stays the same when the entry is changed."""
    return digest_of((entry.id or entry.url or repr(entry)).encode())


def _feed_named_by(page: Page, *, again: bool) -> Request:
    """The request for the first feed that a page links to (`<link rel=alternate>`), which is its main one."""
    for link in page.css("link[rel~=alternate]") if page.is_html and page.depth == 0 else ():
        is_feed = media_type.essence(link.attributes.get("type") or "") in _FEED_TYPES
        if is_feed and (request := page.follow(link, context=page.context or None, again=again)):
            return request
    raise SpiderError(f"{page.url} is not a feed, and names none")
