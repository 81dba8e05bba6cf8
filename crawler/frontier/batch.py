"""What the next group commit will write: rows, as the columns of `settlement` in settle.sql take them."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import field
from msgspec.structs import astuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.frontier.protocol import Counts, HostState
    from crawler.frontier.rows import Row

_encode = msgspec.json.Encoder().encode


class Batch(msgspec.Struct):
    """Rows by table."""

    hosts: list[Row] = field(default_factory=list)
    admitted: dict[int, int] = field(default_factory=dict)
    """By host, how many of its requests have been let in so far."""
    host_states: dict[int, HostState] = field(default_factory=dict)
    requests: list[Row] = field(default_factory=list)
    """Runs of new requests that share all but host and URL: number of the first, depth, found_on, extra, and for each request a text
    of its host's number (0 for none), a space, and its URL. Texts are what SQLite takes out of JSON fastest."""
    fresh: list[list[Any]] = field(default_factory=list)
    """Runs of new requests that are queued: number of the first, of the last, and rank. Requests in between that were refused have no
    host, and are passed over for that."""
    refused: list[list[Any]] = field(default_factory=list)
    """Runs of new requests that are skipped when found: number of the first, of the last, and why. Requests in between that have a
    host are passed over."""
    barrier: int = 0
    """The last new request that no run may cross: it has a host and is not queued, or has no host and another result."""
    results: dict[Row, list[str]] = field(default_factory=dict)
    """By what they share (state, status, final_url, content_type, attempts, redirects, reason, detail): for each result a text of its
    request, size, elapsed and fetched_at (`result_text`). Most of what it costs to write a value is taking it out of JSON."""
    queued: list[Row] = field(default_factory=list)
    aside: list[Row] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    unqueued: list[Row] = field(default_factory=list)
    """Keys of `queue` that an order moved."""
    released: list[int] = field(default_factory=list)
    retried: list[int] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    first_item: int = 0
    items: list[str] = field(default_factory=list)
    """JSON texts, numbered from `first_item` on."""
    owners: list[int] = field(default_factory=list)
    """The request of each item."""
    responses: list[str] = field(default_factory=list)
    """For each response a member of a JSON object. Key: its request, in 20 characters, and the digest of its body; value: its
    headers."""
    bodies: dict[str, bytes] = field(default_factory=dict)
    """By digest; those that are new are packed when they are written."""
    volume: int = 0
    """Bytes of bodies, and characters of items and requests."""
    robots: dict[str, tuple[float, bytes]] = field(default_factory=dict)
    """Written before the rest, by a statement of their own: JSON cannot hold bytes."""
    cookies: dict[Row, str | None] = field(default_factory=dict)
    exports: dict[str, str] = field(default_factory=dict)
    offered: list[Row] = field(default_factory=list)
    """Links that may be known: number, depth, found_on, whether it is a single request, extra, and the list of URLs."""
    sifted: int = 0
    """Up to which number the offers have been decided: what is new among them is known."""

    def __bool__(self) -> bool:
        return bool(
            self.settled
            or self.requests
            or self.exports
            or self.host_states
            or self.cookies
            or self.robots
            or self.unqueued
            or self.released
            or self.retried
            or self.offered
            or self.sifted
        )

    def extend(self, runs: list[list[Any]], number: int, shared: int | str) -> None:
        """Add a new request to `fresh`, with its rank, or to `refused`, with the reason; numbers come in order."""
        if runs:
            run = runs[-1]
            if run[2] == shared and run[1] > self.barrier:
                run[1] = number
                return
        runs.append([number, number, shared])

    @property
    def least_rank(self) -> float:
        """The lowest rank among the requests that it queues; infinity if there are none."""
        return min(chain((run[2] for run in self.fresh), (row[1] for row in self.queued)), default=math.inf)

    @property
    def weight(self) -> int:
        """How much work it is: 1 for each page, and 1 for each 256 KiB of what is kept."""
        return len(self.settled) + (self.volume >> 18)

    def parameters(self, counts: Counts, now: float) -> tuple[str | float, ...]:
        """The values of one INSERT into `settlement`, without the bodies: JSON texts, and the time."""
        before = (
            self.hosts,
            list(self.admitted.items()),
            [(number, *astuple(state)) for number, state in self.host_states.items()],
            self.requests,
            self.fresh,
            self.refused,
            [(*shared, rows) for shared, rows in self.results.items()],
            self.queued,
            self.aside,
            self.settled,
            self.unqueued,
            self.released,
            self.retried,
            self.attempts,
        )
        items = [f'"{owner}":{_text(item)}' for owner, item in zip(self.owners, self.items, strict=True)]
        behind = (
            [(*key, data) for key, data in self.cookies.items()],
            list(self.exports.items()),
            self.offered,
            self.sifted,
            astuple(counts),
        )
        return (*map(_text, before), _object(items), _object(self.responses), *map(_text, behind), now)


def _object(members: Sequence[str]) -> str:
    """A JSON object, in which a key may occur several times: this way, SQLite gets a key and a value for the price of one."""
    return f"{{{','.join(members)}}}"


def _text(value: object) -> str:
    return _encode(value).decode()
