"""What the crawl's process and a reader process say to each other, as MessagePack; and what of ours becomes what of theirs.

The spider's own data (`context`) travels as JSON, as the crawl file has it: so it comes back the same whether a page was read
here or there.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from client.origin import HostKey
from crawler.frontier.protocol import Lease
from crawler.items import Harvest, encoded
from crawler.page import Page
from crawler.request import Links, Request, callback_name
from crawler.settings import Settings  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawler.web.directives import Obedience

# ---------------------------------------------------------------------- to a reader


class Hello(msgspec.Struct, array_like=True, tag=0):
    """The first message. `source` is that of the spider, `path` where modules are found, `log_level` what is to be logged."""

    source: bytes
    settings: Settings
    path: list[str]
    log_level: int


class PageTask(msgspec.Struct, array_like=True, tag=1):
    """A page to be read, with what of its lease a spider can see. `headers`: name, value, name, value…"""

    number: int
    callback: str | None
    url: str
    status: int
    headers: list[bytes]
    body: bytes
    fetched_at: float
    elapsed: float
    requested_url: str
    redirects: tuple[str, ...]
    depth: int
    referrer: str | None
    context: bytes | None


class FailureTask(msgspec.Struct, array_like=True, tag=2):
    """A request that has failed for good, for the spider to hear of."""

    number: int
    error: str
    url: str
    method: str
    headers: dict[str, str] | None
    body: bytes | None
    callback: str | None
    priority: int
    context: bytes | None


class Farewell(msgspec.Struct, array_like=True, tag=3):
    """Drop what you are at, close the spider and leave."""


Task: TypeAlias = PageTask | FailureTask
ToReader: TypeAlias = Hello | PageTask | FailureTask | Farewell

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


Found: TypeAlias = FoundLinks | FoundRequest


class Answer(msgspec.Struct, array_like=True, tag=1):
    """What came of a task; if `error` is not None, the spider raised, and there is nothing else."""

    number: int
    items: list[str] = []
    found: list[Found] = []
    canonical: str | None = None
    error: str | None = None


class Trouble(msgspec.Struct, array_like=True, tag=2):
    """The spider could not be loaded, opened or closed, and why; nothing else will come."""

    error: str


FromReader: TypeAlias = Ready | Answer | Trouble

encode = msgspec.msgpack.Encoder().encode
decode_to_reader = msgspec.msgpack.Decoder(ToReader).decode
decode_from_reader = msgspec.msgpack.Decoder(FromReader).decode

# ---------------------------------------------------------------------- pages and failed requests


def page_task(number: int, lease: Lease, page: Page) -> PageTask:
    """The task of reading a page."""
    return PageTask(
        number,
        lease.callback,
        page.url,
        page.status,
        [part.encode("utf-8", "surrogateescape") for part in chain.from_iterable(page.headers.items())],
        page.body,
        page.fetched_at,
        page.elapsed,
        page.requested_url,
        page.redirects,
        page.depth,
        page.referrer,
        _json(lease.context),
    )


def page_of(task: PageTask, obedience: Obedience) -> tuple[Lease, Page]:
    """The page again, and as much of its lease."""
    texts = iter([part.decode("utf-8", "surrogateescape") for part in task.headers])
    lease = Lease(
        id=task.number,
        host=HostKey(""),
        url=task.url,
        method="",
        depth=task.depth,
        requested_url=task.requested_url,
        referrer=task.referrer,
        callback=task.callback,
        context=_context(task.context),
        redirects=task.redirects,
    )
    page = Page(
        lease,
        url=task.url,
        status=task.status,
        headers=CIMultiDictProxy(CIMultiDict(zip(texts, texts, strict=True))),
        body=task.body,
        fetched_at=task.fetched_at,
        elapsed=task.elapsed,
        obedience=obedience,
    )
    return lease, page


def failure_task(number: int, lease: Lease, error: str) -> FailureTask:
    """The task of hearing of a failure."""
    return FailureTask(
        number,
        error,
        lease.requested_url,
        lease.method,
        dict(lease.headers) if lease.headers is not None else None,
        lease.body,
        lease.callback,
        lease.priority,
        _json(lease.context),
    )


def lease_of(task: FailureTask) -> Lease:
    """As much of the lease as the spider is told of."""
    return Lease(
        id=task.number,
        host=HostKey(""),
        url=task.url,
        method=task.method,
        depth=0,
        requested_url=task.url,
        callback=task.callback,
        priority=task.priority,
        headers=task.headers,
        body=task.body,
        context=_context(task.context),
    )


# ---------------------------------------------------------------------- what came of them


def answer(number: int, harvest: Harvest) -> Answer:
    """What a reader says of its harvest."""
    return Answer(number, harvest.items, [_found(one) for one in harvest.found], harvest.canonical)


def harvest_of(answer: Answer) -> Harvest:
    """The harvest again."""
    return Harvest(answer.items, [_wanted(found) for found in answer.found], answer.canonical)


def _found(wanted: Request | Links) -> Found:
    name, context = callback_name(wanted.callback), _json(wanted.context)
    if isinstance(wanted, Links):
        return FoundLinks(list(wanted.urls), name, wanted.priority, context)
    headers = dict(wanted.headers) if wanted.headers is not None else None
    return FoundRequest(
        wanted.url, wanted.method, headers, wanted.body, name, wanted.priority, context, again=wanted.again
    )


def _wanted(found: Found) -> Request | Links:
    context = _context(found.context)
    if isinstance(found, FoundLinks):
        return Links(found.urls, callback=found.callback, priority=found.priority, context=context)
    return Request(
        found.url,
        method=found.method,
        headers=found.headers,
        body=found.body,
        callback=found.callback,
        priority=found.priority,
        context=context,
        again=found.again,
    )


def _json(context: Mapping[str, Any] | None) -> bytes | None:
    return None if context is None else encoded(context, "the context of a request").encode()


def _context(data: bytes | None) -> dict[str, Any] | None:
    return None if data is None else msgspec.json.decode(data)
