"""What the crawl file knows about one URL: the requests for it, and those that were redirected to it, or past it.

The file has no index of URLs, which would make every found link more expensive; so looking for one means reading all requests, which
takes about a second for a few million of them.
"""

from __future__ import annotations

import heapq
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from crawler.frontier.rows import method_and_body, of_its_own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.frontier.statefile import StateFile

State: TypeAlias = Literal["queued", "aside", "done", "failed", "skipped"]

_FOUND = "SELECT id FROM request WHERE url = ? ORDER BY id"

_PASSED = """
WITH moved (request, now, behind) AS (
    SELECT request, final_url, redirects FROM result WHERE redirects IS NOT NULL
    UNION ALL SELECT request, json_extract(hop, '$[0]'), json_extract(hop, '$[2]') FROM queue WHERE hop IS NOT NULL
    UNION ALL SELECT request, json_extract(hop, '$[0]'), json_extract(hop, '$[2]') FROM aside WHERE hop IS NOT NULL)
SELECT request FROM moved JOIN request ON request.id = moved.request
WHERE request.url <> ?1 AND (now = ?1 OR EXISTS (SELECT 1 FROM json_each(behind) WHERE value = ?1)) ORDER BY request"""

_PATH = """
WITH RECURSIVE path (step, id, url, found_on) AS (
    SELECT 0, id, url, found_on FROM request WHERE id = (SELECT found_on FROM request WHERE id = ?)
    UNION ALL
    SELECT step + 1, request.id, request.url, request.found_on FROM path JOIN request ON request.id = path.found_on
    WHERE request.id < path.id)  -- as it always is, unless the file is damaged: then there might be no end
SELECT url FROM path ORDER BY step DESC"""

_REQUEST = """
SELECT request.url, request.depth, request.extra, request.host, result.state, result.status, result.final_url,
       result.content_type, result.size, result.elapsed, result.fetched_at, result.redirects,
       coalesce(result.reason, aside.reason), coalesce(result.detail, aside.detail), aside.at, aside.hop
FROM request LEFT JOIN result ON result.request = request.id LEFT JOIN aside ON aside.request = request.id
WHERE request.id = ?"""

_WAITING = """
SELECT host, rank, not_before, hop FROM queue WHERE host = ?1 AND request = ?2
UNION ALL SELECT host, rank, not_before, hop FROM queue WHERE request = ?2 AND hop IS NOT NULL AND host <> ?1"""

_AHEAD = "SELECT count(*) FROM queue WHERE host = ?1 AND (rank, request) < (?2, ?3)"

_OFFERED = """
SELECT page.url FROM offered JOIN json_each(offered.urls) AS link ON link.value = ?
LEFT JOIN request AS page ON page.id = offered.found_on ORDER BY offered.id LIMIT 1"""

_MOST_ALIKE = 5
_ALIKE = r"SELECT url FROM request WHERE url LIKE ? ESCAPE '\'"


class Attempt(msgspec.Struct, frozen=True):
    """An attempt that failed and was not the last, or not after an order to try again. `at`: ISO 8601, UTC."""

    at: str
    error: str


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The way of one request. Instants are ISO 8601, UTC; durations are in seconds; what does not apply is None.

    `path` has the pages that led there, the seed first; `redirects` the URLs left behind, and `now_at` the URL where it is, or ended,
    after them. `reason` and `detail` are those of a skip or of a request set aside; `detail` is also the error. `ahead`: how many
    requests of its host come before it; `settings`: those for which it has values of its own.
    """

    url: str
    method: str
    depth: int
    state: State
    path: list[str]
    redirects: list[str]
    now_at: str
    attempts: list[Attempt]
    status: int | None = None
    content_type: str | None = None
    size: int | None = None
    elapsed: float | None = None
    at: str | None = None
    reason: str | None = None
    detail: str | None = None
    not_before: str | None = None
    ahead: int | None = None
    settings: dict[str, float] = {}


def requests_for(file: StateFile, url: str) -> list[int]:
    """The requests made for this canonical URL: one for each method and body, in the order in which they were found."""
    return [number for (number,) in file.query(_FOUND, (url,))]


def requests_past(file: StateFile, url: str) -> list[int]:
    """The requests for other URLs that were redirected to this one, or past it."""
    return [number for (number,) in file.query(_PASSED, (url,))]


def offered_on(file: StateFile, url: str) -> str | None:
    """A page with a link to this URL of which it is not known yet whether it is new; "" for a seed, None if there is none."""
    for (page,) in file.query(_OFFERED, (url,)):
        return page or ""
    return None


def trace(file: StateFile, request: int) -> Trace:
    """Everything that is known about a request."""
    (row,) = file.query(_REQUEST, (request,))
    url, depth, extra, host, state, status, final_url, *measured, redirects, reason, detail, aside_at, hop = row
    content_type, size, elapsed, fetched_at = measured
    not_before = ahead = None
    if state is None:
        state = "aside" if reason else "queued"
    if state == "queued":
        ((host, rank, not_before, hop),) = file.query(_WAITING, (host, request))
        ((ahead,),) = file.query(_AHEAD, (host, rank, request))
    now_at, left = final_url or url, msgspec.json.decode(redirects) if redirects else []
    if hop:
        now_at, _, left = msgspec.json.decode(hop)
    return Trace(
        url=url,
        method=method_and_body(extra)[0] if extra else "GET",
        depth=depth,
        state=state,
        path=[page for (page,) in file.query(_PATH, (request,))],
        redirects=left,
        now_at=now_at,
        attempts=[Attempt(iso(at), error) for at, error in _attempts(file, request)],
        status=status,
        content_type=content_type or None,
        size=size,
        elapsed=elapsed,
        at=iso(fetched_at or aside_at) if fetched_at or aside_at else None,
        reason=reason,
        detail=detail,
        not_before=iso(not_before) if not_before else None,
        ahead=ahead,
        settings=of_its_own(extra),
    )


def alike(file: StateFile, url: str) -> list[str]:
    """A few URLs that were found and differ from this one only in scheme, host, query, case, or a last slash; the most similar first."""
    wanted = _path_of(url)
    pattern = "%" + wanted.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
    near = {found for (found,) in file.query(_ALIKE, (pattern,)) if found != url and _path_of(found) == wanted}
    return heapq.nlargest(_MOST_ALIKE, near, key=lambda found: (_in_common(found, url), -len(found), found))


def iso(instant: float) -> str:
    """Seconds of the epoch as ISO 8601, UTC, to the millisecond."""
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds")


def _attempts(file: StateFile, request: int) -> Iterator[tuple[Any, ...]]:
    return iter(file.query("SELECT at, error FROM attempt WHERE request = ? ORDER BY id", (request,)))


def _in_common(one: str, other: str) -> int:
    """The length of the beginning that two texts have in common."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _path_of(url: str) -> str:
    """The path as it is compared by `alike`; of a root, the host, without a leading `www.`."""
    parts = urlsplit(url)
    return parts.path.rstrip("/").lower() or (parts.hostname or "").removeprefix("www.")
