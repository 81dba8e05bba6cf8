"""Many GET requests of one URL through a client library: ours, or another that offers the same `ClientSession`.

Usage: python -m tests.benchmarks.peers.gets client|aiohttp URL NUMBER CONCURRENCY
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from itertools import repeat
from typing import TYPE_CHECKING, Any

from tests.benchmarks.peers.loops import run

if TYPE_CHECKING:
    from collections.abc import Iterator


async def fetch(session: Any, urls: Iterator[str]) -> None:
    for url in urls:
        async with session.get(url) as response:
            assert response.status == 200
            assert await response.read()


async def main(library: str, url: str, number: int, concurrency: int) -> None:
    module: Any = importlib.import_module(library)
    urls = repeat(url, number)
    async with (
        module.ClientSession(connector=module.TCPConnector(limit=concurrency)) as session,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(concurrency):
            group.create_task(fetch(session, urls))


if __name__ == "__main__":
    run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
