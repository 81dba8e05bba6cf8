"""Which URLs led to which: requests that were left out for others, and those that are on their way past a redirect.

Whoever decides what is left out has to know it, lest two be left out for each other (crawler/selection/detours.py): also when the one
was met before a stop, or a kill, and the other is met after it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.frontier.file import CrawlFile

NAMES = "names {} as its canonical URL"
IS_NAMED = "is the canonical URL of {}"
"""What is said of duplicates for which no redirect speaks."""

_LOOKED_THROUGH = 500_000
"""So many results, the latest found, in a tenth of a second: among them may be no duplicate, however large the file."""

_LEFT_OUT = """
SELECT request.url, result.redirects, result.final_url, result.detail
FROM (
    SELECT request AS number FROM (
        SELECT request FROM result WHERE reason = 'duplicate' AND request > coalesce(
            (SELECT request FROM result ORDER BY request DESC LIMIT 1 OFFSET :looked_through), 0
        ) ORDER BY request DESC LIMIT :most
    )
    UNION
    SELECT request FROM (
        SELECT request, reason FROM result WHERE redirects IS NOT NULL ORDER BY request DESC LIMIT :looked_through / 10
    ) WHERE reason = 'duplicate'
    ORDER BY number DESC LIMIT :most
) CROSS JOIN result ON result.request = number CROSS JOIN request ON request.id = number
ORDER BY number
"""
"""An index leads to those that redirected, so that they are found behind any number of others."""

_ON_THE_WAY = """
SELECT hop FROM (
    SELECT request, hop FROM queue WHERE hop IS NOT NULL UNION ALL SELECT request, hop FROM aside WHERE hop IS NOT NULL
    ORDER BY request DESC LIMIT :most
) ORDER BY request
"""


async def left_out(file: CrawlFile, most: int) -> list[tuple[str, str]]:
    """URLs, and where they led: of up to `most` duplicates and as many requests under way, those found last, in the order in which
    they were found."""
    duplicates = await file.read(_LEFT_OUT, {"most": most, "looked_through": _LOOKED_THROUGH})
    under_way = await file.read(_ON_THE_WAY, {"most": most})
    stations = [_stations_of_duplicate(*row) for row in duplicates] + [_stations_under_way(hop) for (hop,) in under_way]
    return [step for passed in stations for step in pairwise(passed)]


def _stations_of_duplicate(url: str, redirects: str | None, final_url: str | None, detail: str | None) -> Sequence[str]:
    if page := _told(detail, IS_NAMED):
        return page, url
    stations = [*msgspec.json.decode(redirects), final_url] if redirects else [url]
    if name := _told(detail, NAMES):
        stations.append(name)
    return stations


def _told(detail: str | None, sentence: str) -> str | None:
    """The URL in a detail that says this; a detail that was too long is not whole."""
    before, after = sentence.split("{}")
    if detail and detail.startswith(before) and detail.endswith(after):
        return detail.removeprefix(before).removesuffix(after)
    return None


def _stations_under_way(hop: str) -> Iterator[str]:
    url, _, left = msgspec.json.decode(hop)
    yield from left
    yield url
