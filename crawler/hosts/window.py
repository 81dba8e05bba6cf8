"""Which hosts the scheduler knows: a window on all that have requests.

Most hosts of a broad crawl wait *outside*: nothing about them is kept in memory, they are rows of the frontier's queue. Up to `size`
hosts are in the window, each with its place in the scheduler's agenda. A host leaves

* when it has nothing left;
* when it has had its turn, `TURN_REQUESTS` requests, while others wait outside;
* for a while, when it may not be asked for some time (it rests, is held, or nothing it has is due): it is then remembered, but its place
  in the window is free. There may be `_RESTING` such hosts for each place in the window, but no more.

Others take the free places in the order of their numbers in the frontier, round and round (`next_page`): every waiting host is reached
within one round. A round begins when an eighth of the window is free, and goes on until it is full, so that the cost of passing over
hosts that are already known is shared by many that enter. While no round is under way, new hosts queue up outside like all others. When
a round has found all there was, and no host was sent outside meanwhile, nothing is outside, and there are no more rounds: a crawl of
few hosts has only its first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from client.limits import HostLimits
    from client.origin import HostKey
    from crawler.frontier.protocol import Frontier, HostQueue, Lease

TURN_REQUESTS = 32
"""How many requests of a host are made in one turn while others wait: enough that the cost of entering and leaving does not matter."""

_PAGE = 512
_RESTING = 4
"""So many hosts may rest for each place in the window."""


class Host:
    """A host that has requests: those that are leased and ready, and what is known about those in the frontier."""

    __slots__ = (
        "due_at",
        "gate",
        "has_more",
        "is_held",
        "is_resting",
        "is_short",
        "is_suspended",
        "listed_at",
        "ready",
        "taken",
    )

    def __init__(self, key: HostKey, limits: HostLimits) -> None:
        self.gate = limits.watch(key, self)
        self.ready: list[Lease] = []  # the next one last
        self.has_more = False
        """Whether the frontier may have requests for it that are due."""
        self.due_at = math.inf
        """When the first of its other requests is due, by the frontier's clock."""
        self.taken = 0
        self.listed_at = math.inf
        self.is_short = False
        self.is_suspended = False
        self.is_resting = False
        self.is_held = False

    @property
    def key(self) -> HostKey:
        return self.gate.key

    @property
    def is_forgotten(self) -> bool:
        """Whether it has left the window; it may have come back since, as another object."""
        return self.gate.watcher is not self

    def note(self, not_before: float, now: float) -> None:
        """Note that a request for it waits in the frontier, due at `not_before`, or now if that is not later than `now`."""
        if not_before <= now:
            self.has_more = True
        else:
            self.due_at = min(self.due_at, not_before)

    @property
    def is_done(self) -> bool:
        """Whether there is nothing more to do for it, as far as is known."""
        waits = self.ready or self.has_more or self.due_at < math.inf
        return not (waits or self.is_short or self.is_suspended)

    @property
    def is_idle(self) -> bool:
        """Whether none of its requests is in memory or on its way there, so that it may be sent outside."""
        return not (self.ready or self.is_short or self.is_suspended)


class Window:
    """The hosts that are known, at most `size` of them awake, and how far the round of the others has come."""

    def __init__(self, frontier: Frontier, limits: HostLimits, size: int) -> None:
        self._frontier = frontier
        self._limits = limits
        self._size = size
        self._hosts: dict[HostKey, Host] = {}
        self._held: dict[HostKey, Host] = {}
        self._resting = 0
        self._after: HostKey | None = None
        self._has_outside = True  # until it is known what earlier runs have left
        self._was_sent_outside = False  # in this round
        self._is_filling = True

    def __len__(self) -> int:
        return len(self._hosts)

    @property
    def has_work(self) -> bool:
        """Whether any host may have a request that waits."""
        return bool(self._hosts) or self._has_outside

    @property
    def has_outside(self) -> bool:
        """Whether any host may be outside."""
        return self._has_outside

    @property
    def is_filling(self) -> bool:
        """Whether `next_page` has to be called."""
        return self._is_filling

    def get(self, key: HostKey) -> Host | None:
        """The host, if it is known and not held."""
        return self._hosts.get(key)

    def enter(self, key: HostKey) -> Host:
        """The host, which is known from now on."""
        host = self._hosts.get(key) or self._held.get(key)
        if host is None:
            host = self._hosts[key] = Host(key, self._limits)
            if self._awake >= self._size:
                self._is_filling = False
        return host

    def offer(self, key: HostKey) -> Host | None:
        """The host, to which a request was added; None when it has to wait outside, or is held."""
        if host := self._hosts.get(key):
            return host
        if key in self._held:
            return None
        if self._is_filling or (not self._has_outside and self._awake < self._size):
            host = self.enter(key)
            host.has_more = self._has_outside  # it may have been outside
            return host
        self._send_outside()
        return None

    def has_had_its_turn(self, host: Host) -> bool:
        """Whether a host has to make room for those outside."""
        return self._has_outside and not self._is_filling and host.taken >= TURN_REQUESTS

    def leave(self, host: Host) -> None:
        """Forget a host; requests that it still has wait in the frontier."""
        assert host.is_idle
        self.set_resting(host, is_resting=False)
        del self._hosts[host.key]
        if host.is_done:
            self._look_for_room()
        else:
            self._send_outside()
        self._limits.unwatch(host.gate)

    def hold(self, key: HostKey) -> None:
        """Set a host apart until `release`."""
        host = self.enter(key)
        if not host.is_held:
            self.set_resting(host, is_resting=False)
            host.is_held = True
            self._held[key] = self._hosts.pop(key)
            self._look_for_room()

    def release(self, key: HostKey) -> Host | None:
        """Take back a host that was held; None if it was not."""
        host = self._held.pop(key, None)
        if host:
            host.is_held = False
            host.has_more = True  # what was queued meanwhile was not noted
            self._hosts[key] = host
        return host

    def set_resting(self, host: Host, *, is_resting: bool) -> None:
        """Say whether a host does without its place in the window for now."""
        if host.is_resting is is_resting or (is_resting and self._resting >= _RESTING * self._size):
            return
        host.is_resting = is_resting
        self._resting += 1 if is_resting else -1
        self._look_for_room()

    async def next_page(self) -> list[Host]:
        """Let in the next hosts of this round from outside; returns them. Each may have something due."""
        if self._after is None:
            self._was_sent_outside = False
        limit = min(_PAGE, max(1, self._size // 16, self._size - self._awake))
        page = await self._frontier.hosts(after=self._after, limit=limit)
        entered = [self._take_in(waiting) for waiting in page if self._is_new(waiting.host)]
        if len(page) == limit:
            self._after = page[-1].host
        else:
            self._after = None
            self._has_outside = self._was_sent_outside
        self._is_filling = self._has_outside and self._awake < self._size
        return entered

    def _take_in(self, waiting: HostQueue) -> Host:
        host = self.enter(waiting.host)
        host.note(waiting.due_at, self._frontier.now())
        return host

    def _is_new(self, key: HostKey) -> bool:
        return key not in self._hosts and key not in self._held

    @property
    def _awake(self) -> int:
        return len(self._hosts) - self._resting

    def _send_outside(self) -> None:
        self._has_outside = self._was_sent_outside = True
        self._look_for_room()

    def _look_for_room(self) -> None:
        if self._has_outside and self._awake <= self._size - max(1, self._size // 8):
            self._is_filling = True
