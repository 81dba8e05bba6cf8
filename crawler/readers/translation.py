"""Leases, pages and harvests as parts of messages, and back."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import astuple, replace
from multidict import CIMultiDict, CIMultiDictProxy

from client.origin import HostKey
from crawler.errors import Retry
from crawler.exchange import fetched_of
from crawler.frontier.protocol import Lease
from crawler.headers import headers_to_json
from crawler.items import Harvest, encoded
from crawler.page import Page, UnmodifiedPage
from crawler.readers.messages import (
    Again,
    Answer,
    FailureTask,
    FoundLinks,
    FoundRequest,
    PageTask,
    SentLease,
    SentPage,
    VisitResult,
    VisitTask,
)
from crawler.request import Links, Request, callback_name
from crawler.selection.traps import digest_of
from crawler.visitor import Visited
from crawler.web.directives import OBEDIENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawler.exchange import Response
    from crawler.readers.messages import Found, Task
    from crawler.store import Keeper
    from crawler.web.directives import Obedience

_SENT = len(SentLease.__struct_fields__)
"""So many fields of a lease are sent: those of an errand, which come first."""

# ---------------------------------------------------------------------- leases, and the tasks with them


def sent(lease: Lease) -> SentLease:
    """A lease as it is sent."""
    sent = SentLease(*astuple(lease)[:_SENT])
    if lease.headers is not None:
        sent.headers = dict(lease.headers)
    if lease.context is not None:
        sent.context = _json(lease.context)
    return sent


def lease_of(task: Task) -> Lease:
    """The lease of a task, as much of it as was sent."""
    lease = Lease(*astuple(task.lease), id=task.number, host=HostKey(""))
    lease.context = _context(task.lease.context)
    return lease


def visit_task(
    number: int, lease: Lease, cookies: str | None, *, tells_start: bool, may_be_private: bool, known: int | None = None
) -> VisitTask:
    """The task of fetching and reading a page."""
    return VisitTask(number, sent(lease), cookies, tells_start, may_be_private, known)


def failure_task(number: int, lease: Lease, error: str, page: Page | None) -> FailureTask:
    """The task of telling the spider of a failure."""
    return FailureTask(number, sent(lease), error, sent_page(page) if page else None)


def page_task(number: int, lease: Lease, page: Page) -> PageTask:
    """The task of reading a page."""
    return PageTask(number, sent(lease), sent_page(page))


# ---------------------------------------------------------------------- pages


def sent_page(page: Page) -> SentPage:
    """A page as it is sent."""
    headers = [_bytes(part) for part in chain.from_iterable(page.headers.items())]
    return SentPage(page.url, page.status, headers, page.body, page.fetched_at, page.elapsed, page.not_modified)


def page_of(sent: SentPage, lease: Lease, obedience: Obedience = OBEDIENT) -> Page:
    """A page that was sent."""
    texts = map(_text, sent.headers)
    kind = UnmodifiedPage if sent.not_modified else Page
    return kind(
        lease,
        url=sent.url,
        status=sent.status,
        headers=CIMultiDictProxy(CIMultiDict(zip(texts, texts, strict=True))),
        body=sent.body,
        fetched_at=sent.fetched_at,
        elapsed=sent.elapsed,
        obedience=obedience,
    )


# ---------------------------------------------------------------------- what came of visits


def seen(
    number: int, response: Response, answer: Answer | None, *, is_private: bool, keeps_body: bool, sends_page: bool
) -> VisitResult:
    """The message about a response. `answer`: the spider's, None if the response was not a page for callbacks; then it is sent along if
    `sends_page`."""
    page = response.page
    fetched = fetched_of(page)
    if not fetched.content_type.isascii():
        fetched = replace(fetched, content_type=sendable(fetched.content_type))
    cookies = list(map(_bytes, page.headers.getall("Set-Cookie", ())))
    fields = (number, fetched, response.began_at, response.latency)
    if answer is None:
        of_use = _field(page, "Location"), _field(page, "Retry-After"), cookies, is_private
        return VisitResult(*fields, *of_use, page=sent_page(page) if sends_page else None)
    kept = (
        (headers_to_json(page.headers), page.body)
        if keeps_body and answer.error is None and answer.again is None
        else None
    )
    return VisitResult(*fields, None, None, cookies, is_private, digest_of(page.body), kept, answer)


def headers_of(seen: VisitResult) -> dict[str, str]:
    """The header fields that were sent, without cookies."""
    fields = {"Location": seen.location, "Retry-After": seen.retry_after}
    return {name: _text(value) for name, value in fields.items() if value is not None}


def cookies_of(seen: VisitResult) -> list[str]:
    """The values of its Set-Cookie fields."""
    return list(map(_text, seen.cookies))


def visited_of(seen: VisitResult, answer: Answer, keeper: Keeper | None) -> Visited:
    """A page that was fetched and read."""
    kept = keeper.keep(*seen.kept, seen.digest) if keeper and seen.kept else None
    return Visited(seen.fetched, harvest_of(answer), seen.digest, kept)


def sendable(text: str) -> str:
    """A text without lone surrogates, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


def _field(page: Page, name: str) -> bytes | None:
    value = page.headers.get(name)
    return None if value is None else _bytes(value)


def _bytes(value: str) -> bytes:
    """The bytes of a header field's text; bytes that are not UTF-8 are lone surrogates in the text."""
    return value.encode("utf-8", "surrogateescape")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


# ---------------------------------------------------------------------- what came of them


def answer(number: int, harvest: Harvest) -> Answer:
    """The answer that brings a harvest."""
    stop = None if harvest.stop is None else sendable(harvest.stop)
    return Answer(number, harvest.items, [_found(one) for one in harvest.found], harvest.canonical, stop=stop)


def harvest_of(answer: Answer) -> Harvest:
    """The harvest of an answer."""
    return Harvest(answer.items, [_wanted(found) for found in answer.found], answer.canonical, stop=answer.stop)


def again(raised: Retry) -> Again:
    """A spider's `Retry`, as it is sent."""
    return Again(sendable(str(raised)), None if raised.after is None else float(raised.after))


def retry_of(again: Again) -> Retry:
    """The `Retry` that was sent."""
    return Retry(again.why, after=again.after)


def _found(wanted: Request | Links) -> Found:
    name, context = callback_name(wanted.callback), _json(wanted.context)
    if isinstance(wanted, Links):
        return FoundLinks(list(wanted.urls), name, int(wanted.priority), context)
    headers = dict(wanted.headers) if wanted.headers is not None else None
    return FoundRequest(
        wanted.url,
        wanted.method,
        headers,
        wanted.body,
        name,
        int(wanted.priority),
        context,
        bool(wanted.again),
        wanted.read_timeout,
        wanted.total_timeout,
        wanted.max_attempts,
    )


def _wanted(found: Found) -> Request | Links:
    context = _context(found.context)
    if isinstance(found, FoundLinks):
        return Links(found.urls, callback=found.callback, priority=found.priority, context=context, are_canonical=True)
    return Request(
        found.url,
        method=found.method,
        headers=found.headers,
        body=found.body,
        callback=found.callback,
        priority=found.priority,
        context=context,
        again=found.again,
        read_timeout=found.read_timeout,
        total_timeout=found.total_timeout,
        max_attempts=found.max_attempts,
    )


def _json(context: Mapping[str, Any] | None) -> bytes | None:
    return None if context is None else encoded(context, "the context of a request").encode()


def _context(data: bytes | None) -> dict[str, Any] | None:
    return None if data is None else msgspec.json.decode(data)
