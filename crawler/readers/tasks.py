"""The work of a reader: it fetches pages, has its spider read them, and reports the results."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from client import AddressGuard, ClientSession, DummyCookieJar, TraceConfig
from client.limits import HostLimits
from crawler.cancellation import RAISED, is_cancellation, is_ours
from crawler.errors import Retry
from crawler.exchange import NoResponse, exchange, location_of, open_session
from crawler.faults import explain, text_of
from crawler.readers import messages, translation
from crawler.readers.gathering import GatheringConnector
from crawler.readers.messages import (
    Answer,
    FailureTask,
    HostFreed,
    PageTask,
    RequestSent,
    VisitFailed,
    VisitResult,
    longest_from_reader,
)
from crawler.retries import Failure, failure_of_status
from crawler.web.directives import Obedience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from contextlib import AbstractContextManager

    from crawler.callbacks import Callbacks
    from crawler.items import Harvest
    from crawler.readers.channel import Channel
    from crawler.readers.messages import FromReader, Hello, Result, Task, VisitTask
    from crawler.revalidation import ConditionalRequests
    from crawler.settings import Settings

_log = logging.getLogger(__name__)

_SOON = 0.01
"""If the spider takes longer than so many seconds for a page, its host is freed for another request. One timer serves all pages."""


class TaskRunner:
    """Carries out tasks. `session` makes requests; a second one, over the same connections, also reports when each goes out."""

    def __init__(
        self,
        channel: Channel,
        callbacks: Callbacks,
        settings: Settings,
        *,
        session: ClientSession,
        connector: GatheringConnector,
        guard: AddressGuard,
        conditional: ConditionalRequests | None = None,
    ) -> None:
        self._conditional = conditional
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._callbacks = callbacks
        self._reading: set[int] = set()
        self._freeing: asyncio.TimerHandle | None = None
        self._settings = settings
        self._longest = longest_from_reader(settings)
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
    async def with_sessions(cls, channel: Channel, callbacks: Callbacks, hello: Hello) -> AsyncIterator[TaskRunner]:
        """The crawl's process keeps the limits of hosts, and the cookies; what is limited here is how many connections are kept."""
        settings = hello.settings
        guard = AddressGuard(allow_private=settings.allow_private, trusted_hosts=hello.trusted_hosts)
        limits = HostLimits(limit=(1 + settings.lingering) * settings.concurrency)
        connector = GatheringConnector(limits=limits, address_guard=guard, http2=settings.http2)
        async with open_session(settings, connector, DummyCookieJar()) as session:
            with _conditional_requests(settings) as conditional:
                runner = cls(
                    channel,
                    callbacks,
                    settings,
                    session=session,
                    connector=connector,
                    guard=guard,
                    conditional=conditional,
                )
                try:
                    yield runner
                finally:
                    await runner._telling_session.close()

    def _trace(self) -> TraceConfig:
        async def tell(_session: object, context: Any, _parameters: object) -> None:
            self._connector.send_all()  # or it would have started later than is reported
            self._send(RequestSent(context.trace_request_ctx))

        trace = TraceConfig()
        trace.on_request_headers_sent.append(tell)
        return trace

    async def carry_out(self, task: Task) -> None:
        """Carry out a task, and send the result."""
        try:
            message = encode_result(await self._result_of(task), self._longest)
        except RAISED as error:  # a fault of ours: it may cost this page, but not the process
            if await is_ours(error):
                raise
            _log.exception("fetching %s", task.lease.url)
            message = messages.encode(_lost(task, error))
        self._channel.send(message)

    async def _result_of(self, task: Task) -> Result:
        if isinstance(task, PageTask):
            lease = translation.lease_of(task)
            reading = self._callbacks.take(lease, translation.page_of(task.page, lease, self._obedience))
            return await self._answer(task.number, reading)
        if isinstance(task, FailureTask):
            lease = translation.lease_of(task)
            page = translation.page_of(task.page, lease, self._obedience) if task.page else None
            return await self._answer(task.number, self._callbacks.take_failure(lease, task.error, page))
        return await self._visit(task)

    def _send(self, message: FromReader) -> None:
        self._channel.send(messages.encode(message))

    async def _visit(self, task: VisitTask) -> Result:
        if task.may_be_private:
            self._guard.open()
        lease = translation.lease_of(task)
        session = self._telling_session if task.tells_start else self._session
        options: dict[str, Any] = {"cookies": task.cookies, "trace_request_ctx": task.number}
        if self._conditional and task.known is not None:
            result = await self._conditional.exchange(session, lease, self._obedience, task.known, **options)
        else:
            result = await exchange(session, lease, self._obedience, **options)
        if isinstance(result, NoResponse):
            failure = result.failure._replace(text=translation.sendable(result.failure.text))
            return VisitFailed(task.number, failure, result.began_at)
        answer = None
        is_unsuccessful = failure_of_status(result.page.status) is not None
        if not is_unsuccessful:
            self._reading.add(task.number)
            if not self._freeing:
                self._freeing = self._loop.call_later(_SOON, self._free)
            try:
                answer = await self._answer(task.number, self._callbacks.take(lease, result.page))
            finally:
                self._reading.discard(task.number)
        sends_page = is_unsuccessful and self._callbacks.want_error_pages
        return translation.seen(
            task.number,
            result,
            answer,
            is_private=self._guard.is_open,
            keeps_body=self._settings.keep_bodies,
            sends_page=sends_page and location_of(result.page.status, result.page.headers) is None,
        )

    def _free(self) -> None:
        """Free the hosts whose pages are still being read."""
        self._freeing = None
        for number in self._reading:
            self._send(HostFreed(number))
        self._reading.clear()

    async def _answer(self, number: int, reading: Awaitable[Harvest]) -> Answer:
        """The answer of the spider: what it gives, that it raised, or that it wants the page again."""
        try:
            return translation.answer(number, await reading)
        except Retry as raised:
            return Answer(number, again=translation.again(raised))
        except RAISED as error:
            if is_cancellation(error):  # `carry_out` finds out whose
                raise
            return Answer(number, error=translation.sendable(explain(error)))


def _conditional_requests(settings: Settings) -> AbstractContextManager[ConditionalRequests | None]:
    """What requests pages that an earlier crawl kept, if the settings name such a crawl."""
    if not settings.revalidate:
        return nullcontext()
    from crawler.revalidation import (
        conditional_requests,  # and with it the crawl file's reader: most crawls begin with nothing known
    )

    return conditional_requests(Path(settings.revalidate), settings)


def encode_result(result: Result, longest: int) -> bytes:
    """The message with a result, at most `longest` bytes. If it cannot be sent, that is an error of its page."""
    try:
        data = messages.encode(result)
        if len(data) <= longest:
            return data
        fault = f"what it gives for the page takes {len(data):,} bytes; at most {longest:,} are taken"
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        fault = f"what it gives for the page cannot be sent: {error}"
    refused = Answer(result.number, error=translation.sendable(fault))
    if not isinstance(result, VisitResult):
        return messages.encode(refused)
    return messages.encode(replace(result, kept=None, page=None, answer=result.answer and refused))


def _lost(task: Task, error: BaseException) -> Result:
    """The result of a task that failed for a fault of ours."""
    text = translation.sendable(text_of(error))
    if isinstance(task, PageTask | FailureTask):
        return Answer(task.number, error=text)
    is_temporary = isinstance(error, asyncio.CancelledError)  # another page's callback may have done this
    return VisitFailed(task.number, Failure("internal", text, is_temporary), time.monotonic())
