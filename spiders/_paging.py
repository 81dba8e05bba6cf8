"""Lists of several pages: how far one has been read is kept as `paging` in the context of the request for its next page. Everything else
in the context is the user's, and is passed on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.page import Page

_log = logging.getLogger(__name__)

_PAGING = "paging"


def number_of(page: Page) -> int:
    """The number of a page in its list; a seed is number 1."""
    number: int = _paging_of(page).get("number", 1)
    return number


def seen_before(page: Page) -> list[list[int]]:
    """The digests of what was on the first page and on the previous one; empty on the first page.

    Sites that make up pages without end usually show one of these again, so these two are enough to notice that; `most` bounds the
    others.
    """
    paging = _paging_of(page)
    return [paging["first"], paging["last"]] if paging else []


def own_context(page: Page) -> dict[str, Any]:
    """What the user has put into the context of a page's request."""
    return {name: value for name, value in page.context.items() if name != _PAGING}


def context_of_next(page: Page, digests: list[int], *, most: int) -> dict[str, Any] | None:
    """The context for the request for the next page; `digests` are those of what is on this one. None if the list ends here: because
    this page repeats the first or the previous one, or is number `most`, unless that is 0."""
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
