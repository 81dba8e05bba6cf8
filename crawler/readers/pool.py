"""The reader processes of one crawl: who visits which page, and what becomes of the page when a process dies.

The slot for a request comes from the limits that the whole crawl shares, and is held until the process that asked has the
response. Each process has its share of the connections that a host may have, so that together they never have more.

What a process had not answered when it died is suspect: it may have died of any of these pages, since callbacks take turns, or of
none. Each of them is given to a process that has nothing else to do, and fails if that process dies as well. So a page that kills
its reader costs two processes and no other page; a reader that is killed from outside costs no page; and what a page gave counts
once, since only answers count.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from contextlib import asynccontextmanager, suppress
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
from crawler.readers.place import LOOK_SECONDS, Job, Place
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

_TASK_BYTES = 1000
"""What a task weighs without the body."""

_DEATHS_IN_A_ROW = 5
"""After so many deaths at one place without an answer in between, the crawl is given up. Deaths that are blamed on a page do not
count: that page has failed, and the crawl goes on."""

_LEAVE_SECONDS = 5.0
"""How long a process may take, when the crawl is over, to drop what it is doing. One that takes longer is in a callback that never
returns or resists being cancelled: whatever would have ended by itself had `drain_timeout` to do so."""

_SHUTDOWN = messages.encode(Shutdown())


class ReaderDied(Exception):
    """The process that had a task died before it answered."""


class Readers(Reader):
    """Has pages visited by `processes` processes, each with a spider of its own. Made by `reading`."""

    def __init__(self, hello: Hello, launches: Launches, *, processes: int, tells_of_failures: bool) -> None:
        self._hello = messages.encode(hello)
        self._longest = longest_from_reader(hello.settings)
        self._launches = launches
        self._places = [Place() for _ in range(processes)]
        self._waiting: deque[Job] = deque()
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
        """Run `settings.processes` processes while the block lasts. It is entered once a first spider is open, or the crawl is
        `stopping`, and left once all spiders are closed, or the crawl is `in_haste`. `trusted_hosts` may be at private addresses.

        Raises SpiderError when a spider cannot be loaded, opened or closed, or kills whoever reads for it.
        """
        hello = _hello(source, settings, trusted_hosts)
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
        """Have a page fetched, with the host's slot, and read. `may_be_private`: hosts may be at any address; `is_suspect`: it
        was tried before, and that raised ReaderDied; `known`: the request that brought it in an earlier crawl, if the server is only
        to be asked whether it has changed.

        Raises ReaderDied when the process dies, and SpiderError when it dies of a page that `is_suspect`.
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
        job = Job(task, weight, result, slot.host if slot else None, slot, is_suspect)
        if not self._waiting and (place := self._place_for(job)):
            place.give(job)
        else:
            self._waiting.append(job)
            self._dispatch()
        return result

    def _dispatch(self) -> None:
        """Give waiting jobs to places that have room, in order. Only a request that waits for a connection is overtaken."""
        left: deque[Job] = deque()
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

    def _place_for(self, job: Job) -> Place | None:
        """Of the places that have room and may open another connection to the host, the one with the least to do. A place without
        a share in a host's connections never asks it: the connection that it would keep would be one too many."""
        connections = job.slot.limit_per_host if job.slot else 0
        best = None
        for place, share in zip(self._places, shares_of(job.host, connections, len(self._places)), strict=True):
            is_better = best is None or place.weight < best.weight
            if is_better and place.has_room(job) and (not job.host or place.asking.get(job.host, 0) < share):
                best = place
        return best

    # ------------------------------------------------------------------ processes

    async def _supervise(self, place: Place) -> None:
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

    def _on_message(self, place: Place, data: memoryview) -> None:
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

    def _on_death(self, place: Place, left: list[Job], how: str) -> None:
        """A process has died: find out which task to blame, and have the others done again."""
        place.deaths += not any(job.is_suspect for job in left)
        at = f" at {left[0].task.lease.url}" if len(left) == 1 else ""
        if place.deaths >= _DEATHS_IN_A_ROW:
            raise SpiderError(
                f"{place.deaths} reader processes in a row died before they had read a page, the last{at}: {how}"
            )
        _log.warning("a reader process died%s: %s; another one takes its place", at, how)
        for job in left:
            if job.is_suspect:  # the process had nothing else, so this is to blame
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
        """Let a crawl that is `stopping` go on without an open spider: nothing will be read."""
        await stopping.wait()
        self._can_begin.set()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for place in self._places:
                place.look()

    async def _end_stragglers(self, in_haste: asyncio.Event) -> None:
        """Once it is over, kill the processes that do not leave. A spider may take its time to close, unless it is `in_haste`."""
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


def _hello(source: Source, settings: Settings, trusted_hosts: Collection[str]) -> Hello:
    """The first message to each reader, which is to log as this process does."""
    log = logging.getLogger()
    file = next((one.baseFilename for one in log.handlers if isinstance(one, logging.FileHandler)), None)
    return Hello(source.encoded(), settings, sys.path, log.getEffectiveLevel(), file, frozenset(trusted_hosts))


def shares_of(host: HostKey | None, connections: int, places: int) -> Sequence[float]:
    """How many of the `connections` that a host may have (0: any number) fall to each of the places. They are spread evenly; which
    place comes first when there are fewer connections than places differs from host to host."""
    return _spread(connections, places, hash(host) % places)


@cache
def _spread(connections: int, places: int, first: int) -> Sequence[float]:
    if not connections:
        return [inf] * places
    even, left = divmod(connections, places)
    return [even + ((place - first) % places < left) for place in range(places)]


def _blamed(task: Task) -> str:
    return "failed()" if isinstance(task, FailureTask) else f"{task.lease.callback or 'parse'}()"
