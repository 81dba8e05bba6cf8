"""Requesting a page only if it has changed: the conditions to send (RFC 9110 §13.1, RFC 9111 §4.3.1), and how a 304 updates the stored
response (RFC 9111 §3.2).
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict, CIMultiDictProxy

from crawler.web.http_date import parse_http_date

if TYPE_CHECKING:
    from collections.abc import Iterable

CONDITIONAL: Final = frozenset(
    {"if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"}
)
"""Fields of a conditional request: whoever sends one themselves also handles the answer."""

_SAME_FOR_ALL = frozenset({"accept-encoding"})
"""Request fields that are the same in all requests of a crawl, so that a response may vary by them."""

_OF_THE_STORED = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields that describe a single message (RFC 9111 §3.1), or how the stored body is to be read (§3.2): those of a 304 are ignored."""

_is_entity_tag = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,1024}"').fullmatch
"""RFC 9110 §8.8.3. A longer tag could exceed the limit on headers of the very server that sent it."""


def conditions_of(headers: CIMultiDictProxy[str], *, same_request: bool = True) -> dict[str, str]:
    """The header fields that request a page only if it has changed, given the `headers` that it had; empty if they have no validator. An
    entity tag distinguishes variants of a page. A date does not, so it is used only for the `same_request` as before."""
    conditions = {}
    if _is_entity_tag(tag := headers.get("ETag", "")):
        conditions["If-None-Match"] = tag
    modified = headers.get("Last-Modified", "") if same_request else ""
    if _tells_versions_apart(modified, headers.get("Date", "")) and _names(headers, "Vary") <= _SAME_FOR_ALL:
        conditions["If-Modified-Since"] = modified
    return conditions


def _tells_versions_apart(modified: str, date: str) -> bool:
    """Whether a date is a strong enough validator: it is not if the page may have changed again within the same second (RFC 9110
    §8.8.2.2)."""
    modified_at, sent_at = _instant_of(modified), _instant_of(date)
    return modified_at is not None and sent_at is not None and sent_at - modified_at >= 1


@lru_cache(maxsize=4096)  # many pages were fetched, or written, in the same second
def _instant_of(date: str) -> float | None:
    return parse_http_date(date, now=time.time()) if date else None


def is_of(headers: CIMultiDictProxy[str], stored: CIMultiDictProxy[str]) -> bool:
    """Whether a 304 with these headers is about the `stored` response, and not about another one (RFC 9111 §4.3.4)."""
    tag, known = headers.get("ETag"), stored.get("ETag")
    return tag is None or known is None or tag.removeprefix("W/") == known.removeprefix("W/")


def updated(stored: CIMultiDictProxy[str], headers: CIMultiDictProxy[str]) -> CIMultiDictProxy[str]:
    """The headers of a stored response, updated by those of a 304. Cookies are only those that the 304 sets."""
    left_out = _OF_THE_STORED | _names(headers, "Connection")
    new = [(name, value) for name, value in headers.items() if name.lower() not in left_out]
    replaced = {"set-cookie", *(name.lower() for name, _ in new)}
    old = [(name, value) for name, value in stored.items() if name.lower() not in replaced]
    return CIMultiDictProxy(CIMultiDict([*old, *new]))


def _names(headers: CIMultiDictProxy[str], name: str) -> frozenset[str]:
    """The field names that a field lists, in lower case."""
    values: Iterable[str] = headers.getall(name, ())
    listed = {part.strip().lower() for value in values for part in value.split(",")}
    return frozenset(listed - {""})
