"""What a reader does: it fetches pages, has its spider read them, and tells what came of it."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from client import AddressGuard, ClientSession, DummyCookieJar, TraceConfig
from client.limits import HostLimits
from crawler.exchange import NoResponse, exchange, open_session
from crawler.readers import messages, translation
from crawler.readers.gathering import GatheringConnector
from crawler.readers.messages import Answer, FailureTask, Freed, PageTask, Started, Unseen
from crawler.retries import failure_of_status
from crawler.spider import explain
from crawler.web.directives import Obedience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from crawler.callbacks import Callbacks
    from crawler.items import Harvest
    from crawler.readers.channel import Channel
    from crawler.readers.messages import FromReader, Hello, Result, Task, VisitTask
    from crawler.settings import Settings

_log = logging.getLogger(__name__)

_SOON = 0.01
"""So many seconds, at most, a spider takes for a page before its host is free for another request. One timer does for all."""


class Hands:
    """Carries tasks out. `session` makes requests; the other one, over the same connections, tells when each goes out."""

    def __init__(
        self,
        channel: Channel,
        callbacks: Callbacks,
        settings: Settings,
        *,
        session: ClientSession,
        connector: GatheringConnector,
        guard: AddressGuard,
    ) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._callbacks = callbacks
        self._reading: set[int] = set()
        self._freeing: asyncio.TimerHandle | None = None
        self._settings = settings
        self._obedience = Obedience.of(
            user_agent=settings.user_agent, robots=settings.robots, nofollow=settings.nofollow
        )
        self._session = session
        self._guard = guard
        self._connector = connector
        self._telling_session = open_session(
            settings, connector, DummyCookieJar(), connector_owner=False, trace_configs=[self._trace()]
        )

    @classmethod
    @asynccontextmanager
    async def with_sessions(cls, channel: Channel, callbacks: Callbacks, hello: Hello) -> AsyncIterator[Hands]:
        """The crawl's process keeps the limits of hosts, and the cookies; what is limited here is how many connections are kept."""
        settings = hello.settings
        guard = AddressGuard(allow_private=settings.allow_private, trusted_hosts=hello.trusted_hosts)
        limits = HostLimits(limit=(1 + settings.lingering) * settings.concurrency)
        connector = GatheringConnector(limits=limits, address_guard=guard)
        async with open_session(settings, connector, DummyCookieJar()) as session:
            hands = cls(channel, callbacks, settings, session=session, connector=connector, guard=guard)
            try:
                yield hands
            finally:
                await hands._telling_session.close()

    def _trace(self) -> TraceConfig:
        async def tell(_session: object, context: Any, _parameters: object) -> None:
            self._connector.send_all()  # or it would have started later than is told
            self._send(Started(context.trace_request_ctx))

        trace = TraceConfig()
        trace.on_request_headers_sent.append(tell)
        return trace

    async def carry_out(self, task: Task) -> None:
        """See to a task, and send what came of it."""
        if isinstance(task, PageTask):
            result: Result = await self._answer(
                task.number, self._callbacks.take(*translation.page_of(task, self._obedience))
            )
        elif isinstance(task, FailureTask):
            told = self._callbacks.take_failure(translation.lease_of(task), task.error)
            result = await self._answer(task.number, told)
        else:
            result = await self._visit(task)
        self._send(result)

    def _send(self, message: FromReader) -> None:
        self._channel.send(messages.encode(message))

    async def _visit(self, task: VisitTask) -> Result:
        if task.may_be_private:
            self._guard.open()
        lease = translation.lease_of(task)
        session = self._telling_session if task.tells_start else self._session
        try:
            came = await exchange(session, lease, self._obedience, cookies=task.cookies, trace_request_ctx=task.number)
        except Exception as error:  # a fault of ours: it may cost this page, not the process
            _log.exception("fetching %s", lease.url)
            text = translation.sendable(f"{type(error).__name__}: {error}")
            return Unseen(task.number, "internal", text, is_passing=False, began_at=time.monotonic())
        if isinstance(came, NoResponse):
            kind, text, is_passing = came.failure
            return Unseen(task.number, kind, translation.sendable(text), is_passing, came.began_at)
        answer = None
        if not failure_of_status(came.page.status):
            self._reading.add(task.number)
            if not self._freeing:
                self._freeing = self._loop.call_later(_SOON, self._free)
            answer = await self._answer(task.number, self._callbacks.take(lease, came.page))
            self._reading.discard(task.number)
        return translation.seen(
            task.number, came, answer, is_private=self._guard.is_open, keeps_body=self._settings.keep_bodies
        )

    def _free(self) -> None:
        """Tell of the hosts whose pages are still being read."""
        self._freeing = None
        for number in self._reading:
            self._send(Freed(number))
        self._reading.clear()

    async def _answer(self, number: int, reading: Awaitable[Harvest]) -> Answer:
        """What the spider makes of a task, or that it raised."""
        try:
            return translation.answer(number, await reading)
        except asyncio.CancelledError as error:
            if (me := asyncio.current_task()) and me.cancelling():
                raise
            return Answer(number, error=explain(error))  # the spider's own, of a task it had
        except Exception as error:  # a spider may raise anything
            return Answer(number, error=translation.sendable(explain(error)))
