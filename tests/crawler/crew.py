"""Workers around a scheduler and a frontier, without an engine or a network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from crawler.frontier import Lease, Settlement
from crawler.outcome import Fetched, Outcome
from crawler.request import Links
from crawler.scheduler import Scheduler

if TYPE_CHECKING:
    from client.limits import HostLimits
    from crawler.frontier import SqliteFrontier

Visit: TypeAlias = Callable[[Lease], Awaitable[Outcome]]


def done(lease: Lease) -> Fetched:
    return Fetched(status=200, final_url=lease.url, content_type="", size=0, elapsed=0.0, fetched_at=1.0)


async def nothing(lease: Lease) -> Outcome:
    return done(lease)


class Crew:
    """Workers around a scheduler, as the engine has them: each takes the host's slot before it first gives way."""

    def __init__(
        self,
        frontier: SqliteFrontier,
        limits: HostLimits,
        visit: Visit = nothing,
        *,
        active_hosts: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.frontier = frontier
        self.limits = limits
        self.visit = visit
        self.scheduler = Scheduler(frontier, limits, active_hosts=active_hosts, clock=clock)
        self.visits: list[Lease] = []
        self.found: dict[str, list[str]] = {}

    async def run(self, workers: int = 4) -> None:
        self.frontier.attach(admit=lambda *_: None, on_queued=self.scheduler.queued)
        async with asyncio.timeout(60), asyncio.TaskGroup() as beside:
            supply = beside.create_task(self.scheduler.keep_supplied())
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work())
            supply.cancel()

    async def _work(self) -> None:
        while lease := await self.scheduler.next():
            slot = self.limits.acquire_nowait(lease.host)
            assert slot, "a lease was given out for a host that may not be asked now: a worker would have to wait"
            slot.started()
            try:
                outcome = await self.visit(lease)
            finally:
                slot.release()
            self.visits.append(lease)
            found = [Links(self.found.get(lease.url, []))]
            await self.frontier.settle(Settlement(lease=lease, outcome=outcome, found=found))
            self.scheduler.done(lease)
