"""Taking requests out of the queue: by order, up to a limit for each host."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from crawler.frontier.rows import lease_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.origin import HostKey
    from crawler.frontier.file import CrawlFile
    from crawler.frontier.protocol import Lease

_LEASE = """
INSERT INTO lease
    SELECT queue.request, queue.host, queue.rank, queue.attempts, queue.hop, ?, ?
    FROM json_each(?) AS wanted CROSS JOIN queue
    ON queue.host = wanted.value AND (queue.rank, queue.request) IN (
        SELECT rank, request FROM queue AS inner_queue
        WHERE inner_queue.host = wanted.value AND not_before <= ? ORDER BY rank, request LIMIT ?)
RETURNING request, host, rank, attempts, hop"""

_LEASED_REQUESTS = """
SELECT request.id, request.url, request.depth, referrer.url, request.extra
FROM json_each(?) AS leased CROSS JOIN request ON request.id = leased.value
LEFT JOIN request AS referrer ON referrer.id = request.found_on"""

_LEASE_SECONDS = 3600.0
"""When another process could take a lease over; within one process the file's lock says who is alive."""


async def take_leases(
    file: CrawlFile, hosts: Sequence[int], host_names: Sequence[HostKey], *, limit: int, now: float, owner: str
) -> list[Lease]:
    """Lease up to `limit` requests of each host, given by number, of those that are due `now`; the file's turn is held."""
    wanted = msgspec.json.encode(hosts).decode()
    queued = await file.write(_LEASE, (owner, now + _LEASE_SECONDS, wanted, now, limit))
    queued.sort(key=itemgetter(2, 0))
    numbers = msgspec.json.encode([row[0] for row in queued]).decode()
    requests = await file.read(_LEASED_REQUESTS, (numbers,))
    return [lease_of(row, request, host_names[row[1]]) for row, request in zip(queued, requests, strict=True)]
