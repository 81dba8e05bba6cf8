"""The messages between the crawl's process and a reader process, as MessagePack.

The spider's own data (`context`) is sent as JSON, as in the crawl file, so that it comes back the same wherever a page is read.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from crawler.frontier.protocol import Errand
from crawler.outcome import Fetched  # noqa: TC001 - msgspec reads the annotations
from crawler.readers.channel import MAX_LENGTH
from crawler.retries import Failure  # noqa: TC001
from crawler.settings import Settings  # noqa: TC001

_LONGEST_ANSWER = 1 << 30
"""More than SQLite keeps in one value, and more than any page gives except by mistake."""

# ---------------------------------------------------------------------- to a reader


class Hello(msgspec.Struct, array_like=True, tag=0):
    """The first message. `source`: the spider's; `path`: where modules are found; `log_level`: what to log; `log_file`: where, if not to
    standard error. `trusted_hosts` may be at private addresses."""

    source: bytes
    settings: Settings
    path: list[str]
    log_level: int
    log_file: str | None
    trusted_hosts: frozenset[str]


class SentLease(Errand, array_like=True):
    """A lease as it is sent."""

    context: bytes | None = None  # type: ignore[assignment]  # as JSON


class VisitTask(msgspec.Struct, array_like=True, tag=1):
    """A page to be fetched and read. `cookies`: the jar's, as they are sent. With `tells_start`, the reader is to tell when the request
    goes out. `may_be_private`: from now on, hosts may be at any address. `known`: the request that brought the page in an earlier
    crawl, if the server is only to be asked whether it has changed."""

    number: int
    lease: SentLease
    cookies: str | None
    tells_start: bool
    may_be_private: bool
    known: int | None = None


class SentPage(msgspec.Struct, array_like=True):
    """What is needed to make a page, besides the lease. `headers`: name, value, name, value…"""

    url: str
    status: int
    headers: list[bytes]
    body: bytes
    fetched_at: float
    elapsed: float
    not_modified: bool = False


class PageTask(msgspec.Struct, array_like=True, tag=2):
    """A page to be read."""

    number: int
    lease: SentLease
    page: SentPage


class FailureTask(msgspec.Struct, array_like=True, tag=3):
    """A request that has failed for good, for the spider's `failed`; `page`: the one that came with another status, if one did."""

    number: int
    lease: SentLease
    error: str
    page: SentPage | None


class Shutdown(msgspec.Struct, array_like=True, tag=4):
    """Drop all tasks, close the spider and end."""


class Ping(msgspec.Struct, array_like=True, tag=5):
    """Answer with a `Pong`, to show that no callback blocks the reader."""


Task: TypeAlias = VisitTask | PageTask | FailureTask
ToReader: TypeAlias = Hello | VisitTask | PageTask | FailureTask | Shutdown | Ping

# ---------------------------------------------------------------------- from a reader


class Ready(msgspec.Struct, array_like=True, tag=0):
    """The spider is loaded and open."""


class FoundLinks(msgspec.Struct, array_like=True, tag=1):
    """`Links`."""

    urls: list[str]
    callback: str | None
    priority: int
    context: bytes | None


class FoundRequest(msgspec.Struct, array_like=True, tag=2):
    """A `Request`."""

    url: str
    method: str
    headers: dict[str, str] | None
    body: bytes | None
    callback: str | None
    priority: int
    context: bytes | None
    again: bool
    read_timeout: float | None
    total_timeout: float | None
    max_attempts: int | None


Found: TypeAlias = FoundLinks | FoundRequest


class Again(msgspec.Struct, array_like=True):
    """`crawler.errors.Retry`."""

    why: str
    after: float | None


class Answer(msgspec.Struct, array_like=True, tag=1):
    """What the spider gave for a task. If it raised, `error` says what, and if it wants the page again, `again` does: then there is nothing
    else. With `stop`, it wants the crawl to end, for that reason."""

    number: int
    items: list[str] = []
    found: list[Found] = []
    canonical: str | None = None
    error: str | None = None
    again: Again | None = None
    stop: str | None = None


class SpiderFault(msgspec.Struct, array_like=True, tag=2):
    """The spider could not be loaded, opened or closed, for this reason; no other message will come."""

    error: str


class RequestSent(msgspec.Struct, array_like=True, tag=3):
    """The request of a visit has gone out."""

    number: int


class Pong(msgspec.Struct, array_like=True, tag=7):
    """The answer to a `Ping`."""


class ShuttingDown(msgspec.Struct, array_like=True, tag=8):
    """All tasks are dropped; only the spider is left to be closed."""


class HostFreed(msgspec.Struct, array_like=True, tag=6):
    """The host of a visit has answered, but the spider takes its time with the page."""

    number: int


class VisitResult(msgspec.Struct, array_like=True, tag=4):
    """What came of a visit that was answered: the response, with the header fields that are of use to the crawl's process; and,
    if it was a page, the digest of its body, what is to be kept of it (headers and body), and what the spider made of it; if it was
    one of another status, of which the spider may want to hear, `page`.
    `is_private`: a host that the user named was found at a private address, so that any may be."""

    number: int
    fetched: Fetched
    began_at: float
    latency: float
    location: bytes | None
    retry_after: bytes | None
    cookies: list[bytes]
    is_private: bool
    digest: int = 0
    kept: tuple[str, bytes] | None = None
    answer: Answer | None = None
    page: SentPage | None = None


class VisitFailed(msgspec.Struct, array_like=True, tag=5):
    """A visit without an answer, and why."""

    number: int
    failure: Failure
    began_at: float


Result: TypeAlias = Answer | VisitResult | VisitFailed
FromReader: TypeAlias = (
    Ready | Answer | SpiderFault | RequestSent | HostFreed | Pong | ShuttingDown | VisitResult | VisitFailed
)


def longest_from_reader(settings: Settings) -> int:
    """How many bytes a message from a reader may have: an answer, and with it the body, if that is to be kept."""
    return min(_LONGEST_ANSWER + settings.max_body_bytes, MAX_LENGTH)


encode = msgspec.msgpack.Encoder().encode
decode_to_reader = msgspec.msgpack.Decoder(ToReader).decode
decode_from_reader = msgspec.msgpack.Decoder(FromReader).decode
