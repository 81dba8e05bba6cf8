"""Hosts in the order of the instants at which their turns come.

A heap does this in O(log n), but with many thousands of hosts its lower half is in no cache, and each turn goes down there. So hosts
that are ready are in a queue, and so are those whose next turn is a fixed time away, which nearly always come in order; the heap has
what would be out of order there. When its instant has come, a host moves to the queue of those that are ready.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from crawler.hosts.window import Host

READY: Final = -math.inf
"""The instant of hosts that are ready: one number for all, which is in the cache."""


class Agenda:
    """Each host has one valid entry, for the instant `listed_at`, or none, if that is infinity. Entries for other instants are void."""

    def __init__(self) -> None:
        self._ready: deque[Host] = deque()
        self._later: deque[Host] = deque()
        self._instants: deque[float] = deque()  # of those in `_later`, in step with it
        self._heap: list[tuple[float, int, Host]] = []
        self._order = count()

    @property
    def first_at(self) -> float:
        """When the first turn comes: `READY` if one has, infinity if there is none. It may be too early, since void entries count."""
        return READY if self._ready else self._next_at()

    def enter_ready(self, host: Host, *, comes_first: bool = False) -> None:
        """Enter a host whose turn it is, after all others that are ready, or before them."""
        host.listed_at = READY
        if comes_first:
            self._ready.appendleft(host)
        else:
            self._ready.append(host)

    def enter(self, host: Host, at: float) -> None:
        """Enter a host whose turn comes `at`; an entry for a later instant becomes void."""
        host.listed_at = at
        if not self._instants or self._instants[-1] <= at:
            self._instants.append(at)
            self._later.append(host)
        else:
            heapq.heappush(self._heap, (at, next(self._order), host))

    def pop(self, now: float) -> Host | None:
        """Remove and return the host whose turn comes first; None if it has not come."""
        if self._next_at() <= now:
            self._go_over(now)
        while self._ready:
            host = self._ready.popleft()
            if host.listed_at == READY:
                host.listed_at = math.inf
                return host
        return None

    def _next_at(self) -> float:
        """When the first host that is not ready will be."""
        at = self._instants[0] if self._instants else math.inf
        return min(at, self._heap[0][0]) if self._heap else at

    def _go_over(self, now: float) -> None:
        """Move hosts whose instants have come to those that are ready, in the order of these instants."""
        due: list[tuple[float, Host]] = []
        while self._instants and self._instants[0] <= now:
            due.append((self._instants.popleft(), self._later.popleft()))
        while self._heap and self._heap[0][0] <= now:
            at, _, host = heapq.heappop(self._heap)
            due.append((at, host))
        due.sort(key=itemgetter(0))
        for at, host in due:
            if at == host.listed_at:
                self.enter_ready(host)
