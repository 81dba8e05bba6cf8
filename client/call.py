"""One call of a session: the requests it takes, each exchanged over a connection, until there is a response to give back.

A call may take several: redirects one after the other, middlewares as they like, and more where a kept connection
turned out to be dead, or a server did not look at a request. One deadline spans them all, and the reading of the body.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from client.awaitable import Awaited
from client.errors import (
    BadHttpMessage,
    ClientConnectionError,
    ClientConnectionResetError,
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
from client.request import LAST_CHUNK
from client.response import ClientResponse
from client.tracing import (
    TraceRequestChunkSentParams,
    TraceRequestHeadersSentParams,
    TraceRequestRedirectParams,
    TraceResponseChunkReceivedParams,
    emit,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Sequence
    from types import TracebackType

    from yarl import URL

    from client.carrier import Carrier
    from client.connection import Connection
    from client.exchange import Exchange
    from client.middleware import Handler
    from client.options import CallSettings, RequestOptions
    from client.request import ClientRequest
    from client.tracing import Trace

_MOST_REPEATS: Final = 5
"""How often a request is made again that servers have not looked at: one that ends its connection after so many requests takes them
by turns, if they come all at once, while one that will have none is not to be asked for ever.
"""

_FIRST_PAUSE_SECONDS: Final = 0.1
"""How long, about, such a server is left alone before a request goes to it for the third time; each time after that, twice as long."""

_CONTINUE_SECONDS: Final = 1.0
"""How long a body waits for 100 (Continue) before it is sent unbidden (RFC 9110 §10.1.1); as curl has it."""


class Caller(Protocol):
    """Who makes calls: a session."""

    def _request(
        self, call: Call, method: str, url: str | URL, options: RequestOptions
    ) -> Coroutine[Any, Any, ClientResponse]:
        """Fill the call in and run it; the response is left in it as well."""


class Call(Plan, Awaited[ClientResponse]):
    """What `session.get()` returns: awaited, the response; in `async with`, the response, released at the end.

    The session says what it is to do once it is awaited; before that there are no `settings`. Instants are on the loop's clock.
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
        """None follows none."""
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
        """Make the planned request, past the middlewares, and those that redirects ask for."""
        send = chain(self.settings.middlewares, self.exchange) if self.settings.middlewares else self.exchange
        request = self.request(self.settings.jar)
        return await self.follow(request, await send(request), send)

    async def follow(self, request: ClientRequest, response: ClientResponse, send: Handler) -> ClientResponse:
        """Make the requests that redirects ask for, the first of them `response`; return the response that asks for none.

        A redirect without a Location, or with an empty one, is such a response, as Chromium has it. Raises `TooManyRedirects`, `RedirectClientError`s, and what
        `exchange` does, all with the history of redirects.
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

        A kept connection may turn out to be dead; then the request goes out once more, if that is safe, on another. What a server
        says that it has not looked at goes out a few times more. Errors name the request. Cancelled, it leaves nothing open.
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
                    # uvloop sends what was written once it is through with this turn's callbacks: the next turn's come after.
                    asyncio.get_running_loop().call_soon(connection.slot.started)
                if self.traces:
                    connection.protocol.hand_over()
                    await self._tell_sent(request, exchange)
                if not exchange.is_sent:
                    await self._send_body(connection, exchange, request)
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
        """Leave a server alone for a while that has refused the request more than once; what it refused together is not to come
        back together.
        """
        from random import uniform  # few need it

        pause = _FIRST_PAUSE_SECONDS * 2.0 ** (repeats - 2) * uniform(0.5, 1.5)  # noqa: S311 - jitter is no secret
        await asyncio.sleep(min(pause, self.deadline_at - asyncio.get_running_loop().time()))

    async def _tell_sent(self, request: ClientRequest, exchange: Exchange) -> None:
        """Tell of the head, and of a body that went with it."""
        await emit(self.traces, TraceRequestHeadersSentParams(request.method, request.url, request.headers))
        if exchange.is_sent and request.body is not None and (data := request.body.in_memory()):
            await emit(self.traces, TraceRequestChunkSentParams(request.method, request.url, data))

    async def _tell_read(self, request: ClientRequest, body: bytes) -> None:
        await emit(self.traces, TraceResponseChunkReceivedParams(request.method, request.url, body))

    async def _send_body(self, connection: Connection, exchange: Exchange, request: ClientRequest) -> None:
        """Have the body sent beside what follows, unless a final response makes that pointless."""
        if request.expects_continue:
            assert exchange.may_continue is not None
            either = (exchange.may_continue, exchange.answered)
            await asyncio.wait(either, timeout=_CONTINUE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if exchange.answered.done():
                connection.protocol.withhold(exchange)
                return
        connection.upload = asyncio.ensure_future(self._upload(connection.protocol, exchange, request))

    async def _upload(self, protocol: Carrier, exchange: Exchange, request: ClientRequest) -> None:
        """Send the body. What goes wrong ends the exchange, and so reaches whoever waits for the response."""
        try:
            async with aclosing(request.parts()) as parts:  # now, rather than whenever nobody knows it any more
                async for part in parts:
                    for piece in request.framed(part) if protocol.takes_chunks else (part,):
                        await protocol.write(exchange, piece)
                    if self.traces:
                        await emit(self.traces, TraceRequestChunkSentParams(request.method, request.url, part))
            if request.chunked and protocol.takes_chunks:
                await protocol.write(exchange, LAST_CHUNK)
            protocol.end(exchange)
        except ClientConnectionResetError:
            return  # the connection was closed, with the response or without; the exchange knows
        except (Exception, asyncio.CancelledError) as error:  # whatever the caller's file or generator raises
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # it is this task that is cancelled, with the use of the connection
            failure = ClientConnectionError(f"the request's body could not be sent: {error!r}")
            failure.__cause__ = error
            protocol.fail(failure)


class _NotYet:
    """What a call lacks until it is awaited, and its response has: who asks for it is told. A method `__getattr__` would do the
    same, and slow down every look at what a call has.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, call: Call | None, kind: type[Call] | None = None) -> NoReturn:
        raise AttributeError(
            f"{self._name!r} is the response's, for which the call has to be awaited: "
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
    """Whether a request may be sent again that failed on a kept connection (RFC 9110 §9.2.2), or was not looked at (RFC 9113 §8.7)."""
    if not isinstance(error, ServerDisconnectedError | ClientOSError):
        return False
    is_unprocessed = isinstance(error, ServerDisconnectedError) and error.is_unprocessed
    if not (was_used or is_unprocessed) or repeats >= (_MOST_REPEATS if is_unprocessed else 1):
        return False
    if exchange is None:
        return True  # the connection was seen to be closed before anything was sent
    if is_unprocessed:
        return request.body is None or request.body.can_replay
    return request.can_repeat and not exchange.has_begun


def _named(error: BaseException, request: ClientRequest) -> BaseException:
    """Return an error of ours with the request's name on it; others as they are."""
    if isinstance(error, WireError):
        kind = HeadersTooLarge if isinstance(error, HeadTooLarge) else BadHttpMessage
        named = kind(request.request_info, (), message=str(error))
        named.__cause__ = error
        return named
    if isinstance(error, ClientError) and error.url is None:
        error.method, error.url = request.method, request.url
    return error
