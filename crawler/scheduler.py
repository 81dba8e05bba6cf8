"""Which request comes next: hosts wait, workers don't.

Hosts that have requests stand in a heap by the instant they may be asked, which the scheduler reads from the `HostLimits`
of the connector; it keeps no count of its own. A host at its connection limit, or whose last request has not gone out yet,
has no such instant: it leaves the heap, and `HostLimits.on_ready` brings it back.

What makes this exact is the order of steps: a worker that is given a lease takes the host's slot before it first gives way
to another task, so the next look at `HostLimits` already sees it.

Requests are leased from the frontier in batches, ahead of need, by one task (`keep_supplied`): up to `_PREFETCH` of a host,
and fewer the more hosts there are, so that all of them together hold about `_WINDOW` in memory.

A host may be held, by order: it gets no turn, and its requests do not count as left, so that a crawl ends in which nothing
else is.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections import deque
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from client.limits import HostLimits
    from client.origin import HostKey
    from crawler.frontier.protocol import Frontier, Lease

_PREFETCH = 128
_WINDOW = 8192
_HOSTS_A_LEASE = 256
"""For so many hosts at once requests are leased; until they are there, hosts that have none at hand are left in the heap."""


class _Host:
    """A host that has requests: how many are in the frontier, due or put off, and which are leased and ready."""

    __slots__ = ("due", "is_held", "is_short", "is_suspended", "key", "listed_at", "queued", "ready")

    def __init__(self, key: HostKey) -> None:
        self.key = key
        self.queued = 0
        self.due: list[float] = []
        self.ready: list[Lease] = []  # the next one last
        self.listed_at = math.inf
        self.is_short = False
        self.is_suspended = False
        self.is_held = False

    @property
    def waiting(self) -> int:
        """How many of its requests no worker has."""
        return self.queued + len(self.due) + len(self.ready)


class Scheduler:
    """Gives each worker its next lease. `may_start` says whether another page may be begun at all (a page limit)."""

    def __init__(
        self,
        frontier: Frontier,
        limits: HostLimits,
        *,
        may_start: Callable[[int], bool] = lambda _under_way: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._frontier = frontier
        self._limits = limits
        self._may_start = may_start
        self._clock = clock
        self._hosts: dict[HostKey, _Host] = {}
        self._heap: list[tuple[float, int, _Host]] = []
        self._order = count()
        self._picked: _Host | None = None
        self._short: deque[_Host] = deque()
        self._is_short = asyncio.Event()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._left = 0
        self._under_way = 0
        self._is_stopping = False
        self._is_gated = False
        limits.on_ready = self._host_is_ready

    @property
    def under_way(self) -> int:
        """How many leases are with workers."""
        return self._under_way

    async def load(self) -> None:
        """Take up what waits in the frontier from earlier runs."""
        for waiting in await self._frontier.hosts():
            host = self._host(waiting.host)
            host.queued += waiting.queued
            host.due.extend(waiting.due)
            heapq.heapify(host.due)
            self._count(host, waiting.queued + len(waiting.due))
            self._list(host)

    def queued(self, key: HostKey, not_before: float) -> None:
        """One more request of this host waits in the frontier, not due before `not_before` (seconds of the epoch)."""
        host = self._host(key)
        self._count(host, 1)
        if not_before > time.time():
            heapq.heappush(host.due, not_before)
        else:
            host.queued += 1
        self._list(host)

    async def next(self) -> Lease | None:
        """The next request to fetch, as soon as there is one; None once there will be no more, or none may be begun."""
        while True:
            if self._is_stopping or not (self._left or self._under_way):
                self._wake(len(self._idle))
                return None
            if not self._may_start(self._under_way):
                self._is_gated = True
            elif lease := self._pick():
                self._under_way += 1
                self._left -= 1
                return lease
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            if not self._is_gated:
                self._arm()
            await waiter

    def done(self, lease: Lease) -> None:
        """The lease was settled."""
        self._under_way -= 1
        self._relist(lease.host)
        if self._is_gated:
            self._is_gated = False
            self._wake(len(self._idle))

    @contextmanager
    def suspended(self, lease: Lease) -> Iterator[None]:
        """Put the lease back, as the first of its host, and give out none of that host within the context."""
        host = self._host(lease.host)
        host.ready.append(lease)
        host.is_suspended = True
        self._under_way -= 1
        self._count(host, 1)
        try:
            yield
        finally:
            host.is_suspended = False
            self._list(host)
            self._wake()

    def hold(self, key: HostKey) -> None:
        """Give out nothing more of this host until `release`; what is under way goes on."""
        host = self._host(key)
        if not host.is_held:
            self._count(host, -host.waiting)
            host.is_held = True
            self._wake(len(self._idle))  # it may have been all that was left

    def release(self, key: HostKey) -> None:
        """Give out again what waits of a host that was held."""
        host = self._host(key)
        if host.is_held:
            host.is_held = False
            self._count(host, host.waiting)
            self._list(host)
            self._wake()

    def stop(self) -> None:
        """Give out nothing more."""
        self._is_stopping = True
        self._wake(len(self._idle))

    async def keep_supplied(self) -> None:
        """Lease ahead for hosts that run short; until cancelled."""
        while True:
            await self._is_short.wait()
            hosts = [self._short.popleft() for _ in range(min(len(self._short), _HOSTS_A_LEASE))]
            if not self._short:
                self._is_short.clear()
            share = max(1, min(_PREFETCH, _WINDOW // len(self._hosts)))
            asked = [(host, host.queued) for host in hosts]  # more may be queued while the frontier answers
            leases: dict[HostKey, list[Lease]] = {host.key: [] for host in hosts}
            for lease in await self._frontier.lease(list(leases), share):
                leases[lease.host].append(lease)
            for host, queued in asked:
                given = leases[host.key]
                host.ready[:0] = reversed(given)
                host.queued -= len(given)
                host.is_short = False
                if not given:  # counted, but not there: another clock, or another hand in the file
                    self._count(host, -queued)
                    host.queued -= queued
                self._list(host)
            self._wake()

    # ------------------------------------------------------------------ the heap

    def _count(self, host: _Host, more: int) -> None:
        """So many more requests are left to give out, unless their host is held."""
        if not host.is_held:
            self._left += more

    def _host(self, key: HostKey) -> _Host:
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = _Host(key)
        return host

    def _ready_at(self, host: _Host) -> float:
        """When the host's turn comes, infinity if that is not known or not in its hands."""
        if host.is_suspended or host.is_held:
            return math.inf
        if host.ready or (host.queued and not host.is_short):
            return self._limits.ready_at(host.key)
        if host.is_short:
            return math.inf
        if host.due:
            return self._clock() + max(0.0, host.due[0] - time.time())
        return math.inf

    def _list(self, host: _Host) -> None:
        """Enter the host into the heap, unless it stands there for as early an instant. Of hosts that are ready, the one
        that has stood there longest goes first."""
        at = max(self._ready_at(host), self._clock())
        if at < host.listed_at:
            host.listed_at = at
            heapq.heappush(self._heap, (at, next(self._order), host))
            if self._idle:
                self._arm()

    def _relist(self, key: HostKey) -> None:
        if host := self._hosts.get(key):
            self._list(host)
            if not (host.waiting or host.is_short or host.is_held) and host is not self._picked:
                del self._hosts[key]

    def _host_is_ready(self, key: HostKey) -> bool:
        """Whether the host has a use for it: anything to ask, or to be asked for."""
        host = self._hosts.get(key)
        if host is None:
            return False
        self._list(host)
        return host.listed_at < math.inf

    def _pick(self) -> Lease | None:
        """The first lease of the first host whose turn has come."""
        if self._picked:
            picked, self._picked = self._picked, None
            self._relist(picked.key)
        now = self._clock()
        while self._heap and self._heap[0][0] <= now and len(self._short) < _HOSTS_A_LEASE:
            at, _, host = heapq.heappop(self._heap)
            if at != host.listed_at:
                continue  # it was entered again, for an earlier instant
            host.listed_at = math.inf
            self._promote_due(host)
            at = self._ready_at(host)
            if at <= now and host.ready:
                return self._take(host)
            self._limits.decline(host.key)  # its turn at its address, if it was that, is for another host
            if at > now:
                self._list(host)
            else:
                self._ask_for_more(host)
        return None

    def _take(self, host: _Host) -> Lease:
        lease = host.ready.pop()
        self._picked = host
        if host.queued and len(host.ready) < _PREFETCH // 4:
            self._ask_for_more(host)
        if self._idle and self._more_can_start(host):
            self._wake()
        return lease

    def _more_can_start(self, picked: _Host) -> bool:
        """Whether another worker would find something: with the host just picked, which has not taken its slot yet, or
        with the next one in the heap."""
        if picked.ready and self._limits.room_of(picked.key) > 1:
            return True
        return bool(self._heap) and self._heap[0][0] <= self._clock()

    def _promote_due(self, host: _Host) -> None:
        now = time.time()
        while host.due and host.due[0] <= now:
            heapq.heappop(host.due)
            host.queued += 1

    def _ask_for_more(self, host: _Host) -> None:
        if not host.is_short and host.queued:
            host.is_short = True
            self._short.append(host)
            self._is_short.set()

    # ------------------------------------------------------------------ idle workers

    def _wake(self, number: int = 1) -> None:
        while number and self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                number -= 1

    def _arm(self) -> None:
        """Wake one worker when the first host's turn comes."""
        if not (self._heap and self._idle) or len(self._short) >= _HOSTS_A_LEASE:
            return
        at = self._heap[0][0]
        if self._timer:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().call_later(max(0.0, at - self._clock()), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake()
