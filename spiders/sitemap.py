"""A spider for sites that list their pages."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - the type of an argument is looked up
from types import MappingProxyType
from typing import TYPE_CHECKING

from crawler.spider import Spider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from crawler.page import Page
    from crawler.request import Links


class SitemapSpider(Spider):
    """The seeds, and every page within its scope that their sitemaps list; links are not followed.

    A seed is a page whose site names its sitemaps in robots.txt, or is itself a sitemap, a feed, or a list of URLs. Each HTML page is an
    item: `url`, after all redirects; `status`; `title`, None without one. With `since`, what has not changed since that day, according to
    the sitemaps, is left out.
    """

    name = "sitemap"
    settings = MappingProxyType({"sitemaps": True})
    since: date | None = None

    async def sitemap(self, page: Page) -> list[Links]:
        return await self.listed(page, since=self.since)

    async def parse(self, page: Page) -> AsyncIterator[dict[str, str | int | None] | Links]:
        if page.is_html:
            yield {"url": page.url, "status": page.status, "title": page.title}
        elif page.depth == 0:
            for links in await self.sitemap(page):
                yield links
