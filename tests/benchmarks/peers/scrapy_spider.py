"""The same crawl in Scrapy, its settings tuned: no throttling, no middleware that has nothing to do.

Usage: python scrapy_spider.py URL PREFIX OUTPUT [tuned [JOBDIR]]

Links are followed by `follow_all`, as its documentation shows; tuned, by one XPath, and repeated ones are dropped before any
work is done on them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import scrapy
from scrapy.crawler import CrawlerProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scrapy.http import TextResponse

CONCURRENCY = 64

SETTINGS = {
    "AUTOTHROTTLE_ENABLED": False,
    "CONCURRENT_REQUESTS": CONCURRENCY,
    "CONCURRENT_REQUESTS_PER_DOMAIN": CONCURRENCY,
    "COOKIES_ENABLED": False,
    "DOWNLOAD_DELAY": 0,
    "LOG_LEVEL": "ERROR",
    "REFERER_ENABLED": False,
    "ROBOTSTXT_OBEY": False,
    "TELNETCONSOLE_ENABLED": False,
    "ASYNCIO_EVENT_LOOP": "uvloop.Loop",
}


class SiteSpider(scrapy.Spider):
    name = "site"

    async def start(self) -> AsyncIterator[Any]:
        yield scrapy.Request(self.first)  # not exempt from the filter of duplicates, as Scrapy's own start requests are

    def parse(self, response: TextResponse) -> Iterator[Any]:
        if response.headers["Content-Type"] != b"text/html":
            return
        yield {
            "url": response.url,
            "status": response.status,
            "title": response.xpath("//title/text()").get("").strip(),
        }
        yield from self.follow(response)

    def follow(self, response: TextResponse) -> Iterator[scrapy.Request]:
        return (request for request in response.follow_all(css="a") if request.url.startswith(self.prefix))


class TunedSpider(SiteSpider):
    def follow(self, response: TextResponse) -> Iterator[scrapy.Request]:
        hrefs = {href.partition("#")[0] for href in response.xpath("//a/@href").getall()}
        urls = {response.urljoin(href) for href in hrefs if href}
        return (scrapy.Request(url) for url in urls if url.startswith(self.prefix))


def main(start: str, prefix: str, output: str, tuned: str = "", jobdir: str | None = None) -> None:
    process = CrawlerProcess({**SETTINGS, "JOBDIR": jobdir, "FEEDS": {output: {"format": "jsonlines"}}})
    process.crawl(TunedSpider if tuned else SiteSpider, first=start, prefix=prefix)
    process.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
