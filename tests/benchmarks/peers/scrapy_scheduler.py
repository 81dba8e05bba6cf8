"""Scrapy's scheduler by itself, doing the work of tests/benchmarks/frontiers.py; in memory, or in the folder JOBDIR.

Its queue is the plain one, not that which looks at the downloader to spread hosts: that one works in a whole crawl only, and
would keep a file open for each host.

Usage: python -m tests.benchmarks.peers.scrapy_scheduler URLS TAKEN [JOBDIR]
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import scrapy
from scrapy.core.scheduler import Scheduler
from scrapy.statscollectors import MemoryStatsCollector
from scrapy.utils.test import get_crawler

from tests.benchmarks.frontiers import grow, size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTINGS = {"LOG_LEVEL": "ERROR", "SCHEDULER_PRIORITY_QUEUE": "scrapy.pqueues.ScrapyPriorityQueue"}


class Scrapy:
    """Its scheduler, as the engine would use it."""

    def __init__(self, jobdir: str | None) -> None:
        crawler: Any = get_crawler(settings_dict={**SETTINGS, "JOBDIR": jobdir})
        crawler.stats = MemoryStatsCollector(crawler)
        self._jobdir = jobdir
        self._scheduler: Any = Scheduler.from_crawler(crawler)
        self._scheduler.open(scrapy.Spider.from_crawler(crawler, name="benchmark"))

    async def offer(self, pages: Sequence[list[str]]) -> None:
        enqueue = self._scheduler.enqueue_request
        for page in pages:
            for url in page:
                enqueue(scrapy.Request(url))

    async def take(self, number: int) -> int:
        return sum(self._scheduler.next_request() is not None for _ in range(number))

    async def close(self) -> None:
        self._scheduler.close("finished")

    def disk_bytes(self) -> int:
        return size_of(Path(self._jobdir)) if self._jobdir else 0


def main(urls: str, taken: str, jobdir: str | None = None) -> None:
    growth = asyncio.run(grow(Scrapy(jobdir), urls=int(urls), taken=int(taken), report=lambda _part: None))
    print(growth.to_json())


if __name__ == "__main__":
    main(*sys.argv[1:])
