"""The life of a reader process: load the spider, carry out tasks, and end when the crawl's process has ended."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, assert_never

from crawler.callbacks import Callbacks
from crawler.cancellation import owned_by
from crawler.errors import CrawlError
from crawler.faults import faults_of_the_spider
from crawler.lifecycle import open_spider
from crawler.loop import run_loop
from crawler.readers import messages
from crawler.readers.channel import Channel
from crawler.readers.gathering import LONG_SECONDS
from crawler.readers.messages import (
    FailureTask,
    Hello,
    PageTask,
    Ping,
    Pong,
    Ready,
    Shutdown,
    ShuttingDown,
    SpiderFault,
    VisitTask,
)
from crawler.readers.signals import ignore_signals
from crawler.readers.tasks import TaskRunner
from crawler.source import load_encoded

if TYPE_CHECKING:
    from crawler.readers.messages import Task
    from crawler.spider import Spider

_LOST_PARENT = 1

_PAUSE_EVERY = 0.001
"""For how many seconds callbacks that never wait may keep the loop from its next turn."""


def serve(fd: int) -> None:
    """Be the reader at the other end of the socket `fd`, until told to leave."""
    ignore_signals()
    channel = socket.socket(fileno=fd)
    channel.set_inheritable(False)
    os.register_at_fork(after_in_child=lambda: _let_go(fd))
    threading.Thread(target=_leave_with_the_crawl, args=(fd,), daemon=True).start()
    run_loop(_live(channel))


def _let_go(fd: int) -> None:
    """In a fork: it must not keep the channel open, which tells of the end of this process by closing."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, fd, inheritable=False)
    os.close(nothing)


def _leave_with_the_crawl(fd: int) -> None:
    """End the process when the other end of the socket has gone, even while a callback does not return."""
    hung_up = select.poll()
    hung_up.register(fd, 0)  # only what is always reported: errors, and that the other end is closed
    hung_up.poll()
    os._exit(_LOST_PARENT)


async def _live(ours: socket.socket) -> None:
    service = ReaderService()
    channel = await Channel.over(ours, service.hear, at_once_after=LONG_SECONDS)
    watching = asyncio.create_task(_leave_with(channel))
    try:
        await service.carry_out(channel)
    except CrawlError as error:
        channel.send(messages.encode(SpiderFault(str(error))))
    watching.cancel()
    channel.close()
    await channel.ended.wait()


async def _leave_with(channel: Channel) -> None:
    """End the process when the channel has ended, even if the other end is still there."""
    await channel.ended.wait()
    os._exit(_LOST_PARENT)


class ReaderService:
    """Takes in messages, and has tasks carried out by a pool of workers that grows with the number under way at once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._greeting: asyncio.Future[Hello] = self._loop.create_future()
        self._is_over = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._parent: asyncio.Task[Any] | None = None
        self._workers: set[asyncio.Task[None]] = set()
        self._idle: list[asyncio.Future[Task]] = []
        self._runner: TaskRunner | None = None
        self._channel: Channel | None = None
        self._pause_at = 0.0

    def hear(self, data: memoryview) -> None:
        """Take in a message."""
        match message := messages.decode_to_reader(data):
            case VisitTask() | PageTask() | FailureTask():
                self._dispatch(message)
            case Hello():
                self._greeting.set_result(message)
            case Shutdown():
                self._is_over.set()
            case Ping():
                if self._channel:
                    self._channel.send(messages.encode(Pong()))
            case _:
                assert_never(message)

    def _dispatch(self, task: Task) -> None:
        """Give a task to a worker at once."""
        while self._idle:
            if not (idle := self._idle.pop()).done():  # otherwise a callback has cancelled the worker that waits
                idle.set_result(task)
                return
        if self._runner:
            self._workers.add(self._group.create_task(self._serve(self._runner, task)))

    async def carry_out(self, channel: Channel) -> None:
        """Open the spider, let it read until the crawl is over, and close it. Raises CrawlError if the spider cannot be loaded, opened
        or closed."""
        self._channel = channel
        self._parent = asyncio.current_task()
        hello = await self._greeting
        spider = _load(hello)
        settings = hello.settings
        callbacks = Callbacks(spider, parse_thread_bytes=settings.parse_thread_bytes, canonical=settings.canonical)
        if not await open_spider(spider, self._is_over):
            return
        try:
            async with TaskRunner.with_sessions(channel, callbacks, hello) as runner, self._group:
                self._runner = runner
                channel.send(messages.encode(Ready()))
                await self._is_over.wait()
                self._runner = None
                self._idle.clear()
                for worker in self._workers:
                    worker.cancel()
        finally:
            channel.send(messages.encode(ShuttingDown()))
            await channel.flush()
            with faults_of_the_spider("closed()"):
                await spider.closed()

    async def _serve(self, runner: TaskRunner, task: Task) -> None:
        """Carry out one task after another. If nothing is fetched, the loop has a turn only now and then, so that one system call
        sends, or receives, many messages. A worker that an earlier callback cancels goes; there will be others."""
        owned_by(self._parent, self._is_over.is_set)
        worker = asyncio.current_task()
        assert worker
        try:
            while True:
                await runner.carry_out(task)
                if not isinstance(task, VisitTask) and time.monotonic() >= self._pause_at:
                    await asyncio.sleep(0)
                    self._pause_at = time.monotonic() + _PAUSE_EVERY
                task = await self._next_task()
        finally:
            self._workers.discard(worker)

    async def _next_task(self) -> Task:
        idle: asyncio.Future[Task] = self._loop.create_future()
        self._idle.append(idle)
        try:
            return await idle
        except asyncio.CancelledError:
            if not idle.cancelled():  # it was given a task at the last moment
                self._dispatch(idle.result())
            raise


def _load(hello: Hello) -> Spider:
    logging.basicConfig(
        filename=hello.log_file, level=hello.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    sys.path[:] = hello.path
    return load_encoded(hello.source)
