"""The limits of one host, and their current state. Managed by `client.limits.HostLimits`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections import OrderedDict

    from client.address_limits import AddressLimits
    from client.origin import HostKey


class Gate:
    """The gate of one host. Code that asks it often may keep it (`HostLimits.watch`); only `HostLimits` changes it."""

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
        """How many slots are in use."""
        self.starting = False
        self.next_at = 0.0
        self.held_until = 0.0
        self.address: AddressLimits[Gate] | None = None
        self.is_placed = False
        self.listed_at = math.inf
        self.waiters: OrderedDict[asyncio.Future[Any], None] | None = None
        """The futures of those who wait for a slot, in order of arrival; None until there is one, since most hosts have none."""
        self.watcher: Any = None

    def ready_at(self) -> float:
        """The earliest instant at which the limits of the host and of its address allow a start: 0.0 or in the past if one is
        allowed now, infinity while that depends on a slot in use. The limit over all hosts does not count here."""
        at = self.own_ready_at()
        if self.address is None or at == math.inf:
            return at
        return self.address.ready_for(self, at)

    def own_ready_at(self) -> float:
        """The same by the host's own limits, without those of its address."""
        if self.starting or (self.limit and self.active >= self.limit):
            return math.inf
        return self.next_at if self.next_at > self.held_until else self.held_until

    def is_idle(self, now: float) -> bool:
        """Whether there are no slots in use, no waiters and no watcher, and a start is allowed."""
        return not (self.active or self.waiters or self.watcher) and self.own_ready_at() <= now
