"""Asking for a page only if it has changed: what is sent to have that found out (RFC 9110 §13.1, RFC 9111 §4.3.1), and what a stored
response becomes if it has not (RFC 9111 §3.2).
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
"""Who sends one of these knows what to make of the answer."""

_SAME_FOR_ALL = frozenset({"accept-encoding"})
"""A response may vary by what a crawl sends always the same."""

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
"""Fields that tell of one message (RFC 9111 §3.1), or of how the stored body is to be read (§3.2): a 304 has nothing new to say of it."""

_is_entity_tag = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,1024}"').fullmatch
"""RFC 9110 §8.8.3. A longer one might be too much of a header for the server that has sent it."""


def conditions_of(headers: CIMultiDictProxy[str], *, same_request: bool = True) -> dict[str, str]:
    """What to send to have a page again only if it is no longer as it was; empty if its `headers` have nothing to tell that by. A tag
    tells variants apart, a date does not: it will not do if it is not the `same_request` that the page came for."""
    conditions = {}
    if _is_entity_tag(tag := headers.get("ETag", "")):
        conditions["If-None-Match"] = tag
    modified = headers.get("Last-Modified", "") if same_request else ""
    if _tells_versions_apart(modified, headers.get("Date", "")) and _names(headers, "Vary") <= _SAME_FOR_ALL:
        conditions["If-Modified-Since"] = modified
    return conditions


def _tells_versions_apart(modified: str, date: str) -> bool:
    """Whether a date is a validator to go by: not if the page may have changed again within the same second (RFC 9110 §8.8.2.2)."""
    modified_at, sent_at = _instant_of(modified), _instant_of(date)
    return modified_at is not None and sent_at is not None and sent_at - modified_at >= 1


@lru_cache(maxsize=4096)  # what was fetched, or written, in one second is a lot
def _instant_of(date: str) -> float | None:
    return parse_http_date(date, now=time.time()) if date else None


def is_of(headers: CIMultiDictProxy[str], stored: CIMultiDictProxy[str]) -> bool:
    """Whether a 304 with these headers speaks of the `stored` response, and not of another one (RFC 9111 §4.3.4)."""
    tag, known = headers.get("ETag"), stored.get("ETag")
    return tag is None or known is None or tag.removeprefix("W/") == known.removeprefix("W/")


def updated(stored: CIMultiDictProxy[str], headers: CIMultiDictProxy[str]) -> CIMultiDictProxy[str]:
    """The headers of a stored response, brought up to date by those of a 304. Cookies are those that were set now."""
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
