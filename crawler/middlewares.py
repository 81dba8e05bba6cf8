"""What stands around a fetch may be the user's, and gives what it likes: looked at here, it costs its page. Beyond, what cannot be kept
would end the crawl, and each further run of it.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from crawler.outcome import Aside, Failed, Postponed, Redirected, SetAside
from crawler.request import Request
from crawler.web.urls import normalize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.frontier.protocol import Lease
    from crawler.page import Page

_OURS = ("id", "host", "depth", "requested_url", "referrer", "priority", "attempts", "redirects")
_THEIRS = ("url", "method", "headers", "body", "context", "callback")


def as_kept(outcome: Redirected | Postponed | Failed | SetAside) -> Redirected | Postponed | Failed | SetAside:
    """An outcome as it can be kept. Raises ValueError and TypeError."""
    match outcome:
        case Redirected():
            return replace(outcome, url=normalize(outcome.url), method=outcome.method.upper())
        case Postponed():
            if not math.isfinite(outcome.not_before):
                raise ValueError(f"nobody can wait until {outcome.not_before}")
        case Failed():
            _check_figures(outcome.status or 0, outcome.size, outcome.elapsed, outcome.fetched_at)
            outcome.final_url.encode()
        case SetAside():
            Aside(outcome.reason)
    return outcome


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


def _is_request(lease: Lease) -> bool:
    try:
        Request(lease.url, method=lease.method, headers=lease.headers, body=lease.body, context=lease.context)
    except (TypeError, ValueError):
        return False
    return isinstance(lease.callback, str | None)


def _check_figures(status: int, size: int, elapsed: float, fetched_at: float) -> None:
    for figure in (status, size, elapsed, fetched_at):
        if not (isinstance(figure, int | float) and math.isfinite(figure)):
            raise ValueError(f"this is none of a page's figures: {figure!r:.80}")
