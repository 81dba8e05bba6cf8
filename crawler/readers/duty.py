"""The life of a reader process: load the spider, read what pages come, and be gone when the crawl's process is."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, assert_never

from crawler.callbacks import Callbacks
from crawler.errors import CrawlError
from crawler.loop import run_loop
from crawler.readers import messages
from crawler.readers.channel import Channel
from crawler.readers.hands import Hands
from crawler.readers.messages import FailureTask, Farewell, Hello, PageTask, Ready, Trouble, VisitTask
from crawler.readers.signals import heed_none
from crawler.source import load_encoded
from crawler.spider import faults_of_the_spider

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from crawler.readers.messages import Task
    from crawler.spider import Spider

_LOST_PARENT = 1

_PAUSE_EVERY = 0.001
"""Seconds for which callbacks that never wait may keep the loop from its turn."""


def serve(fd: int) -> None:
    """Be the reader at the other end of the socket `fd`, until told to leave."""
    heed_none()
    channel = socket.socket(fileno=fd)
    channel.set_inheritable(False)
    os.register_at_fork(after_in_child=lambda: _let_go(fd))
    threading.Thread(target=_leave_with_the_crawl, args=(fd,), daemon=True).start()
    run_loop(_live(channel))


def _let_go(fd: int) -> None:
    """A fork of this process must not keep the channel open: that is how its end is known."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, fd, inheritable=False)
    os.close(nothing)


def _leave_with_the_crawl(fd: int) -> None:
    """End the process when the other end of the socket has gone, even while a callback does not return."""
    hung_up = select.poll()
    hung_up.register(fd, 0)  # nothing but what is always told: errors, and that nobody is there any more
    hung_up.poll()
    os._exit(_LOST_PARENT)


async def _live(ours: socket.socket) -> None:
    duty = Duty()
    channel = await Channel.over(ours, duty.hear)
    try:
        await duty.carry_out(channel)
    except CrawlError as error:
        channel.send(messages.encode(Trouble(str(error))))
    channel.close()
    await channel.ended.wait()


class Duty:
    """What is to be done, and who does it: a crew that grows with what is under way at once."""

    def __init__(self) -> None:
        self._greeting: asyncio.Future[Hello] = asyncio.get_running_loop().create_future()
        self._tasks: asyncio.Queue[Task] = asyncio.Queue()
        self._is_over = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._workers: set[asyncio.Task[None]] = set()
        self._idle = 0
        self._work: Callable[[], Coroutine[None, None, None]] | None = None
        self._pause_at = 0.0

    def hear(self, data: memoryview) -> None:
        """Take in a message."""
        match message := messages.decode_to_reader(data):
            case Hello():
                self._greeting.set_result(message)
            case VisitTask() | PageTask() | FailureTask():
                self._tasks.put_nowait(message)
                self._see_to_hands()
            case Farewell():
                self._is_over.set()
            case _:
                assert_never(message)

    def _see_to_hands(self) -> None:
        """Have somebody at hand for all that waits."""
        if self._work and self._tasks.qsize() > self._idle:
            self._idle += 1
            worker = self._group.create_task(self._work())
            self._workers.add(worker)

    async def carry_out(self, channel: Channel) -> None:
        """Open the spider, let it read until it is over, and close it. Raises what is wrong with it."""
        hello = await self._greeting
        spider = _load(hello)
        settings = hello.settings
        callbacks = Callbacks(spider, parse_thread_bytes=settings.parse_thread_bytes, canonical=settings.canonical)
        with faults_of_the_spider("opened()"):
            await spider.opened()
        try:
            async with Hands.with_sessions(channel, callbacks, hello) as hands, self._group:
                self._work = partial(self._serve, hands)
                channel.send(messages.encode(Ready()))
                await self._is_over.wait()
                self._work = None
                for worker in self._workers:
                    worker.cancel()
        finally:
            with faults_of_the_spider("closed()"):
                await spider.closed()

    async def _serve(self, hands: Hands) -> None:
        """One task after the other. Where nothing is fetched, the loop has its turn now and then, to send and to hear: one system
        call does for many."""
        while True:
            task = await self._tasks.get()
            self._idle -= 1
            await hands.carry_out(task)
            self._idle += 1
            if not isinstance(task, VisitTask) and time.monotonic() >= self._pause_at:
                await asyncio.sleep(0)
                self._pause_at = time.monotonic() + _PAUSE_EVERY


def _load(hello: Hello) -> Spider:
    logging.basicConfig(level=hello.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sys.path[:] = hello.path
    return load_encoded(hello.source)
