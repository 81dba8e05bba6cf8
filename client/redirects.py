"""The next request after a redirect: its method, URL and headers (RFC 9110 §15.4, WHATWG Fetch §4.4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from client.errors import InvalidUrlRedirectClientError, NonHttpUrlRedirectClientError
from client.urls import parse_url

if TYPE_CHECKING:
    from multidict import CIMultiDict
    from yarl import URL

REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})

_BODY_HEADERS: Final = (
    *("Content-Encoding", "Content-Language", "Content-Length", "Content-Location", "Content-Type"),
    *("Expect", "Transfer-Encoding"),
)
"""Headers that describe a body (Fetch: "request-body-header name") or say how it is sent; dropped with the body."""

ORIGIN_HEADERS: Final = ("Authorization", "Cookie", "Host", "Proxy-Authorization")
"""Headers that are meant for one origin only."""

_WEBSOCKET: Final = ("ws", "wss")
"""Schemes to which only the opening handshake of a WebSocket may be redirected."""

_AUTHORITY: Final = re.compile(r"(?:https?:)?//", re.IGNORECASE)
"""The beginning of a Location that names a host; without a host after it, the rest would be taken for a path."""


def redirect_method(method: str, status: int) -> str:
    """Return the method of the next request: 303 changes all but GET and HEAD to GET, 301 and 302 change POST to GET."""
    if (status == 303 and method not in ("GET", "HEAD")) or (status in (301, 302) and method == "POST"):
        return "GET"
    return method


def redirect_url(url: URL, location: bytes, *, requote: bool = True) -> URL:
    """Return the target of a redirect: the Location resolved against `url`, whose fragment it inherits (RFC 9110 §10.2.2).

    With `requote`, its quoting is normalized; without, the Location is used as it is. A Location that is not UTF-8 is taken
    for Latin-1. Raises `InvalidUrlRedirectClientError` and `NonHttpUrlRedirectClientError`.
    """
    text = _decode(location).strip("\0\t\n\f\r ")
    try:
        relative = parse_url(text, encoded=not requote)
        target = url.join(relative)
    except ValueError as error:
        raise InvalidUrlRedirectClientError(text, f"redirected to an invalid URL: {error}") from error
    if target.scheme not in ("http", "https") and not (target.scheme in _WEBSOCKET and url.scheme in _WEBSOCKET):
        raise NonHttpUrlRedirectClientError(text, "redirected to a URL that is neither http nor https")
    if not target.raw_host or (_AUTHORITY.match(text) and not relative.raw_host):
        raise InvalidUrlRedirectClientError(text, "redirected to a URL without a host")
    place = f"{target.host_port_subcomponent}{target.raw_path_qs}"
    if not (place.isascii() and place.isprintable()) or " " in place:
        raise InvalidUrlRedirectClientError(text, "redirected to a URL with characters that must be quoted")
    if url.raw_fragment and not target.raw_fragment:
        target = target.with_fragment(url.fragment)
    return target


def redirect_headers(
    headers: CIMultiDict[str] | None, *, keeps_body: bool, same_origin: bool
) -> CIMultiDict[str] | None:
    """Return those of the caller's headers that are kept in the next request."""
    if headers is None:
        return None
    dropped = (() if keeps_body else _BODY_HEADERS) + (() if same_origin else ORIGIN_HEADERS)
    kept = headers.copy()
    for name in dropped:
        kept.popall(name, None)
    return kept


def _decode(location: bytes) -> str:
    try:
        return location.decode()
    except UnicodeDecodeError:
        return location.decode("latin-1")
