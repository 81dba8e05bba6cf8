"""The same crawl with next to nothing around it: a protocol, httptools, selectolax. No client, no time-outs, no retries; an
error of any kind ends it. What the language and the parser cost.

Usage: python bare_crawl.py URL PREFIX OUTPUT
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict, deque
from pathlib import Path
from typing import TextIO, cast
from urllib.parse import urljoin, urlsplit

import httptools
import uvloop
from selectolax.lexbor import LexborHTMLParser

CONCURRENCY = 64


class Connection(asyncio.Protocol):
    """A connection, on which one request is under way at a time."""

    def __init__(self, crawl: Crawl, origin: str) -> None:
        self.crawl = crawl
        self.origin = origin

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, url: str) -> None:
        self.url = url
        self.is_over = False
        self.body: list[bytes] = []
        self.headers: dict[bytes, bytes] = {}
        self.parser = httptools.HttpResponseParser(self)
        path = url[len(self.origin) :]
        self.transport.write(f"GET {path} HTTP/1.1\r\nHost: {self.origin[7:]}\r\nAccept: text/html\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name] = value

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        self.is_over = True
        # Not at once: the parser is still at work, and this connection may be asked the next.
        asyncio.get_running_loop().call_soon(self.crawl.answered, self, self.parser.get_status_code())

    def connection_lost(self, error: Exception | None) -> None:
        if not self.is_over:
            self.crawl.end(error or ConnectionError(f"{self.url}: the connection was closed"))


class Crawl:
    def __init__(self, start: str, prefix: str, output: TextIO, group: asyncio.TaskGroup) -> None:
        self.prefix = prefix
        self.output = output
        self.group = group
        self.seen = {start}
        self.waiting = deque([start])
        self.under_way = 0
        self.idle: defaultdict[str, list[Connection]] = defaultdict(list)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fill(self) -> None:
        """Put to work as many as may be; end when there is nothing left."""
        while self.waiting and self.under_way < CONCURRENCY:
            url = self.waiting.popleft()
            self.under_way += 1
            idle = self.idle[url[: url.index("/", 7)]]
            if idle:
                idle.pop().ask(url)
            else:
                self.group.create_task(self.connect(url))
        if not self.under_way:
            self.end()

    async def connect(self, url: str) -> None:
        origin = url[: url.index("/", 7)]
        parts = urlsplit(origin)
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(lambda: Connection(self, origin), parts.hostname or "", parts.port or 80)
        made.ask(url)

    def end(self, error: Exception | None = None) -> None:
        if self.ended.done():
            return
        if error:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)

    def answered(self, connection: Connection, status: int) -> None:
        if connection.parser.should_keep_alive():
            self.idle[connection.origin].append(connection)
        self.under_way -= 1
        headers = connection.headers
        if status in {301, 302}:
            self.offer(urljoin(connection.url, headers[b"Location"].decode()))
        elif status == 200 and headers.get(b"Content-Type") == b"text/html":
            self.take(connection.url, status, LexborHTMLParser(b"".join(connection.body)))
        connection.body.clear()
        self.fill()

    def take(self, url: str, status: int, tree: LexborHTMLParser) -> None:
        title = tree.css_first("title")
        json.dump({"url": url, "status": status, "title": title.text(strip=True) if title else ""}, self.output)
        self.output.write("\n")
        for href in {(node.attributes["href"] or "").partition("#")[0] for node in tree.css("a[href]")}:
            if href:
                self.offer(urljoin(url, href))

    def offer(self, url: str) -> None:
        if url not in self.seen and url.startswith(self.prefix):
            self.seen.add(url)
            self.waiting.append(url)


async def main(start: str, prefix: str, output: str) -> None:
    with Path(output).open("w", encoding="utf-8") as file:  # noqa: ASYNC230 - before there is anything to delay
        async with asyncio.TaskGroup() as group:
            crawl = Crawl(start, prefix, file, group)
            crawl.fill()
            await crawl.ended


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
