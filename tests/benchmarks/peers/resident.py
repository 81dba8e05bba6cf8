"""Our client at work, and what memory of this process is resident meanwhile: a line for each look, bytes done and bytes held.

Usage: python -m tests.benchmarks.peers.resident {stream URL | repeat URL COUNT CONCURRENCY}
"""

from __future__ import annotations

import asyncio
import os
import sys

import client

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LOOKS = 20


def look(done: int) -> None:
    """Say what is resident, after so much work."""
    with open("/proc/self/statm") as file:  # noqa: PTH123  pathlib would be part of what is measured
        pages = int(file.read().split()[1])
    print(done, pages * _PAGE_BYTES, flush=True)


async def stream(url: str) -> None:
    """Read a body piece by piece, however large it is."""
    look(0)
    async with client.ClientSession(timeout=client.ClientTimeout()) as session, session.get(url) as response:
        assert response.content_length is not None
        step = response.content_length // _LOOKS
        done = 0
        async for part in response.content.iter_any():
            done += len(part)
            if done // step > (done - len(part)) // step:
                look(done)
    assert done == response.content_length


async def repeat(url: str, count: int, concurrency: int) -> None:
    """Make so many requests, so many at once."""
    look(0)
    step = max(1, count // _LOOKS)
    numbers = iter(range(1, count + 1))
    async with client.ClientSession(connector=client.TCPConnector(limit=concurrency)) as session:

        async def work() -> None:
            for number in numbers:
                async with session.get(url) as response:
                    await response.read()
                if number % step == 0:
                    look(number)

        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["stream", url]:
            asyncio.run(stream(url))
        case ["repeat", url, count, concurrency]:
            asyncio.run(repeat(url, int(count), int(concurrency)))
        case _:
            sys.exit(__doc__)
