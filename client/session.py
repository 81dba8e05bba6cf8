"""The session: what requests have in common."""

from __future__ import annotations

import asyncio
import json as json_module
import re
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, SupportsInt, TypedDict, Unpack

from multidict import CIMultiDict
from yarl import URL

from client.body import Body, BytesBody, make_body
from client.call import Call, Plan, follow_redirects
from client.connector import BaseConnector, TCPConnector
from client.cookies import CookieJar
from client.exchange import ReadPolicy
from client.request import ClientRequest, HeaderDefaults
from client.response import ClientResponse
from client.timeouts import DEFAULT_TIMEOUT, ClientTimeout
from client.version import HttpVersion, HttpVersion11

if TYPE_CHECKING:
    import ssl as ssl_module
    from types import TracebackType

    from client.abc import AbstractCookieJar, LooseCookies
    from client.tls import Verification
    from client.tracing import (
        TraceConfig,
    )

LooseHeaders = Mapping[str, str] | Iterable[tuple[str, str]]
QueryValue = str | SupportsInt | float | Sequence[str | SupportsInt | float]
Params = str | Mapping[str, QueryValue] | Sequence[tuple[str, QueryValue]]
Handler = Callable[[ClientRequest], Awaitable[ClientResponse]]
Middleware = Callable[[ClientRequest, Handler], Awaitable[ClientResponse]]
StatusCheck = bool | Callable[[ClientResponse], Awaitable[None]]

_METHOD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class RequestOptions(TypedDict, total=False):
    """The keyword parameters of `ClientSession.request`."""

    params: Params | None
    data: Any
    json: Any
    cookies: LooseCookies | None
    headers: LooseHeaders | None
    skip_auto_headers: Iterable[str] | None
    allow_redirects: bool
    max_redirects: int
    compress: str | bool | None
    chunked: bool | int | None
    expect100: bool
    raise_for_status: StatusCheck | None
    read_until_eof: bool
    timeout: ClientTimeout | float | None
    verify_ssl: bool | None
    fingerprint: bytes | None
    ssl_context: ssl_module.SSLContext | None
    ssl: Verification
    server_hostname: str | None
    trace_request_ctx: object
    read_bufsize: int | None
    auto_decompress: bool | None
    max_line_size: int | None
    max_field_size: int | None
    max_headers: int | None
    max_body_bytes: int | None
    middlewares: Sequence[Middleware] | None


class _ResponseContext:
    """What `session.get()` returns: awaited, the response; in `async with`, the response, released at the end."""

    __slots__ = ("_coroutine", "_response")

    def __init__(self, coroutine: Coroutine[Any, Any, ClientResponse]) -> None:
        self._coroutine = coroutine
        self._response: ClientResponse | None = None

    def __await__(self) -> Generator[Any, None, ClientResponse]:
        return self._coroutine.__await__()

    async def __aenter__(self) -> ClientResponse:
        self._response = await self._coroutine
        return self._response

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._response is not None
        self._response.release()


