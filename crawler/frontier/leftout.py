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
    from crawler.frontier.rows import Row

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


def _url_in(column: str, sentence: str) -> str:
    """SQL for the URL in a text that says this."""
    before, behind = sentence.split("{}")
    return f"substr({column}, {len(before) + 1}, length({column}) - {len(before) + len(behind)})"


_CAME_TO_NOTHING = "(state = 'failed' AND detail NOT LIKE 'spider:%' OR state = 'skipped' AND reason <> 'duplicate')"
"""No page was had. Where the spider raised on one, it is there to be tried again once that is mended."""

TAKEN_INSTEAD = f"duplicate: {NAMES}, which came to nothing"
"""What is said of a page that was a duplicate, and is taken itself after all."""

_NAMES_ANOTHER = f"reason = 'duplicate' AND detail LIKE '{NAMES.format('%')}'"

_AT_ONCE = 500_000
"""So many pages that were left out are looked at together, in 100 MB or less."""

_LAST_AT_ONCE = f"""
SELECT max(request) FROM (SELECT request FROM result WHERE {_NAMES_ANOTHER} AND request > ? ORDER BY request LIMIT {_AT_ONCE})
"""  # noqa: S608 - made of our own words

_LOST = f"""
WITH left_out (number, named) AS MATERIALIZED (
    SELECT request, {_url_in("detail", NAMES)} FROM result
    WHERE {_NAMES_ANOTHER} AND request > :after AND request <= :last),
moved (url, target) AS MATERIALIZED (
    SELECT url, final_url FROM result CROSS JOIN request ON id = request
    WHERE redirects IS NOT NULL AND reason = 'duplicate' AND url IN (SELECT named FROM left_out)),
wanted (url) AS MATERIALIZED (SELECT named FROM left_out UNION SELECT target FROM moved),
lost (url) AS MATERIALIZED (
    SELECT url FROM result CROSS JOIN request ON id = request
    WHERE EXISTS (SELECT 1 FROM wanted) AND {_CAME_TO_NOTHING} AND url IN (SELECT url FROM wanted)
    UNION
    SELECT final_url FROM result WHERE redirects IS NOT NULL AND {_CAME_TO_NOTHING} AND final_url IN (SELECT url FROM wanted)),
had (url) AS MATERIALIZED (
    SELECT url FROM result CROSS JOIN request ON id = request
    WHERE EXISTS (SELECT 1 FROM lost) AND state = 'done' AND url IN (SELECT url FROM lost)
    UNION
    SELECT final_url FROM result WHERE redirects IS NOT NULL AND state = 'done' AND final_url IN (SELECT url FROM lost)
    UNION
    SELECT {_url_in("error", TAKEN_INSTEAD)} FROM attempt JOIN result ON result.request = attempt.request
    WHERE EXISTS (SELECT 1 FROM lost) AND error LIKE '{TAKEN_INSTEAD.format("%")}' AND state = 'done'),
nowhere (url) AS MATERIALIZED (SELECT url FROM lost EXCEPT SELECT url FROM had),
chosen (number, named, place) AS (
    SELECT number, named, row_number() OVER (PARTITION BY named ORDER BY number) FROM left_out
    WHERE named NOT IN (SELECT url FROM had)
    AND (named IN (SELECT url FROM nowhere) OR named IN (SELECT url FROM moved WHERE target IN (SELECT url FROM nowhere))))
SELECT number, named, request.url, request.extra, result.final_url, result.redirects
FROM chosen CROSS JOIN result ON result.request = number CROSS JOIN request ON request.id = number
WHERE place <= :each ORDER BY number LIMIT :most
"""  # noqa: S608 - made of our own words
"""Pages that were left out for a URL that nothing came of, neither under it nor under another name, be it one that it redirects to. What
a bound has cut off of a detail is missed."""


async def lost(file: CrawlFile, *, each: int, most: int) -> list[Row]:
    """Of each canonical URL that came to nothing, `each` of the pages that were left out for it, those found first: number, that URL,
    the request's own, extra, final URL, and redirects. Enough if they are `most`; of many there may be more.

    All results are read through, unless none was left out."""
    found: list[Row] = []
    last = 0
    while len(found) < most:
        after, ((last,),) = last, await file.read(_LAST_AT_ONCE, (last,))
        if last is None:
            break
        found += await file.read(_LOST, {"after": after, "last": last, "each": each, "most": most})
    return found


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
