"""What the scheduler costs for each request, without a network: one measurement, as a process of its own.

Usage: python -m tests.benchmarks.scheduling HOSTS REQUESTS memory|file, which prints microseconds of CPU time a request and
the most memory that was resident, in bytes.

Each host has `PAGES` requests, and there are as many crawls of HOSTS hosts, one after the other, as it takes to come to
REQUESTS: so what a host costs once is paid by as many requests, however many hosts there are at a time.

With `memory`, requests come from dictionaries, and what remains is the scheduler, the limits of hosts and the workers' loop;
with `file`, from a crawl file, with all that SQLite's thread does.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from bisect import bisect_right
from collections import deque
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from client.limits import HostLimits
from client.origin import HostKey
from crawler.frontier import Frontier, HostQueue, Lease, Settlement, SqliteFrontier
from crawler.loop import run_loop
from crawler.outcome import Fetched
from crawler.request import Links
from crawler.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

PAGES = 20
_WORKERS = 64
_ADDED_AT_ONCE = 10_000
_DONE = Fetched(status=200, final_url="", content_type="", size=0, elapsed=0.0, fetched_at=1.0)


class MemoryFrontier:
    """As much of a frontier as the scheduler sees."""

    is_undecided = False

    def __init__(self, hosts: int) -> None:
        self._names = [_name(host) for host in range(hosts)]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._queues = [deque(range(PAGES)) for _ in range(hosts)]
        self._waiting = list(range(hosts))

    def now(self) -> float:
        return time.monotonic()

    async def lease(self, hosts: Sequence[HostKey], limit: int) -> list[Lease]:
        await asyncio.sleep(0)
        return [lease for host in hosts for lease in self._take(host, limit)]

    def _take(self, host: HostKey, limit: int) -> Iterable[Lease]:
        queue = self._queues[self._numbers[host]]
        for _ in range(min(limit, len(queue))):
            number = queue.popleft()
            url = f"http://{host}/{number}"
            yield Lease(id=number, host=host, url=url, method="GET", depth=0, requested_url=url)

    async def hosts(self, *, after: HostKey | None = None, limit: int | None = None) -> list[HostQueue]:
        await asyncio.sleep(0)
        begin = bisect_right(self._waiting, self._numbers[after]) if after else 0
        return [HostQueue(self._names[number], 0.0) for number in self._waiting[begin:][:limit]]

    async def waiting(self, hosts: Iterable[HostKey]) -> list[HostQueue]:
        return [HostQueue(host, 0.0) for host in hosts if self._queues[self._numbers[host]]]

    async def settle(self, settlement: Settlement) -> None:
        """Nothing to write down."""

    async def keep_committing(self) -> None:
        """Nothing to commit."""


def _name(host: int) -> HostKey:
    return HostKey(f"h{host}.example")


@asynccontextmanager
async def _file() -> AsyncIterator[SqliteFrontier]:
    with tempfile.TemporaryDirectory() as folder:
        frontier = await SqliteFrontier.open(Path(folder, "hosts.crawl"), spider="hosts")
        yield frontier
        await frontier.close()


async def _fill(frontier: SqliteFrontier, hosts: range) -> None:
    frontier.attach(admit=lambda *_: None, on_queued=lambda *_: None)
    for number in range(PAGES):
        for first in hosts[::_ADDED_AT_ONCE]:
            some = range(first, min(first + _ADDED_AT_ONCE, hosts.stop))
            await frontier.add([Links([f"http://{_name(host)}/{number}" for host in some])])


async def measure(hosts: int, requests: int, kind: str) -> tuple[float, int]:
    """Microseconds of CPU time a request, and bytes of memory."""
    crawls = requests // (hosts * PAGES)
    spent = 0.0
    if kind == "memory":
        for _ in range(crawls):
            spent += await _crawl(cast("Frontier", MemoryFrontier(hosts)))
    else:
        async with _file() as frontier:
            for crawl in range(crawls):
                await _fill(frontier, range(crawl * hosts, (crawl + 1) * hosts))
                spent += await _crawl(frontier)
            assert frontier.counts.done == crawls * hosts * PAGES
    return spent / (crawls * hosts * PAGES) * 1e6, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def _crawl(frontier: Frontier | SqliteFrontier) -> float:
    """Give out everything to workers that are done at once; the CPU time of the process."""
    limits = HostLimits(limit=_WORKERS, limit_per_host=1)
    scheduler = Scheduler(frontier, limits)
    if isinstance(frontier, SqliteFrontier):
        frontier.attach(admit=lambda *_: None, on_queued=scheduler.queued)

    async def work() -> None:
        while lease := await scheduler.next():
            slot = limits.acquire_nowait(lease.host)
            assert slot
            slot.started()
            await asyncio.sleep(0)
            slot.release()
            await frontier.settle(Settlement(lease=lease, outcome=_DONE))
            scheduler.done(lease)

    began = time.process_time()
    async with asyncio.TaskGroup() as beside:
        helpers = [beside.create_task(scheduler.keep_supplied())]
        if isinstance(frontier, SqliteFrontier):
            helpers.append(beside.create_task(frontier.keep_committing()))
        async with asyncio.TaskGroup() as crew:
            for _ in range(_WORKERS):
                crew.create_task(work())
        for helper in helpers:
            helper.cancel()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("hosts", type=int)
    parser.add_argument("requests", type=int)
    parser.add_argument("kind", choices=("memory", "file"))
    given = parser.parse_args()
    microseconds, peak_bytes = run_loop(measure(given.hosts, given.requests, given.kind))
    print(microseconds, peak_bytes)


if __name__ == "__main__":
    main()