class ClientSession:
    """Makes requests; they share connections, cookies, headers and defaults."""

    def __init__(
        self,
        base_url: str | URL | None = None,
        *,
        connector: BaseConnector | None = None,
        cookies: LooseCookies | None = None,
        headers: LooseHeaders | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        json_serialize: Callable[[Any], str] = json_module.dumps,
        version: HttpVersion = HttpVersion11,
        cookie_jar: AbstractCookieJar | None = None,
        connector_owner: bool = True,
        raise_for_status: StatusCheck = False,
        timeout: ClientTimeout | None = None,
        auto_decompress: bool = True,
        requote_redirect_url: bool = True,
        trace_configs: Sequence[TraceConfig] | None = None,
        read_bufsize: int = 256 * 1024,
        max_line_size: int = 8190,
        max_field_size: int = 8190,
        max_headers: int = 128,
        max_body_bytes: int | None = None,
        fallback_charset_resolver: Callable[[ClientResponse, bytes], str] = lambda _response, _body: "utf-8",
        middlewares: Sequence[Middleware] = (),
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._base_url = URL(base_url) if base_url is not None else None
        self._connector: BaseConnector | None = connector if connector is not None else TCPConnector()
        self._connector_owner = connector_owner
        self._jar = cookie_jar if cookie_jar is not None else CookieJar()
        if cookies is not None:
            self._jar.update_cookies(cookies)
        self._timeout = timeout if timeout is not None else DEFAULT_TIMEOUT
        self._version = version
        self._defaults = HeaderDefaults(
            CIMultiDict(headers or ()), tuple(skip_auto_headers or ()), keeps_alive=not self._connector.force_close
        )
        self._json_serialize = json_serialize
        self._raise_for_status = raise_for_status
        self._requote = requote_redirect_url
        self._trace_configs = list(trace_configs or ())
        for config in self._trace_configs:
            config.freeze()
        self._resolve_charset = fallback_charset_resolver
        self._middlewares = tuple(middlewares)
        self._policy = ReadPolicy(
            max_line_size=max_line_size,
            max_field_size=max_field_size,
            max_headers=max_headers,
            max_body_bytes=max_body_bytes,
            high_water=read_bufsize,
            decompresses=auto_decompress,
        )

    # -- requests -------------------------------------------------------------------------------------------------

    def request(self, method: str, url: str | URL, **options: Unpack[RequestOptions]) -> _ResponseContext:
        """Make a request."""
        return _ResponseContext(self._request(method, url, **options))

    def get(self, url: str | URL, **options: Unpack[RequestOptions]) -> _ResponseContext:
        return _ResponseContext(self._request("GET", url, **options))

    def options(self, url: str | URL, **options: Unpack[RequestOptions]) -> _ResponseContext:
        return _ResponseContext(self._request("OPTIONS", url, **options))

    def head(self, url: str | URL, **options: Unpack[RequestOptions]) -> _ResponseContext:
        """Like `get` for the head alone; does not follow redirects unless told to."""
        options.setdefault("allow_redirects", False)
        return _ResponseContext(self._request("HEAD", url, **options))

    def post(self, url: str | URL, **options: Unpack[RequestOptions]) -> _ResponseContext:
        return _ResponseContext(self._request("POST", url, **options))

    def put(self, url: str | URL, **options: Unpack[RequestOptions]) -> _ResponseContext:
        return _ResponseContext(self._request("PUT", url, **options))

    def patch(self, url: str | URL, **options: Unpack[RequestOptions]) -> _ResponseContext:
        return _ResponseContext(self._request("PATCH", url, **options))

    def delete(self, url: str | URL, **options: Unpack[RequestOptions]) -> _ResponseContext:
        return _ResponseContext(self._request("DELETE", url, **options))

    async def _request(
        self,
        method: str,
        url: str | URL,
        *,
        params: Params | None = None,
        data: Any = None,
        json: Any = None,
        cookies: LooseCookies | None = None,
        headers: LooseHeaders | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        allow_redirects: bool = True,
        max_redirects: int = 10,
        compress: str | bool | None = None,
        chunked: bool | int | None = None,
        expect100: bool = False,
        raise_for_status: StatusCheck | None = None,
        read_until_eof: bool = True,
        timeout: ClientTimeout | float | None = None,
        verify_ssl: bool | None = None,
        fingerprint: bytes | None = None,
        ssl_context: ssl_module.SSLContext | None = None,
        ssl: Verification = True,
        server_hostname: str | None = None,
        trace_request_ctx: object = None,
        read_bufsize: int | None = None,
        auto_decompress: bool | None = None,
        max_line_size: int | None = None,
        max_field_size: int | None = None,
        max_headers: int | None = None,
        max_body_bytes: int | None = None,
        middlewares: Sequence[Middleware] | None = None,
    ) -> ClientResponse:
        if self._connector is None or self._connector.closed:
            raise RuntimeError("the session is closed")
        plan = Plan(
            method,
            self._build_url(url, params),
            self._defaults,
            CIMultiDict(headers) if headers else None,
            tuple(skip_auto_headers) if skip_auto_headers else (),
            None if data is None and json is None else self._make_body(data, json),
            None,
            self._version,
            "deflate" if compress is True else compress or None,
            chunked or False,
            expect100,
            ssl,
            server_hostname,
        )
        limits = self._timeout if timeout is None else timeout
        assert isinstance(limits, ClientTimeout)
        call = Call(
            self._connector,
            self._jar,
            limits,
            limits.deadline_at(self._loop.time(), limits.total),
            self._policy,
            (),
            self._resolve_charset,
        )
        if allow_redirects:
            response = await follow_redirects(
                call, plan, call.exchange, max_redirects=max_redirects, requote=self._requote
            )
        else:
            response = await call.exchange(plan.request(self._jar))
        return response

    def _build_url(self, url: str | URL, params: Params | None) -> URL:
        built = url if isinstance(url, URL) else URL(url)
        if params:
            built = built.extend_query(params)
        return built

    def _make_body(self, data: Any, json: Any) -> Body:
        if json is not None:
            return BytesBody(self._json_serialize(json).encode(), "application/json")
        return make_body(data)

    # -- the end --------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self._connector is None or self._connector.closed

    @property
    def connector(self) -> BaseConnector | None:
        return self._connector

    async def close(self) -> None:
        """Close the session, and the connector if it is the session's own."""
        connector, self._connector = self._connector, None
        if connector is not None and self._connector_owner:
            await connector.close()

    async def __aenter__(self) -> ClientSession:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
