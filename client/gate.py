"""What is known of one host: its rules, and how it is asked just now. Kept by `client.limits.HostLimits`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections import OrderedDict

    from client.address_limits import AddressLimits
    from client.origin import HostKey


class Gate:
    """The gate of one host. Whoever asks it often may keep it (`HostLimits.watch`); only `HostLimits` changes it."""

    __slots__ = (
        "active",
        "address",
        "held_until",
        "is_placed",
        "key",
        "limit",
        "listed_at",
        "next_at",
        "spacing",
        "starting",
        "waiters",
        "watcher",
    )

    def __init__(self, key: HostKey, limit: int, spacing: float) -> None:
        self.key = key
        self.limit = limit
        self.spacing = spacing
        self.active = 0
        """How many slots are out."""
        self.starting = False
        self.next_at = 0.0
        self.held_until = 0.0
        self.address: AddressLimits[Gate] | None = None
        self.is_placed = False
        self.listed_at = math.inf
        self.waiters: OrderedDict[asyncio.Future[Any], None] | None = None
        """Those who wait for a slot, first come first; None until there is one: most hosts never have any."""
        self.watcher: Any = None

    def ready_at(self) -> float:
        """The first instant at which the rules of the host and of its address allow a start: 0.0 if it may be asked at once,
        infinity while that depends on a slot that is out. The limit over all hosts is not counted."""
        at = self.own_ready_at()
        if self.address is None or at == math.inf:
            return at
        return self.address.ready_for(self, at)

    def own_ready_at(self) -> float:
        """By its own rules, whatever its address says."""
        if self.starting or (self.limit and self.active >= self.limit):
            return math.inf
        return self.next_at if self.next_at > self.held_until else self.held_until

    def is_idle(self, now: float) -> bool:
        """Whether nothing is going on, and nobody watches."""
        return not (self.active or self.waiters or self.watcher) and self.own_ready_at() <= now
