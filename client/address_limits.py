"""What hosts at one address share: slots and spacing, beside those that each host has to itself.

One server may go by a thousand names, and politeness to each name would be none to the server. `HostLimits` keeps one
`AddressLimits` for each address at which it was told (`HostLimits.place`) that a host is.
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

    `turned_away` lists those who would have been ready but for the address, first come first: when it has room again, they
    are told so one at a time.
    """

    __slots__ = ("_clock", "active", "limit", "next_at", "spacing", "starting", "turned_away")

    def __init__(self, *, limit: int, spacing: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.limit = limit
        self.spacing = spacing
        self.active = 0
        self.starting = 0
        """Slots whose requests have not gone out yet; counted where there is a spacing."""
        self.next_at = 0.0
        self.turned_away: OrderedDict[H, None] | None = None  # until somebody is

    @property
    def room(self) -> float:
        """How many more slots there may be, time aside."""
        return self.limit - self.active if self.limit else math.inf

    def ready_at(self) -> float:
        """The first instant at which another start is allowed; infinity while that depends on a slot that is out."""
        if self.starting or (self.limit and self.active >= self.limit):
            return math.inf
        return self.next_at

    def ready_for(self, host: H, at: float) -> float:
        """The same for a host that is ready `at` by itself. One that is so now, while there is no room, is listed for its turn."""
        ready_at = self.ready_at()
        if ready_at == math.inf:
            if at > self._clock():
                return at  # when it is ready, the address is asked again
            if self.turned_away is None:
                self.turned_away = OrderedDict()
            self.turned_away[host] = None
        return max(at, ready_at)

    def enter(self, slots: int, starting: int) -> None:
        """So many slots of a host are out, so many of them for requests that have not gone out."""
        self.active += slots
        if self.spacing:
            self.starting += starting

    def leave(self, slots: int, starting: int) -> None:
        """The opposite of `enter`."""
        self.active -= slots
        if self.spacing:
            self.starting -= starting

    def started(self, now: float) -> None:
        """A request goes out, or failed to."""
        if self.spacing:
            self.starting -= 1
            self.next_at = now + self.spacing

    def is_idle(self, now: float) -> bool:
        """Whether nothing would be lost by forgetting it."""
        return not (self.active or self.turned_away) and self.next_at <= now


class Addresses(Generic[H]):
    """The addresses that are shared, by name; all under the same limits."""

    def __init__(self, *, limit: int, spacing: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._spacing = spacing
        self._clock = clock
        self._known: dict[str, AddressLimits[H]] = {}

    def at(self, address: str | None) -> AddressLimits[H] | None:
        """The limits of an address; None where there are none."""
        if address is None or not (self._limit or self._spacing):
            return None
        if address not in self._known:
            self._known[address] = AddressLimits(limit=self._limit, spacing=self._spacing, clock=self._clock)
        return self._known[address]

    def keep(self, used: AbstractSet[AddressLimits[H] | None], now: float) -> None:
        """Forget the addresses that are neither used nor have anything to tell."""
        self._known = {name: one for name, one in self._known.items() if one in used or not one.is_idle(now)}
