"""How the journey of a request ended, or why it goes on: a closed union.

A page that fails is an outcome, not an exception. `Fetched`, `Failed` and `Skipped` end a request; `Postponed` and
`Redirected` send it back to the frontier, from where it goes on like any other: no worker waits for it. `SetAside` keeps it
there until somebody releases it.

They are msgspec's structs: made in a seventh of the time that a frozen dataclass takes, and defined in a twentieth.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias, assert_never

from msgspec import Struct


class Skip(Enum):
    """Why a request was not fetched. The values are what the crawl file and its views show."""

    SCOPE = "scope"
    DEPTH = "depth"
    ROBOTS = "robots"
    DUPLICATE = "duplicate"
    """It redirects to a URL that was known already, or is known by one that was."""


class Aside(Enum):
    """Why a request stands aside. The values are what the crawl file and its views show."""

    BUDGET = "budget"
    """Its host has had as many requests as it may."""
    TRAP = "trap"
    """It looks like one of endlessly many that hold nothing new."""
    HOST = "host"
    """Its host has long been out of reach."""


class Fetched(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A response came, of whatever status, and the spider took it. `elapsed` in seconds, `fetched_at` in seconds of the epoch (UTC).
    `not_modified`: the body did not come, for an earlier crawl had it."""

    status: int
    final_url: str
    content_type: str
    size: int
    elapsed: float
    fetched_at: float
    not_modified: bool = False


class Failed(Struct, frozen=True, kw_only=True):
    """No usable response, however often it was tried; or the spider raised. `error` reads `kind: what happened`."""

    error: str
    final_url: str
    status: int | None = None
    content_type: str = ""
    size: int = 0
    elapsed: float = 0.0
    fetched_at: float = 0.0


class Skipped(Struct, frozen=True, kw_only=True):
    """Not fetched, on purpose. `detail` says more than `reason`: the robots rule, the URL it duplicates."""

    reason: Skip
    final_url: str
    detail: str = ""


class Postponed(Struct, frozen=True, kw_only=True):
    """To be tried again, not before `not_before` (seconds of the epoch, UTC)."""

    error: str
    not_before: float
    is_charged: bool = True
    """Whether that is one of the attempts the request has."""


class Redirected(Struct, frozen=True, kw_only=True):
    """The response said where to go on: the same request continues with `url` (canonical) and `method`; but if it `is_alias`, only
    where nothing is known of that."""

    status: int
    url: str
    method: str
    is_alias: bool = True


class SetAside(Struct, frozen=True):
    """Kept and marked, but not fetched unless it is released. `detail` says more than `reason`."""

    reason: Aside
    detail: str = ""


Outcome: TypeAlias = Fetched | Failed | Skipped | Postponed | Redirected | SetAside


def in_short(outcome: Outcome) -> str:
    """What became of a request, for the log."""
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
