"""A request, from the caller's parameters to the bytes on the wire.

Most requests of a session differ only in their URL and cookies. For these, no mapping of headers is made: the session's
headers were serialized once, by `HeaderDefaults`, and the head is one formatted string. The mapping is made on the first
access to `headers`; from then on it is what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDict, CIMultiDictProxy

from client.body import PART_BYTES, Body, compress_body, make_body
from client.connection import ConnectionKey
from client.errors import InvalidUrlClientError
from client.fields import check_framing, check_value, is_chunked, write_headers
from client.framing import LAST_CHUNK, chunk, chunks, counted
from client.grammar import is_token
from client.origin import Origin
from client.request_info import RequestInfo
from client.send_policy import AUTO_NAMES, HeaderDefaults, SendPolicy, asks_close
from client.version import HttpVersion, HttpVersion11

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from yarl import URL

    from client.proxies import Proxy
    from client.tls import Verification

_KEYS_KEPT: Final = 4096

_IDEMPOTENT: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"})

_BODILESS_METHODS: Final = frozenset({"CONNECT", "GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods whose requests need no Content-Length: 0 to say that they have no body (RFC 9110 §8.6)."""


_PLAIN: Final = SendPolicy(HeaderDefaults(CIMultiDict()))


class ClientRequest:
    """One request to one URL. A redirect makes another; a retry sends the same one again.

    Middlewares may change `headers` and replace `body` before they pass the request on.
    """

    __slots__ = (
        *("_body", "_cookie", "_given", "_headers", "_named_host"),
        *("chunked", "method", "policy", "proxy", "session", "url"),
    )

    session: Any
    """The session that makes the request; set only for middlewares."""
    _named_host: str
    """The Host header that was added to the others; set only for middlewares."""

    def __init__(  # noqa: PLR0917  made for every request: keywords cost
        self,
        method: str,
        url: URL,
        policy: SendPolicy = _PLAIN,
        headers: CIMultiDict[str] | None = None,
        body: Body | None = None,
        cookie: str | None = None,
    ) -> None:
        self.method = method
        self.url = url
        self.policy = policy
        self.proxy: Proxy | None = None if policy.proxy_for is None else policy.proxy_for(url)
        self.chunked = policy.chunked
        self._given = headers
        self._cookie = cookie
        self._body = body
        is_usual = headers is None and body is None and self.proxy is None
        if is_usual and policy.leaves_head and method in _BODILESS_METHODS:
            self._headers: CIMultiDict[str] | None = None
        else:
            self._headers = self._make_headers()

    # -- its content ----------------------------------------------------------------------------------------------

    @property
    def headers(self) -> CIMultiDict[str]:
        """All headers that will be sent; they may be changed."""
        if self._headers is None:
            self._headers = self._make_headers()
            if hasattr(self, "_named_host"):
                self.name_host()
        return self._headers

    @headers.setter
    def headers(self, headers: CIMultiDict[str]) -> None:
        """Replace all headers."""
        self._headers = CIMultiDict(headers)

    @property
    def body(self) -> Body | None:
        """The body that will be sent; None if there is none."""
        return self._body

    async def update_body(self, body: Any) -> None:
        """Set another body, anything that `body_of` takes, or None to send none; the headers are adapted.

        Bytes and text, which have no media type of their own, keep the current Content-Type. So does any other body if the
        Content-Type did not come from the former body.
        """
        headers, before = self.headers, self._body
        dropped = ["Content-Length", "Transfer-Encoding"]
        if body is None or self.policy.compress:
            dropped.append("Content-Encoding")
        is_told = before is not None and headers.get("Content-Type") == before.content_type
        if body is None or (is_told and not isinstance(body, bytes | bytearray | memoryview | str)):
            dropped.append("Content-Type")
        self._body = None if body is None else body_of(body)
        if self._body is not None and self.policy.version < HttpVersion11:
            await self._body.measure()
        self.chunked = self.policy.chunked
        for name in dropped:
            headers.popall(name, None)
        self._describe_body(headers)

    @property
    def version(self) -> HttpVersion:
        return self.policy.version

    @property
    def compress(self) -> str | None:
        """The content coding for the body, unless its own headers name one."""
        return self.policy.compress

    @property
    def original_url(self) -> URL:
        """The URL with its fragment. Here `url` has it too; in aiohttp it does not."""
        return self.url

    @property
    def proxy_headers(self) -> CIMultiDict[str] | None:
        """A copy of the headers for the proxy, without credentials; None without a proxy."""
        return None if self.proxy is None else CIMultiDict(self.proxy.headers)

    @property
    def ssl(self) -> Verification:
        return self.policy.ssl

    @property
    def server_hostname(self) -> str | None:
        return self.policy.server_hostname

    @property
    def origin(self) -> Origin:
        """The origin that the request is for. Raises `InvalidUrlClientError` if its URL has no host."""
        try:
            return Origin.of(self.url)
        except ValueError as error:
            raise InvalidUrlClientError(self.url, str(error)) from error

    @property
    def host(self) -> str:
        return self.origin.host

    @property
    def port(self) -> int:
        return self.origin.port

    @property
    def is_ssl(self) -> bool:
        """Whether the request goes over TLS."""
        return self.url.scheme in ("https", "wss")

    @property
    def connection_key(self) -> ConnectionKey:
        """What another request must have in common to use the same connection."""
        policy = self.policy
        if self.proxy is not None:
            return ConnectionKey(self.origin, policy.ssl, policy.server_hostname, self.proxy, self.is_forwarded)
        place = (self.url.scheme, self.url.host_port_subcomponent or "")
        key = policy.keys.get(place)
        if key is None:
            if len(policy.keys) >= _KEYS_KEPT:
                policy.keys.clear()
            key = policy.keys[place] = ConnectionKey(self.origin, policy.ssl, policy.server_hostname)
        return key

    @property
    def is_forwarded(self) -> bool:
        """Whether a proxy makes the request to the origin itself, which it cannot do for an upgrade to another protocol."""
        return self.proxy is not None and self.proxy.forwards(self.url.scheme) and not self.asks_upgrade()

    @property
    def request_info(self) -> RequestInfo:
        url = self.url
        return RequestInfo(url.with_fragment(None), self.method, CIMultiDictProxy(self._with_host()), url)

    def name_host(self) -> None:
        """Add the Host header to the others, so that middlewares see it; else it is only derived from the URL when sending."""
        self._named_host = self._host
        if self._headers is not None:  # else it is added when they are made
            self._headers = self._with_host()

    def follow_host(self) -> None:
        """Adapt that header to the URL, which may have been changed since, unless the header itself was changed."""
        named = getattr(self, "_named_host", None)  # missing in a request that a middleware made
        if named is not None and self._headers is not None and self._headers.get("Host") == named:
            self._headers["Host"] = self._named_host = self._host

    @property
    def _host(self) -> str:
        return self.url.host_port_subcomponent or ""

    def _with_host(self) -> CIMultiDict[str]:
        headers = self.headers
        return headers.copy() if "Host" in headers else CIMultiDict([("Host", self._host), *headers.items()])

    def asks_upgrade(self) -> bool:
        """Whether the request asks the server to switch protocols (RFC 9110 §7.8)."""
        return self._headers is not None and "Upgrade" in self._headers

    def asks_close(self) -> bool:
        """Whether the request says that no other follows on its connection (RFC 9112 §9.6)."""
        return self.policy.defaults.asks_close if self._headers is None else asks_close(self._headers)

    @property
    def expects_continue(self) -> bool:
        """Whether the body waits for the server's 100 (Continue); never without a body (RFC 9110 §10.1.1)."""
        return self.policy.expect100 and self._body is not None and self._body.size != 0

    @property
    def can_repeat(self) -> bool:
        """Whether it may be sent again if it is not known whether the server processed it (RFC 9110 §9.2.2)."""
        return self.method in _IDEMPOTENT and (self._body is None or self._body.can_replay)

    # -- its bytes ------------------------------------------------------------------------------------------------

    def wire(self) -> tuple[bytes, bool]:
        """Return the bytes to send first, and whether they are all: a small body in memory is sent with the head.

        Raises `InvalidUrlClientError` or `ValueError` for values that would break the head (RFC 9112 §3, §5).
        """
        url = self.url
        target, host = url.raw_path_qs, url.host_port_subcomponent
        place = f"{host}{target}"
        if not (host and place.isascii() and place.isprintable()) or " " in place:
            raise InvalidUrlClientError(url, "the URL has no host, or characters that must be quoted")
        method = self.method
        if self._headers is None and method in _BODILESS_METHODS:  # a middleware may have changed the method
            cookie = ""
            if self._cookie:
                check_value("Cookie", self._cookie)
                cookie = f"Cookie: {self._cookie}\r\n"
            written = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{self.policy.defaults.block}{cookie}\r\n"
            return written.encode() if written.isascii() else _encoded(written), True
        head = _encoded(self._write_head(self.headers, target, host))
        if self._body is None:
            return head, True
        if self.expects_continue or self.policy.chunk_bytes or (data := _small(self._body)) is None:
            check_framing(self.headers, self._body.size, in_chunks=self.chunked)  # `parts` counts what is sent
            return head, False
        check_framing(self.headers, len(data), in_chunks=self.chunked)
        if self.chunked:
            data = chunk(data) + LAST_CHUNK
        return head + data, True

    def _write_head(self, headers: CIMultiDict[str], target: str, host: str) -> str:
        """Return a head that is not the usual one."""
        if not is_token(self.method):
            raise ValueError(f"not a method: {self.method!r}")
        if self._body is None and ("Content-Length" in headers or "Transfer-Encoding" in headers):
            check_framing(headers, 0, in_chunks=False)
        proxy_lines = ""
        if self.proxy is not None:
            if self.is_forwarded:
                target, proxy_lines = f"{self.url.scheme}://{host}{target}", self.proxy.header_lines()
            if "Proxy-Authorization" in headers and (self.proxy.auth is not None or not self.is_forwarded):
                headers = headers.copy()  # the caller's credentials for proxies are not for the origin
                headers.popall("Proxy-Authorization")
        version = self.policy.version
        start = f"{self.method} {target} HTTP/{version.major}.{version.minor}\r\n"
        if "Host" not in headers:
            start += f"Host: {host}\r\n"
        elif len(headers.getall("Host")) > 1:
            raise ValueError("more than one Host header")  # servers differ in which one they use (RFC 9112 §3.2)
        return f"{start}{proxy_lines}{write_headers(headers)}\r\n"

    def parts(self) -> AsyncGenerator[bytes, None]:
        """Iterate over the body. Raises `ValueError` if its length is not its Content-Length."""
        assert self._body is not None
        return counted(self._body.parts(), None if self.chunked else int(self.headers["Content-Length"]))

    def framed(self, part: bytes) -> Iterator[bytes]:
        """Iterate over a part of the body as it is sent. After the last chunk, `LAST_CHUNK` has to be sent."""
        return chunks(part, self.policy.chunk_bytes) if self.chunked else iter((part,))

    # -- making its headers ---------------------------------------------------------------------------------------

    def _make_headers(self) -> CIMultiDict[str]:
        defaults = self.policy.defaults
        headers = (defaults.bodiless if self._body is None else defaults.headers).copy()
        for name in self.policy.skipped & AUTO_NAMES:
            headers.popall(name, None)
        if self._given is not None:
            for name in set(self._given):
                headers.popall(name, None)
            headers.extend(self._given)
        if self._cookie:
            headers["Cookie"] = self._cookie
        elif not headers.get("Cookie"):
            headers.popall("Cookie", None)  # a field must not be empty (RFC 6265bis §4.2.1)
        version = self.policy.version
        if version is not HttpVersion11 and version < HttpVersion11 and self.proxy is None:
            headers.setdefault("Connection", "keep-alive")  # old proxies would pass it on (RFC 9112 §C.2.2)
        self._describe_body(headers)
        return headers

    def _describe_body(self, headers: CIMultiDict[str]) -> None:
        """Set the headers that describe the body: its type, its coding, and its framing (RFC 9112 §6)."""
        body = self._body
        if self.expects_continue:
            headers["Expect"] = "100-continue"
        elif body is None or body.size == 0:
            headers.popall("Expect", None)
        if body is None:
            headers.popall("Transfer-Encoding", None)  # else the next request would be taken for chunks
            if "Content-Length" in headers:
                check_framing(headers, 0, in_chunks=False)
            elif self.method not in _BODILESS_METHODS:
                headers["Content-Length"] = "0"
            return
        for name, value in body.headers.items():
            headers.setdefault(name, value)
        if body.content_type is not None and "content-type" not in self.policy.skipped | self.policy.defaults.skipped:
            headers.setdefault("Content-Type", body.content_type)
        if self.policy.compress and body.size != 0:
            if "Content-Encoding" in headers:
                raise ValueError("compress cannot be given together with a Content-Encoding header")
            if "Content-Length" in headers:
                raise ValueError("compress changes the length of the body: leave the Content-Length header out")
            headers["Content-Encoding"] = self.policy.compress
            needs_size = self.policy.version < HttpVersion11  # HTTP/1.0 has no chunks
            self._body = body = compress_body(body, self.policy.compress, keeps_size=needs_size)
        self._frame(headers, body.size)

    def _frame(self, headers: CIMultiDict[str], size: int | None) -> None:
        if (
            size is not None
            and not self.chunked
            and not ("Content-Length" in headers or "Transfer-Encoding" in headers)
        ):
            headers["Content-Length"] = str(size)
            return
        says_chunked = is_chunked(headers)
        if self.chunked and (says_chunked or "Content-Length" in headers):
            raise ValueError("chunked cannot be given together with a Transfer-Encoding or Content-Length header")
        self.chunked = self.chunked or says_chunked or (size is None and "Content-Length" not in headers)
        if self.chunked:
            if self.policy.version < HttpVersion11:
                raise ValueError("HTTP/1.0 cannot send a body in chunks, or of unknown size")
            headers.setdefault("Transfer-Encoding", "chunked")
        else:
            headers.setdefault("Content-Length", str(size))
        check_framing(headers, size, in_chunks=self.chunked)


def body_of(data: Any) -> Body:
    """Return a body for `data`: a `FormData`, a mapping or list for a form, or anything that `make_body` takes."""
    from client.forms import FormData  # programs that only fetch pages do not need it

    if isinstance(data, FormData):
        return data.body()
    return FormData(data).body() if isinstance(data, Mapping | list | tuple) else make_body(data)


def _small(body: Body) -> bytes | None:
    """Return a body that is sent with the head, or None. A transport would copy a large one at once, and nothing would show whether
    the server reads it.
    """
    size = body.size
    return body.in_memory() if size is not None and size <= PART_BYTES else None


def _encoded(head: str) -> bytes:
    return head.encode("utf-8", "surrogateescape")
