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
    """By host, how many of its requests are let in by now."""
    host_states: dict[int, HostState] = field(default_factory=dict)
    requests: list[Row] = field(default_factory=list)
    """Runs of new requests that share all but host and URL: number of the first, depth, found_on, extra, and for each a text
    of its host's number, 0 for none, a space, and its URL. Texts are what SQLite takes out of JSON fastest."""
    fresh: list[list[Any]] = field(default_factory=list)
    """Runs of new requests that are queued: number of the first, of the last, and rank. Those between that were refused have no
    host, by which they are passed over."""
    refused: list[list[Any]] = field(default_factory=list)
    """Runs of new requests that are skipped as they were found: number of the first, of the last, and why. Those between that have
    a host are passed over."""
    barrier: int = 0
    """The last new request that no run goes over: it has a host and is not queued, or none and another result."""
    results: dict[Row, list[str]] = field(default_factory=dict)
    """By what they share (state, status, final_url, content_type, attempts, redirects, reason, detail): of each a text of its
    request, size, elapsed and fetched_at (`result_text`). To take a value out of JSON is most of what it costs to write it."""
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
    """Their JSON. They are numbered from `first_item` on."""
    owners: list[int] = field(default_factory=list)
    """Of each item its request."""
    responses: list[str] = field(default_factory=list)
    """Of each a member of a JSON object: a text of its request, in 20 characters, and the digest of its body; and its headers."""
    bodies: dict[str, bytes] = field(default_factory=dict)
    """By digest; what of them is new is packed when it is written."""
    volume: int = 0
    """Bytes of bodies, and characters of items and requests."""
    robots: dict[str, tuple[float, bytes]] = field(default_factory=dict)
    """Written before the rest, by a statement of their own: JSON cannot hold bytes."""
    cookies: dict[Row, str | None] = field(default_factory=dict)
    exports: dict[str, str] = field(default_factory=dict)
    offered: list[Row] = field(default_factory=list)
    """Links that may be known: number, depth, found_on, whether it was asked for alone, extra, and their URLs, as a list."""
    sifted: int = 0
    """Of what was offered, it is found out up to this number what is new."""

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
        """Put a new request at the end of `fresh`, with its rank, or of `refused`, with the reason; numbers come in order."""
        if runs:
            run = runs[-1]
            if run[2] == shared and run[1] > self.barrier:
                run[1] = number
                return
        runs.append([number, number, shared])

    @property
    def least_rank(self) -> float:
        """Of what it queues, the rank of the first; infinity if that is nothing."""
        return min(chain((run[2] for run in self.fresh), (row[1] for row in self.queued)), default=math.inf)

    @property
    def weight(self) -> int:
        """How much it is: a page counts one, and so do 256 KiB of what was kept of it."""
        return len(self.settled) + (self.volume >> 18)

    def parameters(self, counts: Counts, now: float) -> tuple[str | float, ...]:
        """The values of one INSERT into `settlement`, but for the bodies: JSON texts, and the time."""
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
    """A JSON object, in which a key may be there several times: so SQLite gets a key and a value for the price of one."""
    return f"{{{','.join(members)}}}"


def _text(value: object) -> str:
    return _encode(value).decode()
