"""What stands around a fetch may be the user's, and gives what it likes: looked at here, it costs its page. Beyond, what cannot be kept
would end the crawl, and each further run of it.
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


def as_kept(outcome: Redirected | Postponed | Failed | SetAside) -> Redirected | Postponed | Failed | SetAside:
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
    """Raises ValueError and TypeError for a page of which no record can be kept."""
    normalize(page.url)
    if not isinstance(page.body, bytes):
        raise TypeError(f"the body of a page is bytes, not {type(page.body).__name__}")
    _check_figures(page.status, len(page.body), page.elapsed, page.fetched_at)


@contextmanager
def lent(lease: Lease) -> Iterator[None]:
    """A lease is in other hands, which may change what is asked for: but not by what it is known to us, nor into what is no request."""
    before = {name: getattr(lease, name) for name in (*_OURS, *_THEIRS)}
    try:
        yield
    finally:
        for name in _OURS if _is_request(lease) else before:
            setattr(lease, name, before[name])


@contextmanager
def ungrouped() -> Iterator[None]:
    """`Stop` and `Retry` that a task group of the middleware has raised are raised as themselves."""
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
