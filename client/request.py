"""A request, from what the caller said to the bytes on the wire.

Most requests of a session differ in nothing but their URL and cookies. For those the headers are never made into a
mapping: the session's own were written out once, by `HeaderDefaults`, and the head is one formatted string. The mapping
is made as soon as somebody asks for `headers`, and then it is what gets sent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy

from client.body import Body, compress_body
from client.connection import ConnectionKey
from client.errors import InvalidUrlClientError
from client.origin import Origin
from client.version import HttpVersion, HttpVersion11

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from yarl import URL

    from client.tls import Verification

USER_AGENT: Final = "nephila"
AUTO_HEADERS: Final = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "User-Agent": USER_AGENT,
}
"""Sent unless the caller sets them or asks to skip them."""

_BODILESS_METHODS: Final = frozenset({"CONNECT", "GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods whose requests need no Content-Length: 0 to say that they have no body (RFC 9110 §8.6)."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BREAK: Final = re.compile(r"[\r\n\0]")


class RequestInfo(NamedTuple):
    """What was asked: for errors and for `ClientResponse.request_info`."""

    url: URL
    """Without the fragment."""
    method: str
    headers: CIMultiDictProxy[str]
    real_url: URL
    """With the fragment."""


class HeaderDefaults:
    """The headers that every request of a session has, as a mapping and written out."""

    __slots__ = ("block", "headers", "skipped")

    def __init__(self, headers: CIMultiDict[str], skipped: Collection[str] = (), *, keeps_alive: bool = True) -> None:
        self.skipped: frozenset[str] = frozenset(name.lower() for name in skipped)
        self.headers: CIMultiDict[str] = CIMultiDict(
            (name, value)
            for name, value in AUTO_HEADERS.items()
            if name not in headers and name.lower() not in self.skipped
        )
        if not keeps_alive:
            self.headers["Connection"] = "close"
        self.headers.extend(headers)
        self.block = _write_headers(self.headers)


class ClientRequest:
    """One request to one URL. A redirect makes another; a retry sends the same again.

    Middlewares may change `headers` and `body` before they pass it on.
    """

    __slots__ = (
        "_body",
        "_chunk_bytes",
        "_compress",
        "_cookie",
        "_defaults",
        "_given",
        "_headers",
        "_skipped",
        "chunked",
        "expects_continue",
        "method",
        "server_hostname",
        "ssl",
        "url",
        "version",
    )

    def __init__(
        self,
        method: str,
        url: URL,
        defaults: HeaderDefaults,
        *,
        headers: CIMultiDict[str] | None = None,
        skipped: Collection[str] = (),
        body: Body | None = None,
        cookie: str | None = None,
        version: HttpVersion = HttpVersion11,
        compress: str | None = None,
        chunked: bool | int = False,
        expect100: bool = False,
        ssl: Verification = True,
        server_hostname: str | None = None,
    ) -> None:
        self.method = method
        self.url = url
        self.version = version
        self.ssl = ssl
        self.server_hostname = server_hostname
        self.expects_continue = expect100
        self.chunked = bool(chunked)
        self._chunk_bytes = 0 if isinstance(chunked, bool) else chunked
        self._defaults = defaults
        self._given = headers
        self._skipped = skipped
        self._cookie = cookie
        self._compress = compress
        self._headers: CIMultiDict[str] | None = None
        self._body = body
        if (
            headers is not None
            or skipped
            or body is not None
            or expect100
            or version is not HttpVersion11
            or method not in _BODILESS_METHODS
        ):
            self._headers = self._make_headers()

    # -- what it says ---------------------------------------------------------------------------------------------

    @property
    def headers(self) -> CIMultiDict[str]:
        """All headers that will be sent; changes to them are sent as well."""
        if self._headers is None:
            self._headers = self._make_headers()
        return self._headers

    @property
    def body(self) -> Body | None:
        """What follows the head, as it will be sent."""
        return self._body

    @property
    def origin(self) -> Origin:
        """Where the request goes; `InvalidUrlClientError` when its URL has no host."""
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
        """What must be equal for another request to follow this one on its connection."""
        scheme, host, port = self.origin
        return ConnectionKey(host, port, scheme in ("https", "wss"), self.ssl, self.server_hostname)

    @property
    def request_info(self) -> RequestInfo:
        url = self.url
        return RequestInfo(url.with_fragment(None), self.method, CIMultiDictProxy(self.headers), url)

    @property
    def asks_upgrade(self) -> bool:
        """Whether the request invites the server to switch protocols (RFC 9110 §7.8)."""
        return self._headers is not None and "Upgrade" in self._headers

    # -- its bytes ------------------------------------------------------------------------------------------------

    def head(self) -> str:
        """Write the head out. `InvalidUrlClientError` or `ValueError` for what would break it (RFC 9112 §3, §5)."""
        url = self.url
        target, host = url.raw_path_qs, url.host_port_subcomponent
        if not (target.isascii() and target.isprintable()) or " " in target or not host:
            raise InvalidUrlClientError(url, "the URL has no host, or characters that must be quoted")
        if self._headers is None:
            cookie = f"Cookie: {self._cookie}\r\n" if self._cookie else ""
            return f"{self.method} {target} HTTP/1.1\r\nHost: {host}\r\n{self._defaults.block}{cookie}\r\n"
        start = f"{self.method} {target} HTTP/{self.version.major}.{self.version.minor}\r\n"
        if "Host" not in self._headers:
            start += f"Host: {host}\r\n"
        return f"{start}{_write_headers(self._headers)}\r\n"

    def whole(self) -> bytes | None:
        """Return the body's bytes as they go on the wire, if they can go with the head; else None."""
        if self._body is None:
            return b""
        if self.expects_continue or self._chunk_bytes:
            return None
        data = self._body.in_memory()
        return data if data is None or not self.chunked else b"%s0\r\n\r\n" % _chunk(data)

    async def parts(self) -> AsyncIterator[bytes]:
        """Iterate over the body's bytes as they go on the wire."""
        assert self._body is not None
        left = None if self.chunked else int(self.headers["Content-Length"])
        async for part in self._body.parts():
            if left is not None:
                left -= len(part)
                if left < 0:
                    raise ValueError("the body is longer than its Content-Length")
                yield part
                continue
            step = self._chunk_bytes or len(part) or 1
            for start in range(0, len(part), step):
                yield _chunk(part[start : start + step])
        if left is None:
            yield b"0\r\n\r\n"
        elif left:
            raise ValueError(f"the body ended {left} bytes short of its Content-Length")

    # -- how its headers come about -------------------------------------------------------------------------------

    def _make_headers(self) -> CIMultiDict[str]:
        headers = self._defaults.headers.copy()
        for name in self._skipped:
            if name in AUTO_HEADERS:
                headers.popall(name, None)
        if self._given is not None:
            for name in set(self._given):
                headers.popall(name, None)
            headers.extend(self._given)
        if self._cookie:
            headers["Cookie"] = self._cookie
        if self.expects_continue:
            headers["Expect"] = "100-continue"
        if self._body is not None:
            self._frame(headers, self._body)
        elif self.method not in _BODILESS_METHODS and "Transfer-Encoding" not in headers:
            headers.setdefault("Content-Length", "0")
        return headers

    def _frame(self, headers: CIMultiDict[str], body: Body) -> None:
        """Say of what type, in which coding and how long the body is."""
        for name, value in body.headers.items():
            headers.setdefault(name, value)
        if body.content_type is not None and "content-type" not in self._defaults.skipped.union(self._skipped):
            headers.setdefault("Content-Type", body.content_type)
        if self._compress:
            if "Content-Encoding" in headers:
                raise ValueError("compress cannot be given together with a Content-Encoding header")
            headers["Content-Encoding"] = self._compress
            self._body = body = compress_body(body, self._compress)
        if "chunked" in headers.get("Transfer-Encoding", "").lower():
            if self.chunked:
                raise ValueError("chunked cannot be given together with a Transfer-Encoding header")
            self.chunked = True
        if self.chunked and "Content-Length" in headers:
            raise ValueError("chunked cannot be given together with a Content-Length header")
        if "Content-Length" in headers:
            return
        if not self.chunked and body.size is not None:
            headers["Content-Length"] = str(body.size)
            return
        if self.version < HttpVersion11:
            raise ValueError("HTTP/1.0 cannot send a body of unknown size")
        self.chunked = True
        headers["Transfer-Encoding"] = "chunked"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


def merge_cookies(*headers: str | None) -> str | None:
    """Join values of the Cookie header; of cookies with one name, the last value's is sent."""
    pairs: dict[str, str] = {}
    for header in headers:
        for pair in (header or "").split(";"):
            if pair := pair.strip():
                pairs[pair.partition("=")[0]] = pair
    return "; ".join(pairs.values()) or None


def _write_headers(headers: CIMultiDict[str]) -> str:
    lines = []
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"not a header name: {name!r}")
        if _BREAK.search(value):
            raise ValueError(f"a line break or NUL in header {name}: {value!r}")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines)
