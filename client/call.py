"""One call of a session: the requests it takes, each exchanged over a connection, until there is a response to give back.

A call may take several: redirects one after the other, middlewares as they like, and one more where a kept connection
turned out to be dead. One deadline spans them all, and the reading of the body.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from client.errors import (
    BadHttpMessage,
    ClientConnectionError,
    ClientConnectionResetError,
    ClientError,
    ClientOSError,
    ClientPayloadError,
    HeadersTooLarge,
    ServerDisconnectedError,
    TooManyRedirects,
)
from client.exchange import HeadTooLarge, WireError
from client.redirects import REDIRECT_STATUSES, redirect_headers, redirect_method, redirect_url
from client.request import ClientRequest, HeaderDefaults, merge_cookies
from client.response import ClientResponse
from client.tracing import (
    Trace,
    TraceRequestChunkSentParams,
    TraceRequestHeadersSentParams,
    TraceRequestRedirectParams,
    emit,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from multidict import CIMultiDict
    from yarl import URL

    from client.abc import AbstractCookieJar
    from client.body import Body
    from client.connection import Connection
    from client.connector import BaseConnector
    from client.exchange import Exchange, ReadPolicy
    from client.http1 import Http1Protocol
    from client.timeouts import ClientTimeout
    from client.tls import Verification
    from client.version import HttpVersion

    Handler = Callable[[ClientRequest], Awaitable[ClientResponse]]

_IDEMPOTENT: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"})
"""Methods that may be sent again when it is not known what became of the first (RFC 9110 §9.2.2)."""

_CONTINUE_SECONDS: Final = 1.0
"""How long a body waits for 100 (Continue) before it is sent unbidden (RFC 9110 §10.1.1); as curl has it."""


@dataclass(slots=True)
class Plan:
    """The next request of a call, as far as the caller determines it."""

    method: str
    url: URL
    defaults: HeaderDefaults
    headers: CIMultiDict[str] | None
    skipped: Collection[str]
    body: Body | None
    cookies: str | None
    """Cookies of this call alone, as a Cookie header; they go to the first origin only."""
    version: HttpVersion
    compress: str | None
    chunked: bool | int
    expect100: bool
    ssl: Verification
    server_hostname: str | None

    def request(self, jar: AbstractCookieJar) -> ClientRequest:
        """Make the request, with the cookies that the jar has for it."""
        return ClientRequest(
            self.method,
            self.url,
            self.defaults,
            headers=self.headers,
            skipped=self.skipped,
            body=self.body,
            cookie=self._cookie_header(jar),
            version=self.version,
            compress=self.compress,
            chunked=self.chunked,
            expect100=self.expect100,
            ssl=self.ssl,
            server_hostname=self.server_hostname,
        )

    def _cookie_header(self, jar: AbstractCookieJar) -> str | None:
        kept = jar.cookie_header(self.url)
        if self.cookies is None and (self.headers is None or "Cookie" not in self.headers):
            return kept
        given = self.headers.get("Cookie") if self.headers is not None else None
        return merge_cookies(given, kept, self.cookies)

    def redirected(self, status: int, location: bytes, *, requote: bool) -> Plan:
        """Plan the request that a redirect asks for."""
        method = redirect_method(self.method, status)
        url = redirect_url(self.url, location, requote=requote)
        keeps_body = method == self.method
        if keeps_body and self.body is not None and not self.body.can_replay:
            raise ClientPayloadError(f"redirected with status {status}, but the body cannot be sent again")
        same_origin = url.origin() == self.url.origin()
        return replace(
            self,
            method=method,
            url=url,
            headers=redirect_headers(self.headers, keeps_body=keeps_body, same_origin=same_origin),
            body=self.body if keeps_body else None,
            cookies=self.cookies if same_origin else None,
            expect100=self.expect100 and keeps_body,
            chunked=self.chunked if keeps_body else False,
            compress=self.compress if keeps_body else None,
        )


@dataclass(slots=True)
class Call:
    """What all requests of one call share. `deadline_at` is on the loop's clock."""

    connector: BaseConnector
    jar: AbstractCookieJar
    timeout: ClientTimeout
    deadline_at: float
    policy: ReadPolicy
    traces: Sequence[Trace]
    resolve_charset: Callable[[ClientResponse, bytes], str]

    async def exchange(self, request: ClientRequest) -> ClientResponse:
        """Send a request and return its response, whose body may still be arriving. Errors name the request."""
        try:
            try:
                return await self._exchange(request)
            except _StaleConnectionError:
                self.connector.drop_idle(request.connection_key)
                return await self._exchange(request)
        except ClientError as error:
            if error.url is None:
                error.method, error.url = request.method, request.url
            raise
        except WireError as error:
            kind = HeadersTooLarge if isinstance(error, HeadTooLarge) else BadHttpMessage
            raise kind(request.request_info, (), message=str(error)) from error

    async def _exchange(self, request: ClientRequest) -> ClientResponse:
        connection = await self.connector.connect(request, self.traces, self.timeout, deadline_at=self.deadline_at)
        was_used = connection.protocol.exchanges > 0
        exchange: Exchange | None = None
        try:
            exchange = self._begin(connection, request)
            if self.traces:
                await emit(self.traces, TraceRequestHeadersSentParams(request.method, request.url, request.headers))
            if not exchange.is_sent:
                await self._send_body(connection, exchange, request)
            content = await exchange.wait_head()
            if b"set-cookie" in exchange.noted:
                self.jar.store(exchange.set_cookie_values(), request.url)
        except (ServerDisconnectedError, ClientOSError) as error:
            connection.close()
            if was_used and _may_repeat(exchange, request):
                raise _StaleConnectionError from error
            raise
        except BaseException:
            connection.close()
            raise
        return ClientResponse(request, exchange, content, connection, self.resolve_charset)

    def _begin(self, connection: Connection, request: ClientRequest) -> Exchange:
        data = request.head().encode()
        whole = request.whole()
        connection.began()
        return connection.protocol.begin(
            request.method,
            request.url,
            data + whole if whole else data,
            self.policy,
            is_whole=whole is not None,
            may_upgrade=request.asks_upgrade,
            deadline_at=self.deadline_at,
            sock_read=self.timeout.sock_read,
        )

    async def _send_body(self, connection: Connection, exchange: Exchange, request: ClientRequest) -> None:
        """Have the body sent beside what follows, unless a final response makes that pointless."""
        if request.expects_continue:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CONTINUE_SECONDS):
                    if not await exchange.wait_continue():
                        return
        connection.upload = asyncio.ensure_future(self._upload(connection.protocol, exchange, request))

    async def _upload(self, protocol: Http1Protocol, exchange: Exchange, request: ClientRequest) -> None:
        """Send the body. What goes wrong ends the exchange, and so reaches whoever waits for the response."""
        try:
            async for part in request.parts():
                await protocol.write(exchange, part)
                if self.traces:
                    await emit(self.traces, TraceRequestChunkSentParams(request.method, request.url, part))
            protocol.end(exchange)
        except ClientConnectionResetError:
            return  # the connection was closed, with the response or without; the exchange knows
        except Exception as error:  # whatever the caller's file or generator raises
            failure = ClientConnectionError(f"the request's body could not be sent: {error!r}")
            failure.__cause__ = error
            protocol.fail(failure)


