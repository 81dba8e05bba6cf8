"""The workers of a crawl: as many as may be busy at once, and one more for each that is kept waiting.

A stalled host keeps the worker that asked it, until `read_timeout`. With some hundreds of such hosts among many thousands, all workers
would soon be waiting for them. So a request that has been under way for much longer than usual, `_MUCH_LONGER` times as long and at least
a second, *lingers*: it goes on, but another worker is hired in its place, and the connector's limit over all hosts rises by one. When the
request ends, its worker goes. At most `most_lingering` requests linger at once; beyond that, no worker is hired.

If a request to a host lingered, the next one is expected to: a worker is hired when it begins. This ends with a request to that host that
is over soon.

What is usual is a running mean over all requests, from when a worker gets a request until it is settled. One that lingers counts only for
as long as it takes to linger, so that a few of them do not dominate the mean, while it soon adapts to a web that has become slow
throughout.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from crawler.cancellation import is_cancelled, is_ours, owned_by

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from client.limits import HostLimits
    from client.origin import HostKey
    from crawler.settings import Settings

_MUCH_LONGER = 8.0
_PATIENCE = 1.0

_WEIGHT = 1 / 64
"""Of a new value in the running mean."""

_SLOW_HOSTS_KEPT = 10_000

_STUTTER = 0.25
"""If the timer is so many seconds late, this process itself is slow, and requests are given that much more time."""


class Job:
    """A request to a host that a worker is busy with."""

    __slots__ = ("began_at", "host", "is_lingering")

    def __init__(self, host: HostKey, began_at: float) -> None:
        self.host = host
        self.began_at = began_at
        self.is_lingering = False


class WorkerPool:
    """Workers: `size` for requests that do not linger, and at most `most_lingering` more. `limits`: the connector's. `patience`: no
    request lingers before so many seconds; at first, this also counts as usual.

    A worker calls `begin` before it serves a request, and `end` after it, whatever comes of it; then `is_overstaffed` tells whether the
    worker has to go.
    """

    def __init__(self, limits: HostLimits, *, size: int, most_lingering: int, patience: float = _PATIENCE) -> None:
        self._limits = limits
        self._size = size
        self._most_lingering = most_lingering
        self._least_patience = patience
        self._work: Callable[[], Coroutine[None, None, None]] | None = None
        self._group = asyncio.TaskGroup()
        self._parent: asyncio.Task[Any] | None = None
        self._workers: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._prompt: dict[Job, None] = {}  # the oldest first
        self._lingering = 0
        self._usual = patience  # long, so that nothing lingers before there is anything to compare it with
        self._slow: dict[HostKey, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timed_for = 0.0

    @classmethod
    def of(cls, settings: Settings, limits: HostLimits) -> WorkerPool:
        return cls(limits, size=settings.concurrency, most_lingering=settings.lingering * settings.concurrency)

    @property
    def lingering(self) -> int:
        """How many requests linger."""
        return self._lingering

    @property
    def is_overstaffed(self) -> bool:
        """Whether there are more workers than there should be."""
        return len(self._workers) > self._size + self._lingering

    async def run(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Have `size` workers, or more, do `work` until all of them have finished it."""
        self._work = work
        self._parent = asyncio.current_task()
        try:
            async with self._group:
                for _ in range(self._size):
                    self._add_worker()
        finally:
            self._close()

    def cancel(self) -> None:
        """Cancel all workers, whatever they do."""
        self._close()
        for worker in self._workers:
            worker.cancel()

    def begin(self, host: HostKey) -> Job:
        """Note that a worker begins a request; returns what `end` takes."""
        job = Job(host, time.monotonic())
        if host in self._slow and self._lingering < self._most_lingering:
            self._let_linger(job)
        else:
            self._prompt[job] = None
            if not self._timer:
                self._arm(job)
        return job

    def end(self, job: Job) -> None:
        """Note that a worker has finished a request."""
        took = time.monotonic() - job.began_at
        patience = self.patience
        self._usual += (min(took, patience) - self._usual) * _WEIGHT
        if job.is_lingering:
            self._lingering -= 1
            if took < patience:
                self._slow.pop(job.host, None)
            if not self._timer and self._prompt:
                self._arm(next(iter(self._prompt)))
        else:
            del self._prompt[job]
        if self._timer and patience < self._timed_for / 2.0:
            self._timer.cancel()
            self._look(time.monotonic())

    @property
    def patience(self) -> float:
        """After so many seconds a request lingers."""
        return max(self._least_patience, _MUCH_LONGER * self._usual)

    def _arm(self, oldest: Job, *, at_least: float = 0.0) -> None:
        """Set the timer for when the oldest job begins to linger."""
        if not self._is_closed and self._lingering < self._most_lingering:
            self._timed_for = self.patience
            due_in = max(at_least, oldest.began_at + self._timed_for - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(due_in, self._look, time.monotonic() + due_in)

    def _look(self, due_at: float) -> None:
        """Let the jobs linger that have taken too long."""
        self._timer = None
        now = time.monotonic()
        is_late = now - due_at > _STUTTER
        latest = now - self.patience
        while self._prompt:
            oldest = next(iter(self._prompt))
            if is_late or oldest.began_at > latest or self._lingering >= self._most_lingering:
                self._arm(oldest, at_least=_STUTTER if is_late else 0.0)
                return
            del self._prompt[oldest]
            self._note_slow(oldest.host)
            self._let_linger(oldest)

    def _let_linger(self, job: Job) -> None:
        job.is_lingering = True
        self._lingering += 1
        self._add_worker()

    def _note_slow(self, host: HostKey) -> None:
        if len(self._slow) >= _SLOW_HOSTS_KEPT:
            del self._slow[next(iter(self._slow))]
        self._slow[host] = None

    def _add_worker(self) -> None:
        if not self._is_closed:
            self._workers.add(self._group.create_task(self._run_worker()))
            self._limits.limit = max(self._size, len(self._workers))

    async def _run_worker(self) -> None:
        """The life of one worker."""
        assert self._work
        worker = asyncio.current_task()
        assert worker
        owned_by(self._parent, lambda: self._is_closed)
        try:
            await self._work_on(self._work)
        except BaseException:
            self._is_closed = True  # the group ends, and cancels the others: nobody may be hired after that
            raise
        finally:
            self._workers.discard(worker)
            self._limits.limit = max(self._size, len(self._workers))

    async def _work_on(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Do the work, and begin it again whenever the user's code has cancelled the worker."""
        while True:
            try:
                return await work()
            except asyncio.CancelledError as error:
                if not is_cancelled() or await is_ours(error):
                    raise

    def _close(self) -> None:
        self._is_closed = True
        if self._timer:
            self._timer.cancel()
            self._timer = None
