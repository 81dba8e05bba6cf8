"""The reader processes of one crawl: who visits which page, and what becomes of it when one of them dies.

The slot for a request comes from the limits that everybody keeps to, and is held until the response is with the process that
asked. Of the connections that a host may have, each process has its share, so that together they never have more.

What a process had not answered when it died is suspect: nobody knows which page it died of, since callbacks may take turns, or
whether of any. Each of these is given to a process that has nothing else, and fails if that dies as well. So a page that kills
its reader costs two processes and no other page, a reader that is killed from outside costs none, and whatever any page gave
counts once: only answers count.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import count
from math import inf
from typing import TYPE_CHECKING, assert_never

from msgspec import MsgspecError

from crawler.callbacks import Reader
from crawler.errors import SpiderError
from crawler.items import Harvest
from crawler.lifecycle import HASTE_SECONDS
from crawler.readers import messages, translation
from crawler.readers.messages import (
    Answer,
    FailureTask,
    Hello,
    HostFreed,
    Ping,
    Pong,
    Ready,
    RequestSent,
    Shutdown,
    ShuttingDown,
    SpiderFault,
    VisitFailed,
    VisitResult,
    longest_from_reader,
)
from crawler.readers.process import GARBLED, ReaderProcess
from crawler.spider import hears_of_failures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from client.limits import Slot
    from client.origin import HostKey
    from crawler.frontier.protocol import Lease
    from crawler.page import Page
    from crawler.readers.launch import Launches
    from crawler.readers.messages import Result, Task
    from crawler.settings import Settings
    from crawler.source import Source
    from crawler.spider import Spider

_log = logging.getLogger(__name__)

_AHEAD_BYTES = 2 << 20
"""So much may be with one process and unanswered, or one task that is larger."""

_TASK_BYTES = 1000
"""What a task weighs beside the body."""

_DEATHS_IN_A_ROW = 5
"""After so many without an answer between them, a place is given up, and the crawl with it. One that is blamed on a page is none of
them: that page has failed, and so the crawl goes on."""

_LEAVE_SECONDS = 5.0
"""How long a process may take to drop what it is at when it is over. One that does not is in a callback that never returns, or
that does not let itself be cancelled: whatever could end in its time had `drain_timeout` for it."""

_LOOK_SECONDS = 5.0
_SILENT_LOOKS = 6
"""A process that has said nothing at so many looks in a row is hung, if requests to a host wait for one to go out there. However
long it takes to connect, a process that is asked says at once that it is awake, unless a callback blocks it: half a minute is
long for that, and a page that takes longer is only read once more, by a process that nobody waits for. Looks are counted, not
seconds: if all processes were stopped for a while, that is no silence."""

_SHUTDOWN = messages.encode(Shutdown())
_PING = messages.encode(Ping())


class ReaderDied(Exception):
    """The process that had a task has died before it answered."""


@dataclass(slots=True, eq=False)
class _Job:
    """A task, who waits for what comes of it, the host that is asked, its slot, until that has answered, and whether an earlier
    try was with a process that died."""

    task: Task
    weight: int
    result: asyncio.Future[Result]
    host: HostKey | None
    slot: Slot | None
    is_suspect: bool


class _Place:
    """Where one process after the other reads: what is with the present one, and how many in a row died."""

    def __init__(self) -> None:
        self.process: ReaderProcess | None = None
        self.jobs: dict[int, _Job] = {}
        self.asking: dict[HostKey, int] = {}
        """How many requests it has under way to each host."""
        self.weight = 0
        self.deaths = 0
        self.is_ready = False
        self.has_suspect = False
        self.is_leaving = False
        self.was_heard = False
        self.silent_looks = 0
        self.trouble: str | None = None

    def has_room(self, job: _Job) -> bool:
        if not self.is_ready:
            return False
        if not self.jobs:
            return True
        return not self.has_suspect and not job.is_suspect and self.weight + job.weight <= _AHEAD_BYTES

    def give(self, job: _Job) -> None:
        assert self.process
        self.jobs[job.task.number] = job
        self.weight += job.weight
        self.has_suspect = job.is_suspect
        if job.host:
            self.asking[job.host] = self.asking.get(job.host, 0) + 1
        self.process.channel.send(messages.encode(job.task))

    def settle(self, result: Result) -> None:
        """A task is done with."""
        job = self.jobs.pop(result.number)
        if not isinstance(job.task, FailureTask):  # which may be all that comes of pages that end whoever reads them
            self.deaths = 0
        self.weight -= job.weight
        self.free(job)
        if not job.result.done():  # else nobody waits any more: the crawl is being cut short
            job.result.set_result(result)

    def free(self, job: _Job) -> None:
        """The host has answered."""
        if job.host and (slot := job.slot):
            job.slot = None
            if asking := self.asking.pop(job.host) - 1:
                self.asking[job.host] = asking
            slot.release()

    def look(self) -> None:
        """See to it that no host waits for a process that is hung."""
        is_waited_for = any(job.slot and job.slot.is_starting for job in self.jobs.values())
        self.silent_looks = self.silent_looks + 1 if is_waited_for and not self.was_heard else 0
        self.was_heard = False
        if not (self.process and is_waited_for):
            return
        if self.silent_looks < _SILENT_LOOKS:
            self.process.channel.send(_PING)
        else:
            seconds = _SILENT_LOOKS * _LOOK_SECONDS
            self.process.kill(
                f"it said nothing for {seconds:.0f} s, as if a callback blocked it, while a host waited for its next request"
            )

    @property
    def is_stuck(self) -> bool:
        """Whether a process that has been told to leave is still at something else."""
        return self.process is not None and not self.is_leaving and not self.process.channel.ended.is_set()

    def kill(self, why: str) -> None:
        """End the process, if there is one."""
        if self.process:
            self.process.kill(why)

    def take_back(self) -> list[_Job]:
        """What the process had not answered, as far as somebody still waits for it."""
        left = [job for job in self.jobs.values() if not job.result.done()]
        self.jobs.clear()
        self.asking.clear()
        self.weight = 0
        self.is_ready = False
        self.is_leaving = False
        self.silent_looks = 0
        self.process = None
        return left


class Readers(Reader):
    """Has pages visited by `processes` processes, each with a spider of its own. Made by `reading`."""

    def __init__(self, hello: Hello, launches: Launches, *, processes: int, tells_of_failures: bool) -> None:
        self._hello = messages.encode(hello)
        self._longest = longest_from_reader(hello.settings)
        self._launches = launches
        self._places = [_Place() for _ in range(processes)]
        self._waiting: deque[_Job] = deque()
        self._numbers = count()
        self._tells_of_failures = tells_of_failures
        self._can_begin = asyncio.Event()
        self._over = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def reading(
        cls,
        spider: Spider,
        source: Source,
        settings: Settings,
        launches: Launches,
        *,
        stopping: asyncio.Event,
        in_haste: asyncio.Event,
        trusted_hosts: Collection[str] = (),
    ) -> AsyncIterator[Readers]:
        """`settings.processes` processes, from when the first spider is open, or the crawl is `stopping`, until all are closed, or
        it is over and `in_haste`. `trusted_hosts` may be at private addresses.

        Raises SpiderError when a spider cannot be loaded, opened or closed, or kills whoever reads for it.
        """
        log = logging.getLogger()
        file = next((one.baseFilename for one in log.handlers if isinstance(one, logging.FileHandler)), None)
        level = log.getEffectiveLevel()
        hello = Hello(source.encoded(), settings, sys.path, level, file, frozenset(trusted_hosts))
        tells = hears_of_failures(spider)
        readers = cls(hello, launches, processes=settings.processes, tells_of_failures=tells)
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(readers._supervise(place)) for place in readers._places]
            helps = readers._begin_anyway(stopping), readers._watch(), readers._end_stragglers(in_haste)
            helpers = [group.create_task(help_) for help_ in helps]
            await readers._can_begin.wait()
            try:
                yield readers
            finally:
                readers._shut_down()
                await asyncio.wait(keepers)
                for helper in helpers:
                    helper.cancel()

    async def visit(
        self,
        lease: Lease,
        slot: Slot,
        cookies: str | None,
        *,
        may_be_private: bool,
        is_suspect: bool,
        known: int | None = None,
    ) -> VisitResult | VisitFailed:
        """Have a page fetched, with the host's slot, and read. `may_be_private`: any host may have any address; `is_suspect`: it
        was tried before, and raised ReaderDied; `known`: the request that brought it in an earlier crawl, if there is to be asked
        only whether it has changed.

        Raises SpiderError when that is the end of another process.
        """
        task = translation.visit_task(
            next(self._numbers),
            lease,
            cookies,
            tells_start=slot.is_starting,
            may_be_private=may_be_private,
            known=known,
        )
        result = await self._give(task, _TASK_BYTES, slot, is_suspect=is_suspect)
        assert isinstance(result, VisitResult | VisitFailed)
        return result

    async def take(self, lease: Lease, page: Page) -> Harvest:
        return await self._read(
            translation.page_task(next(self._numbers), lease, page), weight=len(page.body) + _TASK_BYTES
        )

    async def take_failure(self, lease: Lease, error: str, page: Page | None) -> Harvest:
        if not self._tells_of_failures:
            return Harvest()
        weight = (len(page.body) if page else 0) + _TASK_BYTES
        return await self._read(translation.failure_task(next(self._numbers), lease, error, page), weight=weight)

    async def _read(self, task: Task, *, weight: int) -> Harvest:
        try:
            result = await self._give(task, weight)
        except ReaderDied:
            result = await self._give(task, weight, is_suspect=True)
        assert isinstance(result, Answer)
        if result.again is not None:
            raise translation.retry_of(result.again)
        if result.error is not None:
            raise SpiderError(result.error)
        return translation.harvest_of(result)

    def _give(
        self, task: Task, weight: int, slot: Slot | None = None, *, is_suspect: bool = False
    ) -> asyncio.Future[Result]:
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        job = _Job(task, weight, result, slot.host if slot else None, slot, is_suspect)
        if not self._waiting and (place := self._place_for(job)):
            place.give(job)
        else:
            self._waiting.append(job)
            self._dispatch()
        return result

    def _dispatch(self) -> None:
        """Give what waits to those who have room, in order. Only requests that wait for a connection let others pass."""
        left: deque[_Job] = deque()
        while self._waiting:
            job = self._waiting.popleft()
            if job.result.done():
                continue
            if place := self._place_for(job):
                place.give(job)
                continue
            left.append(job)
            if job.is_suspect or not job.slot:
                break
        left.extend(self._waiting)
        self._waiting = left

    def _place_for(self, job: _Job) -> _Place | None:
        """Of those who have room, and may have another connection to the host, the one that has least to do. Who has no share
        in a host's connections never asks it, or one that is kept would be one too many."""
        connections = job.slot.limit_per_host if job.slot else 0
        best = None
        for place, share in zip(self._places, shares_of(job.host, connections, len(self._places)), strict=True):
            is_better = best is None or place.weight < best.weight
            if is_better and place.has_room(job) and (not job.host or place.asking.get(job.host, 0) < share):
                best = place
        return best

    # ------------------------------------------------------------------ processes

    async def _supervise(self, place: _Place) -> None:
        """Have a process at this place, and another one whenever it dies, until all are to shut down."""
        while not self._over.is_set():
            hear = partial(self._on_message, place)
            async with ReaderProcess.of(self._launches.take(), hear, longest=self._longest) as process:
                place.process = process
                process.channel.send(self._hello)
                if self._over.is_set():
                    process.channel.send(_SHUTDOWN)
                how = await process.end()
            left = place.take_back()
            if place.trouble:
                raise SpiderError(place.trouble)
            if not self._over.is_set():
                self._on_death(place, left, how)

    def _on_message(self, place: _Place, data: memoryview) -> None:
        place.was_heard = True
        try:
            message = messages.decode_from_reader(data)
        except MsgspecError:
            place.kill(GARBLED)
            return
        match message:
            case Answer() | VisitResult() | VisitFailed():
                place.settle(message)
            case RequestSent():
                if (job := place.jobs.get(message.number)) and job.slot:
                    job.slot.started()
            case HostFreed():
                if job := place.jobs.get(message.number):
                    place.free(job)
            case Ready():
                place.is_ready = True
                self._can_begin.set()
            case SpiderFault():
                place.trouble = message.error
            case ShuttingDown():
                place.is_leaving = True
            case Pong():
                pass
            case _:
                assert_never(message)
        if self._waiting:
            self._dispatch()

    def _on_death(self, place: _Place, left: list[_Job], how: str) -> None:
        """A process has died: find out for what, and let nothing be lost."""
        place.deaths += not any(job.is_suspect for job in left)
        at = f" at {left[0].task.lease.url}" if len(left) == 1 else ""
        if place.deaths >= _DEATHS_IN_A_ROW:
            raise SpiderError(
                f"{place.deaths} reader processes in a row died before they had read a page, the last{at}: {how}"
            )
        _log.warning("a reader process died%s: %s; another one takes its place", at, how)
        for job in left:
            if job.is_suspect:  # and was alone
                error = f"{_blamed(job.task)} ended the process that ran it, twice: {how}"
                job.result.set_exception(SpiderError(error))
            else:
                job.result.set_exception(ReaderDied())

    def _shut_down(self) -> None:
        self._over.set()
        for place in self._places:
            if place.process:
                place.process.channel.send(_SHUTDOWN)

    async def _begin_anyway(self, stopping: asyncio.Event) -> None:
        """Have nobody wait for a spider to be open when there is nothing to read for it."""
        await stopping.wait()
        self._can_begin.set()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for place in self._places:
                place.look()

    async def _end_stragglers(self, in_haste: asyncio.Event) -> None:
        """Once it is over, end those who do not leave. A spider may take its time to close, unless it is to be `in_haste`."""
        await self._over.wait()
        over_since = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                await in_haste.wait()
        if not in_haste.is_set():
            for place in self._places:
                if place.is_stuck:
                    if place.is_ready:
                        _log.warning("a reader process did not leave what it was at, and was killed")
                    place.kill("it did not leave")
            await in_haste.wait()
        await asyncio.sleep(over_since + HASTE_SECONDS - time.monotonic())
        for place in self._places:
            place.kill("it did not leave at once")


def shares_of(host: HostKey | None, connections: int, places: int) -> Sequence[float]:
    """How many of the connections that a host may have (0: any number) each of the places may have. They are spread evenly, over
    as few places as they are; which of these comes first is different with each host."""
    return _spread(connections, places, hash(host) % places)


@cache
def _spread(connections: int, places: int, first: int) -> Sequence[float]:
    if not connections:
        return [inf] * places
    even, left = divmod(connections, places)
    return [even + ((place - first) % places < left) for place in range(places)]


def _blamed(task: Task) -> str:
    return "failed()" if isinstance(task, FailureTask) else f"{task.lease.callback or 'parse'}()"
