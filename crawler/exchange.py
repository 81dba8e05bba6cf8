"""One exchange with a host: a request, and the response to it, or why there is none. What they mean is decided elsewhere."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from multidict import CIMultiDict
from yarl import URL

from client import ClientError, ClientSession, ClientTimeout
from client.send_policy import merge_cookies
from crawler.outcome import Fetched
from crawler.retries import Failure, failure_of
from crawler.spider import SITEMAP
from crawler.web.urls import origin_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from client import BaseConnector, ClientResponse, TraceConfig
    from client.abc import AbstractCookieJar
    from client.options import RequestOptions
    from crawler.frontier.protocol import Lease
    from crawler.page import Page
    from crawler.settings import Settings
    from crawler.web.directives import Obedience

_HEADERS = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNLIMITED = 1 << 62


class Response(NamedTuple):
    """A response of any status. `began_at` is on the monotonic clock, `latency` the seconds until its head arrived."""

    page: Page
    began_at: float
    latency: float


class NoResponse(NamedTuple):
    """No response arrived, or none that could be read to its end."""

    failure: Failure
    began_at: float


Exchange: TypeAlias = "Callable[[ClientSession, Lease, Obedience], Awaitable[Response | NoResponse]]"
"""`exchange`, or a replacement for it."""


def open_session(
    settings: Settings,
    connector: BaseConnector,
    jar: AbstractCookieJar,
    *,
    connector_owner: bool = True,
    trace_configs: Sequence[TraceConfig] = (),
) -> ClientSession:
    """A session with the crawl's settings, including the proxy. All requests of a crawl go through such a session."""
    return ClientSession(
        connector=connector,
        connector_owner=connector_owner,
        cookie_jar=jar,
        headers=_headers_of_all(settings),
        timeout=ClientTimeout(
            total=settings.total_timeout, sock_connect=settings.connect_timeout, sock_read=settings.read_timeout
        ),
        max_body_bytes=settings.max_body_bytes,
        trace_configs=trace_configs,
        proxy=settings.proxy or None,
        no_proxy=settings.no_proxy,
    )


async def exchange(
    session: ClientSession,
    lease: Lease,
    obedience: Obedience,
    *,
    cookies: str | None = None,
    trace_request_ctx: object = None,
) -> Response | NoResponse:
    """Make the request that is leased; redirects are not followed. `cookies` are sent in addition to those in the session's jar.

    A sitemap may be as long as its protocol allows, whatever the session's bound; the rest of a longer one is not read.
    """
    is_sitemap = lease.callback == SITEMAP
    options: RequestOptions = {
        "headers": _headers_of(lease, cookies),
        "data": lease.body,
        "allow_redirects": False,
        "trace_request_ctx": trace_request_ctx,
    }
    if is_sitemap:  # others leave the session's settings alone: overriding any costs making them anew
        options["max_body_bytes"] = _UNLIMITED
    if lease.read_timeout or lease.total_timeout:
        options["timeout"] = _timeout_of(lease, session.timeout)
    began_at = time.monotonic()
    try:
        async with session.request(lease.method, URL(lease.url, encoded=True), **options) as response:
            latency = time.monotonic() - began_at
            body = await (_read_sitemap(response) if is_sitemap else response.read())
    except ClientError as error:
        return NoResponse(failure_of(error), began_at)
    page = _page_class()(
        lease,
        url=lease.url,
        status=response.status,
        headers=response.headers,
        body=body,
        fetched_at=time.time(),
        elapsed=time.monotonic() - began_at,
        obedience=obedience,
    )
    return Response(page, began_at, latency)


@cache
def _page_class() -> type[Page]:
    """It imports all that reads pages, so it is not loaded before the first request has gone out."""
    from crawler.page import Page

    return Page


def location_of(status: int, headers: Mapping[str, str]) -> str | None:
    """Where a response redirects to, as the header has it; None if it is not a redirect."""
    return (headers.get("Location") or None) if status in _REDIRECTS else None


def fetched_of(page: Page) -> Fetched:
    """What the crawl file keeps of a page, without its content."""
    return Fetched(
        status=page.status,
        final_url=page.url,
        content_type=page.content_type,
        size=len(page.body),
        elapsed=page.elapsed,
        fetched_at=page.fetched_at,
        not_modified=page.not_modified,
    )


async def _read_sitemap(response: ClientResponse) -> bytes:
    """The body, cut once it is longer than the protocol allows."""
    from crawler.web.sitemaps import MAX_BYTES  # most crawls meet none

    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > MAX_BYTES:
            response.close()
            break
    return bytes(body)


def _timeout_of(lease: Lease, timeout: ClientTimeout) -> ClientTimeout:
    """The session's timeouts, with those of the request over them."""
    return replace(
        timeout, total=lease.total_timeout or timeout.total, sock_read=lease.read_timeout or timeout.sock_read
    )


def _headers_of_all(settings: Settings) -> CIMultiDict[str]:
    """The headers of all requests; a request's own take precedence."""
    headers = CIMultiDict({"User-Agent": settings.user_agent, **_HEADERS})
    for name, value in settings.headers.items():
        headers[name] = value
    return headers


def _headers_of(lease: Lease, cookies: str | None) -> Mapping[str, str] | None:
    """The request's own headers; after a redirect to another origin, without its credentials."""
    headers = lease.headers
    if headers and lease.redirects and origin_of(lease.url) != origin_of(lease.requested_url):
        headers = {name: value for name, value in headers.items() if name.lower() not in _CREDENTIALS}
    if cookies is None:
        return headers
    together = CIMultiDict(headers or {})
    together["Cookie"] = merge_cookies(together.get("Cookie"), cookies) or cookies
    return together