class _StaleConnectionError(Exception):
    """A kept connection was dead, and the request may go out again on a new one."""


def _may_repeat(exchange: Exchange | None, request: ClientRequest) -> bool:
    """Whether a request that got no answer on a kept connection may be sent again (RFC 9110 §9.2.2)."""
    if exchange is None:
        return True  # the connection was seen to be closed before anything was sent
    can_replay = request.body is None or request.body.can_replay
    return can_replay and request.method in _IDEMPOTENT and not exchange.has_begun


async def follow_redirects(
    call: Call, plan: Plan, send: Handler, *, max_redirects: int, requote: bool
) -> ClientResponse:
    """Send the planned request and those that redirects ask for, and return the response that asks for none.

    A redirect without a Location is such a response. Raises `TooManyRedirects`, `RedirectClientError` and what `send` does.
    """
    history: list[ClientResponse] = []
    while True:
        request = plan.request(call.jar)
        response = await send(request)
        response.history = tuple(history)
        location = response.location if response.status in REDIRECT_STATUSES else None
        if location is None:
            return response
        history.append(response)
        response.release()
        if len(history) > max_redirects:
            first = history[0].request_info
            raise TooManyRedirects(
                first, tuple(history), status=response.status, message=f"more than {max_redirects} redirects"
            )
        if call.traces:
            await emit(
                call.traces,
                TraceRequestRedirectParams(plan.method, plan.url, request.headers, response),
            )
        plan = plan.redirected(response.status, location, requote=requote)
