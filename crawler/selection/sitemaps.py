"""Pages that no link leads to: the sitemaps that robots.txt files name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.request import Links
from crawler.spider import SITEMAP
from crawler.web.urls import origin_of, resolve, robots_url

if TYPE_CHECKING:
    from crawler.frontier.protocol import Frontier, Lease
    from crawler.politeness import Politeness

_DEPTH = 1
"""A sitemap is not a seed, so it must be in scope; what it lists has the same depth."""


class Discovery:
    """Finds sitemaps. Each is a request like any other: it waits for its host, is retried, and survives a stop."""

    def __init__(self, frontier: Frontier, politeness: Politeness) -> None:
        self._frontier = frontier
        self._politeness = politeness

    async def look(self, lease: Lease) -> None:
        """Queue the sitemaps of the lease's origin, now that its robots.txt is known, unless they are known already."""
        if named := self._politeness.sitemaps_of(lease.url):
            urls = resolve(robots_url(origin_of(lease.url)), named)
            await self._frontier.add([Links(urls, callback=SITEMAP, are_canonical=True)], depth=_DEPTH)


def depth_of_found(lease: Lease) -> int | None:
    """The depth of what was found on a page; None: one link deeper than the page. A sitemap does not count as a step."""
    return max(_DEPTH, lease.depth) if lease.callback == SITEMAP else None
