"""The hosts of a crawl, read from its file: what waits for each, what came of its requests, and how it is treated."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from crawler.frontier.trace import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.frontier.statefile import StateFile

SortKey: TypeAlias = Literal["host", "queued", "done", "failed", "skipped", "aside", "bytes", "pace", "latency"]

_CENSUS = """
WITH over AS (
    SELECT request.host AS host, count(*) FILTER (WHERE state = 'done') AS done,
           count(*) FILTER (WHERE state = 'failed') AS failed, count(*) FILTER (WHERE state = 'skipped') AS skipped,
           coalesce(sum(size), 0) AS bytes
    FROM result JOIN request ON request.id = result.request GROUP BY request.host),
waiting AS (SELECT host, count(*) AS queued FROM queue GROUP BY host),
apart AS (SELECT host, count(*) AS aside FROM aside GROUP BY host),
census AS (
    SELECT host.name AS host, coalesce(queued, 0) AS queued, coalesce(done, 0) AS done,
           coalesce(failed, 0) AS failed, coalesce(skipped, 0) AS skipped, coalesce(aside, 0) AS aside,
           coalesce(bytes, 0) AS bytes, host_state.pace, host_state.latency, coalesce(host_state.failures, 0) AS failures,
           host_state.resting_until, host_state.held, host_state.delay, host_state.per_host, host_state.budget
    FROM host LEFT JOIN over ON over.host = host.id LEFT JOIN waiting ON waiting.host = host.id
    LEFT JOIN apart ON apart.host = host.id
    LEFT JOIN host_state ON host_state.host = host.id)
SELECT * FROM census"""

_STANDING = """
SELECT host.name, (SELECT count(*) FROM queue WHERE queue.host = host.id),
       (SELECT count(*) FROM aside WHERE aside.host = host.id), host_state.resting_until, host_state.held,
       host_state.delay, host_state.per_host, host_state.budget
FROM host LEFT JOIN host_state ON host_state.host = host.id WHERE host.name = ?"""


_BUSIEST = """
SELECT host.name, host_state.pace, host_state.latency, host_state.delay, host_state.held, host_state.resting_until,
       host.admitted
FROM host_state JOIN host ON host.id = host_state.host ORDER BY host.admitted DESC, host.name LIMIT ?"""

_ROBOTS = "SELECT body FROM robots WHERE origin IN ('http://' || ?1, 'https://' || ?1)"


class HostRow(msgspec.Struct, frozen=True, kw_only=True):
    """A host. Counts are of requests, and those under way count as `queued`; `bytes` are those of decoded bodies.

    `pace`: seconds between two requests, and `latency`: seconds to an answer, as learned so far. `failures`: how often in a row the
    host could not be reached. `resting_until` and `held` (since when): ISO 8601, UTC. `delay`, `per_host` and `budget`: the user's
    orders. None: nothing known, no order.
    """

    host: str
    queued: int
    done: int
    failed: int
    skipped: int
    aside: int
    bytes: int
    pace: float | None
    latency: float | None
    failures: int
    resting_until: str | None
    held: str | None
    delay: float | None
    per_host: int | None
    budget: int | None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether a host may be asked now: see `HostRow`."""

    host: str
    queued: int
    aside: int
    resting_until: str | None
    held: str | None
    delay: float | None
    per_host: int | None
    budget: int | None


class BusyHost(msgspec.Struct, frozen=True, kw_only=True):
    """A host about which something was learned or ordered: see `HostRow`. `admitted`: how many of its requests were let in;
    `robots`: its robots.txt files, as last fetched."""

    host: str
    pace: float | None
    latency: float | None
    delay: float | None
    held: str | None
    resting_until: str | None
    admitted: int
    robots: list[bytes] = msgspec.field(default_factory=list)


def hosts(file: StateFile, *, sort: SortKey = "done", limit: int = 0) -> Iterator[HostRow]:
    """The hosts on which anything was found, sorted from high to low (by name: from a to z); at most `limit` of them, 0: all."""
    order = "host" if sort == "host" else f"coalesce({sort}, 0) DESC, host"
    rows = file.query(f"{_CENSUS} ORDER BY {order} LIMIT ?", (limit or -1,))
    for row in rows:
        yield _typed(HostRow, row)


def standing(file: StateFile, host: str) -> Standing | None:
    """What decides whether a host may be asked now; None for one on which nothing was found."""
    found: list[Standing] = [_typed(Standing, row) for row in file.query(_STANDING, (host,))]
    return found[0] if found else None


def busiest(file: StateFile, limit: int) -> list[BusyHost]:
    """The hosts with most requests, among those about which something was learned or ordered; at most `limit` of them."""
    return [
        _typed(BusyHost, (*row, [body for (body,) in file.query(_ROBOTS, row[:1])]))
        for row in list(file.query(_BUSIEST, (limit,)))
    ]


def _typed(kind: Any, row: tuple[Any, ...]) -> Any:
    fields = dict(zip(kind.__struct_fields__, row, strict=True))
    for name in ("resting_until", "held"):
        if fields[name] is not None:
            is_past = name == "resting_until" and fields[name] <= time.time()
            fields[name] = None if is_past else iso(fields[name])
    return kind(**fields)
