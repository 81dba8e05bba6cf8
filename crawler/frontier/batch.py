"""What the next group commit will write: rows, as the columns of `settlement` in settle.sql take them."""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from crawler.frontier.protocol import Counts

Row: TypeAlias = tuple[Any, ...]

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Batch:
    """Rows by table. `pages` counts the leases settled in it."""

    hosts: list[Row] = field(default_factory=list)
    requests: list[Row] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    queued: list[Row] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    items: list[Row] = field(default_factory=list)
    exports: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.settled or self.requests or self.exports)

    def parameters(self, counts: Counts) -> tuple[str | float, ...]:
        """The values of one INSERT into `settlement`: JSON texts, and the time."""
        columns = (
            self.hosts,
            self.requests,
            self.results,
            self.queued,
            self.settled,
            self.attempts,
            self.items,
            list(self.exports.items()),
            astuple(counts),
        )
        return (*(_encode(column).decode() for column in columns), time.time())
