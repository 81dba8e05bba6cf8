"""The life of a reader, in this process."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from typing import TYPE_CHECKING

from crawler import Settings
from crawler.readers.channel import Channel
from crawler.readers.main import ReaderService
from crawler.readers.messages import (
    Answer,
    Hello,
    PageTask,
    Ready,
    SentLease,
    SentPage,
    Shutdown,
    decode_from_reader,
    encode,
)
from crawler.source import Source
from tests.crawler.readers.spiders import Everything

if TYPE_CHECKING:
    from crawler.readers.messages import ToReader


def task_of(number: int) -> PageTask:
    url = f"http://library.example/{number}"
    lease = SentLease(url, "GET", depth=0, requested_url=url)
    return PageTask(number, lease, SentPage(lease.url, 200, [], b"", 0.0, 0.0))


async def test_a_task_given_to_who_is_cancelled_the_next_moment_is_done_by_another() -> None:
    """A callback may cancel its task at any time."""
    told: asyncio.Queue[object] = asyncio.Queue()
    ours, theirs = socket.socketpair()
    source = Source.of(Everything()).encoded()
    hello = Hello(source, Settings(), sys.path, logging.WARNING, None, frozenset())
    service = ReaderService()

    def hear(message: ToReader) -> None:
        service.hear(memoryview(encode(message)))

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        other_end = await Channel.over(theirs, lambda message: told.put_nowait(decode_from_reader(message)))
        group.create_task(service.carry_out(await Channel.over(ours, service.hear)))
        hear(hello)
        assert isinstance(await told.get(), Ready)
        before = asyncio.all_tasks()
        hear(task_of(1))
        assert isinstance(await told.get(), Answer)
        (worker,) = asyncio.all_tasks() - before
        hear(task_of(2))
        worker.cancel()
        answer = await told.get()
        assert isinstance(answer, Answer)
        assert answer.number == 2
        assert worker.cancelled()
        hear(Shutdown())
    other_end.close()
