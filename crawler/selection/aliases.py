"""Which canonical URLs are believed, so that a page is known under another URL than the one it was fetched from."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from crawler.selection.detours import Detours
from crawler.web.directives import may_be_other_name, share_last_segment

if TYPE_CHECKING:
    from crawler.frontier.protocol import Lease

_CLAIMS_BELIEVED = 3
"""A page has a few copies at most. A URL that more pages name, none of which ends like it, was copied with the site's template."""

_NAMES_KEPT = 20_000


class Aliases:
    """What the pages of one crawl say about their canonical URLs. It is bounded, and forgets the oldest names."""

    def __init__(self, detours: Detours | None = None) -> None:
        self._detours = detours or Detours()
        self._claims: OrderedDict[str, int] = OrderedDict()

    def of(self, lease: Lease, url: str, named: str | None) -> str | None:
        """`named`, which the page found at `url` names as its canonical URL, if it is believed to be another URL of that page;
        otherwise None."""
        if named is None or named == url or named in lease.redirects or lease.method != "GET":
            return None
        if not may_be_other_name(url, named) or not self._is_believed(url, named):
            return None
        return None if self._detours.leads_back(url, named) else named

    def _is_believed(self, url: str, named: str) -> bool:
        if share_last_segment(url, named):
            return True
        claims = self._claims[named] = self._claims.get(named, 0) + 1
        if len(self._claims) > _NAMES_KEPT:
            self._claims.popitem(last=False)
        return claims <= _CLAIMS_BELIEVED
