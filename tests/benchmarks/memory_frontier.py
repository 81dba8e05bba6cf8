"""A frontier that keeps its requests in memory alone: what a durable one is to be compared with. For plain GET links only.

What a crawl keeps beside its requests (the run, its rules, notes on hosts) still goes to the crawl file: a few rows.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, assert_never

from crawler.frontier import SqliteFrontier
from crawler.frontier.protocol import HostQueue, Lease, Settlement
from crawler.outcome import Failed, Fetched, Postponed, Redirected, SetAside, Skipped
from crawler.request import Links
from crawler.web.urls import fingerprint, fingerprints, host_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from client.origin import HostKey
    from crawler.request import Request

_ITEMS_AT_ONCE = 128
"""As many as a group commit brings, or so."""


class MemoryFrontier(SqliteFrontier):
    """Queues are deques of leases that are ready to be handed out; what was seen is a set."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._seen: set[bytes] = set()
        self._queues: dict[HostKey, deque[Lease]] = {}
        self._requests = 0
        self._items: list[str] = []
        self._handed_on = 0

    async def add(self, found: Iterable[Request | Links], *, depth: int = 0) -> int:
        before = self._requests
        self._take(found, depth, None)
        return self._requests - before

    async def lease(self, hosts: Sequence[HostKey], limit: int) -> list[Lease]:
        leases = []
        for host in hosts:
            queue = self._queues[host]
            leases += [queue.popleft() for _ in range(min(limit, len(queue)))]
        self.counts.queued -= len(leases)
        self.counts.leased += len(leases)
        return leases

    async def settle(self, settlement: Settlement) -> None:
        lease, outcome = settlement.lease, settlement.outcome
        self.counts.leased -= 1
        match outcome:
            case Fetched():
                self.counts.done += 1
                self.counts.bytes += outcome.size
            case Failed():
                self.counts.failed += 1
            case Skipped():
                self.counts.skipped += 1
            case Redirected():
                self._redirect(lease, outcome)
            case Postponed() | SetAside():
                raise ValueError(f"{lease.url}: {outcome}: there is no such thing on a site that is well")
            case _:
                assert_never(outcome)
        if settlement.found:
            self._take(settlement.found, lease.depth + 1, lease.url)
        if settlement.items:
            self._items += settlement.items
            self.counts.items += len(settlement.items)
            if len(self._items) >= _ITEMS_AT_ONCE:
                await self._hand_on()

    async def flush(self) -> None:
        await self._hand_on()
        await super().flush()

    async def hosts(self, *, after: HostKey | None = None, limit: int | None = None) -> list[HostQueue]:
        known = list(self._queues)
        behind = known[known.index(after) + 1 :] if after else known
        return [HostQueue(host, 0.0) for host in behind if self._queues[host]][:limit]

    async def waiting(self, hosts: Iterable[HostKey]) -> list[HostQueue]:
        return [HostQueue(host, 0.0) for host in hosts if self._queues[host]]

    def note_export(self, path: str, cursor: str) -> None:
        """There is nothing to go on from."""

    def _take(self, found: Iterable[Request | Links], depth: int, page: str | None) -> None:
        for wanted in found:
            is_alone = not isinstance(wanted, Links)
            urls = wanted.urls if isinstance(wanted, Links) else (wanted.url,)
            for url, mark in zip(urls, fingerprints(urls), strict=True):
                if mark in self._seen:
                    continue
                self._seen.add(mark)
                self._requests += 1
                if self.intake.admit(url, depth, page, is_alone):
                    self.counts.skipped += 1
                else:
                    lease = Lease(
                        id=self._requests, host=host_of(url), url=url, method="GET", depth=depth, requested_url=url
                    )
                    self._enqueue(lease)

    def _enqueue(self, lease: Lease) -> None:
        if (queue := self._queues.get(lease.host)) is None:
            queue = self._queues[lease.host] = deque()
            self.counts.hosts += 1
        queue.append(lease)
        self.counts.queued += 1
        self.intake.on_queued(lease.host, 0.0)

    def _redirect(self, lease: Lease, outcome: Redirected) -> None:
        mark = fingerprint(outcome.url)
        if mark in self._seen or self.intake.admit(outcome.url, lease.depth, None, True):
            self.counts.skipped += 1
            return
        self._seen.add(mark)
        lease.redirects = (*lease.redirects, lease.url)
        lease.url, lease.host = outcome.url, host_of(outcome.url)
        self._enqueue(lease)

    async def _hand_on(self) -> None:
        """Give the exports what has come for them."""
        if self._items and self.on_items:
            items, self._items = self._items, []
            first = self._handed_on + 1
            self._handed_on += len(items)
            await self.on_items(first, items)
