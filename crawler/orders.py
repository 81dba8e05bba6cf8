"""Orders: what somebody outside a crawl wants it to do. They are kept in the crawl file as data until they are carried out.

Repeating an order is harmless: the second time, there is nothing left to do. Numbers out of bounds are refused: a crawl must not fail
because of a number that its file cannot hold, nor wait for a year because of a typo.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

MOST_DELAY = 86_400.0
MOST_PER_HOST = 1_000
MOST_BUDGET = 1_000_000_000_000
MOST_PRIORITY = 1_000_000_000
"""The lowest priority is minus this."""

LONGEST_PATH = 2_048
"""In characters. SQLite takes patterns of up to 50,000 bytes, and one character may need eight of them."""


class Hold(msgspec.Struct, frozen=True, kw_only=True, tag="hold"):
    """Fetch nothing more from a host until it is released."""

    host: str


class Release(msgspec.Struct, frozen=True, kw_only=True, tag="release", omit_defaults=True):
    """Continue with a host that is held or resting; on request, queue again what was set aside.

    `aside`: everything that was set aside for this reason, or for `any`; of `host` alone, if that is given. `url`: this URL, if it was
    set aside.
    """

    host: str | None = None
    aside: Literal["budget", "trap", "host", "any"] | None = None
    url: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True, tag="set", omit_defaults=True):
    """Change how a host is treated. None leaves a value as it is, a negative number takes back an earlier order.

    `delay`: the minimum time between two request starts, in seconds. `per_host`: connections at once. `budget`: requests in total; 0: no
    limit. `priority`: that of all its waiting requests, or of those whose path and query match `path`, in which `*` matches anything.
    """

    host: str
    delay: Annotated[float, Meta(ge=-1, le=MOST_DELAY)] | None = None
    per_host: Annotated[int, Meta(ge=-1, le=MOST_PER_HOST)] | None = None
    budget: Annotated[int, Meta(ge=-1, le=MOST_BUDGET)] | None = None
    priority: Annotated[int, Meta(ge=-MOST_PRIORITY, le=MOST_PRIORITY)] | None = None
    path: Annotated[str, Meta(max_length=LONGEST_PATH)] | None = None


class RetryFailed(msgspec.Struct, frozen=True, kw_only=True, tag="retry", omit_defaults=True):
    """Queue failed requests again: those with one of `statuses`, or an error of one of `kinds`; or all, if neither is given. With `host`,
    only those of this host. `redirected_to`: only those that were redirected to a URL that begins with this, whether they failed there
    or were skipped, as duplicates of it or out of scope, say; all of these start over.
    """

    statuses: list[Annotated[int, Meta(ge=100, le=999)]] | None = None
    kinds: list[str] | None = None
    host: str | None = None
    redirected_to: Annotated[str, Meta(max_length=LONGEST_PATH)] | None = None


Order: TypeAlias = Hold | Release | Change | RetryFailed
