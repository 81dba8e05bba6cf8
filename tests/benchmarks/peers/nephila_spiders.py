"""What `crawl run URL` does, otherwise: wherever the links lead, or by selectors. For `crawl run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler import Page, Request
from spiders.site import SiteSpider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler import Links


class FromFirst(SiteSpider):
    """Begins with a page that is given as an argument."""

    first: str = ""

    def start(self) -> list[Request]:
        return [Request(self.first)]


class HostsSpider(FromFirst):
    scope = "any"


class SelectorSpider(FromFirst):
    """Asks for a tree of each page, as spiders do that look for more than links."""

    def parse(self, page: Page) -> Iterator[dict[str, str | int | None] | Links]:
        if page.is_html:
            title = page.css_first("title")
            yield {"url": page.url, "status": page.status, "title": title.text(strip=True) if title else ""}
            yield page.follow_all("a")


class SelectorHostsSpider(SelectorSpider):
    scope = "any"
