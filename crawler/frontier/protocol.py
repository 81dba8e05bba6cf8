"""What the crawler asks of a frontier: `add`, `lease`, `settle`; batches in, batches out.

A request is *queued*, then *leased*, then over (*done*, *failed* or *skipped*). Only `settle` ends a lease; a lease whose
process died is queued again by the next start. Everything a page did is settled in one transaction: its outcome, its
items, the requests it led to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from client.origin import HostKey
    from crawler.outcome import Outcome, Skip
    from crawler.request import Links, Request
    from crawler.store import Kept


@dataclass(slots=True, kw_only=True)
class Lease:
    """One request, ours to fetch. `url` and `method` are where it stands now: past the redirects taken so far."""

    id: int
    host: HostKey
    url: str
    method: str
    depth: int
    requested_url: str
    referrer: str | None = None
    callback: str | None = None
    priority: int = 0
    headers: Mapping[str, str] | None = None
    body: bytes | None = None
    context: Mapping[str, Any] | None = None
    attempts: int = 0
    """How often it was tried in vain."""
    redirects: tuple[str, ...] = ()
    """The redirect chain: the URLs left behind, oldest first."""


@dataclass(slots=True, kw_only=True)
class Settlement:
    """All that came of one lease. `items` are JSON texts, one an item, as the spider yielded them."""

    lease: Lease
    outcome: Outcome
    items: Sequence[str] = ()
    found: Sequence[Request | Links] = ()
    kept: Kept | None = None
    """The response, if it is to be kept."""


@dataclass(slots=True, kw_only=True)
class Counts:
    """How many requests are in each state, and what they brought."""

    queued: int = 0
    leased: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    items: int = 0
    bytes: int = 0
    hosts: int = 0


@dataclass(slots=True, kw_only=True)
class HostQueue:
    """A host that has requests waiting: how many, and when those put off become due (seconds of the epoch)."""

    host: HostKey
    queued: int
    due: list[float] = field(default_factory=list)


class Frontier(Protocol):
    """Where requests wait."""

    @property
    def counts(self) -> Counts: ...

    def attach(self, *, admit: Callable[[str, int], Skip | None], on_queued: Callable[[HostKey, float], None]) -> None:
        """Say who decides which new requests are skipped, by URL and depth, and who hears of each that now waits, by host
        and the instant (seconds of the epoch) before which it is not due."""

    async def add(self, found: Iterable[Request | Links], *, depth: int = 0) -> int:
        """Queue those requests that are new; returns how many were. Durable when it returns."""

    async def lease(self, hosts: Sequence[HostKey], limit: int) -> list[Lease]:
        """Up to `limit` requests of each host, the first in its order that are due. Durable when it returns."""

    async def settle(self, settlement: Settlement) -> None:
        """Take in what came of a lease. Returns once it is accepted, in order, for the next group commit; waits while too
        much is uncommitted. Raises StorageError when an earlier commit failed."""

    async def flush(self) -> None:
        """Return once everything settled so far is durable."""

    async def hosts(self) -> list[HostQueue]:
        """Every host that has requests waiting."""

    async def close(self, why: str) -> None:
        """Commit what was settled, queue again what is leased, note why the run ended."""
