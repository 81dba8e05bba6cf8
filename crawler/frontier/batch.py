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
    """Rows by table."""

    hosts: list[Row] = field(default_factory=list)
    requests: list[Row] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    queued: list[Row] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    items: list[Row] = field(default_factory=list)
    responses: list[Row] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    """By digest; written before the rest, by a statement of their own."""
    body_bytes: int = 0
    exports: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.settled or self.requests or self.exports)

    @property
    def weight(self) -> int:
        """How much it is: a page counts one, and so do 256 KiB of bodies."""
        return len(self.settled) + (self.body_bytes >> 18)

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
            self.responses,
            list(self.exports.items()),
            astuple(counts),
        )
        return (*(_encode(column).decode() for column in columns), time.time())
