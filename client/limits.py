"""Who may be asked now: slots per host, spacing between request starts, hold-until.

One `HostLimits` object owns every limit a host has; the connector enforces it, and whoever plans requests (a scheduler)
asks it with `ready_at` instead of keeping a count of its own.

The rules, for each host:

* at most `limit_per_host` slots are out at once, and at most `limit` over all hosts;
* a start is the instant at which a request's bytes are handed to the transport. Two starts are at least `spacing` seconds
  apart, so while a slot has been taken but its request has not started (it may still be connecting), no other is given;
* before the instant set by `hold_until`, none is given.

Hosts that are known to be at one address (`place`) share its limits as well: `limit_per_address` slots, and starts at least
`address_spacing` seconds apart. A host that would be ready but for its address is turned away, and told when its turn comes.

Waiters are served in their order within a host, hosts in the order in which they became ready. A heap holds the hosts that
have waiters by that instant, one timer sleeps until the first: a step costs O(log n) and never touches the others.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from itertools import count
from typing import TYPE_CHECKING

from client.address_limits import Addresses
from client.origin import origin_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.address_limits import AddressLimits
    from client.origin import HostKey, Origin

_SWEEP_FLOOR = 16_384
"""Host records are swept for idle ones when their number doubles, but not below this many."""


class Slot:
    """The permission to make one request to a host, from `acquire` until `release`."""

    __slots__ = ("_host", "_limits", "_released", "_started")

    def __init__(self, limits: HostLimits, host: _Host) -> None:
        self._limits = limits
        self._host = host
        self._started = False
        self._released = False

    @property
    def host(self) -> HostKey:
        return self._host.key

    @property
    def limit_per_host(self) -> int:
        """How many slots the host may have out at once; 0: any number."""
        return self._host.limit

    @property
    def is_starting(self) -> bool:
        """Whether others wait until this one's request has started: not where there is no spacing."""
        return self._host.starting and not self._started

    def started(self) -> None:
        """Say that the request's bytes now go out: spacing counts from this instant."""
        if not self._started:
            self._started = True
            if self._host.starting:
                self._limits._started(self._host)

    def release(self) -> None:
        """Give the slot back; once is enough, more does no harm."""
        if not self._released:
            self._released = True
            self._limits._released(self._host, self._started)
            self._started = True


class _Host:
    """What is known of one host; changed by `HostLimits` alone."""

    __slots__ = (
        "active",
        "address",
        "held_until",
        "is_placed",
        "key",
        "limit",
        "listed_at",
        "next_at",
        "own_rules",
        "spacing",
        "starting",
        "waiters",
    )

    def __init__(self, key: HostKey, limit: int, spacing: float) -> None:
        self.key = key
        self.limit = limit
        self.spacing = spacing
        self.active = 0
        self.starting = False
        self.next_at = 0.0
        self.held_until = 0.0
        self.own_rules = False
        self.address: AddressLimits[_Host] | None = None
        self.is_placed = False
        self.listed_at = math.inf
        self.waiters: dict[asyncio.Future[Slot], None] = {}

    def ready_at(self) -> float:
        """By its own rules, whatever its address says."""
        if self.starting or (self.limit and self.active >= self.limit):
            return math.inf
        return max(self.next_at, self.held_until)

    def is_idle(self, now: float) -> bool:
        return not (self.active or self.waiters or self.own_rules) and self.ready_at() <= now


