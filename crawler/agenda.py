"""Hosts in the order of the instants at which their turns come.

A heap does this in O(log n), but of many thousands of hosts its lower half is in no cache, and each turn goes down there. Nearly
always instants come in order, though: hosts that are ready queue up by the clock, and so do those whose next turn is a fixed time
away. So there are two queues, of hosts that were ready when they were entered and of others; the heap has what would be out of
order in them.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from crawler.window import Host

_Entry: TypeAlias = "tuple[float, int, Host]"


class Agenda:
    """Each host stands here once: for `listed_at`, infinity if it does not. An entry for any other instant is void."""

    def __init__(self) -> None:
        self._ready: deque[_Entry] = deque()
        self._later: deque[_Entry] = deque()
        self._heap: list[_Entry] = []
        self._order = count()

    @property
    def first_at(self) -> float:
        """When the first turn comes, infinity if there is none; it may be sooner than that, as void entries count."""
        queue = self._first()
        return queue[0][0] if queue else math.inf

    def enter(self, host: Host, at: float, now: float) -> None:
        """Have the turn of a host come `at`, and no longer later; of two at the same instant, the first to be entered goes
        first."""
        host.listed_at = at
        queue = self._ready if at <= now else self._later
        entry = at, next(self._order), host
        if not queue or queue[-1][0] <= at:
            queue.append(entry)
        else:
            heapq.heappush(self._heap, entry)

    def pop(self, now: float) -> Host | None:
        """Take out the host whose turn comes first, if it has come."""
        while (queue := self._first()) and queue[0][0] <= now:
            at, _, host = heapq.heappop(queue) if isinstance(queue, list) else queue.popleft()
            if at == host.listed_at:
                host.listed_at = math.inf
                return host
        return None

    def _first(self) -> deque[_Entry] | list[_Entry] | None:
        """Where the first turn stands."""
        first: deque[_Entry] | list[_Entry] | None = self._ready or None
        if self._later and not (first and first[0] < self._later[0]):
            first = self._later
        if self._heap and not (first and first[0] < self._heap[0]):
            first = self._heap
        return first
