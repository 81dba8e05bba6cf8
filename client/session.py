"""The session: the settings that requests share, and the methods that make requests."""

from __future__ import annotations

import json as json_module
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, Unpack
from warnings import warn

from multidict import CIMultiDict, getversion

from client.call import Call
from client.cookies import CookieJar
from client.deprecation import deprecated
from client.environment import Environment
from client.exchange import ReadPolicy
from client.loops import running_loop
from client.options import (
    REQUEST_DEFAULTS,
    CallSettings,
    RequestOptions,
    max_redirects_of,
    session_proxies,
    session_timeout,
    settings_for,
)
from client.planner import Planner, absolute
from client.redirects import REDIRECT_STATUSES
from client.send_policy import HeaderDefaults, SendPolicy
from client.signatures import listing
from client.tcp_connector import TCPConnector
from client.tracing import Trace, TraceConfig
from client.version import HttpVersion, HttpVersion11
from client.watched_call import check_status, run_watched
from client.ws_options import WEBSOCKET_DEFAULTS, WebSocketOptions

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import EllipsisType, TracebackType

    from yarl import URL

    from client.abc import AbstractCookieJar, LooseCookies
    from client.auth import BasicAuth
    from client.connector import BaseConnector
    from client.middleware import Middleware, StatusCheck
    from client.options import LooseHeaders
    from client.response import ClientResponse
    from client.timeouts import ClientTimeout
    from client.ws_connect import WebSocketContext

_lists_options = listing(RequestOptions, REQUEST_DEFAULTS)


