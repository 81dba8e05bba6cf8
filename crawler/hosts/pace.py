"""How fast a host is asked: a pace that it can bear, learned from its answers. Pure; no clock, no I/O.

The law is *additive increase, multiplicative decrease* (D.-M. Chiu, R. Jain: Analysis of the Increase and Decrease Algorithms for
Congestion Avoidance in Computer Networks, 1989; V. Jacobson: Congestion Avoidance and Control, 1988): under this law, many clients that
do not know of each other come to share fairly what a server can bear. It governs the rate of starts. As long as a host has not
complained there is no such rate, and the spacing and connections are those that the user set.

* `QUOTA`: a 429 says that we ask too often. The rate is halved, as far down as the user allows. Each answer gives back a 64th of the rate
  at which the host last refused (or of one a second, if that is more): so about 32 answers lead there again, and about one request in
  33 is refused.
* `STATED_QUOTA`: a 429 that says when to come again (Retry-After). We wait that long; beyond that, one request a second is slow enough,
  and an answer gives back a 32nd.
* `OVERLOAD`: a 503, or no answer at all. The cause may be the host, or one page; so the rate is halved, but not below one request in four
  times the latency, and an answer gives back an eighth. The pauses that such answers bring do the rest.
* `LABOUR`: answers take twice as long as before. In TCP Vegas, this is the sign of a growing queue (L. Brakmo, L. Peterson, 1995); it
  costs a quarter, with the same bound.

The first cut is taken from the rate at which the host was actually asked. Requests that were under way together count as one complaint:
those begun before the last complaint tell of the same trouble. Once the rate exceeds what the connections can carry, it is dropped.
Connections follow from Little's law: as many as the rate needs at the observed latency, and no more.

The usual latency is a long mean of the host's answers, not their minimum as in Vegas, because the pages of a site differ in what they
cost. A rise counts only beyond a slack that covers the stutter of a busy crawler.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from msgspec import Struct


class Trouble(NamedTuple):
    """What a kind of complaint costs. `factor`: the part of the rate that is left; `steps`: after how many answers the rate has risen
    by as much as it was before; `most`: the longest spacing that it leads to, in seconds (None: `_LATENCIES` latencies)."""

    factor: float
    steps: int
    most: float | None = None


QUOTA: Final = Trouble(1 / 2, 64, math.inf)
STATED_QUOTA: Final = Trouble(1 / 2, 32, 1.0)
OVERLOAD: Final = Trouble(1 / 2, 8)
LABOUR: Final = Trouble(3 / 4, 8)

_LEAST_UNIT = 1.0
"""Rates rise by parts of at least this many starts a second: otherwise the way back from a low rate would take hours."""

_LATENCIES = 4.0
"""Without a quota, no trouble slows a host down below one request in so many times its latency."""

_RECENT = 1 / 8
_USUAL = 1 / 128
"""Weights of a new value in the running means; the first is that of TCP's round-trip estimate (RFC 6298 §2)."""

_RISE = 2.0
_SLACK = 1.0
"""Answers are slow when they take more than twice the usual time and a second."""


class HostPace(Struct, frozen=True, kw_only=True):
    """The pace at which one host was asked, for reports. Durations are in seconds."""

    host: str
    requests: int
    """How many were begun in this run, robots.txt included."""
    mean_gap: float | None
    """From one start to the next, on average; None with fewer than two."""
    spacing: float
    """The least time from one start to the next, as of now."""
    connections: int
    """The most connections at once, as of now."""
    latency: float | None
    """From request to answer, lately; None before the first."""
    pauses: int
    """How often it was left alone because it answered 429 or 503."""
    pauses_cut: int
    """How many of these it wanted to be longer than `max_retry_wait`."""
    rests: int
    """How often it was left alone because it could not be reached."""
    crawl_delay: float | None
    """What its robots.txt asks for; None if it does not."""
    crawl_delay_cut: bool
    """Whether that is more than `max_crawl_delay`, and was cut to it."""


