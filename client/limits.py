"""Which hosts may be requested now: slots per host, spacing between request starts, and pauses until an instant.

One `HostLimits` object owns all limits of a host. The connector enforces them; code that plans requests (a scheduler) calls
`ready_at` instead of counting itself.

The rules for each host:

* at most `limit_per_host` slots are in use at once, and at most `limit` over all hosts;
* a start is the instant at which a request's bytes are handed to the transport. Two starts are at least `spacing` seconds
  apart, so while a slot is taken but its request has not started (it may still be connecting), no other slot is given;
* before the instant set by `hold_until`, no slot is given.

Hosts that are known to be at one address (`place`) also share its limits: `limit_per_address` slots, and starts at least
`address_spacing` seconds apart. A host that only its address keeps waiting is turned away, and notified when its turn comes. If
it has waiters, no other host at the address goes first then.

Within a host, waiters are served in order of arrival; hosts are served in the order in which they became ready. A heap holds
the hosts with waiters by that instant, and one timer sleeps until the first: a step costs O(log n) and touches no other host.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections import OrderedDict
from itertools import count
from typing import TYPE_CHECKING, Any

from client.address_limits import Addresses
from client.gate import Gate
from client.origin import origin_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.address_limits import AddressLimits
    from client.origin import HostKey, Origin

_SWEEP_FLOOR = 16_384
"""Idle gates are dropped when the number of gates has doubled, but not below this number."""


class Slot:
    """The permission to make one request to a host, from `acquire` until `release`. Creating one counts it."""

    __slots__ = ("_gate", "_limits", "_released", "is_starting")

    def __init__(self, limits: HostLimits, gate: Gate) -> None:
        self._limits = limits
        self._gate = gate
        self._released = False
        limits._active += 1
        gate.active += 1
        gate.starting = gate.spacing > 0.0
        if gate.address:
            gate.starting = gate.starting or gate.address.spacing > 0.0
            gate.address.enter(1, 1)
        self.is_starting = gate.starting
        """Whether others have to wait until its request has started; False if there is no spacing."""

    @property
    def host(self) -> HostKey:
        return self._gate.key

    @property
    def limit_per_host(self) -> int:
        """How many slots of the host may be in use at once; 0: any number."""
        return self._gate.limit

    def started(self) -> None:
        """Report that the request's bytes are being sent: spacing counts from this instant."""
        if self.is_starting:
            self.is_starting = False
            self._limits._started(self._gate)

    def release(self) -> None:
        """Give the slot back. Further calls do nothing."""
        if self._released:
            return
        self._released = True
        limits, gate = self._limits, self._gate
        was_shut = gate.starting or (gate.limit and gate.active >= gate.limit)
        if self.is_starting:  # a failed start counts too: it may have reached the host
            self.is_starting = False
            limits._count_start(gate)
        gate.active -= 1
        limits._active -= 1
        if gate.address:
            gate.address.leave(1, 0)
        if was_shut or gate.waiters or limits._listed or gate.address:
            limits._changed(gate, math.inf if was_shut else 0.0)


