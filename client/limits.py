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
"""Gates are swept for idle ones when their number doubles, but not below this many."""


class Slot:
    """The permission to make one request to a host, from `acquire` until `release`. Made, it is counted."""

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
        """Whether others wait until this one's request has started: not where there is no spacing."""

    @property
    def host(self) -> HostKey:
        return self._gate.key

    @property
    def limit_per_host(self) -> int:
        """How many slots the host may have out at once; 0: any number."""
        return self._gate.limit

    def started(self) -> None:
        """Say that the request's bytes now go out: spacing counts from this instant."""
        if self.is_starting:
            self.is_starting = False
            self._limits._started(self._gate)

    def release(self) -> None:
        """Give the slot back; once is enough, more does no harm."""
        if self._released:
            return
        self._released = True
        limits, gate = self._limits, self._gate
        was_shut = gate.starting or (gate.limit and gate.active >= gate.limit)
        if self.is_starting:  # a start that failed has still knocked at the host's door
            self.is_starting = False
            limits._count_start(gate)
        gate.active -= 1
        limits._active -= 1
        if gate.address:
            gate.address.leave(1, 0)
        if was_shut or gate.waiters or limits._listed or gate.address:
            limits._changed(gate, math.inf if was_shut else 0.0)


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
        self.on_ready: Callable[[Any], object] | None = None
        """Called with a host, its key or who watches it, that had no known instant (`ready_at` was infinite) and has one, or has
        an earlier one. If it returns False, there was no use for it, and another host at the address is told. Who finds out
        later calls `decline`."""
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
    def active(self) -> int:
        """How many slots are out, over all hosts."""
        return self._active

    def active_of(self, host: HostKey) -> int:
        """How many slots of this host are out."""
        gate = self._gates.get(host)
        return gate.active if gate else 0

    def room_of(self, host: HostKey) -> float:
        """How many more slots this host may have at once, time aside; infinity where nothing limits them."""
        gate = self._gates.get(host)
        limit, active = (gate.limit, gate.active) if gate else (self.limit_per_host, 0)
        room = limit - active if limit else math.inf
        if gate and gate.address:
            room = min(room, gate.address.room)
        return min(room, self.limit - self._active) if self.limit else room

    def ready_at(self, host: HostKey) -> float:
        """The first instant at which the rules of the host and of its address allow a start: 0.0 if it may be asked at
        once, infinity while that depends on a slot that is out (`on_ready` tells when this changes). The limit over all
        hosts is not counted.
        """
        gate = self._gates.get(host)
        return gate.ready_at() if gate else 0.0

    def decline(self, host: HostKey) -> None:
        """Say that the host, told by `on_ready`, has nothing to ask after all: another one at its address may."""
        gate = self._gates.get(host)
        if gate and gate.address:
            self._pass_on(gate.address)

    def watch(self, host: HostKey, watcher: object) -> Gate:
        """The gate of a host, to be asked without looking it up by name, until `unwatch`; `on_ready` is called with `watcher`."""
        gate = self._gate(host)
        gate.watcher = watcher
        return gate

    def unwatch(self, gate: Gate) -> None:
        """The opposite of `watch`: whoever watched has nothing to ask."""
        gate.watcher = None
        if gate.address:
            self._pass_on(gate.address)

    def is_placed(self, host: HostKey) -> bool:
        """Whether `place` has said where the host is. Hosts long unused are forgotten."""
        gate = self._gates.get(host)
        return gate is not None and gate.is_placed

    def place(self, host: HostKey, address: str | None) -> None:
        """Say at which address a host is; None: at one that needs no limits. Slots that are out count there from now on."""
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
            former.leave(gate.active, gate.starting)
            self._pass_on(former)

    def configure(self, host: HostKey, *, limit_per_host: int | None = None, spacing: float | None = None) -> None:
        """Give one host rules of its own, in force from the next slot on; None leaves a rule as it is."""
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
        """Ask the host nothing before `instant`; a later one replaces an earlier one, never the other way round."""
        gate = self._gate(host)
        gate.held_until = max(gate.held_until, instant)

    def unhold(self, host: HostKey) -> None:
        """Lift what `hold_until` set."""
        if gate := self._gates.get(host):
            gate.held_until = 0.0
            self._changed(gate, math.inf)

    def acquire_nowait(self, host: HostKey) -> Slot | None:
        """A slot, if the host may be asked at once and nobody waits before us; else None."""
        if self._closed:
            raise self._closed
        if self.limit and self._active >= self.limit:
            return None
        gate = self._gates.get(host) or self._gate(host)
        if gate.waiters or gate.starting or (gate.limit and gate.active >= gate.limit):
            return None
        at = gate.next_at if gate.next_at > gate.held_until else gate.held_until
        if gate.address:
            at = max(at, gate.address.ready_at())
        if at and at > self._clock():
            return None
        return Slot(self, gate)

    async def acquire(self, host: HostKey) -> Slot:
        """A slot, as soon as the rules allow; cancelled while it waits, it leaves nothing taken."""
        if slot := self.acquire_nowait(host):
            return slot
        gate = self._gate(host)
        waiter: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        waiters = gate.waiters = gate.waiters or OrderedDict()  # a dict takes ever longer to find the first of
        waiters[waiter] = None
        self._enlist(gate)
        self._arm()
        try:
            return await waiter
        except BaseException:  # cancelled, closed by whoever runs it, or the limits are
            waiters.pop(waiter, None)
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
            self._pass_on(gate.address)  # those who were turned away go first
        if before == math.inf and self.on_ready and gate.ready_at() < math.inf:
            self.on_ready(gate.watcher or gate.key)
        if gate.waiters:
            self._enlist(gate)
        if self._listed:
            self._serve()

    def _pass_on(self, shared: AddressLimits[Gate]) -> None:
        """Tell the first of those turned away who has a use for it that there is room at the address, if there is."""
        while shared.turned_away and shared.ready_at() < math.inf:
            gate, _ = shared.turned_away.popitem(last=False)
            is_wanted = bool(gate.waiters)
            if is_wanted:
                self._enlist(gate)
            elif self.on_ready:
                is_wanted = self.on_ready(gate.watcher or gate.key) is not False
            if is_wanted and gate.own_ready_at() <= self._clock():
                return

    def _enlist(self, gate: Gate) -> None:
        """List a host that has waiters under the instant it becomes ready, unless it is listed for sooner."""
        if not gate.waiters:
            return
        at = max(gate.ready_at(), self._clock())
        if at < gate.listed_at:
            gate.listed_at = at
            heapq.heappush(self._listed, (at, next(self._order), gate))

    def _serve(self) -> None:
        """Give slots to the waiters of hosts that are ready, as far as the limit over all hosts goes."""
        now = self._clock()
        while self._listed and self._listed[0][0] <= now and not (self.limit and self._active >= self.limit):
            gate = heapq.heappop(self._listed)[2]
            gate.listed_at = math.inf
            is_served = gate.ready_at() <= now and self._grant(gate)
            if gate.address and not is_served:
                self._pass_on(gate.address)
            self._enlist(gate)
        self._arm()

    def _grant(self, gate: Gate) -> bool:
        while gate.waiters:
            waiter, _ = gate.waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(Slot(self, gate))
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
