"""One call of a session: one request or several, each exchanged over a connection, until there is a response to return.

There are several if there are redirects, if middlewares repeat requests, if a kept connection turns out to be dead, or if a
server does not process a request. One deadline spans them all, and the reading of the body.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from client.awaitable import Awaited
from client.errors import (
    BadHttpMessage,
    ClientError,
    ClientOSError,
    HeadersTooLarge,
    ServerDisconnectedError,
    TooManyRedirects,
)
from client.exchange import HeadTooLarge, WireError
from client.middleware import chain
from client.plan import Plan
from client.redirects import REDIRECT_STATUSES
from client.response import ClientResponse
from client.tracing import (
    TraceRequestChunkSentParams,
    TraceRequestHeadersSentParams,
    TraceRequestRedirectParams,
    TraceResponseChunkReceivedParams,
    emit,
)
from client.upload import begin_upload

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Sequence
    from types import TracebackType

    from yarl import URL

    from client.connection import Connection
    from client.exchange import Exchange
    from client.middleware import Handler
    from client.options import CallSettings, RequestOptions
    from client.request import ClientRequest
    from client.tracing import Trace

_MOST_REPEATS: Final = 5
"""How often a request is repeated that the server has not processed. A server that ends each connection after some requests takes
many concurrent ones in several rounds, but one that refuses all must not be asked for ever.
"""

_FIRST_PAUSE_SECONDS: Final = 0.1
"""About how long to wait before the third attempt of such a request; the time doubles for each one after that."""


class Caller(Protocol):
    """The maker of calls: a session."""

    def _request(
        self, call: Call, method: str, url: str | URL, options: RequestOptions
    ) -> Coroutine[Any, Any, ClientResponse]:
        """Fill in the call and run it. Returns the response, and also stores it in the call."""


class Call(Plan, Awaited[ClientResponse]):
    """What `session.get()` returns: `await` gives the response; `async with` also releases it at the end.

    The session fills in the call when it is awaited; before that, it has no `settings`. Instants are on the loop's clock.
    """

    __slots__ = ("_coroutine", "deadline_at", "max_redirects", "response", "settings", "started_at", "traces")

    settings: CallSettings
    started_at: float
    deadline_at: float

    def __init__(self, session: Caller, method: str, url: str | URL, options: RequestOptions) -> None:
        self.headers = self.body = self.cookies = None
        self.response: ClientResponse | None = None
        self.traces: Sequence[Trace] = ()
        self.max_redirects: int | None = 10
        """None: redirects are not followed."""
        self._coroutine = session._request(self, method, url, options)

    def _begun(self) -> Coroutine[Any, Any, ClientResponse]:
        return self._coroutine

    def __await__(self) -> Generator[Any, None, ClientResponse]:
        return self._coroutine.__await__()

    def __aenter__(self) -> Coroutine[Any, Any, ClientResponse]:
        return self._coroutine

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self.response is not None
        self.response.release()

    async def run(self) -> ClientResponse:
        """Make the planned request, through the middlewares, and those that redirects ask for."""
        send = chain(self.settings.middlewares, self.exchange) if self.settings.middlewares else self.exchange
        request = self.request(self.settings.jar)
        return await self.follow(request, await send(request), send)

    async def follow(self, request: ClientRequest, response: ClientResponse, send: Handler) -> ClientResponse:
        """Follow redirects, if `response` is one, and return the first response that is not.

        A redirect without a Location, or with an empty one, is not followed, as in Chromium. Raises `TooManyRedirects`, a
        `RedirectClientError`, and what `exchange` raises, all with the history of redirects.
        """
        history: list[ClientResponse] = []
        while response.status in REDIRECT_STATUSES and self.max_redirects is not None:
            if not (location := response.location):
                break
            history.append(response)
            response.release()
            if len(history) > self.max_redirects:
                raise _too_many_redirects(history)
            if self.traces:
                sent = TraceRequestRedirectParams(request.method, request.url, request.headers, response)
                await emit(self.traces, sent)
            try:
                self.redirect(response.status, location, requote=self.settings.requote)
                request = self.request(self.settings.jar)
                response = await send(request)
            except ClientError as error:
                error.history = error.history or tuple(history)
                raise
            response.history = tuple(history)
        return response

    async def exchange(self, request: ClientRequest) -> ClientResponse:
        """Send a request and return its response, whose body may still be arriving.

        If a kept connection turns out to be dead, the request is sent once more on another, if that is safe. A request that the
        server says it has not processed is repeated a few times. Errors name the request. If it is cancelled, nothing stays open.
        """
        settings, deadline_at = self.settings, self.deadline_at
        connection: Connection | None = None
        exchange: Exchange | None = None
        repeats = 0
        while True:
            if repeats > 1:
                await self._pause(repeats)
            try:
                connection = None if self.traces else settings.connector.lend_idle(request)
                if connection is None:
                    connection = await settings.connector.connect(
                        request, traces=self.traces, timeout=settings.timeout, deadline_at=deadline_at
                    )
                data, is_whole = request.wire()
                sock_read = settings.timeout.sock_read
                exchange = connection.protocol.begin(
                    request, data, settings.read_policy, is_whole, deadline_at, sock_read, connection.release
                )
                if connection.slot.is_starting:
                    connection.protocol.hand_over()
                    # uvloop sends after the callbacks of this loop iteration, and so before those of the next one.
                    asyncio.get_running_loop().call_soon(connection.slot.started)
                if self.traces:
                    connection.protocol.hand_over()
                    await self._tell_sent(request, exchange)
                if not exchange.is_sent:
                    await begin_upload(connection, exchange, request, self.traces)
                await exchange.answered
                if exchange.head is None:
                    assert exchange.error is not None
                    raise exchange.error
                if "\nset-cookie:" in exchange.head.lowered:
                    settings.jar.store(exchange.head.text_values("\nset-cookie:"), request.url)
                response = ClientResponse(request, exchange, connection, settings.resolve_charset, self.started_at)
                if self.traces:
                    response.on_read = partial(self._tell_read, request)
                return response
            except BaseException as error:
                if connection is not None:
                    connection.close()
                    if _may_repeat(request, exchange, error, was_used=connection.was_used, repeats=repeats):
                        settings.connector.drop_idle(request.connection_key)
                        connection = exchange = None
                        repeats += 1
                        continue
                raise _named(error, request) from error.__cause__

    async def _pause(self, repeats: int) -> None:
        """Wait before repeating a request that a server has refused more than once. The time is random, so that requests refused
        together are not repeated together.
        """
        from random import uniform  # rarely needed

        pause = _FIRST_PAUSE_SECONDS * 2.0 ** (repeats - 2) * uniform(0.5, 1.5)  # noqa: S311 - jitter is no secret
        await asyncio.sleep(min(pause, self.deadline_at - asyncio.get_running_loop().time()))

    async def _tell_sent(self, request: ClientRequest, exchange: Exchange) -> None:
        """Send the signals for the head, and for a body that was sent with it."""
        await emit(self.traces, TraceRequestHeadersSentParams(request.method, request.url, request.headers))
        if exchange.is_sent and request.body is not None and (data := request.body.in_memory()):
            await emit(self.traces, TraceRequestChunkSentParams(request.method, request.url, data))

    async def _tell_read(self, request: ClientRequest, body: bytes) -> None:
        await emit(self.traces, TraceResponseChunkReceivedParams(request.method, request.url, body))


class _NotYet:
    """An attribute of the response that was looked up on the call: the error says to await it. A method `__getattr__` would do
    the same, but slow down every access to attributes of a call.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, call: Call | None, kind: type[Call] | None = None) -> NoReturn:
        raise AttributeError(
            f"{self._name!r} is an attribute of the response, for which the call has to be awaited: "
            f"`(await session.get(url)).{self._name}`, or `async with session.get(url) as response:`"
        )


