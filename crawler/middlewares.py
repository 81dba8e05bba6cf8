"""Checks on what middlewares return, which are the user's code. What fails here costs one page; further on, what cannot be kept would end
the crawl, and each later run of it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import asdict, replace

from crawler.errors import wish_of
from crawler.outcome import Failed, Postponed, Redirected, SetAside
from crawler.request import Request
from crawler.web.urls import normalize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.frontier.protocol import Lease
    from crawler.page import Page

_OURS = ("id", "host", "depth", "requested_url", "referrer", "priority", "attempts", "redirects")
_ALTERABLE = ("url", "method", "headers", "body", "context", "read_timeout", "total_timeout", "max_attempts")
_THEIRS = (*_ALTERABLE, "callback", "again")

_TOO_MUCH = 1 << 63
"""SQLite's integers are smaller."""


def checked_outcome(outcome: Redirected | Postponed | Failed | SetAside) -> Redirected | Postponed | Failed | SetAside:
    """An outcome as it can be kept. Raises ValueError, and msgspec's error for what has the wrong type."""
    kind = next(kind for kind in (Redirected, Postponed, Failed, SetAside) if isinstance(outcome, kind))
    kept = replace(outcome, **asdict(msgspec.convert(asdict(outcome), kind)))
    match kept:
        case Redirected():
            return replace(kept, url=normalize(kept.url), method=kept.method.upper())
        case Postponed():
            _check_figures(kept.not_before)
        case Failed():
            _check_figures(kept.status or 0, kept.size, kept.elapsed, kept.fetched_at)
            kept.final_url.encode()
        case SetAside():
            pass
    return kept


def check_page(page: Page) -> None:
    """Raise ValueError or TypeError for a page that cannot be recorded."""
    normalize(page.url)
    if not isinstance(page.body, bytes):
        raise TypeError(f"the body of a page is bytes, not {type(page.body).__name__}")
    _check_figures(page.status, len(page.body), page.elapsed, page.fetched_at)


@contextmanager
def lent(lease: Lease) -> Iterator[None]:
    """Lend a lease to a middleware, which may change what is requested. Changes to what the crawl knows it by are undone at the end; so
    are all changes, if they make an invalid request."""
    before = {name: getattr(lease, name) for name in (*_OURS, *_THEIRS)}
    try:
        yield
    finally:
        for name in _OURS if _is_request(lease) else before:
            setattr(lease, name, before[name])


@contextmanager
def ungrouped() -> Iterator[None]:
    """Raise a `Stop` or `Retry` from a task group of the middleware's by itself (`wish_of`)."""
    try:
        yield
    except BaseExceptionGroup as group:
        wish = wish_of(group)
        if wish is None:
            raise
        raise wish from None


def _is_request(lease: Lease) -> bool:
    try:
        Request(**{name: getattr(lease, name) for name in _ALTERABLE})
    except (TypeError, ValueError):
        return False
    return isinstance(lease.callback, str | None)


def _check_figures(*figures: float) -> None:
    for figure in figures:
        if not (isinstance(figure, int | float) and abs(figure) < _TOO_MUCH):
            raise ValueError(f"this is none of a page's figures: {figure!r:.80}")
