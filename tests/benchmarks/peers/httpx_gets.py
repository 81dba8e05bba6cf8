"""The same requests through httpx, which offers another interface.

Usage: python -m tests.benchmarks.peers.httpx_gets URL NUMBER CONCURRENCY
"""

from __future__ import annotations

import asyncio
import sys
from itertools import repeat
from typing import TYPE_CHECKING

import httpx

from tests.benchmarks.peers.loops import run

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 120.0


async def fetch(client: httpx.AsyncClient, urls: Iterator[str]) -> None:
    for url in urls:
        response = await client.get(url)
        assert response.status_code == 200
        assert response.content


async def main(url: str, number: int, concurrency: int) -> None:
    urls = repeat(url, number)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(limits=limits, timeout=WAIT) as client, asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(fetch(client, urls))


if __name__ == "__main__":
    run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
