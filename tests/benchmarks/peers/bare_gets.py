"""The same requests with next to nothing around them: a protocol, httptools, bytes joined. What the language itself costs.

Usage: python -m tests.benchmarks.peers.bare_gets URL NUMBER CONCURRENCY
"""

from __future__ import annotations

import asyncio
import sys
from itertools import repeat
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import httptools

from tests.benchmarks.peers.loops import run

if TYPE_CHECKING:
    from collections.abc import Iterator


class Getter(asyncio.Protocol):
    """One connection that asks again as soon as it was answered."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.requests = requests
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.ask()

    def ask(self) -> None:
        self.body: list[bytes] = []
        self.parser = httptools.HttpResponseParser(self)
        if request := next(self.requests, None):
            self.transport.write(request)
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        assert self.parser.get_status_code() == 200
        assert b"".join(self.body)
        asyncio.get_running_loop().call_soon(self.ask)

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set_result(None)


async def main(url: str, number: int, concurrency: int) -> None:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    requests = repeat(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode(), number)
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Getter(requests), host, port) for _ in range(concurrency)]
    await asyncio.gather(*(getter.ended for _, getter in made))


if __name__ == "__main__":
    run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