class HostLimits:
    """The limits of every host, and the queue of those who wait for them.

    `limit`, `limit_per_host` and `limit_per_address` count slots (0: no limit); `spacing` and `address_spacing` are in
    seconds. `host_of` says which origins share one host's limits; by default none do. Instants are those of `clock`, by
    default `time.monotonic`.
    """

    def __init__(
        self,
        *,
        limit: int = 100,
        limit_per_host: int = 0,
        spacing: float = 0.0,
        limit_per_address: int = 0,
        address_spacing: float = 0.0,
        host_of: Callable[[Origin], HostKey] = origin_key,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if min(limit, limit_per_host, limit_per_address) < 0:
            raise ValueError(f"limits must not be negative: {limit=}, {limit_per_host=}, {limit_per_address=}")
        if not (0.0 <= spacing < math.inf and 0.0 <= address_spacing < math.inf):
            raise ValueError(f"spacing must not be negative, nor infinite: {spacing=}, {address_spacing=}")
        self.limit = limit
        self.limit_per_host = limit_per_host
        self.spacing = spacing
        self.host_of = host_of
        self.on_ready: Callable[[HostKey], object] | None = None
        """Called when a host that had no known instant (`ready_at` was infinite) has one, or has an earlier one. If it returns
        False, there was no use for it, and another host at the address is told. Who finds out later calls `decline`."""
        self._clock = clock
        self._active = 0
        self._hosts: dict[HostKey, _Host] = {}
        self._addresses: Addresses[_Host] = Addresses(limit=limit_per_address, spacing=address_spacing)
        self._sweep_at = _SWEEP_FLOOR
        self._listed: list[tuple[float, int, _Host]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None
        self._closed: Exception | None = None

    @property
    def active(self) -> int:
        """How many slots are out, over all hosts."""
        return self._active

    def active_of(self, host: HostKey) -> int:
        """How many slots of this host are out."""
        record = self._hosts.get(host)
        return record.active if record else 0

    def room_of(self, host: HostKey) -> float:
        """How many more slots this host may have at once, time aside; infinity where nothing limits them."""
        record = self._hosts.get(host)
        limit, active = (record.limit, record.active) if record else (self.limit_per_host, 0)
        room = limit - active if limit else math.inf
        if record and record.address:
            room = min(room, record.address.room)
        return min(room, self.limit - self._active) if self.limit else room

    def ready_at(self, host: HostKey) -> float:
        """The first instant at which the rules of the host and of its address allow a start: 0.0 if it may be asked at
        once, infinity while that depends on a slot that is out (`on_ready` tells when this changes). The limit over all
        hosts is not counted.
        """
        record = self._hosts.get(host)
        return self._ready_at(record) if record else 0.0

    def decline(self, host: HostKey) -> None:
        """Say that the host, told by `on_ready`, has nothing to ask after all: another one at its address may."""
        record = self._hosts.get(host)
        if record and record.address:
            self._pass_on(record.address)

    def is_placed(self, host: HostKey) -> bool:
        """Whether `place` has said where the host is. Hosts long unused are forgotten."""
        record = self._hosts.get(host)
        return record is not None and record.is_placed

    def place(self, host: HostKey, address: str | None) -> None:
        """Say at which address a host is; None: at one that needs no limits. Slots that are out count there from now on."""
        record = self._record(host)
        record.is_placed = True
        former, record.address = record.address, self._addresses.at(address)
        if former is record.address:
            return
        if record.address:
            record.address.enter(record.active, record.starting)
        if former:
            former.turned_away.pop(record, None)
            former.leave(record.active, record.starting)
            self._pass_on(former)

    def configure(self, host: HostKey, *, limit_per_host: int | None = None, spacing: float | None = None) -> None:
        """Give one host rules of its own, in force from the next slot on; None leaves a rule as it is."""
        record = self._record(host)
        before = record.ready_at()
        if limit_per_host is not None:
            record.limit = limit_per_host
        if spacing is not None:
            if record.next_at:
                record.next_at += spacing - record.spacing
            record.spacing = spacing
        record.own_rules = (record.limit, record.spacing) != (self.limit_per_host, self.spacing)
        self._changed(record, before)

    def hold_until(self, host: HostKey, instant: float) -> None:
        """Ask the host nothing before `instant`; a later one replaces an earlier one, never the other way round."""
        record = self._record(host)
        record.held_until = max(record.held_until, instant)

    def unhold(self, host: HostKey) -> None:
        """Lift what `hold_until` set."""
        if record := self._hosts.get(host):
            record.held_until = 0.0
            self._changed(record, math.inf)

    def acquire_nowait(self, host: HostKey) -> Slot | None:
        """A slot, if the host may be asked at once and nobody waits before us; else None."""
        if self._closed:
            raise self._closed
        if self.limit and self._active >= self.limit:
            return None
        record = self._hosts.get(host) or self._record(host)
        if record.waiters or record.starting or (record.limit and record.active >= record.limit):
            return None
        at = max(record.next_at, record.held_until)
        if record.address:
            at = max(at, record.address.ready_at())
        if at and at > self._clock():
            return None
        return self._take(record)

    async def acquire(self, host: HostKey) -> Slot:
        """A slot, as soon as the rules allow; cancelled while it waits, it leaves nothing taken."""
        if slot := self.acquire_nowait(host):
            return slot
        record = self._record(host)
        waiter: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        record.waiters[waiter] = None
        self._enlist(record)
        self._arm()
        try:
            return await waiter
        except asyncio.CancelledError:
            record.waiters.pop(waiter, None)
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().release()
            raise

    def close(self, error: Exception) -> None:
        """Fail all who wait, and all who ask from now on, with `error`."""
        self._closed = error
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._listed.clear()
        for record in self._hosts.values():
            for waiter in record.waiters:
                if not waiter.done():
                    waiter.set_exception(error)
            record.waiters.clear()

    def _record(self, host: HostKey) -> _Host:
        record = self._hosts.get(host)
        if record is None:
            if len(self._hosts) >= self._sweep_at:
                self._sweep()
            record = self._hosts[host] = _Host(host, self.limit_per_host, self.spacing)
        return record

    def _sweep(self) -> None:
        now = self._clock()
        self._hosts = {key: record for key, record in self._hosts.items() if not record.is_idle(now)}
        self._addresses.keep({record.address for record in self._hosts.values()}, now)
        self._sweep_at = max(_SWEEP_FLOOR, 2 * len(self._hosts))

    def _take(self, record: _Host) -> Slot:
        record.active += 1
        record.starting = record.spacing > 0.0
        self._active += 1
        if record.address:
            record.starting = record.starting or record.address.spacing > 0.0
            record.address.enter(1, 1)
        return Slot(self, record)

    def _started(self, record: _Host) -> None:
        self._count_start(record)
        self._changed(record, math.inf)

    def _released(self, record: _Host, has_started: bool) -> None:
        was_shut = record.starting or (record.limit and record.active >= record.limit)
        if not has_started and record.starting:  # a start that failed has still knocked at the host's door
            self._count_start(record)
        record.active -= 1
        self._active -= 1
        if record.address:
            record.address.leave(1, 0)
        if was_shut or record.waiters or self._listed or record.address:
            self._changed(record, math.inf if was_shut else 0.0)

    def _count_start(self, record: _Host) -> None:
        now = self._clock()
        record.starting = False
        record.next_at = now + record.spacing
        if record.address:
            record.address.started(now)

    def _ready_at(self, record: _Host) -> float:
        """By the rules of the host and of its address; a host for which there is no room there is listed for its turn."""
        at = record.ready_at()
        shared = record.address
        if shared is None or at == math.inf:
            return at
        shared_at = shared.ready_at()
        if shared_at == math.inf:
            if at > self._clock():
                return at  # the host is not ready by itself; when it is, the address is asked again
            shared.turned_away[record] = None
        return max(at, shared_at)

    def _changed(self, record: _Host, before: float) -> None:
        if record.address:
            self._pass_on(record.address)  # those who were turned away go first
        if before == math.inf and self.on_ready and self._ready_at(record) < math.inf:
            self.on_ready(record.key)
        if record.waiters:
            self._enlist(record)
        if self._listed:
            self._serve()

    def _pass_on(self, shared: AddressLimits[_Host]) -> None:
        """Tell the first of those turned away who has a use for it that there is room at the address, if there is."""
        while shared.turned_away and shared.ready_at() < math.inf:
            record = next(iter(shared.turned_away))
            del shared.turned_away[record]
            is_wanted = bool(record.waiters)
            if is_wanted:
                self._enlist(record)
            elif self.on_ready:
                is_wanted = self.on_ready(record.key) is not False
            if is_wanted and record.ready_at() <= self._clock():
                return

    def _enlist(self, record: _Host) -> None:
        """List a host that has waiters under the instant it becomes ready, unless it is listed for sooner."""
        if not record.waiters:
            return
        at = max(self._ready_at(record), self._clock())
        if at < record.listed_at:
            record.listed_at = at
            heapq.heappush(self._listed, (at, next(self._order), record))

    def _serve(self) -> None:
        """Give slots to the waiters of hosts that are ready, as far as the limit over all hosts goes."""
        now = self._clock()
        while self._listed and self._listed[0][0] <= now and not (self.limit and self._active >= self.limit):
            record = heapq.heappop(self._listed)[2]
            record.listed_at = math.inf
            is_served = self._ready_at(record) <= now and self._grant(record)
            if record.address and not is_served:
                self._pass_on(record.address)
            self._enlist(record)
        self._arm()

    def _grant(self, record: _Host) -> bool:
        while record.waiters:
            waiter = next(iter(record.waiters))
            del record.waiters[waiter]
            if not waiter.done():
                waiter.set_result(self._take(record))
                return True
        return False

    def _arm(self) -> None:
        """Sleep until the first listed host is ready; while the overall limit is reached, a release is what wakes us."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._listed and not (self.limit and self._active >= self.limit):
            delay = max(0.0, self._listed[0][0] - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._serve)
