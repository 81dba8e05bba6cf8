"""The reader processes of one crawl: who reads which page, and what becomes of it when one of them dies.

A page is given to the process that has the least to read, ahead of need, so that none has to wait; but only so much, for it
is in memory there as well. What a process had not answered when it died is suspect: nobody knows which page it died of, since
callbacks may take turns, or whether of any. Each of these is given to a process that has nothing else, and fails if that dies
as well. So a page that kills its reader costs two processes and no other page, a reader that is killed from outside costs
none, and whatever any page gave counts once: only answers count.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, assert_never

from crawler.callbacks import Reader
from crawler.errors import SpiderError
from crawler.items import Harvest
from crawler.readers import messages
from crawler.readers.messages import Answer, FailureTask, Farewell, Hello, Ready, Trouble
from crawler.readers.process import ReaderProcess
from crawler.spider import Spider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from crawler.frontier.protocol import Lease
    from crawler.page import Page
    from crawler.readers.launch import Launches
    from crawler.readers.messages import Task
    from crawler.settings import Settings
    from crawler.source import Source

_log = logging.getLogger(__name__)

_AHEAD_BYTES = 2 << 20
"""So much may be with one process and unanswered, or one task that is larger."""

_TASK_BYTES = 1000
"""What a task weighs beside the body."""

_DEATHS_IN_A_ROW = 5
"""After so many without an answer between them, a place is given up, and the crawl with it."""

_FAREWELL = messages.encode(Farewell())


@dataclass(slots=True, eq=False)
class _Job:
    """A task, who waits for what comes of it, and whether it was with a process that died."""

    task: Task
    weight: int
    answer: asyncio.Future[Harvest]
    is_suspect: bool = False


class _Place:
    """Where one process after the other reads: what is with the present one, and how many in a row died."""

    def __init__(self) -> None:
        self.process: ReaderProcess | None = None
        self.jobs: dict[int, _Job] = {}
        self.weight = 0
        self.deaths = 0
        self.opened = asyncio.Event()
        self.is_ready = False
        self.has_suspect = False
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
        self.process.channel.send(messages.encode(job.task))

    def take_back(self) -> list[_Job]:
        """What the process had not answered, as far as somebody still waits for it."""
        left = [job for job in self.jobs.values() if not job.answer.done()]
        self.jobs.clear()
        self.weight = 0
        self.is_ready = False
        self.process = None
        return left


class Readers(Reader):
    """Has pages read by `processes` processes, each with a spider of its own. Made by `reading`."""

    def __init__(self, hello: Hello, launches: Launches, *, processes: int, tells_of_failures: bool) -> None:
        self._hello = messages.encode(hello)
        self._launches = launches
        self._places = [_Place() for _ in range(processes)]
        self._waiting: deque[_Job] = deque()
        self._numbers = count()
        self._tells_of_failures = tells_of_failures
        self._is_over = False

    @classmethod
    @asynccontextmanager
    async def reading(
        cls, spider: Spider, source: Source, settings: Settings, launches: Launches
    ) -> AsyncIterator[Readers]:
        """All of `settings.processes` but this one, from when their spiders are open until these are closed.

        Raises SpiderError when a spider cannot be loaded, opened or closed, or kills whoever reads for it.
        """
        hello = Hello(source.encoded(), settings, sys.path, logging.getLogger().getEffectiveLevel())
        tells = type(spider).failed is not Spider.failed
        readers = cls(hello, launches, processes=settings.processes - 1, tells_of_failures=tells)
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(readers._keep(place)) for place in readers._places]
            for place in readers._places:
                await place.opened.wait()
            try:
                yield readers
            finally:
                readers._dismiss()
                await asyncio.wait(keepers)

    async def take(self, lease: Lease, page: Page) -> Harvest:
        task = messages.page_task(next(self._numbers), lease, page)
        return await self._read(task, len(page.body) + _TASK_BYTES)

    async def take_failure(self, lease: Lease, error: str) -> Harvest:
        if not self._tells_of_failures:
            return Harvest()
        return await self._read(messages.failure_task(next(self._numbers), lease, error), _TASK_BYTES)

    def _read(self, task: Task, weight: int) -> asyncio.Future[Harvest]:
        job = _Job(task, weight, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._deal()
        return job.answer

    def _deal(self) -> None:
        """Give what waits to those who have room, in order."""
        while self._waiting:
            job = self._waiting[0]
            if not job.answer.done():
                place = min(self._places, key=lambda place: place.weight if place.has_room(job) else sys.maxsize)
                if not place.has_room(job):
                    return
                place.give(job)
            self._waiting.popleft()

    # ------------------------------------------------------------------ processes

    async def _keep(self, place: _Place) -> None:
        """Have a process at this place, and another one whenever it dies, until all are dismissed."""
        while not self._is_over:
            async with ReaderProcess.of(self._launches.take(), partial(self._hear, place)) as process:
                place.process = process
                process.channel.send(self._hello)
                if self._is_over:
                    process.channel.send(_FAREWELL)
                how = await process.end()
            left = place.take_back()
            if place.trouble:
                raise SpiderError(place.trouble)
            if not self._is_over:
                self._mourn(place, left, how)

    def _hear(self, place: _Place, data: memoryview) -> None:
        match message := messages.decode_from_reader(data):
            case Answer():
                place.deaths = 0
                self._settle(place, message)
            case Ready():
                place.is_ready = True
                place.opened.set()
            case Trouble():
                place.trouble = message.error
            case _:
                assert_never(message)
        self._deal()

    def _settle(self, place: _Place, answer: Answer) -> None:
        job = place.jobs.pop(answer.number)
        place.weight -= job.weight
        if job.answer.done():  # nobody waits any more: the crawl is being cut short
            return
        if answer.error is None:
            job.answer.set_result(messages.harvest_of(answer))
        else:
            job.answer.set_exception(SpiderError(answer.error))

    def _mourn(self, place: _Place, left: list[_Job], how: str) -> None:
        """A process has died: find out for what, and let nothing be lost."""
        place.deaths += 1
        at = f" at {left[0].task.url}" if len(left) == 1 else ""
        if place.deaths >= _DEATHS_IN_A_ROW:
            raise SpiderError(
                f"{place.deaths} reader processes in a row died before they had read a page, the last{at}: {how}"
            )
        _log.warning("a reader process died%s: %s; another one takes its place", at, how)
        for job in left:
            if job.is_suspect:  # and was alone
                error = f"{_blamed(job.task)} ended the process that ran it, twice: {how}"
                job.answer.set_exception(SpiderError(error))
            job.is_suspect = True
        self._waiting.extendleft(job for job in reversed(left) if not job.answer.done())
        self._deal()

    def _dismiss(self) -> None:
        self._is_over = True
        for place in self._places:
            if place.process:
                place.process.channel.send(_FAREWELL)


def _blamed(task: Task) -> str:
    return "failed()" if isinstance(task, FailureTask) else f"{task.callback or 'parse'}()"
