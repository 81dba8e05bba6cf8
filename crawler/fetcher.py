"""From a lease to a page, or to what became of it instead."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from yarl import URL

from client import ClientError
from crawler.outcome import Failed, Postponed, Redirected, SetAside
from crawler.page import Page
from crawler.retries import HOLDING_STATUSES, failure_of, failure_of_status
from crawler.web.directives import OBEDIENT
from crawler.web.urls import origin_of, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from client import ClientSession
    from crawler.frontier.protocol import Lease
    from crawler.politeness import Politeness
    from crawler.retries import Failure, RetryPolicy
    from crawler.web.directives import Obedience

Fetch: TypeAlias = Callable[["Lease"], Awaitable["Page | Redirected | Postponed | Failed | SetAside"]]
Middleware: TypeAlias = Callable[["Lease", Fetch], Awaitable["Page | Redirected | Postponed | Failed | SetAside"]]
"""Stands around every fetch: may change the lease, call on, look at or replace what comes back."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})


class Fetcher:
    """Carries requests out. Redirects are not followed here: they go back to the frontier, and wait there for their host."""

    def __init__(
        self,
        session: ClientSession,
        politeness: Politeness,
        retries: RetryPolicy,
        *,
        max_redirects: int,
        obedience: Obedience = OBEDIENT,
        middlewares: Sequence[Middleware] = (),
    ) -> None:
        self._session = session
        self._politeness = politeness
        self._retries = retries
        self._max_redirects = max_redirects
        self._obedience = obedience
        self.fetch: Fetch = self._fetch
        for middleware in reversed(middlewares):
            self.fetch = _around(middleware, self.fetch)

    async def _fetch(self, lease: Lease) -> Page | Redirected | Postponed | Failed | SetAside:
        began = time.monotonic()
        try:
            async with self._session.request(
                lease.method,
                URL(lease.url, encoded=True),
                headers=_headers_of(lease),
                data=lease.body,
                allow_redirects=False,
            ) as response:
                answered = time.monotonic()
                body = await response.read()
        except ClientError as error:
            return self._politeness.failed(lease, began, failure_of(error))
        page = Page(
            lease,
            url=lease.url,
            status=response.status,
            headers=response.headers,
            body=body,
            fetched_at=time.time(),
            elapsed=time.monotonic() - began,
            obedience=self._obedience,
        )
        if page.status in HOLDING_STATUSES:
            return self._refused(lease, page, began)
        self._politeness.answered(lease.host, began, answered - began)
        if failure := failure_of_status(page.status):
            location = page.headers.get("Location") if page.status in _REDIRECTS else None
            return self._redirect(lease, page, location) if location else self._fail(lease, page, failure)
        return page

    def _refused(self, lease: Lease, page: Page, began: float) -> Postponed | Failed:
        """Another try, not before the host's pause is over; or the end."""
        asked = self._politeness.heed(lease.host, began, page.status, page.headers)
        failure = failure_of_status(page.status)
        assert failure
        return self._fail(lease, page, failure, retry_after=asked)

    def _fail(
        self, lease: Lease, page: Page, failure: Failure, *, retry_after: float | None = None
    ) -> Postponed | Failed:
        """Another try later, or the end."""
        outcome = self._retries.decide(lease, failure, retry_after=retry_after)
        return failed_with(page, outcome.error) if isinstance(outcome, Failed) else outcome

    def _redirect(self, lease: Lease, page: Page, location: str) -> Redirected | Failed:
        targets = resolve(lease.url, [location])
        if not targets:
            failure = f"redirect: to {location!r}, which is nothing to fetch"
        elif len(lease.redirects) >= self._max_redirects:
            failure = f"redirect: more than {self._max_redirects} in a row, the next to {targets[0]}"
        else:
            return Redirected(status=page.status, url=targets[0], method=_method_after(page.status, lease.method))
        return failed_with(page, failure)


def failed_with(page: Page, error: str) -> Failed:
    """A response came, and was of no use."""
    return Failed(
        error=error,
        final_url=page.url,
        status=page.status,
        content_type=page.content_type,
        size=len(page.body),
        elapsed=page.elapsed,
        fetched_at=page.fetched_at,
    )


def _around(middleware: Middleware, fetch: Fetch) -> Fetch:
    def call(lease: Lease) -> Awaitable[Page | Redirected | Postponed | Failed | SetAside]:
        return middleware(lease, fetch)

    return call


def _method_after(status: int, method: str) -> str:
    """The method to go on with (RFC 9110 §15.4; a POST becomes a GET on 301 and 302 too, as in Fetch §4.4 step 12)."""
    if (status == 303 and method not in ("GET", "HEAD")) or (status in (301, 302) and method == "POST"):
        return "GET"
    return method


def _headers_of(lease: Lease) -> Mapping[str, str] | None:
    """The request's own headers; behind a redirect to another origin without its credentials."""
    if lease.headers and lease.redirects and origin_of(lease.url) != origin_of(lease.requested_url):
        return {name: value for name, value in lease.headers.items() if name.lower() not in _CREDENTIALS}
    return lease.headers
