"""Orders: what somebody outside a crawl wants it to do. They are kept in the crawl file as data until they are carried out.

Each is harmless to repeat: the second time, there is nothing left to do. Figures out of bounds are refused: a crawl must not fail
on a number that its file cannot hold, nor wait a year because of a typo.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

MOST_DELAY = 86_400.0
MOST_PER_HOST = 1_000
MOST_BUDGET = 1_000_000_000_000
MOST_PRIORITY = 1_000_000_000
"""Minus this is the lowest."""

LONGEST_PATH = 2_048
"""Characters: SQLite takes patterns of 50,000 bytes, and a character may take up to eight."""


class Hold(msgspec.Struct, frozen=True, kw_only=True, tag="hold"):
    """Fetch nothing more of a host, until it is released."""

    host: str


class Release(msgspec.Struct, frozen=True, kw_only=True, tag="release", omit_defaults=True):
    """Go on with a host that is held or left alone; and, if asked, queue again what was set aside.

    `aside`: what was set aside for this reason, or for `any`; of `host`, if that is given. `url`: this URL, if it was set aside.
    """

    host: str | None = None
    aside: Literal["budget", "trap", "host", "any"] | None = None
    url: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True, tag="set", omit_defaults=True):
    """Treat a host differently: None leaves a thing as it is, a negative number takes back an earlier order.

    `delay`: the least seconds between two starts. `per_host`: connections at once. `budget`: requests in all; 0: any number.
    `priority`: that of all its waiting requests, or of those whose path and query match `path`, in which `*` stands for
    anything.
    """

    host: str
    delay: Annotated[float, Meta(ge=-1, le=MOST_DELAY)] | None = None
    per_host: Annotated[int, Meta(ge=-1, le=MOST_PER_HOST)] | None = None
    budget: Annotated[int, Meta(ge=-1, le=MOST_BUDGET)] | None = None
    priority: Annotated[int, Meta(ge=-MOST_PRIORITY, le=MOST_PRIORITY)] | None = None
    path: Annotated[str, Meta(max_length=LONGEST_PATH)] | None = None


class RetryFailed(msgspec.Struct, frozen=True, kw_only=True, tag="retry", omit_defaults=True):
    """Queue again what failed: with one of `statuses`, or an error of one of `kinds`, or whatever failed, if neither is
    given; of `host`, if that is given."""

    statuses: list[Annotated[int, Meta(ge=100, le=999)]] | None = None
    kinds: list[str] | None = None
    host: str | None = None


Order: TypeAlias = Hold | Release | Change | RetryFailed
