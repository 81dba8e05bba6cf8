"""What stands around a fetch may be the user's, and gives what it likes: looked at here, it costs its page. Beyond, what cannot be kept
would end the crawl, and each further run of it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec.structs import replace

from crawler.errors import InvalidUrl
from crawler.outcome import Aside, Failed, Postponed, Redirected, SetAside
from crawler.web.urls import normalize

if TYPE_CHECKING:
    from crawler.frontier.protocol import Lease
    from crawler.page import Page


def as_kept(outcome: Redirected | Postponed | Failed | SetAside) -> Redirected | Postponed | Failed | SetAside:
    """An outcome as it can be kept. Raises ValueError, TypeError and InvalidUrl."""
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
    """Raises ValueError, TypeError and InvalidUrl for a page of which no record can be kept."""
    normalize(page.url)
    _check_figures(page.status, len(page.body), page.elapsed, page.fetched_at)


def leads_nowhere(lease: Lease) -> bool:
    """Whether a lease asks for what is no URL."""
    try:
        normalize(lease.url)
    except (InvalidUrl, ValueError, TypeError, AttributeError):
        return True
    return False


def _check_figures(status: int, size: int, elapsed: float, fetched_at: float) -> None:
    for figure in (status, size, elapsed, fetched_at):
        if not (isinstance(figure, int | float) and math.isfinite(figure)):
            raise ValueError(f"this is none of a page's figures: {figure!r:.80}")
