"""Who may be asked now: slots per host, spacing between request starts, hold-until.

One `HostLimits` object owns every limit a host has; the connector enforces it, and whoever plans requests (a scheduler)
asks it with `ready_at` instead of keeping a count of its own.

The rules, for each host:

* at most `limit_per_host` slots are out at once, and at most `limit` over all hosts;
* a start is the instant at which a request's bytes are handed to the transport. Two starts are at least `spacing` seconds
  apart, so while a slot has been taken but its request has not started (it may still be connecting), no other is given;
* before the instant set by `hold_until`, none is given.

Waiters are served first come, first served within a host; hosts in the order in which they became ready. A heap holds the
hosts that have waiters by the instant they become ready, and one timer sleeps until the first: a step costs O(log n) in
the number of waiting hosts and never touches the others.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from itertools import count
from typing import TYPE_CHECKING

from client.origin import HostKey, Origin

if TYPE_CHECKING:
    from collections.abc import Callable

_SWEEP_FLOOR = 4096
"""Host records are swept for idle ones when their number doubles, but not below this many."""


def origin_key(origin: Origin) -> HostKey:
    """Every origin is a host of its own: the (host, port, is_ssl) of the client reference."""
    return HostKey(f"{origin.scheme}://{origin.host}:{origin.port}")


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
            self._limits._released(self._host, started=self._started)
            self._started = True


class _Host:
    """What is known of one host; changed by `HostLimits` alone."""

    __slots__ = (
        "active",
        "held_until",
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
        self.listed_at = math.inf
        self.waiters: dict[asyncio.Future[Slot], None] = {}

    def ready_at(self) -> float:
        if self.starting or (self.limit and self.active >= self.limit):
            return math.inf
        return max(self.next_at, self.held_until)

    def is_idle(self, now: float) -> bool:
        return not (self.active or self.waiters or self.own_rules) and self.ready_at() <= now


class HostLimits:
    """The limits of every host, and the queue of those who wait for them.

    `limit` and `limit_per_host` count slots (0: no limit); `spacing` is in seconds. `host_of` says which origins share one
    host's limits; by default none do. Instants are those of `clock`, by default `time.monotonic`.
    """

    def __init__(
        self,
        *,
        limit: int = 100,
        limit_per_host: int = 0,
        spacing: float = 0.0,
        host_of: Callable[[Origin], HostKey] = origin_key,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if limit < 0 or limit_per_host < 0 or not 0.0 <= spacing < math.inf:
            raise ValueError(f"limits must not be negative: {limit=}, {limit_per_host=}, {spacing=}")
        self.limit = limit
        self.limit_per_host = limit_per_host
        self.spacing = spacing
        self.host_of = host_of
        self.on_ready: Callable[[HostKey], None] | None = None
        """Called when a host that could not be asked at any known instant (`ready_at` was infinite) now has one."""
        self._clock = clock
        self._active = 0
        self._hosts: dict[HostKey, _Host] = {}
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
        own = limit - active if limit else math.inf
        return min(own, self.limit - self._active) if self.limit else own

    def ready_at(self, host: HostKey) -> float:
        """The first instant at which the host's own rules allow a start: 0.0 if it may be asked at once, infinity while
        that depends on a slot that is out (`on_ready` tells when this changes). The limit over all hosts is not counted.
        """
        record = self._hosts.get(host)
        return record.ready_at() if record else 0.0

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
            self._enlist(record)
            self._serve()

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
        self._sweep_at = max(_SWEEP_FLOOR, 2 * len(self._hosts))

    def _take(self, record: _Host) -> Slot:
        record.active += 1
        record.starting = record.spacing > 0.0
        self._active += 1
        return Slot(self, record)

    def _started(self, record: _Host) -> None:
        record.starting = False
        record.next_at = self._clock() + record.spacing
        self._changed(record, math.inf)

    def _released(self, record: _Host, *, started: bool) -> None:
        was_shut = record.starting or (record.limit and record.active >= record.limit)
        if not started and record.starting:  # a start that failed has still knocked at the host's door
            record.starting = False
            record.next_at = self._clock() + record.spacing
        record.active -= 1
        self._active -= 1
        if was_shut or record.waiters or self._listed:
            self._changed(record, math.inf if was_shut else 0.0)

    def _changed(self, record: _Host, before: float) -> None:
        if before == math.inf and self.on_ready and record.ready_at() < math.inf:
            self.on_ready(record.key)
        if record.waiters:
            self._enlist(record)
        if self._listed:
            self._serve()

    def _enlist(self, record: _Host) -> None:
        """List a host that has waiters under the instant it becomes ready, unless it is listed for sooner."""
        at = record.ready_at()
        if not record.waiters or at == math.inf:
            return
        at = max(at, self._clock())
        if at < record.listed_at:
            record.listed_at = at
            heapq.heappush(self._listed, (at, next(self._order), record))

    def _serve(self) -> None:
        """Give slots to the waiters of hosts that are ready, as far as the limit over all hosts goes."""
        now = self._clock()
        while self._listed and self._listed[0][0] <= now and not (self.limit and self._active >= self.limit):
            record = heapq.heappop(self._listed)[2]
            record.listed_at = math.inf
            if record.ready_at() <= now:
                self._grant(record)
            self._enlist(record)
        self._arm()

    def _grant(self, record: _Host) -> None:
        while record.waiters:
            waiter = next(iter(record.waiters))
            del record.waiters[waiter]
            if not waiter.done():
                waiter.set_result(self._take(record))
                return

    def _arm(self) -> None:
        """Sleep until the first listed host is ready; while the overall limit is reached, a release is what wakes us."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._listed and not (self.limit and self._active >= self.limit):
            delay = max(0.0, self._listed[0][0] - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._serve)
