"""Orders: what somebody beside the crawl wants of it. They are kept in the crawl file as data, until they are carried out.

Each is harmless to repeat: the second time it finds done what it asks for.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec


class Hold(msgspec.Struct, frozen=True, kw_only=True, tag="hold"):
    """Fetch nothing more of a host, until it is released."""

    host: str


class Release(msgspec.Struct, frozen=True, kw_only=True, tag="release", omit_defaults=True):
    """Let a host go on that is held or left alone; and, if asked, queue again what stands aside.

    `aside`: what stands aside for this reason, or for `any`; of `host`, if that is given. `url`: that URL, if it stands aside.
    """

    host: str | None = None
    aside: Literal["budget", "trap", "host", "any"] | None = None
    url: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True, tag="set", omit_defaults=True):
    """Treat a host otherwise: None leaves a thing as it is, a negative number takes an earlier order back.

    `delay`: the least seconds between two starts. `per_host`: connections at once. `budget`: requests in all; 0: any number.
    `priority`: that of all its requests that wait, or of those whose path and query match `path`, in which `*` stands for
    anything.
    """

    host: str
    delay: float | None = None
    per_host: int | None = None
    budget: int | None = None
    priority: int | None = None
    path: str | None = None


class Retry(msgspec.Struct, frozen=True, kw_only=True, tag="retry", omit_defaults=True):
    """Queue again what failed: with one of `statuses`, or an error of one of `kinds`, or whatever failed, if neither is
    given; of `host`, if that is given."""

    statuses: list[int] | None = None
    kinds: list[str] | None = None
    host: str | None = None


Order: TypeAlias = Hold | Release | Change | Retry