class ClientSession:
    """Makes requests that share connections, cookies, headers and settings. Close it, or use it in `async with`.

    Proxies, for requests that name none: one `proxy` for all, or `proxies` by scheme (``http``, ``https``, ``ws``, ``wss``, ``all``);
    `proxy_auth` has their credentials. With `trust_env`, the environment is read for further proxies, and netrc for credentials (see
    `client.environment`); a mapping takes the place of the environment. `no_proxy` lists hosts that are asked directly in any case.

    `base_url` is what relative URLs are resolved against. A `connector` is closed with the session unless `connector_owner`
    is false. `headers`, `skip_auto_headers`, `auth`, `version`, `timeout`, `raise_for_status`, `auto_decompress`,
    `requote_redirect_url`, `middlewares`, and the bounds `read_bufsize`, `max_line_size`, `max_field_size`, `max_headers`
    and `max_body_bytes` (bytes; see `ReadPolicy`) hold for every request; `request` says what they mean. `cookies` are put into
    the `cookie_jar`, and sent to every host. `json_serialize` serializes what is given as `json=`. `fallback_charset_resolver` is
    called with a response and its body, and returns the encoding of text whose server does not name one.

    Deprecated: `read_timeout` and `conn_timeout` (`ClientTimeout.total` and `connect`), `loop`.

    Raises RuntimeError without a running event loop, and for a `connector` that was made in another one.
    """

    _connector: BaseConnector | None = None  # for __del__, if __init__ fails

    def __init__(
        self,
        base_url: str | URL | None = None,
        *,
        connector: BaseConnector | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        cookies: LooseCookies | None = None,
        headers: LooseHeaders | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        auth: BasicAuth | None = None,
        json_serialize: Callable[[Any], str] = json_module.dumps,
        version: HttpVersion = HttpVersion11,
        cookie_jar: AbstractCookieJar | None = None,
        connector_owner: bool = True,
        raise_for_status: StatusCheck = False,
        read_timeout: float | EllipsisType | None = ...,
        conn_timeout: float | None = None,
        timeout: ClientTimeout | float | EllipsisType | None = ...,
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
        proxy: str | URL | None = None,
        proxy_auth: BasicAuth | None = None,
        proxies: Mapping[str, str | URL] | None = None,
        no_proxy: str = "",
        trust_env: bool | Mapping[str, str] = False,
    ) -> None:
        if loop is not None:
            deprecated("loop is deprecated: the running loop is used")
        self._loop = running_loop(self)
        self._connector_owner = connector_owner
        self._raise_for_status = raise_for_status
        self._trace_configs = list(trace_configs or ())
        for config in self._trace_configs:
            config.freeze()
        self._environment = Environment.if_trusted(trust_env)
        self._headers = CIMultiDict(headers or ())
        self._headers_version: int | None = None  # once others have the headers, and may change them
        self._skip_auto_headers = frozenset(skip_auto_headers or ())
        connector = _connector_of(self._loop, connector)
        self._settings = CallSettings(
            connector=connector,
            jar=cookie_jar if cookie_jar is not None else CookieJar(),
            timeout=session_timeout(timeout, read_timeout, conn_timeout),
            send_policy=SendPolicy(
                self._header_defaults(connector),
                version=version,
                proxy_for=session_proxies(proxy, proxy_auth, proxies, no_proxy, self._environment),
                credentials_for=None if self._environment is None else self._environment.credentials_for,
            ),
            read_policy=ReadPolicy(
                max_line_size=max_line_size,
                max_field_size=max_field_size,
                max_headers=max_headers,
                max_body_bytes=max_body_bytes,
                high_water=read_bufsize,
                decompresses=auto_decompress,
            ),
            middlewares=tuple(middlewares),
            requote=requote_redirect_url,
            resolve_charset=fallback_charset_resolver,
        )
        self._planner = Planner(
            base_url=None if base_url is None else absolute(base_url),
            auth=auth,
            headers=self._headers,
            json_serialize=json_serialize,
            schemes=connector.allowed_protocol_schema_set,
            jar=self._settings.jar,
        )
        if cookies is not None:
            self._settings.jar.update_cookies(cookies)
        self._connector = connector

    # -- requests -------------------------------------------------------------------------------------------------

    @_lists_options
    def request(self, method: str, url: str | URL, **options: Unpack[RequestOptions]) -> Call:
        """Make a request: `await` it, or use it in `async with`, for a `ClientResponse`.

        What to send: `params` is added to the URL's query. `data` is the body: bytes, text, a file or an asynchronous iterable of
        bytes, which are sent part by part, a mapping or pairs for a form, `FormData`, or `MultipartWriter`; or `json` is the value of
        a JSON body. `headers` replace the session's of the same name, `skip_auto_headers` names those that are not to be added
        automatically, `cookies` are sent with this call only, `auth` is `BasicAuth`.

        How to send it: `compress` the body ("gzip" or "deflate"; True means the latter); send it `chunked`; wait for the server's
        consent first (`expect100`). `allow_redirects`, at most `max_redirects`. `ssl` is True (verify), False, an `SSLContext` or a
        `Fingerprint`; `server_hostname` is the name to verify. `timeout` is a `ClientTimeout`. `middlewares` replace the session's.
        `trace_request_ctx` is passed to trace configurations. `proxy` is the URL of one (http, https, socks4, socks4a, socks5,
        socks5h), in place of the session's; `proxy_auth` has its credentials, which go before those in the URL; `proxy_headers` are
        sent to it (see `client.proxies`).

        How to read the response: `raise_for_status` (a coroutine function may decide), `auto_decompress`, `read_until_eof` (whether a
        body may end with the connection), and the session's bounds.

        Deprecated: a number as `timeout`; a number as `chunked` (the size of chunks); `verify_ssl`, `ssl_context` and
        `fingerprint` (use `ssl`).

        Raises `ClientError`s (see `client.errors`), and `ValueError` and `TypeError` for what cannot be sent. If it is cancelled, no
        connection stays in use.
        """
        return Call(self, method, url, options)

    @_lists_options
    def get(self, url: str | URL, **options: Unpack[RequestOptions]) -> Call:
        """Make a GET request, as `request` does."""
        return Call(self, "GET", url, options)

    @_lists_options
    def options(self, url: str | URL, **options: Unpack[RequestOptions]) -> Call:
        """Make an OPTIONS request, as `request` does."""
        return Call(self, "OPTIONS", url, options)

    @listing(RequestOptions, REQUEST_DEFAULTS, allow_redirects=False)
    def head(self, url: str | URL, **options: Unpack[RequestOptions]) -> Call:
        """Make a HEAD request, as `request` does; redirects are followed only if `allow_redirects` says so."""
        options.setdefault("allow_redirects", False)
        return Call(self, "HEAD", url, options)

    @_lists_options
    def post(self, url: str | URL, **options: Unpack[RequestOptions]) -> Call:
        """Make a POST request, as `request` does."""
        return Call(self, "POST", url, options)

    @_lists_options
    def put(self, url: str | URL, **options: Unpack[RequestOptions]) -> Call:
        """Make a PUT request, as `request` does."""
        return Call(self, "PUT", url, options)

    @_lists_options
    def patch(self, url: str | URL, **options: Unpack[RequestOptions]) -> Call:
        """Make a PATCH request, as `request` does."""
        return Call(self, "PATCH", url, options)

    @_lists_options
    def delete(self, url: str | URL, **options: Unpack[RequestOptions]) -> Call:
        """Make a DELETE request, as `request` does."""
        return Call(self, "DELETE", url, options)

    @listing(WebSocketOptions, WEBSOCKET_DEFAULTS)
    def ws_connect(
        self, url: str | URL, *, method: str = "GET", **options: Unpack[WebSocketOptions]
    ) -> WebSocketContext:
        """Open a WebSocket (RFC 6455): `await` it, or use it in `async with`, for a `ClientWebSocketResponse`.

        `url` is one of ws, wss, http or https. Redirects are followed. `params`, `headers`, `auth`, `ssl`, `server_hostname`,
        `proxy`, `proxy_auth`, `proxy_headers` are as for `request`; its deadlines hold for the handshake.

        What to ask for: `protocols` are subprotocols, the preferred one first; `origin` is the Origin header; `compress` asks for
        messages to be compressed (RFC 7692) with windows of at most so many bits, from 9 to 15.

        How to go on: `autoping` answers pings, `autoclose` the server's Close frame. `heartbeat` pings a server that has been silent
        for so many seconds, and gives it up when it does not react within half of that. `max_msg_size` bounds a message, in bytes,
        both compressed and not; 0 means no bound. With `decode_text` off, text comes as the bytes that were sent, unchecked.
        `timeout` is a `ClientWSTimeout`, by default ten seconds for the closing handshake.

        Deprecated: a number as `timeout` (`ClientWSTimeout.ws_close`), `receive_timeout` (`ClientWSTimeout.ws_receive`),
        `verify_ssl`, `ssl_context` and `fingerprint` (use `ssl`).

        Raises `WSServerHandshakeError` when the server does not agree, and what `request` raises. If it is cancelled, no connection
        stays in use.
        """
        from client.ws_connect import Opening, WebSocketContext

        opening = Opening(options)
        return WebSocketContext(opening, Call(self, method, url, opening.request_options))

    async def _request(self, call: Call, method: str, url: str | URL, options: RequestOptions) -> ClientResponse:
        if self._connector is None:
            raise RuntimeError("the session is closed")
        if self._headers_version is not None and self._headers_version != _version_of(self._headers):
            self._take_headers()
        if self._environment is not None:
            await self._environment.load()
        call.settings = settings = self._settings
        check = self._raise_for_status
        if options:
            call.settings = settings = settings_for(options, settings)
            call.max_redirects = max_redirects_of(options)
            if (wanted := options.get("raise_for_status")) is not None:
                check = wanted
        self._planner.fill(call, method, url, options, settings.send_policy)
        if options and call.body is not None and settings.send_policy.version < HttpVersion11:
            await call.body.measure()
        call.started_at = now = self._loop.time()
        call.deadline_at = settings.timeout.deadline_at(now, settings.timeout.total)
        if self._trace_configs:
            call.traces = self._traces(options)
        if call.traces or settings.middlewares:
            return await run_watched(self, call, check)
        request = call.request(settings.jar)
        response = await call.exchange(request)
        if response.status in REDIRECT_STATUSES:
            response = await call.follow(request, response, call.exchange)
        if check:
            await check_status(response, check)
        call.response = response
        return response

    # -- parts of a call ------------------------------------------------------------------------------------------

    def _header_defaults(self, connector: BaseConnector) -> HeaderDefaults:
        return HeaderDefaults(self._headers, self._skip_auto_headers, keeps_alive=not connector.force_close)

    def _take_headers(self) -> None:
        """Have requests send the session's headers as they are now."""
        settings = self._settings
        defaults = self._header_defaults(settings.connector)
        self._settings = replace(settings, send_policy=replace(settings.send_policy, defaults=defaults))
        self._headers_version = _version_of(self._headers)

    def _traces(self, options: RequestOptions) -> Sequence[Trace]:
        context = options.get("trace_request_ctx")
        return [Trace(self, config, context) for config in self._trace_configs]

    # -- properties -----------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the session, or its connector, is closed, so that no requests can be made."""
        return self._connector is None or self._connector.closed

    @property
    def connector(self) -> BaseConnector | None:
        """The connector; None when the session was closed or detached."""
        return self._connector

    @property
    def cookie_jar(self) -> AbstractCookieJar:
        return self._settings.jar

    @property
    def version(self) -> HttpVersion:
        return self._settings.send_policy.version

    @property
    def headers(self) -> CIMultiDict[str]:
        """The headers of the session, without those that are added automatically. Changes take effect with the next request."""
        if self._headers_version is None:
            self._headers_version = _version_of(self._headers)
        return self._headers

    @property
    def skip_auto_headers(self) -> frozenset[str]:
        return self._skip_auto_headers

    @property
    def auth(self) -> BasicAuth | None:
        return self._planner.auth

    @property
    def timeout(self) -> ClientTimeout:
        return self._settings.timeout

    @property
    def json_serialize(self) -> Callable[[Any], str]:
        return self._planner.json_serialize

    @property
    def connector_owner(self) -> bool:
        """Whether closing the session closes the connector."""
        return self._connector_owner

    @property
    def trust_env(self) -> bool:
        """Whether the environment is read for proxies and credentials."""
        return self._environment is not None

    @property
    def raise_for_status(self) -> StatusCheck:
        return self._raise_for_status

    @property
    def auto_decompress(self) -> bool:
        return self._settings.read_policy.decompresses

    @property
    def trace_configs(self) -> list[TraceConfig]:
        return self._trace_configs

    @property
    def requote_redirect_url(self) -> bool:
        """Whether the URLs of redirects are quoted again; setting this is deprecated, give it to the constructor."""
        return self._settings.requote

    @requote_redirect_url.setter
    def requote_redirect_url(self, value: bool) -> None:
        deprecated("give requote_redirect_url to the constructor")
        self._settings = replace(self._settings, requote=value)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Deprecated: the running event loop."""
        deprecated("loop is deprecated, use asyncio.get_running_loop()")
        return self._loop

    # -- closing --------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close the session at once, and the connector if the session owns it; requests in progress then fail."""
        connector, self._connector = self._connector, None
        if connector is not None and self._connector_owner:
            await connector.close()

    def detach(self) -> None:
        """Give up the connector without closing it; the session is closed after that."""
        self._connector = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        connector = self._connector
        if connector is not None and not connector.closed and self._connector_owner:
            warn(f"unclosed session {self!r}", ResourceWarning, stacklevel=2, source=self)


def _connector_of(loop: asyncio.AbstractEventLoop, given: BaseConnector | None) -> BaseConnector:
    """Return the connector that is given, or a new one. Raises RuntimeError for one that was made in another event loop."""
    connector = given if given is not None else TCPConnector()
    if connector._loop is not loop:
        raise RuntimeError(
            "the connector was made in another event loop, which its connections need: make it in this one"
        )
    return connector


def _version_of(headers: CIMultiDict[str]) -> int:
    """Return a number that changes whenever the headers do."""
    return getversion(headers)  # type: ignore[arg-type]  # it is annotated only for dictionaries of plain objects
