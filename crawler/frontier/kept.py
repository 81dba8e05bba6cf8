"""The pages that a crawl kept, read back from its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from crawler.errors import StateDamaged
from crawler.frontier.rows import lease_of
from crawler.page import Page
from crawler.store import decompress, headers_of
from crawler.web.directives import OBEDIENT, Obedience
from crawler.web.urls import host_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.frontier.protocol import Lease
    from crawler.frontier.statefile import StateFile

_KEPT = """
SELECT request.id, request.url, request.depth, referrer.url, request.extra,
       coalesce(result.final_url, request.url), result.redirects, result.status, result.fetched_at, result.elapsed,
       response.headers, body.data
FROM response JOIN body ON body.digest = response.body
JOIN request ON request.id = response.request JOIN result ON result.request = response.request
LEFT JOIN request AS referrer ON referrer.id = request.found_on
ORDER BY request.id"""


def kept_pages(file: StateFile) -> Iterator[tuple[Lease, Page]]:
    """Each page that was kept, with the lease it was fetched under, in the order of discovery. What it says to robots is
    obeyed as it was by the last run.

    Raises StateDamaged when a body cannot be read.
    """
    obedience = _obedience(file)
    for row in file.query(_KEPT):
        number, _, _, _, _, final_url, redirects, status, fetched_at, elapsed, headers, data = row
        lease = lease_of((number, 0, 0, 0, None), row[:5], host_of(final_url))
        lease.url = final_url
        lease.redirects = tuple(msgspec.json.decode(redirects)) if redirects else ()
        try:
            body = decompress(data)
        except ValueError as error:
            raise StateDamaged(f"{file.path}: {lease.requested_url}: {error}") from None
        yield (
            lease,
            Page(
                lease,
                url=final_url,
                status=status,
                headers=headers_of(headers),
                body=body,
                fetched_at=fetched_at,
                elapsed=elapsed,
                obedience=obedience,
            ),
        )


def _obedience(file: StateFile) -> Obedience:
    """That of the last run; by default of files older than this."""
    rules = msgspec.json.decode(file.meta("rules") or "{}")
    if "nofollow" not in rules:
        return OBEDIENT
    return Obedience.of(**{name: rules[name] for name in ("user_agent", "robots", "nofollow")})
