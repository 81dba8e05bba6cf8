"""Conversions between the crawler's values and the columns of its tables."""

from __future__ import annotations

from base64 import b64decode, b64encode
from functools import lru_cache
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from crawler.errors import SpiderError
from crawler.frontier.protocol import Lease
from crawler.request import Links, Request, callback_name

if TYPE_CHECKING:
    from client.origin import HostKey

Row: TypeAlias = tuple[Any, ...]

Due: TypeAlias = tuple[int, int, int, int, str | None, str, int, str | None, str | None]
"""The row for a lease: request, host, rank, attempts, hop; URL, depth, the referrer's URL, extra."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

NOT_MODIFIED = "not modified"
"""The detail of a page that is done, but was taken from an earlier crawl."""
COUNT_NOT_MODIFIED = "SELECT count(*), coalesce(sum(size), 0) FROM result WHERE state = 'done' AND detail = ?"

DETAIL_CHARACTERS = 2000
"""The longest error, or detail of a skip, that is kept whole."""

OF_ITS_OWN = ("read_timeout", "total_timeout", "max_attempts")
"""Settings that a request may override."""

_RARE = ("again", *OF_ITS_OWN)


class Offer(NamedTuple):
    """Stored links of a page. `page`: its URL; `marks`: those of the `urls`; `extra`: see `extra_of`."""

    depth: int
    found_on: int | None
    page: str | None
    is_alone: bool
    extra: str | None
    urls: list[str]
    marks: list[bytes]


def extra_of(wanted: Request | Links) -> str | None:
    """Everything about a request that has no column in `request`, as JSON; None for a plain GET, without priority, for `parse`."""
    is_plain = wanted.callback is None and wanted.context is None and not wanted.priority
    if is_plain and isinstance(wanted, Links):
        return None
    extra: dict[str, Any] = {}
    if name := callback_name(wanted.callback):
        extra["callback"] = name
    if wanted.context is not None:
        extra["context"] = wanted.context
    if wanted.priority:
        extra["priority"] = int(wanted.priority)
    if isinstance(wanted, Request):
        _add_what_links_have_not(extra, wanted)
    if not extra:
        return None
    try:
        return _encode(extra).decode()
    except (TypeError, ValueError) as error:
        raise SpiderError(f"a request for {wanted} cannot be kept as JSON: {error}") from None


def _add_what_links_have_not(extra: dict[str, Any], wanted: Request) -> None:
    if wanted.method != "GET":
        extra["method"] = wanted.method
    if wanted.headers:
        extra["headers"] = dict(wanted.headers)
    if wanted.body is not None:
        extra["body"] = b64encode(wanted.body).decode()
    if wanted.again:
        extra["again"] = True
    if wanted.read_timeout is not None:
        extra["read_timeout"] = wanted.read_timeout
    if wanted.total_timeout is not None:
        extra["total_timeout"] = wanted.total_timeout
    if wanted.max_attempts is not None:
        extra["max_attempts"] = wanted.max_attempts


def method_and_body(extra_json: str) -> tuple[str, bytes | None]:
    """The parts of an `extra` that distinguish requests for the same URL."""
    extra: dict[str, Any] = _decode(extra_json)
    return extra.get("method", "GET"), b64decode(extra["body"]) if "body" in extra else None


def of_its_own(extra_json: str | None) -> dict[str, float]:
    """The settings that a request overrides, and its values."""
    extra: dict[str, Any] = _decode(extra_json) if extra_json else {}
    return {name: extra[name] for name in OF_ITS_OWN if name in extra}


def priority_of(extra_json: str | None) -> int:
    """The priority that a request was found with."""
    extra: dict[str, Any] = _decode(extra_json) if extra_json else {}
    return int(extra.get("priority", 0))


def hop_of(url: str, method: str, redirects: tuple[str, ...]) -> str:
    """Where a redirected request goes on, as JSON."""
    return _encode((url, method, redirects)).decode()


def lease_of(row: Due, host: HostKey) -> Lease:
    """A request of this host, as a lease."""
    number, _, rank, attempts, hop, url, depth, referrer, extra_json = row
    if not extra_json and not hop:  # true of nearly all
        return Lease(
            id=number,
            host=host,
            url=url,
            method="GET",
            depth=depth,
            requested_url=url,
            referrer=referrer and intern(referrer),  # one string for all requests found on the page
            priority=-rank,
            attempts=attempts,
        )
    extra: dict[str, Any] = _decode(extra_json) if extra_json else {}
    method, body = method_and_body(extra_json) if extra_json else ("GET", None)
    lease = Lease(
        id=number,
        host=host,
        url=url,
        method=method,
        depth=depth,
        requested_url=url,
        referrer=referrer and intern(referrer),
        callback=extra.get("callback"),
        priority=-rank,
        headers=extra.get("headers"),
        body=body,
        context=extra.get("context"),
        attempts=attempts,
    )
    for name in _RARE:
        if name in extra:
            setattr(lease, name, extra[name])
    if hop:
        lease.url, lease.method, left = _decode(hop)
        lease.redirects = tuple(left)
        if lease.method != method:
            lease.body = None  # a redirect that changes the method drops the body (RFC 9110 §15.4)
    return lease


def result_text(request: int, size: int, elapsed: float, fetched_at: float) -> str:
    """The values of a result that it shares with no other: as integers, which are written and read in a tenth of the time, in columns of 12
    characters; durations and instants are in microseconds."""
    return "%-12d%-12d%-12d%d" % (request, size, int(elapsed * 1e6 + 0.5), int(fetched_at * 1e6 + 0.5))  # noqa: UP031 - twice as fast


def redirects_of(chain: tuple[str, ...]) -> str | None:
    """A redirect chain as JSON; None when there was none."""
    return _encode(chain).decode() if chain else None


def clean(text: str) -> str:
    """A text from outside, cut to `DETAIL_CHARACTERS`, and without what SQLite or JSON cannot hold (NUL, lone surrogates)."""
    if text.isascii() and text.isprintable() and len(text) <= DETAIL_CHARACTERS:  # true of nearly all
        return text
    return text[:DETAIL_CHARACTERS].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


@lru_cache(maxsize=64)
def clean_content_type(text: str) -> str:
    """The same for a content type; pages have few different ones."""
    return clean(text)
