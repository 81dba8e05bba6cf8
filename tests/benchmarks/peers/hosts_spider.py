"""What `crawl run URL` does, but wherever the links lead: not on the host of the seed alone. For `crawl run`."""

from __future__ import annotations

from crawler import Request
from spiders.site import SiteSpider


class HostsSpider(SiteSpider):
    scope = "any"
    first: str = ""

    def start(self) -> list[Request]:
        return [Request(self.first)]
