"""A crawl of one site as somebody who knows aiohttp and selectolax would write it for the day: fast, and nothing is kept.

Usage: python aiohttp_by_hand.py URL PREFIX OUTPUT [tuned]

Each link is made absolute and then looked up; tuned, repeated ones are dropped before any work is done on them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, TextIO
from urllib.parse import urldefrag, urljoin

import aiohttp
import uvloop
from selectolax.lexbor import LexborHTMLParser
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Links = Callable[[str, LexborHTMLParser], Iterable[str]]

CONCURRENCY = 64


def links_one_by_one(url: str, tree: LexborHTMLParser) -> Iterable[str]:
    return (urldefrag(urljoin(url, node.attributes["href"])).url for node in tree.css("a[href]"))


def links_tuned(url: str, tree: LexborHTMLParser) -> Iterable[str]:
    hrefs = {(node.attributes["href"] or "").partition("#")[0] for node in tree.css("a[href]")}
    return (urljoin(url, href) for href in hrefs if href)


class Crawl:
    def __init__(self, start: str, prefix: str, output: TextIO, links: Links) -> None:
        self.prefix = prefix
        self.output = output
        self.links = links
        self.seen = {start}
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self.queue.put_nowait(start)

    async def run(self) -> None:
        connector = aiohttp.TCPConnector(limit=CONCURRENCY)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
            workers = [asyncio.create_task(self.work(session)) for _ in range(CONCURRENCY)]
            await self.queue.join()
            for worker in workers:
                worker.cancel()

    async def work(self, session: aiohttp.ClientSession) -> None:
        while True:
            url = await self.queue.get()
            try:
                await self.visit(session, url)
            except (aiohttp.ClientError, TimeoutError) as error:
                print(f"{url}: {error!r}", file=sys.stderr)
            finally:
                self.queue.task_done()

    async def visit(self, session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(URL(url, encoded=True)) as response:
            if response.history:
                url = str(response.url)
                if url in self.seen:
                    return
                self.seen.add(url)
            body = await response.read()
        if response.status == 200 and response.content_type == "text/html":
            self.take(url, response.status, LexborHTMLParser(body))

    def take(self, url: str, status: int, tree: LexborHTMLParser) -> None:
        title = tree.css_first("title")
        json.dump({"url": url, "status": status, "title": title.text(strip=True) if title else ""}, self.output)
        self.output.write("\n")
        for link in self.links(url, tree):
            if link not in self.seen and link.startswith(self.prefix):
                self.seen.add(link)
                self.queue.put_nowait(link)


async def main(start: str, prefix: str, output: str, tuned: str = "") -> None:
    with open(output, "w", encoding="utf-8") as file:  # noqa: ASYNC230, PTH123 - before there is anything to delay
        await Crawl(start, prefix, file, links_tuned if tuned else links_one_by_one).run()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
