"""Slots and spacing shared by all hosts at one address, in addition to each host's own.

One server may have a thousand names; limits for each name would not protect the server. `HostLimits` keeps one
`AddressLimits` for each address that `HostLimits.place` has named.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

H = TypeVar("H")


class AddressLimits(Generic[H]):
    """The limits of one address: at most `limit` slots at once (0: any number), starts at least `spacing` seconds apart.

    `turned_away` lists, in order of arrival, the hosts that only the address keeps waiting. They are notified one at a time
    when there is room again. If the one whose turn it is has waiters, it is `due` until they are served: nobody else goes first.
    """

    __slots__ = ("_clock", "active", "due", "limit", "next_at", "spacing", "starting", "turned_away")

    def __init__(self, *, limit: int, spacing: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.limit = limit
        self.spacing = spacing
        self.active = 0
        self.starting = 0
        """Slots whose requests have not been sent yet; counted only if there is a spacing."""
        self.next_at = 0.0
        self.turned_away: OrderedDict[H, None] | None = None  # made when it is first needed
        self.due: H | None = None

    @property
    def room(self) -> float:
        """How many more slots the limit allows, whatever the spacing."""
        return self.limit - self.active if self.limit else math.inf

    def ready_at(self) -> float:
        """The earliest instant at which another start is allowed; infinity while that depends on a slot in use."""
        if self.starting or (self.limit and self.active >= self.limit):
            return math.inf
        return self.next_at

    def ready_for(self, host: H, at: float) -> float:
        """The same for a host whose own limits allow a start `at`. If that is now but there is no room, or the turn of another, it
        is queued.
        """
        ready_at = self.ready_at() if self.due is None or self.due is host else math.inf
        if ready_at == math.inf:
            if at > self._clock():
                return at  # this is called again then
            if self.turned_away is None:
                self.turned_away = OrderedDict()
            self.turned_away[host] = None
        return max(at, ready_at)

    def enter(self, slots: int, starting: int) -> None:
        """Count `slots` of a host as in use, `starting` of them for requests that have not been sent."""
        self.active += slots
        if self.spacing:
            self.starting += starting

    def leave(self, slots: int, starting: int) -> None:
        """Undo `enter`."""
        self.active -= slots
        if self.spacing:
            self.starting -= starting

    def started(self, now: float) -> None:
        """A request is being sent, or could not be."""
        if self.spacing:
            self.starting -= 1
            self.next_at = now + self.spacing

    def is_idle(self, now: float) -> bool:
        """Whether the object can be dropped without losing anything."""
        return not (self.active or self.turned_away) and self.next_at <= now


class Addresses(Generic[H]):
    """The limits by address; all addresses have the same `limit` and `spacing`."""

    def __init__(self, *, limit: int, spacing: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._spacing = spacing
        self._clock = clock
        self._known: dict[str, AddressLimits[H]] = {}

    def at(self, address: str | None) -> AddressLimits[H] | None:
        """The limits of an address; None if there are none."""
        if address is None or not (self._limit or self._spacing):
            return None
        if address not in self._known:
            self._known[address] = AddressLimits(limit=self._limit, spacing=self._spacing, clock=self._clock)
        return self._known[address]

    def keep(self, used: AbstractSet[AddressLimits[H] | None], now: float) -> None:
        """Drop the addresses that are idle and not in `used`."""
        self._known = {name: one for name, one in self._known.items() if one in used or not one.is_idle(now)}
