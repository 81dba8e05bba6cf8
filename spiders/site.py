"""The spider behind `crawl run URL`: every page of a site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.spider import Spider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.page import Page
    from crawler.request import Links


class SiteSpider(Spider):
    """Follows every link within its scope, by default the hosts of the seeds. Each HTML page is an item: `url`, after all redirects;
    `status`; `title`, None without one; `depth`, the number of links from a seed."""

    name = "site"

    def parse(self, page: Page) -> Iterator[dict[str, str | int | None] | Links]:
        if page.is_html:
            yield {"url": page.url, "status": page.status, "title": page.title, "depth": page.depth}
            yield page.follow_all()