for _name in ("content", "history", "status", *dir(ClientResponse)):
    if not (_name.startswith("_") or hasattr(Call, _name)):
        setattr(Call, _name, _NotYet(_name))


def _too_many_redirects(history: Sequence[ClientResponse]) -> TooManyRedirects:
    first, last = history[0], history[-1]
    return TooManyRedirects(
        first.request_info,
        tuple(history),
        status=last.status,
        message=f"more than {len(history) - 1} redirects",
        headers=last.headers,
    )


def _may_repeat(
    request: ClientRequest, exchange: Exchange | None, error: BaseException, *, was_used: bool, repeats: int
) -> bool:
    """Whether to repeat a request that failed on a kept connection (RFC 9110 §9.2.2) or was not processed (RFC 9113 §8.7)."""
    if not isinstance(error, ServerDisconnectedError | ClientOSError):
        return False
    is_unprocessed = isinstance(error, ServerDisconnectedError) and error.is_unprocessed
    if not (was_used or is_unprocessed) or repeats >= (_MOST_REPEATS if is_unprocessed else 1):
        return False
    if exchange is None:
        return True  # the connection was closed before anything was sent
    if is_unprocessed:
        return request.body is None or request.body.can_replay
    return request.can_repeat and not exchange.has_begun


def _named(error: BaseException, request: ClientRequest) -> BaseException:
    """Return an error of ours with the request that it is about; other errors unchanged."""
    if isinstance(error, WireError):
        kind = HeadersTooLarge if isinstance(error, HeadTooLarge) else BadHttpMessage
        named = kind(request.request_info, (), message=str(error))
        named.__cause__ = error
        return named
    if isinstance(error, ClientError) and error.url is None:
        error.method, error.url = request.method, request.url
    return error
