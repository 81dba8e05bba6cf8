"""Which request comes next: hosts wait, workers don't.

Hosts that have requests, if the window (hosts/window.py) has let them in, stand in an agenda, ordered by the instant at which they may be
asked. The scheduler reads that instant from the connector's `HostLimits`; it keeps no count of its own. A host at its connection limit, or
whose last request has not gone out yet, has no such instant: it leaves the agenda, and `HostLimits.on_ready` brings it back.

The order of steps makes this exact: a worker that is given a lease takes the host's slot before it first yields to another task, so
the next look at `HostLimits` already sees it.

One task (`keep_supplied`) fetches ahead of need what the frontier has: hosts for the window, and requests of hosts that run
short, in batches. Of one host at most `_AHEAD_OF_HOST` are leased ahead, or what it may be asked within `_AHEAD_SECONDS`,
and fewer the more hosts there are, so that all of them together hold about `_AHEAD` in memory. A request of a higher priority that
comes later waits behind these, and behind no other of its host. A host that has to wait keeps what is leased ahead for it, and that
counts: less is left for the others.

Requests are not counted here. What a host has left in the frontier is asked after each lease, and the frontier tells of what is queued
meanwhile (`queued`). So the crawl is over when no host is known to have anything, none waits outside the window, no lease is with a
worker, and the frontier has decided on all links. Hosts that are held by order do not count.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crawler.hosts.agenda import Agenda
from crawler.hosts.window import TURN_REQUESTS, Host, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from client.limits import HostLimits
    from client.origin import HostKey
    from crawler.frontier.protocol import Frontier, Lease

_AHEAD = 65_536
_AHEAD_OF_HOST = 256
_AHEAD_SECONDS = 8.0

_HOSTS_A_LEASE = 256
"""Requests are leased for at most so many hosts at once. Until these have come, further hosts without any stay in the agenda."""

_REST_SECONDS = 5.0
"""A host that may not be asked for longer than this gives up its place in the window."""


class Scheduler:
    """Gives each worker its next lease. `may_start`, called with the number of leases under way, says whether another page may be
    begun at all (a page limit, a proxy).

    At most `active_hosts` hosts take turns at once; `clock` is that of `limits`.
    """

    def __init__(
        self,
        frontier: Frontier,
        limits: HostLimits,
        *,
        active_hosts: int = 10_000,
        may_start: Callable[[int], bool] = lambda _under_way: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._frontier = frontier
        self._limits = limits
        self._may_start = may_start
        self._clock = clock
        self._window = Window(frontier, limits, active_hosts)
        self._agenda = Agenda()
        self._picked: Host | None = None
        self._most_ahead = _AHEAD_OF_HOST
        if limits.spacing:
            self._most_ahead = max(2, min(_AHEAD_OF_HOST, int(_AHEAD_SECONDS / limits.spacing)))
        self._ahead = 0
        self._few = 0  # a host with no more than this many ready runs short
        self._short: deque[Host] = deque()
        self._is_wanted = asyncio.Event()
        self._is_wanted.set()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._given: dict[int, Host] = {}
        """By the identity of the lease, not of its request: that may be with two workers for a moment."""
        self._is_stopping = False
        self._is_gated = False
        limits.on_ready = self._is_ready

    @property
    def under_way(self) -> int:
        """How many leases are with workers."""
        return len(self._given)

    @property
    def _is_over(self) -> bool:
        """Whether there will be no more requests, or none may be given out."""
        return self._is_stopping or not (self._given or self._window.has_work or self._frontier.is_undecided)

    @property
    def _has_run_dry(self) -> bool:
        """Whether nothing is left but links of which the frontier does not know yet whether they are new."""
        return not (self._given or self._window.has_work) and self._frontier.is_undecided

    def queued(self, key: HostKey, not_before: float) -> None:
        """One more request of this host waits in the frontier, not due before `not_before` by the frontier's clock."""
        if host := self._window.offer(key):
            host.note(not_before, self._frontier.now())
            self._list(host)
        else:
            self._want_hosts()

    async def next(self) -> Lease | None:
        """The next request to fetch, as soon as there is one; None once there will be no more, or none may be begun. Cancelled, it
        has taken none."""
        while True:
            self._put_back_picked()
            if self._is_over:
                self._wake(len(self._idle))
                return None
            if not self._may_start(len(self._given)):
                self._is_gated = True
            elif lease := self._pick():
                return lease
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            if not self._is_gated:
                self._arm()
            if self._has_run_dry:
                self._is_wanted.set()
            await waiter

    def done(self, lease: Lease) -> None:
        """The lease was settled."""
        host = self._given.pop(id(lease))
        self._put_back_picked()
        self._put_back(host)
        # The worker need not come back.
        if self._is_gated or self._is_over:
            self._is_gated = False
            self._wake(len(self._idle))
        elif self._has_run_dry:
            self._is_wanted.set()

    @contextmanager
    def suspended(self, lease: Lease) -> Iterator[None]:
        """Put the lease back, as the first of its host, and give out none of that host within the block. Afterwards the host
        comes first of all: what was learned about it is to be used before it is forgotten."""
        host = self._window.enter(lease.host)
        host.ready.append(lease)
        host.is_suspended = True
        self._ahead += 1
        del self._given[id(lease)]
        try:
            yield
        finally:
            host.is_suspended = False
            self._list(host, comes_first=True)
            self._wake()

    def hold(self, key: HostKey) -> None:
        """Give out nothing more of this host until `release`, nor wait for it at the end; what is under way goes on."""
        self._window.hold(key)
        self._want_hosts()
        self._wake(len(self._idle))  # it may have been all that was left

    def release(self, key: HostKey) -> None:
        """Give out again what waits for a host that was held."""
        if host := self._window.release(key):
            self._list(host)
            self._wake()

    def reopen(self) -> None:
        """Ask `may_start` again: its answer has changed."""
        self._is_gated = False
        self._wake(len(self._idle))

    def stop(self) -> None:
        """Give out nothing more."""
        self._is_stopping = True
        self._wake(len(self._idle))

    # ------------------------------------------------------------------ supply

    async def keep_supplied(self) -> None:
        """Fetch hosts and lease requests, ahead of need; until cancelled."""
        while True:
            await self._is_wanted.wait()
            if self._short:
                await self._lease_ahead()
            if self._window.is_filling:
                for host in await self._window.next_page():
                    self._list(host)
            if self._has_run_dry:
                await self._frontier.decide()
            if not (self._short or self._window.is_filling):
                self._is_wanted.clear()
            self._wake()

    async def _lease_ahead(self) -> None:
        """Lease their share for hosts that run short; of those that have less, ask when the rest is due."""
        hosts = [self._short.popleft() for _ in range(min(len(self._short), _HOSTS_A_LEASE))]
        for host in hosts:  # of what is queued from here on, we hear through `queued`
            host.has_more = False
            host.due_at = math.inf
        keys = [host.key for host in hosts]
        share = self._share(len(hosts))
        self._few = share // 4
        leases = await self._frontier.lease(keys, share)
        self._ahead += len(leases)
        by_host = _by_host(keys, leases)
        few = [key for key, given in by_host.items() if len(given) < share]
        left = await self._frontier.waiting(few) if few else []
        now = self._frontier.now()
        for key, due_at in left:
            if host_left := self._window.get(key):
                host_left.note(due_at, now)
        for host, given in zip(hosts, by_host.values(), strict=True):
            if given:
                host.ready = _merged(host.ready, given)
                host.has_more = host.has_more or len(given) == share
            host.is_short = False
            self._put_back(host)

    def _share(self, hosts: int) -> int:
        """How many requests to lease for each of `hosts` hosts."""
        fair = min(_AHEAD // max(1, len(self._window)), (_AHEAD - self._ahead) // hosts)
        return max(1, min(self._most_ahead, fair, TURN_REQUESTS if self._window.has_outside else fair))

    def _ask_for_more(self, host: Host) -> None:
        if host.has_more and not host.is_short:
            host.is_short = True
            self._short.append(host)
            self._is_wanted.set()

    # ------------------------------------------------------------------ the agenda

    def _ready_at(self, host: Host) -> float:
        """When the host's turn comes; infinity if that is not known, or does not depend on the host."""
        if host.is_suspended or host.is_held:
            return math.inf
        if host.ready or (host.has_more and not host.is_short):
            return host.gate.ready_at()
        if host.is_short or host.due_at == math.inf:
            return math.inf
        return self._clock() + max(0.0, host.due_at - self._frontier.now())

    def _list(self, host: Host, *, comes_first: bool = False) -> None:
        """Enter the host into the agenda, unless it stands there for an instant no later. Of hosts that are ready, the one that has
        been so for longest goes first, unless one `comes_first`."""
        now = self._clock()
        if host.listed_at <= now:
            return
        at = self._ready_at(host)
        if at < host.listed_at:
            if at <= now:
                self._agenda.enter_ready(host, comes_first=comes_first)
            else:
                self._agenda.enter(host, at)
            if self._idle:
                self._arm()
        self._let_rest(host, is_resting=at - now > _REST_SECONDS and self._is_left_alone(host))

    def _is_left_alone(self, host: Host) -> bool:
        """Whether nothing of the host is on its way, from the frontier or with a worker."""
        return not (host.is_short or host.is_suspended or host.is_held or host.gate.active)

    def _let_rest(self, host: Host, *, is_resting: bool) -> None:
        if host.is_resting is not is_resting:
            self._window.set_resting(host, is_resting=is_resting)
            self._want_hosts()

    def _want_hosts(self) -> None:
        if self._window.is_filling:
            self._is_wanted.set()

    def _put_back(self, host: Host) -> None:
        """Have the host wait for its next turn, here or outside the window; or forget it, if it has nothing left."""
        if host.is_held or host.is_forgotten:
            return
        if host.is_idle and (host.is_done or self._window.has_had_its_turn(host)):
            host.listed_at = math.nan  # its entry in the agenda is void
            self._window.leave(host)
            self._want_hosts()
        else:
            self._list(host)

    def _put_back_picked(self) -> None:
        """Whoever was given a lease last has taken the slot by now, so the host's next turn can be told."""
        picked, self._picked = self._picked, None
        if picked:
            self._put_back(picked)

    def _is_ready(self, host: Host | HostKey) -> bool:
        """Whether a host that may be asked has anything for that: a request at hand, or more in the frontier."""
        if not isinstance(host, Host) or host.is_held:
            return False
        self._list(host)
        return host.listed_at < math.inf

    def _pick(self) -> Lease | None:
        """The first lease of the first host whose turn has come."""
        while len(self._short) < _HOSTS_A_LEASE and (host := self._agenda.pop(now := self._clock())):
            self._let_rest(host, is_resting=False)
            self._promote_due(host)
            at = self._ready_at(host)
            if at <= now and host.ready:
                return self._take(host)
            self._limits.decline(host.key)  # if it had the turn at its address, another host may have that
            if at > now:
                self._list(host)
            else:
                self._ask_for_more(host)
        return None

    def _take(self, host: Host) -> Lease:
        lease = host.ready.pop()
        self._given[id(lease)] = host
        host.taken += 1
        self._ahead -= 1
        self._picked = host
        if len(host.ready) <= self._few and not self._window.has_had_its_turn(host):
            self._ask_for_more(host)
        if self._idle and self._more_can_start(host):
            self._wake()
        return lease

    def _more_can_start(self, picked: Host) -> bool:
        """Whether another worker would find something: at the host just picked, which has not taken its slot yet, or at the next
        one in the agenda."""
        if picked.ready and self._limits.room_of(picked.key) > 1:
            return True
        return self._agenda.first_at <= self._clock()

    def _promote_due(self, host: Host) -> None:
        if host.due_at < math.inf and host.due_at <= self._frontier.now():
            host.due_at = math.inf
            host.has_more = True

    # ------------------------------------------------------------------ idle workers

    def _wake(self, number: int = 1) -> None:
        while number and self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                number -= 1

    def _arm(self) -> None:
        """Wake one worker when the first host's turn comes."""
        at = self._agenda.first_at
        if at == math.inf or not self._idle or len(self._short) >= _HOSTS_A_LEASE:
            return
        if self._timer:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().call_later(max(0.0, at - self._clock()), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake()


def _turn(lease: Lease) -> tuple[int, int]:
    """The frontier's order of the requests of one host."""
    return -lease.priority, lease.id


def _merged(ready: list[Lease], given: list[Lease]) -> list[Lease]:
    """The leases that are ready, the next one last, with those newly given merged in. Nearly always the new ones come after."""
    if ready and _turn(given[0]) < _turn(ready[0]):
        return sorted((*ready, *given), key=_turn, reverse=True)
    return [*reversed(given), *ready]


def _by_host(hosts: Iterable[HostKey], leases: Iterable[Lease]) -> dict[HostKey, list[Lease]]:
    """The leases of each of `hosts`."""
    by_host: dict[HostKey, list[Lease]] = {host: [] for host in hosts}
    for lease in leases:
        by_host[lease.host].append(lease)
    return by_host
