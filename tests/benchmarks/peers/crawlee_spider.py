"""The same crawl in Crawlee, by its crawler on Parsel: no sessions, no retries, always as many at once as it may.

Usage: python crawlee_spider.py URL PREFIX OUTPUT [tuned [DATABASE]]

Links are followed by `enqueue_links`, as its documentation shows; tuned, by one XPath, and repeated ones are dropped before
any work is done on them. With DATABASE its request queue and what it gathers are in SQLite, else in memory.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from crawlee import ConcurrencySettings
from crawlee.configuration import Configuration
from crawlee.crawlers import ParselCrawler, ParselCrawlingContext
from crawlee.http_clients import ImpitHttpClient
from crawlee.storage_clients import MemoryStorageClient, SqlStorageClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from crawlee.storage_clients import StorageClient

    Follow = Callable[[ParselCrawlingContext, str], Awaitable[None]]

CONCURRENCY = 64


async def follow(context: ParselCrawlingContext, prefix: str) -> None:
    await context.enqueue_links(strategy="all", include=[re.compile(re.escape(prefix))])


async def follow_tuned(context: ParselCrawlingContext, prefix: str) -> None:
    url = context.request.loaded_url or context.request.url
    hrefs = {href.partition("#")[0] for href in context.selector.xpath("//a/@href").getall()}
    links = {urljoin(url, href) for href in hrefs if href}
    await context.add_requests([link for link in links if link.startswith(prefix)])


def crawler_of(prefix: str, storage: StorageClient, follow: Follow) -> ParselCrawler:
    crawler = ParselCrawler(
        storage_client=storage,
        configuration=Configuration(purge_on_start=False, log_level="ERROR"),
        concurrency_settings=ConcurrencySettings(
            min_concurrency=CONCURRENCY, desired_concurrency=CONCURRENCY, max_concurrency=CONCURRENCY
        ),
        http_client=ImpitHttpClient(browser=None, persist_cookies_per_session=False),
        use_session_pool=False,
        max_request_retries=0,
        ignore_http_error_status_codes=range(400, 500),  # else it makes an error with a traceback of each
        configure_logging=False,
    )
    found_at_last: set[str] = set()

    @crawler.router.default_handler
    async def visit(context: ParselCrawlingContext) -> None:
        url = context.request.loaded_url or context.request.url
        # It tells requests apart by what was asked for: two of them may be redirected to one page.
        if context.http_response.headers.get("content-type") != "text/html" or url in found_at_last:
            return
        found_at_last.add(url)
        title = context.selector.xpath("//title/text()").get("").strip()
        await context.push_data({"url": url, "status": context.http_response.status_code, "title": title})
        await follow(context, prefix)

    return crawler


async def main(start: str, prefix: str, output: str, tuned: str = "", database: str = "") -> None:
    logging.disable(logging.WARNING)
    storage = (
        SqlStorageClient(connection_string=f"sqlite+aiosqlite:///{database}") if database else MemoryStorageClient()
    )
    crawler = crawler_of(prefix, storage, follow_tuned if tuned else follow)
    await crawler.run([start])
    with Path(output).open("w", encoding="utf-8") as file:  # noqa: ASYNC230 - there is nothing left to delay
        dataset = await crawler.get_dataset()
        async for item in dataset.iterate_items():
            file.write(json.dumps(item) + "\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
