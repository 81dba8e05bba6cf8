"""What a crawl has done so far: the counters while it runs, and snapshots of them for displays and reports."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from msgspec import Struct, field

from crawler.outcome import Failed, Fetched, Postponed, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.outcome import Outcome

STOP_KIND = "stop"
"""The kind of a request that is left to the next run because a middleware raised `Stop`, which is not an error."""

_RATE_SECONDS = 5.0
_ERRORS_SHOWN = 5


class Stats(Struct, frozen=True, kw_only=True):
    """A snapshot of a crawl. `started`: in seconds of the epoch; `elapsed`: seconds of all runs; `run_elapsed`: of this one; `rate`: pages
    per second in the last few seconds; `active`: requests in flight. `statuses`, `errors` (by kind) and `spider_errors` count this run
    alone.
    """

    spider: str
    queued: int
    leased: int
    done: int
    failed: int
    skipped: int
    items: int
    bytes: int
    hosts: int
    started: float
    elapsed: float
    run_elapsed: float
    rate: float
    active: int
    statuses: dict[int, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    last_error: str = ""
    spider_errors: list[str] = field(default_factory=list)
    aside: int = 0
    not_modified: int = 0
    """How many of `done` were not sent again, but taken from an earlier crawl."""
    not_modified_bytes: int = 0
    """How many of `bytes` are in the bodies of these."""


class Tally:
    """Counts outcomes as they come. All times are those of `clock`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.statuses: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.spider_errors: list[str] = []
        self.last_error = ""
        self.not_modified = 0
        self.not_modified_bytes = 0
        self._clock = clock
        self._pages = 0
        self._began = clock()
        self._marks: deque[tuple[float, int]] = deque([(self._began, 0)])

    def count(self, url: str, outcome: Outcome) -> None:
        if isinstance(outcome, Fetched):
            self._pages += 1
            self.statuses[outcome.status] += 1
            if outcome.not_modified:
                self.not_modified += 1
                self.not_modified_bytes += outcome.size
        elif isinstance(outcome, Failed | Postponed):
            kind = kind_of(outcome.error)
            if kind == STOP_KIND:
                return
            self.errors[kind] += 1
            self.last_error = f"{url}: {outcome.error}"
            if kind == "spider" and len(self.spider_errors) < _ERRORS_SHOWN:
                self.spider_errors.append(outcome.error.removeprefix("spider: "))
            if isinstance(outcome, Failed) and outcome.status:
                self.statuses[outcome.status] += 1

    @property
    def run_elapsed(self) -> float:
        return self._clock() - self._began

    def rate(self) -> float:
        """Pages per second over the last few seconds, measured between calls of this method."""
        now = self._clock()
        while len(self._marks) > 1 and self._marks[0][0] < now - _RATE_SECONDS:
            self._marks.popleft()
        then, pages = self._marks[0]
        self._marks.append((now, self._pages))
        return (self._pages - pages) / (now - then) if now > then else 0.0
