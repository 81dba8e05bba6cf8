"""A spider that reads more of a page than its links: what many a spider does, a handful of selectors. For `crawl run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crawler import Spider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler import Page


class TreeSpider(Spider):
    def parse(self, page: Page) -> Iterator[Any]:
        if page.is_html:
            yield {
                "url": page.url,
                "status": page.status,
                "title": page.title,
                "headings": [node.text(strip=True) for node in page.css("h1, h2, h3")],
                "first": node.text(strip=True) if (node := page.css_first("p")) else None,
                "code": [node.text() for node in page.css("pre")],
                "tables": len(page.css("table")),
            }
            yield page.follow_all("a[href]")