class Pace:
    """What is known about the pace of one host: a few numbers, however long the crawl. Instants are of one monotonic clock.

    `per_host` is the most connections the user allows, `max_delay` the longest spacing that is ever learned.
    """

    __slots__ = (
        "_began_at",
        "_complained_at",
        "_first_at",
        "_gap",
        "_last_complaint",
        "_paused_at",
        "_rate",
        "_rested_at",
        "_steps",
        "_usual",
        "crawl_delay",
        "failures",
        "latency",
        "max_delay",
        "pauses",
        "pauses_cut",
        "pauses_in_a_row",
        "per_host",
        "requests",
        "rests",
        "rests_until",
    )

    def __init__(self, *, per_host: int, max_delay: float) -> None:
        self.per_host = per_host
        self.max_delay = max_delay
        self.requests = 0
        self.latency = 0.0
        self.failures = 0
        """How often in a row the host could not be reached."""
        self.rests = 0
        self.rests_until = -math.inf
        self.pauses = 0
        self.pauses_cut = 0
        self.pauses_in_a_row = 0
        self.crawl_delay: float | None = None
        self._paused_at = -math.inf
        self._rested_at = -math.inf
        self._rate = math.inf
        self._last_complaint = math.inf  # the rate at which it came
        self._steps = QUOTA.steps
        self._complained_at = -math.inf
        self._usual = 0.0
        self._gap = 0.0
        self._first_at = 0.0
        self._began_at = 0.0

    # ------------------------------------------------------------------ the resulting pace

    @property
    def is_free(self) -> bool:
        """Whether the pace is the one that the user set."""
        return self._rate == math.inf

    @property
    def spacing(self) -> float:
        """Seconds from one start to the next that suit the host; 0.0 if there is no such bound."""
        return 1.0 / self._rate

    @property
    def connections(self) -> int:
        """Connections that the pace needs, at most `per_host`."""
        if self._rate == math.inf:
            return self.per_host
        return max(1, min(self.per_host, math.ceil(self._rate * self.latency)))

    @property
    def mean_gap(self) -> float | None:
        """Mean seconds from one start to the next; None with fewer than two."""
        return (self._began_at - self._first_at) / (self.requests - 1) if self.requests > 1 else None

    @property
    def has_answered(self) -> bool:
        """Whether the host has ever answered."""
        return self._usual > 0.0

    @property
    def is_remarkable(self) -> bool:
        """Whether it differs from what is assumed about an unknown host."""
        return self._rate != math.inf or self.failures > 0 or self.crawl_delay is not None

    # ------------------------------------------------------------------ what it learns from

    def begun(self, at: float) -> None:
        """Count a request that was begun at this instant, whatever came of it."""
        self.requests += 1
        if self.requests > 2:
            self._gap += (at - self._began_at - self._gap) * _RECENT
        elif self.requests == 2:
            self._gap = at - self._began_at
        else:
            self._first_at = at
        self._began_at = max(self._began_at, at)

    def answered(self, began_at: float, latency: float) -> bool:
        """Learn from an answer that is not a refusal; returns whether spacing or connections may have changed."""
        self.failures = self.pauses_in_a_row = 0
        if self.latency:
            self.latency += (latency - self.latency) * _RECENT
            self._usual += (latency - self._usual) * _USUAL
        else:
            self.latency = self._usual = latency
        if self.latency > _RISE * self._usual + _SLACK:
            self._usual = self.latency  # one complaint for each doubling
            return self.complained(began_at, began_at + latency, LABOUR)
        if self._rate == math.inf:
            return False
        self._rate += self._last_complaint / self._steps
        if self._rate * self.latency >= self.per_host:
            self._rate = math.inf
        return True

    def complained(self, began_at: float, now: float, trouble: Trouble) -> bool:
        """Learn from a request begun at `began_at` that the host had trouble with; returns whether spacing or connections may have
        changed."""
        if began_at < self._complained_at:
            return False
        rate = self._rate
        if rate == math.inf:
            rate = min(_inverse(self._gap), self.per_host * _inverse(self.latency))
            if rate == math.inf:
                return False  # no rate has been observed that could be cut
            self._steps = trouble.steps
        floor = max(1.0 / self.max_delay, min(rate, self._floor(trouble)))
        self._complained_at = now
        self._steps = max(self._steps, trouble.steps)
        self._last_complaint = max(rate, _LEAST_UNIT)
        self._rate = max(rate * trouble.factor, floor)
        return True

    def _floor(self, trouble: Trouble) -> float:
        """The lowest rate to which this kind of trouble leads."""
        return _inverse(self.latency) / _LATENCIES if trouble.most is None else 1.0 / trouble.most

    def waited(self, seconds: float) -> None:
        """Learn from a request that was not answered for so long: an answer takes at least that."""
        if seconds > self.latency:
            self.latency += (seconds - self.latency) * _RECENT

    def refused(self, began_at: float, now: float) -> None:
        """Count a pause that the host asked for. Requests that were under way together count once."""
        if began_at >= self._paused_at:
            self.pauses += 1
            self.pauses_in_a_row += 1
            self._paused_at = now

    def failed(self, began_at: float) -> bool:
        """Count a failure to reach the host; returns whether it counts: not if the request was begun before the last rest."""
        if began_at < self._rested_at:
            return False
        self.failures += 1
        return True

    def rest(self, now: float, seconds: float) -> None:
        """Note that the host is left alone for so many `seconds`, because it could not be reached."""
        self.rests += 1
        self._rested_at = now
        self.rests_until = now + seconds

    # ------------------------------------------------------------------ from one run to the next

    def resume(self, *, spacing: float, latency: float, failures: int) -> None:
        """Go on with what an earlier run learned."""
        self.latency = self._usual = latency
        self.failures = failures
        if spacing > 0.0:
            self._rate = max(1.0 / spacing, 1.0 / self.max_delay)
            self._last_complaint = max(self._rate, _LEAST_UNIT)

    def forget_rate(self) -> None:
        """Go back to what the user set."""
        self._rate = math.inf

    def forgive(self) -> None:
        """Count failures from zero again, and end a rest."""
        self.failures = self.pauses_in_a_row = 0
        self.rests_until = -math.inf


def _inverse(seconds: float) -> float:
    return 1.0 / seconds if seconds > 0.0 else math.inf
