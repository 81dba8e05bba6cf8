"""Leasing: in order, up to a limit for each host. What is leased stays in the queue until it is settled, but is not leased again.

A query returns everything in one row, as JSON, because SQLite's thread takes Python's lock for each row that it returns.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from crawler.frontier.rows import Due

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.frontier.file import CrawlFile

_FIRST = """
FROM queue AS {0} WHERE {0}.host = {1} AND not_before <= ? AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.request = {0}.request)
ORDER BY rank, request LIMIT ?"""

_DUE = """
SELECT json_group_array(json_array(queue.request, queue.host, queue.rank, attempts, hop, request.url, request.depth,
                                   referrer.url, request.extra))
FROM {0} CROSS JOIN request ON request.id = queue.request LEFT JOIN request AS referrer ON referrer.id = request.found_on"""

_DUE_OF_ONE = _DUE.format(f"(SELECT * {_FIRST.format('one', '?')}) AS queue")

_DUE_OF_MANY = _DUE.format(f"""
json_each(?) AS wanted CROSS JOIN queue ON queue.host = wanted.value AND (queue.rank, queue.request) IN (
    SELECT rank, request {_FIRST.format("inner_queue", "wanted.value")})""")
"""The first requests of each host are looked up twice here; for a single host, that would take half as long again."""

_LEASE = """
INSERT INTO lease SELECT request.value, run.host, run.rank
FROM (SELECT json_extract(value, '$[0]') AS host, json_extract(value, '$[1]') AS rank, json_extract(value, '$[2]') AS requests
      FROM json_each(?) LIMIT -1) AS run CROSS JOIN json_each(run.requests) AS request"""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Due]).decode


async def due(file: CrawlFile, hosts: Sequence[int], *, limit: int, now: float) -> list[Due]:
    """The first `limit` requests of each host, given by number, that are due `now` and not leased, sorted by rank and number."""
    if len(hosts) == 1:
        ((found,),) = await file.read(_DUE_OF_ONE, (hosts[0], now, limit))
    else:
        ((found,),) = await file.read(_DUE_OF_MANY, (_encode(hosts).decode(), now, limit))
    rows = _decode(found)
    rows.sort(key=itemgetter(2, 0))
    return rows


async def take(file: CrawlFile, rows: Sequence[Due]) -> None:
    """Mark these requests as leased until their outcome is committed. The file's turn must be held since they were found `due`."""
    if rows:
        runs: dict[tuple[int, int], list[int]] = {}
        for row in rows:
            runs.setdefault(row[1:3], []).append(row[0])
        await file.write(_LEASE, (_encode([(*shared, requests) for shared, requests in runs.items()]).decode(),))
