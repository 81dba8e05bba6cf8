"""How the journey of a request ended, or why it goes on: a closed union.

A page that fails is an outcome, not an exception. `Fetched`, `Failed` and `Skipped` end a request. `Postponed` and `Redirected` send
it back to the frontier, and no worker waits for it. `SetAside` keeps it there until somebody releases it.

They are msgspec structs: an instance is made in a seventh of the time that a frozen dataclass takes, a class in a twentieth.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias, assert_never

from msgspec import Struct

KINDS = (
    *("http", "redirect", "dns", "address", "connect", "tls", "timeout", "connection", "protocol", "payload"),
    *("encoding", "size", "url", "robots", "proxy", "retry", "spider", "internal"),
)
"""The kinds of errors (docs/crawl-file.md). An error is a text, since it is kept, sent and shown as one: `kind: what happened`."""


class Skip(Enum):
    """Why a request was not fetched. The values are what the crawl file and its views show."""

    SCOPE = "scope"
    DEPTH = "depth"
    ROBOTS = "robots"
    DUPLICATE = "duplicate"
    """It redirects to a URL that was known already, or its canonical URL was."""


class Aside(Enum):
    """Why a request is set aside. The values are what the crawl file and its views show."""

    BUDGET = "budget"
    """Its host has reached its limit on requests."""
    TRAP = "trap"
    """It looks like one of endlessly many pages with nothing new."""
    HOST = "host"
    """Its host has been out of reach for a long time."""


class Fetched(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A response of any status arrived, and the spider took it. `elapsed` is in seconds, `fetched_at` in seconds of the epoch (UTC).
    `not_modified`: the body was not sent, but taken from an earlier crawl."""

    status: int
    final_url: str
    content_type: str
    size: int
    elapsed: float
    fetched_at: float
    not_modified: bool = False


class Failed(Struct, frozen=True, kw_only=True):
    """All attempts failed, or the spider raised. `error` reads `kind: what happened`."""

    error: str
    final_url: str
    status: int | None = None
    content_type: str = ""
    size: int = 0
    elapsed: float = 0.0
    fetched_at: float = 0.0


class Skipped(Struct, frozen=True, kw_only=True):
    """Not fetched, on purpose. `detail` adds to `reason`: the rule of robots.txt, or the URL of which this is a duplicate."""

    reason: Skip
    final_url: str
    detail: str = ""


class Postponed(Struct, frozen=True, kw_only=True):
    """To be tried again, at `not_before` (seconds of the epoch, UTC) or later."""

    error: str
    not_before: float
    is_charged: bool = True
    """Whether this counts as one of the request's attempts."""


class Redirected(Struct, frozen=True, kw_only=True):
    """The response was a redirect: the request continues with `url` (canonical) and `method`; with `is_alias`, only if this URL was not
    known before."""

    status: int
    url: str
    method: str
    is_alias: bool = True


class SetAside(Struct, frozen=True):
    """Kept in the file, but not fetched until it is released. `detail` adds to `reason`."""

    reason: Aside
    detail: str = ""


Outcome: TypeAlias = Fetched | Failed | Skipped | Postponed | Redirected | SetAside


def kind_of(error: str) -> str:
    """The kind of an error, by its text."""
    return error.partition(":")[0]


def in_short(outcome: Outcome) -> str:
    """An outcome in one line, for the log."""
    match outcome:
        case Fetched():
            known = ", not modified" if outcome.not_modified else ""
            return f"{outcome.status}, {outcome.content_type}, {outcome.size:,} bytes in {outcome.elapsed:.3f} s{known}"
        case Failed():
            return f"failed: {outcome.error}"
        case Postponed():
            return f"to be tried again: {outcome.error}"
        case Redirected():
            return f"{outcome.status}, to {outcome.url}"
        case Skipped():
            return f"skipped: {outcome.reason.value} {outcome.detail}".rstrip()
        case SetAside():
            return f"set aside: {outcome.reason.value} {outcome.detail}".rstrip()
    assert_never(outcome)
