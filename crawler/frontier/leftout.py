"""Which URLs led to which: requests that were left out for others, and requests under way that were redirected; and which were left out
for nothing.

Whoever decides what is left out has to know this, so that no two requests are left out for each other
(crawler/selection/detours.py), even if one was met before a stop, or a kill, and the other after it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from crawler.frontier.rows import DETAIL_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.frontier.file import CrawlFile
    from crawler.frontier.rows import Row

NAMES = "names {} as its canonical URL"
IS_NAMED = "is the canonical URL of {}"
"""The details of duplicates that are not due to a redirect."""
REDIRECTED = "redirected ({}) to {}"
"""That of the others, and of what is skipped for where it was redirected to."""

_LOOKED_THROUGH = 500_000
"""How many results are searched, the latest found, in a tenth of a second: there may be no duplicate, however large the file."""

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
"""There is an index of those that redirected, so that they are found among any number of others."""

_ON_THE_WAY = """
SELECT hop FROM (
    SELECT request, hop FROM queue WHERE hop IS NOT NULL UNION ALL SELECT request, hop FROM aside WHERE hop IS NOT NULL
    ORDER BY request DESC LIMIT :most
) ORDER BY request
"""


def _url_in(column: str, sentence: str) -> str:
    """SQL for the URL in a column that holds this sentence."""
    before, behind = sentence.split("{}")
    return f"substr({column}, {len(before) + 1}, length({column}) - {len(before) + len(behind)})"


_CAME_TO_NOTHING = "(state = 'failed' AND detail NOT LIKE 'spider:%' OR state = 'skipped' AND reason <> 'duplicate')"
"""There is no page. One on which the spider raised does not count: it can be tried again once the spider is mended."""

TAKEN_INSTEAD = f"duplicate: {NAMES}, which came to nothing"
"""The error of the attempt after which a page that was left out as a duplicate is taken itself."""

_LONGEST_DETAIL = DETAIL_CHARACTERS - len(TAKEN_INSTEAD) + len(NAMES)
_NAMES_ANOTHER = f"reason = 'duplicate' AND detail LIKE '{NAMES.format('%')}' AND length(detail) <= {_LONGEST_DETAIL}"
"""For a longer detail, the note that the page is taken instead would be cut off."""

_MOST_TIMES = 5
"""How often a page is fetched again to be taken itself. A kill on the way costs one time; without a bound, a site that names another
dead URL each time would be fetched without end."""

_AT_ONCE = 500_000
"""How many pages that were left out are examined together, in at most 100 MB."""

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
given_up (number) AS MATERIALIZED (
    SELECT request FROM attempt WHERE EXISTS (SELECT 1 FROM nowhere) AND error LIKE '{TAKEN_INSTEAD.format("%")}'
    GROUP BY request HAVING count(*) >= {_MOST_TIMES}),
chosen (number, named, place) AS (
    SELECT number, named, row_number() OVER (PARTITION BY named ORDER BY number) FROM left_out
    WHERE named NOT IN (SELECT url FROM had) AND number NOT IN (SELECT number FROM given_up)
    AND (named IN (SELECT url FROM nowhere) OR named IN (SELECT url FROM moved WHERE target IN (SELECT url FROM nowhere))))
SELECT number, named, request.url, request.extra, result.final_url, result.redirects
FROM chosen CROSS JOIN result ON result.request = number CROSS JOIN request ON request.id = number
WHERE place <= :each ORDER BY number LIMIT :most
"""  # noqa: S608 - made of our own words
"""Pages that were left out for a URL of which nothing came, neither under that name nor under another, such as one that it redirects
to. Details that were cut off are missed."""


async def lost(file: CrawlFile, *, each: int, most: int) -> list[Row]:
    """Pages that were left out for canonical URLs that came to nothing, up to `each` for each of these, those found first. Rows:
    number, that URL, the request's own, extra, final URL, and redirects. Stops when there are `most`, or somewhat more.

    All results are read, unless nothing was left out.
    """
    found: list[Row] = []
    last = 0
    while len(found) < most:
        after, ((last,),) = last, await file.read(_LAST_AT_ONCE, (last,))
        if last is None:
            break
        found += await file.read(_LOST, {"after": after, "last": last, "each": each, "most": most})
    return found


async def left_out(file: CrawlFile, most: int) -> list[tuple[str, str]]:
    """Pairs of a URL and the one that it led to, from up to `most` duplicates and as many requests under way: those found last, in the
    order in which they were found."""
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
    """The URL in a detail that holds this sentence; None for another, or one that was cut off."""
    before, after = sentence.split("{}")
    if detail and detail.startswith(before) and detail.endswith(after):
        return detail.removeprefix(before).removesuffix(after)
    return None


def _stations_under_way(hop: str) -> Iterator[str]:
    url, _, left = msgspec.json.decode(hop)
    yield from left
    yield url
