"""How requests are sent, apart from their content: the settings and headers that a session's requests share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict

from client.fields import FRAMING_NAMES, write_headers
from client.version import HttpVersion, HttpVersion11, checked_version

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from client.auth import BasicAuth
    from client.connection import ConnectionKey
    from client.proxies import ProxyChoice
    from client.tls import Verification

USER_AGENT: Final = "nephila"
AUTO_HEADERS: Final = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "User-Agent": USER_AGENT,
}
"""Sent unless the caller sets them or asks to skip them."""
AUTO_NAMES: Final = frozenset(name.lower() for name in AUTO_HEADERS)


def merge_cookies(*headers: str | None) -> str | None:
    """Join values of the Cookie header. For each name, the last value that has it counts, with all its cookies of that name."""
    pairs: dict[str, list[str]] = {}
    for header in headers:
        own: dict[str, list[str]] = {}
        for pair in (header or "").split(";"):
            if pair := pair.strip():
                own.setdefault(pair.partition("=")[0], []).append(pair)
        pairs.update(own)
    return "; ".join(chain.from_iterable(pairs.values())) or None


def asks_close(headers: CIMultiDict[str]) -> bool:
    return "Connection" in headers and "close" in ",".join(headers.getall("Connection")).lower()


class HeaderDefaults:
    """The headers of every request of a session, as a mapping and serialized."""

    __slots__ = ("asks_close", "block", "bodiless", "cookie", "headers", "is_plain", "skipped")

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
        write_headers(self.headers)  # before the cookies are taken out, so that they are checked too
        self.cookie = merge_cookies(*self.headers.popall("Cookie", ()))
        """Cookies from the session's headers; sent in one field with those of the jar and the call (RFC 6265bis §5.8)."""
        self.bodiless = self.headers.copy()
        """The headers of a request without a body."""
        for name in FRAMING_NAMES:
            self.bodiless.popall(name, None)
        self.block = write_headers(self.bodiless)
        self.is_plain = "Host" not in self.headers and "Upgrade" not in self.headers
        """Whether these headers affect nothing else in a request."""
        self.asks_close = asks_close(self.headers)

    def without(self, names: Collection[str]) -> HeaderDefaults:
        """Return the same without some headers."""
        if not (any(name in self.headers for name in names) or (self.cookie and "Cookie" in names)):
            return self
        kept = self.headers.copy()
        if self.cookie and "Cookie" not in names:
            kept["Cookie"] = self.cookie
        for name in names:
            kept.popall(name, None)
        return HeaderDefaults(kept, self.skipped)


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """How requests are sent, apart from their content. One object serves all calls that do not change these settings."""

    defaults: HeaderDefaults
    skipped: frozenset[str] = frozenset()
    """Names, in lower case, of automatic headers that are not sent."""
    version: HttpVersion = HttpVersion11
    compress: str | None = None
    """The content coding for the body: ``gzip`` or ``deflate``."""
    chunked: bool = False
    """Whether the body is sent in chunks even if its size is known."""
    chunk_bytes: int = 0
    """The size of those chunks; 0 makes each part of the body one chunk."""
    expect100: bool = False
    """Whether the body waits for the server's 100 (Continue)."""
    ssl: Verification = True
    server_hostname: str | None = None
    """The name to send in SNI and to verify the certificate against, in place of the URL's host."""
    proxy_for: ProxyChoice | None = None
    """Chooses the proxy for a URL; None: never use a proxy."""
    credentials_for: Callable[[str], BasicAuth | None] | None = None
    """Returns the credentials for a host, for requests without their own."""

    keys: dict[tuple[str, str], ConnectionKey] = field(init=False, compare=False, repr=False, default_factory=dict)
    """A cache of the connection keys of direct requests, by scheme and authority."""

    leaves_head: bool = field(init=False)
    """Whether a request without a body and headers of its own sends the header lines of `defaults` unchanged."""

    def __post_init__(self) -> None:
        if self.version is not HttpVersion11:
            object.__setattr__(self, "version", checked_version(self.version))
        is_usual = self.version == HttpVersion11 and self.defaults.is_plain
        object.__setattr__(self, "leaves_head", is_usual and not (self.skipped or self.expect100))

    def without_body(self) -> SendPolicy:
        """Return the same policy without the settings for a body."""
        return replace(self, compress=None, chunked=False, chunk_bytes=0, expect100=False)

    def without_headers(self, names: Collection[str]) -> SendPolicy:
        """Return the same policy without some of the default headers."""
        defaults = self.defaults.without(names)
        return self if defaults is self.defaults else replace(self, defaults=defaults)
