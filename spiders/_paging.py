"""Lists in several pages: how far one has been read, kept as `paging` in the context of the request for its next page. What else is
there is the user's own, and comes along.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.page import Page

_log = logging.getLogger(__name__)

_PAGING = "paging"


def number_of(page: Page) -> int:
    """Which page of its list this is; 1 is a seed."""
    number: int = _paging_of(page).get("number", 1)
    return number


def seen_before(page: Page) -> list[list[int]]:
    """The digests of what was on the first page and on the last one; none on the first page.

    Sites that make up pages without end show one of these again, as a rule. So it takes no more to notice, and `most` bounds the rest.
    """
    paging = _paging_of(page)
    return [paging["first"], paging["last"]] if paging else []


def own_context(page: Page) -> dict[str, Any]:
    """What the user has put into the context of a page."""
    return {name: value for name, value in page.context.items() if name != _PAGING}


def context_of_next(page: Page, digests: list[int], *, most: int) -> dict[str, Any] | None:
    """What the request for the next page has to know, if `digests` are of what is on this one. None where the list ends: at a
    page like the first or the last one, or at page number `most`, unless that is 0."""
    seen, number = seen_before(page), number_of(page)
    if digests in seen:
        return None
    if 0 < most <= number:
        _log.warning("%s is page %d of its list, and no further one is asked for", page.url, number)
        return None
    paging = {"number": number + 1, "first": seen[0] if seen else digests, "last": digests}
    return {**page.context, _PAGING: paging}


def _paging_of(page: Page) -> dict[str, Any]:
    paging: dict[str, Any] = page.context.get(_PAGING, {})
    return paging
