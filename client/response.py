"""The response to a request."""

from __future__ import annotations

import json as json_module
from http.cookies import SimpleCookie
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from warnings import warn

from multidict import CIMultiDict, CIMultiDictProxy

from client.disposition import content_disposition_filename, parse_content_disposition
from client.errors import ClientConnectionError, ClientResponseError, ContentTypeError
from client.links import parse_links
from client.media_type import MediaType, parse_media_type
from client.set_cookie import parse_morsel
from client.timings import Opening, ResponseTimings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping
    from types import TracebackType

    from multidict import MultiDictProxy
    from yarl import URL

    from client.connection import Connection
    from client.exchange import Exchange
    from client.head import RawHeaders
    from client.links import Link
    from client.request import ClientRequest
    from client.request_info import RequestInfo
    from client.version import HttpVersion


class ContentDisposition(NamedTuple):
    """The Content-Disposition of a response (RFC 6266)."""

    type: str | None
    parameters: Mapping[str, str]
    filename: str | None
    """Without folders."""


class Released:
    """What `ClientResponse.release` returns: it may be awaited, as was once required, but there is nothing to wait for."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


_RELEASED: Final = Released()


class ClientResponse:
    """A response: its head has arrived; its body comes from `read`, `text` or `json`, or part by part from `content`.

    Use it in `async with`, or `release` it: it keeps its connection until its body has been read or it is released.
    """

    def __init__(
        self,
        request: ClientRequest,
        exchange: Exchange,
        connection: Connection,
        resolve_charset: Callable[[ClientResponse, bytes], str],
        started_at: float,
    ) -> None:
        assert exchange.head is not None
        assert exchange.body is not None
        self.status = exchange.status
        """The status code."""
        self.history: tuple[ClientResponse, ...] = ()
        """The redirects that led here, the first one first. They are closed."""
        self.on_read: Callable[[bytes], Awaitable[None]] | None = None
        """Called with the body when it has been read; for signals."""
        self.content = exchange.body
        """The body as a stream."""
        self._request = request
        self._exchange = exchange
        self._head = exchange.head
        self._connection = connection
        self._resolve_charset = resolve_charset
        self._started_at = started_at
        self._headers: CIMultiDictProxy[str] | None = None
        self._cookies: SimpleCookie | None = None
        self._body: bytes | None = None
        self._is_closed = False

    # -- the head -------------------------------------------------------------------------------------------------

    @property
    def method(self) -> str:
        return self._request.method

    @property
    def version(self) -> HttpVersion:
        return self._head.version

    @property
    def reason(self) -> str:
        """The reason phrase; it has no meaning, and may be empty (RFC 9112 §4)."""
        return self._head.reason.decode("utf-8", "surrogateescape")

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def url(self) -> URL:
        """The URL that answered, without the fragment."""
        url = self._request.url
        return url.with_fragment(None) if url.raw_fragment else url

    @property
    def real_url(self) -> URL:
        """The URL that answered, with the fragment."""
        return self._request.url

    @property
    def host(self) -> str | None:
        return self._request.url.host

    @property
    def request_info(self) -> RequestInfo:
        return self._request.request_info

    @property
    def raw_headers(self) -> RawHeaders:
        """Names and values as received."""
        return self._head.headers

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The headers, decoded as UTF-8; invalid bytes become surrogate escapes."""
        if self._headers is None:
            self._headers = CIMultiDictProxy(CIMultiDict(self._head.text_headers))
        return self._headers

    @property
    def location(self) -> bytes | None:
        """The Location header as received; None without one."""
        values = self._head.values("\nlocation:")
        return values[0] if values else None

    @property
    def cookies(self) -> SimpleCookie:
        """The cookies set by this response alone; those without a name and those that do not parse are left out."""
        if self._cookies is None:
            self._cookies = SimpleCookie()
            for value in self._head.text_values("\nset-cookie:"):
                if (morsel := parse_morsel(value)) is not None and morsel.key:
                    self._cookies[morsel.key] = morsel
        return self._cookies

    @property
    def links(self) -> MultiDictProxy[Link]:
        """The Link headers, by relation type."""
        return parse_links(self.headers.getall("Link", ()), self.url)

    @property
    def content_length(self) -> int | None:
        """The value of Content-Length, the size before decompression; None without one."""
        value = self.headers.get("Content-Length", "")
        return int(value) if value.isdecimal() else None

    @property
    def content_type(self) -> str:
        """The media type without parameters; `application/octet-stream` if the server names none."""
        return self._media_type.name or "application/octet-stream"

    @property
    def charset(self) -> str | None:
        """The charset that Content-Type names, as received, whether or not there is a codec for it."""
        return self._media_type.label

    @property
    def _media_type(self) -> MediaType:
        return parse_media_type(self.headers.get("Content-Type", ""))

    @property
    def content_disposition(self) -> ContentDisposition | None:
        """The parsed Content-Disposition header; None without one."""
        value = self.headers.get("Content-Disposition")
        if value is None:
            return None
        kind, parameters = parse_content_disposition(value)
        return ContentDisposition(kind, MappingProxyType(parameters), content_disposition_filename(parameters))

    @property
    def timings(self) -> ResponseTimings:
        """How long each part of the request took, so far."""
        exchange, connection = self._exchange, self._connection
        opening = None if connection.was_used else connection.protocol.opening
        done_at = exchange.done_at
        return ResponseTimings(
            connection.queued,
            *(opening or Opening()),
            waiting=exchange.first_byte_at - exchange.sent_at,
            receiving=done_at - exchange.first_byte_at if done_at else None,
            total=done_at - self._started_at if done_at else None,
        )

    # -- the connection -------------------------------------------------------------------------------------------

    @property
    def connection(self) -> Connection | None:
        """The connection; None once it has been given back, as happens at the end of the body."""
        return None if self._connection.is_given_back else self._connection

    @property
    def closed(self) -> bool:
        """Whether the connection has been given back: the response was released or closed, or its whole body has arrived."""
        return self._is_closed or self._connection.is_given_back

    def release(self) -> Released:
        """Give the connection back. It is kept for another request if the whole body has arrived, else closed."""
        self._is_closed = True
        self._connection.release()
        return _RELEASED

    def close(self) -> None:
        """Close the connection."""
        self._is_closed = True
        self._connection.close()

    async def wait_for_close(self) -> None:
        """Release the connection; there is nothing to wait for."""
        self.release()

    async def __aenter__(self) -> ClientResponse:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def __del__(self) -> None:
        if not self._is_closed and self.connection is not None:
            warn(f"unclosed response {self!r}", ResourceWarning, stacklevel=2, source=self)
            self.close()

    def __repr__(self) -> str:
        return f"<ClientResponse({self._request.url}) [{self.status} {self.reason}]>"

    # -- the body -------------------------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """Return the whole body. It is kept, so this can be called again. Raises what `StreamReader` does.

        If it is cancelled, the response is closed; `content.read()` could be continued.
        """
        if self._body is None:
            if self._is_closed and not self.content.is_eof():
                raise ClientConnectionError("the response was closed before its body was read")
            try:
                body = self.content.take_whole()
                self._body = await self.content.read_all() if body is None else body
            except BaseException:
                self.close()
                raise
            if self.on_read is not None:
                await self.on_read(self._body)
        return self._body

    def get_encoding(self) -> str:
        """Return the charset of the body: the one that the server names, UTF-8 for JSON, else the result of the session's
        `fallback_charset_resolver`. For the latter, the body must have been read; otherwise raises `RuntimeError`.
        """
        media_type = self._media_type
        if media_type.charset:
            return media_type.charset
        if media_type.matches("application/json"):  # RFC 8259 §8.1
            return "utf-8"
        if self._body is None:
            raise RuntimeError("read the body first: its encoding depends on it")
        return self._resolve_charset(self, self._body)

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """Return the body as text, decoded with `encoding` or the result of `get_encoding`."""
        body = await self.read()
        return body.decode(encoding or self.get_encoding(), errors)

    async def json(
        self,
        *,
        encoding: str | None = None,
        loads: Callable[[str], Any] = json_module.loads,
        content_type: str | None = "application/json",
    ) -> Any:
        """Return the body parsed by `loads`; None if it is empty.

        Raises `ContentTypeError` unless the response has this `content_type`; None accepts every type.
        """
        body = await self.read()
        if content_type and not self._media_type.matches(content_type):
            raise ContentTypeError(
                self.request_info,
                self.history,
                status=self.status,
                message=f"the response is {self.content_type}, not {content_type}",
                headers=self.headers,
            )
        stripped = body.strip()
        return loads(stripped.decode(encoding or self.get_encoding())) if stripped else None

    def raise_for_status(self) -> None:
        """If the status is 400 or above, release the connection and raise `ClientResponseError`."""
        if self.ok:
            return
        self.release()
        raise ClientResponseError(
            self.request_info, self.history, status=self.status, message=self.reason, headers=self.headers
        )
