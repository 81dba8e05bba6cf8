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
"""A sitemap is no seed, and has to be in scope; what it lists is as deep as itself."""


class Discovery:
    """Finds sitemaps. Each is a request like any other: it waits for its host, is tried again, and outlasts a stop."""

    def __init__(self, frontier: Frontier, politeness: Politeness) -> None:
        self._frontier = frontier
        self._politeness = politeness

    async def look(self, lease: Lease) -> None:
        """Ask for the sitemaps of the lease's origin, now that its robots.txt is known; those known already are passed over."""
        if named := self._politeness.sitemaps_of(lease.url):
            urls = resolve(robots_url(origin_of(lease.url)), named)
            await self._frontier.add([Links(urls, callback=SITEMAP, are_canonical=True)], depth=_DEPTH)


def depth_of_found(lease: Lease) -> int | None:
    """How deep what was found on a page is; None: one link deeper than the page. A sitemap is no step of a visitor's."""
    return max(_DEPTH, lease.depth) if lease.callback == SITEMAP else None
