"""Crawlee's request queue by itself, in memory, doing the work of tests/benchmarks/frontiers.py.

Usage: python -m tests.benchmarks.peers.crawlee_queue URLS TAKEN
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from crawlee.storage_clients import MemoryStorageClient
from crawlee.storages import RequestQueue

from tests.benchmarks.frontiers import grow

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOGETHER: dict[str, Any] = {
    "wait_for_all_requests_to_be_added": True,
    "wait_time_between_batches": timedelta(0),
}


class Crawlee:
    """Its request queue, as a crawler would use it."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    async def offer(self, pages: Sequence[list[str]]) -> None:
        for page in pages:
            await self._queue.add_requests(page, **_TOGETHER)

    async def take(self, number: int) -> int:
        taken = 0
        while taken < number and (request := await self._queue.fetch_next_request()):
            await self._queue.mark_request_as_handled(request)
            taken += 1
        return taken

    async def close(self) -> None:
        """What is in memory is not kept."""

    def disk_bytes(self) -> int:
        return 0


async def main(urls: str, taken: str) -> None:
    queue = await RequestQueue.open(storage_client=MemoryStorageClient())
    growth = await grow(Crawlee(queue), urls=int(urls), taken=int(taken), report=lambda _part: None)
    print(growth.to_json())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