class HostLimits:
    """The limits of all hosts, and the queues of those who wait for slots.

    `limit`, `limit_per_host` and `limit_per_address` are numbers of slots (0: no limit); `spacing` and `address_spacing` are in
    seconds. `host_of` maps origins to the hosts whose limits they share; by default each origin is a host. Instants are
    those of `clock`, by default `time.monotonic`. Raises ValueError for negative or infinite values.
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
        self._limit = limit
        self.limit_per_host = limit_per_host
        self.spacing = spacing
        self.host_of = host_of
        self.on_ready: Callable[[Any], object] | None = None
        """Called with a host (its watcher, or else its key) when its `ready_at` is no longer infinite, or becomes earlier. If it
        returns False, the host makes no request, and another one at the address is notified. To say so later, call `decline`."""
        self._clock = clock
        self._active = 0
        self._gates: dict[HostKey, Gate] = {}
        self._addresses: Addresses[Gate] = Addresses(limit=limit_per_address, spacing=address_spacing, clock=clock)
        self._sweep_at = _SWEEP_FLOOR
        self._listed: list[tuple[float, int, Gate]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None
        self._closed: Exception | None = None

    @property
    def limit(self) -> int:
        """How many slots may be in use over all hosts; 0: any number. It may be changed: those who wait notice it."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        if self._listed:
            self._serve()

    @property
    def active(self) -> int:
        """How many slots are in use, over all hosts."""
        return self._active

    def active_of(self, host: HostKey) -> int:
        """How many slots of this host are in use."""
        gate = self._gates.get(host)
        return gate.active if gate else 0

    def room_of(self, host: HostKey) -> float:
        """How many more slots the limits allow this host at once, whatever the spacing; infinity if there is no limit."""
        gate = self._gates.get(host)
        limit, active = (gate.limit, gate.active) if gate else (self.limit_per_host, 0)
        room = limit - active if limit else math.inf
        if gate and gate.address:
            room = min(room, gate.address.room)
        return min(room, self._limit - self._active) if self._limit else room

    def ready_at(self, host: HostKey) -> float:
        """The earliest instant at which the limits of the host and of its address allow a start: 0.0 or in the past if one is
        allowed now, infinity while that depends on a slot in use (`on_ready` is called when this changes). The limit over all
        hosts does not count here.
        """
        gate = self._gates.get(host)
        return gate.ready_at() if gate else 0.0

    def decline(self, host: HostKey) -> None:
        """Say that the host that `on_ready` was called with makes no request: another one at its address may."""
        gate = self._gates.get(host)
        if gate and gate.address:
            self._share_out(gate.address)

    def watch(self, host: HostKey, watcher: object) -> Gate:
        """Return a host's gate, for queries without a look-up by name. Until `unwatch`, `on_ready` is called with `watcher`."""
        gate = self._gate(host)
        gate.watcher = watcher
        return gate

    def unwatch(self, gate: Gate) -> None:
        """Undo `watch`; the host makes no request."""
        gate.watcher = None
        if gate.address:
            self._share_out(gate.address)

    def is_placed(self, host: HostKey) -> bool:
        """Whether `place` was called for the host. Idle hosts are forgotten in time."""
        gate = self._gates.get(host)
        return gate is not None and gate.is_placed

    def place(self, host: HostKey, address: str | None) -> None:
        """Set the address of a host; None means one without limits. From now on, slots in use count at that address."""
        gate = self._gate(host)
        gate.is_placed = True
        former, gate.address = gate.address, self._addresses.at(address)
        if former is gate.address:
            return
        if gate.address:
            gate.address.enter(gate.active, gate.starting)
        if former:
            if former.turned_away:
                former.turned_away.pop(gate, None)
            if former.due is gate:
                former.due = None
            former.leave(gate.active, gate.starting)
            self._share_out(former)
            self._changed(gate, math.inf)  # it no longer waits for its turn at the former address

    def configure(self, host: HostKey, *, limit_per_host: int | None = None, spacing: float | None = None) -> None:
        """Set the limits of one host, from the next slot on; None leaves a limit unchanged."""
        gate = self._gate(host)
        before = gate.own_ready_at()
        if limit_per_host is not None:
            gate.limit = limit_per_host
        if spacing is not None:
            if gate.next_at:
                gate.next_at += spacing - gate.spacing
            gate.spacing = spacing
        self._changed(gate, before)

    def hold_until(self, host: HostKey, instant: float) -> None:
        """Allow the host no start before `instant`. If there is such an instant already, the later one counts."""
        gate = self._gate(host)
        gate.held_until = max(gate.held_until, instant)

    def unhold(self, host: HostKey) -> None:
        """Undo `hold_until`."""
        if gate := self._gates.get(host):
            gate.held_until = 0.0
            self._changed(gate, math.inf)

    def acquire_nowait(self, host: HostKey) -> Slot | None:
        """Return a slot if a start is allowed now and nobody else waits for one; else None."""
        if self._closed:
            raise self._closed
        if self._limit and self._active >= self._limit:
            return None
        gate = self._gates.get(host) or self._gate(host)
        if gate.waiters or gate.starting or (gate.limit and gate.active >= gate.limit):
            return None
        at = gate.next_at if gate.next_at > gate.held_until else gate.held_until
        if gate.address:
            if gate.address.due is not None:
                return None
            at = max(at, gate.address.ready_at())
        if at and at > self._clock():
            return None
        return Slot(self, gate)

    async def acquire(self, host: HostKey) -> Slot:
        """Return a slot as soon as the limits allow it. If it is cancelled, no slot stays in use."""
        if slot := self.acquire_nowait(host):
            return slot
        gate = self._gate(host)
        waiter: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        waiters = gate.waiters = gate.waiters or OrderedDict()  # a dict is slow at removing its first item repeatedly
        waiters[waiter] = None
        self._enlist(gate)
        self._arm()
        try:
            return await waiter
        except BaseException:  # the task was cancelled, the coroutine closed, or the limits were
            waiters.pop(waiter, None)
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().release()
            raise

    def close(self, error: Exception) -> None:
        """Raise `error` in all who wait for a slot, and for every slot asked for from now on."""
        self._closed = error
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._listed.clear()
        for gate in self._gates.values():
            for waiter in gate.waiters or ():
                if not waiter.done():
                    waiter.set_exception(error)
            gate.waiters = None

    def _gate(self, host: HostKey) -> Gate:
        gate = self._gates.get(host)
        if gate is None:
            if len(self._gates) >= self._sweep_at:
                self._sweep()
            gate = self._gates[host] = Gate(host, self.limit_per_host, self.spacing)
        return gate

    def _sweep(self) -> None:
        now = self._clock()
        self._gates = {
            key: gate for key, gate in self._gates.items() if self._has_own_rules(gate) or not gate.is_idle(now)
        }
        self._addresses.keep({gate.address for gate in self._gates.values()}, now)
        self._sweep_at = max(_SWEEP_FLOOR, 2 * len(self._gates))

    def _has_own_rules(self, gate: Gate) -> bool:
        return gate.limit != self.limit_per_host or gate.spacing != self.spacing

    def _started(self, gate: Gate) -> None:
        self._count_start(gate)
        self._changed(gate, math.inf)

    def _count_start(self, gate: Gate) -> None:
        now = self._clock()
        gate.starting = False
        gate.next_at = now + gate.spacing
        if gate.address:
            gate.address.started(now)

    def _changed(self, gate: Gate, before: float) -> None:
        if gate.address:
            self._pass_on(gate.address)  # hosts that were turned away go first
        if before == math.inf and self.on_ready and gate.ready_at() < math.inf:
            self.on_ready(gate.watcher or gate.key)
        if gate.waiters:
            self._enlist(gate)
        if self._listed:
            self._serve()

    def _share_out(self, shared: AddressLimits[Gate]) -> None:
        """If there is room at an address, notify the hosts that were turned away, and serve those who wait."""
        self._pass_on(shared)
        if self._listed:
            self._serve()

    def _pass_on(self, shared: AddressLimits[Gate]) -> None:
        """If there is room at an address, notify the hosts that were turned away, until one of them can use it."""
        while shared.turned_away and shared.due is None and shared.ready_at() < math.inf:
            gate, _ = shared.turned_away.popitem(last=False)
            if gate.waiters:
                self._enlist(gate)
                if gate.own_ready_at() <= self._clock():
                    shared.due = gate
            elif self.on_ready:
                is_wanted = self.on_ready(gate.watcher or gate.key) is not False
                if is_wanted and gate.own_ready_at() <= self._clock():
                    return

    def _enlist(self, gate: Gate) -> None:
        """List a host with waiters under the instant at which it becomes ready, unless it is listed under an earlier one."""
        if not gate.waiters:
            return
        at = max(gate.ready_at(), self._clock())
        if at < gate.listed_at:
            gate.listed_at = at
            heapq.heappush(self._listed, (at, next(self._order), gate))

    def _serve(self) -> None:
        """Give slots to the waiters of hosts that are ready, as far as the limit over all hosts allows."""
        now = self._clock()
        while self._listed and self._listed[0][0] <= now and not (self._limit and self._active >= self._limit):
            at, _, gate = heapq.heappop(self._listed)
            if at != gate.listed_at:
                continue  # it was listed again under an earlier instant, and must not have two turns
            gate.listed_at = math.inf
            if gate.address and gate.address.due is gate:
                gate.address.due = None
            if gate.ready_at() <= now:
                self._grant(gate)
            if gate.address:
                self._pass_on(gate.address)
                if self.on_ready and not gate.waiters and gate.ready_at() < math.inf:
                    self.on_ready(gate.watcher or gate.key)  # only those who waited were told of its turn
            self._enlist(gate)
        self._arm()

    def _grant(self, gate: Gate) -> None:
        while gate.waiters:
            waiter, _ = gate.waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(Slot(self, gate))
                return

    def _arm(self) -> None:
        """Set the timer for the first listed host; while the limit over all hosts is reached, the next release serves it."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._listed and not (self._limit and self._active >= self._limit):
            delay = max(0.0, self._listed[0][0] - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._serve)
