"""From a lease to a page, or to what becomes of the request instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import asdict

from crawler.exchange import NoResponse, fetched_of, location_of
from crawler.outcome import Failed, Postponed, Redirected, SetAside
from crawler.retries import HOLDING_STATUSES, Failure, failure_of_status
from crawler.web.directives import Obedience
from crawler.web.urls import resolve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from client import ClientSession
    from crawler.errors import Retry
    from crawler.exchange import Exchange
    from crawler.frontier.protocol import Lease
    from crawler.hosts.proxy_gate import ProxyGate
    from crawler.outcome import Fetched
    from crawler.page import Page
    from crawler.politeness import Politeness
    from crawler.retries import RetryPolicy
    from crawler.selection.detours import Detours
    from crawler.settings import Settings


class FailedWithPage(Failed, frozen=True, kw_only=True):
    """A response came, but with a status that is not for callbacks; `page` is for the spider's `failed`."""

    page: Page


Unfit: TypeAlias = Redirected | Postponed | Failed | SetAside
"""What becomes of a request that brought no page for a callback."""

Fetch: TypeAlias = "Callable[[Lease], Awaitable[Page | Unfit]]"
Middleware: TypeAlias = "Callable[[Lease, Fetch], Awaitable[Page | Unfit]]"
"""Runs around every fetch: it may change the lease, call the next fetch, inspect or replace what that returns, and raise Retry or Stop."""

_LONGEST_SHOWN = 200
"""How many characters of a Location that is not a URL are shown: errors are kept with each page that has one."""


class Fetcher:
    """Makes requests, and decides what becomes of them. Redirects are not followed here: they go back to the frontier, and wait there for
    their host.

    For a request that another process has made, one of `failed`, `answered`, `unsuccessful` and `wanted_again` is called with the result.
    """

    def __init__(
        self,
        session: ClientSession,
        politeness: Politeness,
        retries: RetryPolicy,
        settings: Settings,
        *,
        exchange: Exchange,
        detours: Detours,
        middlewares: Sequence[Middleware] = (),
        proxy_gate: ProxyGate | None = None,
    ) -> None:
        self._session = session
        self._exchange = exchange
        self._politeness = politeness
        self._retries = retries
        self._max_redirects = settings.max_redirects
        self._redirect_aliases = settings.redirect_aliases
        self._obedience = Obedience.of(
            user_agent=settings.user_agent, robots=settings.robots, nofollow=settings.nofollow
        )
        self._proxy_gate = proxy_gate
        self._detours = detours
        self.fetch: Fetch = self._fetch
        for middleware in reversed(middlewares):
            self.fetch = _around(middleware, self.fetch, max_redirects=settings.max_redirects)

    async def _fetch(self, lease: Lease) -> Page | Unfit:
        result = await self._exchange(self._session, lease, self._obedience)
        if isinstance(result, NoResponse):
            return self.failed(lease, result.failure, result.began_at)
        page, began_at, latency = result
        if failure_of_status(page.status):
            return self.unsuccessful(lease, fetched_of(page), page.headers, began_at, latency, page=page)
        self.answered(lease, began_at, latency)
        return page

    def failed(self, lease: Lease, failure: Failure, began_at: float) -> Postponed | Failed | SetAside:
        """Decide what becomes of a request without a response."""
        return self._politeness.failed(lease, began_at, failure)

    def answered(self, lease: Lease, began_at: float, latency: float) -> None:
        """Note a request that brought a page."""
        if self._proxy_gate:
            self._proxy_gate.passed(lease.url)
        self._politeness.answered(lease.host, began_at, latency)

    def unsuccessful(
        self,
        lease: Lease,
        fetched: Fetched,
        headers: Mapping[str, str],
        began_at: float,
        latency: float,
        *,
        page: Page | None = None,
    ) -> Unfit:
        """Decide what becomes of a request whose response is not for callbacks. `page`: the response, if it is at hand."""
        failure = failure_of_status(fetched.status)
        assert failure
        if unreached := self._politeness.failure_on_the_way(lease.url, fetched.status, headers):
            outcome = self._politeness.failed(lease, began_at, unreached)
            return failed_with(fetched, outcome.error) if isinstance(outcome, Failed) else outcome
        if fetched.status in HOLDING_STATUSES:  # another try, not before the host's pause is over; or the end
            asked = self._politeness.obey_pause(lease.host, began_at, fetched.status, headers)
            return self._fail(lease, fetched, failure, retry_after=asked, page=page)
        self.answered(lease, began_at, latency)
        if location := location_of(fetched.status, headers):
            return self._redirect(lease, fetched, location)
        return self._fail(lease, fetched, failure, page=page)

    def wanted_again(self, lease: Lease, raised: Retry, fetched: Fetched | None = None) -> Postponed | Failed:
        """Decide what becomes of a request for which the spider, or a middleware, raised Retry: another attempt later, or the end.
        `fetched`: the response, if there was one."""
        failure = Failure("retry", str(raised), is_temporary=True)
        if fetched is None:
            return self._retries.decide(lease, failure, retry_after=raised.after)
        return self._fail(lease, fetched, failure, retry_after=raised.after)

    def _fail(
        self,
        lease: Lease,
        fetched: Fetched,
        failure: Failure,
        *,
        retry_after: float | None = None,
        page: Page | None = None,
    ) -> Postponed | Failed:
        """Another attempt later, or the end."""
        outcome = self._retries.decide(lease, failure, retry_after=retry_after)
        if isinstance(outcome, Postponed):
            return outcome
        failed = failed_with(fetched, outcome.error)
        return FailedWithPage(**asdict(failed), page=page) if page else failed

    def _redirect(self, lease: Lease, fetched: Fetched, location: str) -> Redirected | Failed:
        targets = resolve(lease.url, [_as_text(location)])
        if not targets:
            shown = location if len(location) <= _LONGEST_SHOWN else f"{location[:_LONGEST_SHOWN]}…"
            failure = f"redirect: to {shown!r}, which is nothing to fetch"
        elif len(lease.redirects) >= self._max_redirects:
            failure = _once_too_often(self._max_redirects, targets[0])
        else:
            method = _method_after(fetched.status, lease.method)
            is_alias = self._redirect_aliases and not self._detours.leads_back(lease.url, targets[0])
            return Redirected(status=fetched.status, url=targets[0], method=method, is_alias=is_alias)
        return failed_with(fetched, failure)


def _once_too_often(max_redirects: int, url: str) -> str:
    """The error of a redirect to this URL that is one too many."""
    return f"redirect: more than {max_redirects} in a row, the next to {url}"


def _as_text(location: str) -> str:
    """A URL from a header, with bytes that are not UTF-8 percent-encoded, as browsers do it."""
    if location.isascii():
        return location
    return "".join(f"%{ord(sign) - 0xDC00:02X}" if "\udc80" <= sign <= "\udcff" else sign for sign in location)


def failed_with(fetched: Fetched, error: str) -> Failed:
    """The failure of a request whose response was of no use."""
    return Failed(
        error=error,
        final_url=fetched.final_url,
        status=fetched.status,
        content_type=fetched.content_type,
        size=fetched.size,
        elapsed=fetched.elapsed,
        fetched_at=fetched.fetched_at,
    )


def _around(middleware: Middleware, fetch: Fetch, *, max_redirects: int) -> Fetch:
    from crawler.middlewares import check_page, checked_outcome, lent, ungrouped  # most crawls have none

    async def call(lease: Lease) -> Page | Unfit:
        with lent(lease), ungrouped():
            result = await middleware(lease, fetch)
        if isinstance(result, Unfit):
            result = checked_outcome(result)
            if (
                isinstance(result, Redirected) and len(lease.redirects) >= max_redirects
            ):  # the middleware's own redirect
                error = _once_too_often(max_redirects, result.url)
                return Failed(error=error, final_url=lease.url, status=result.status)
            return result
        from crawler.page import Page  # imported by now, if the middleware returns one

        if not isinstance(result, Page):
            name = getattr(middleware, "__qualname__", type(middleware).__name__)
            raise TypeError(
                f"a middleware returns what fetch(lease) gave, or one like it; {name} returned {result!r:.80}"
            )
        check_page(result)
        return result

    return call


def _method_after(status: int, method: str) -> str:
    """The method to go on with (RFC 9110 §15.4; a POST becomes a GET on 301 and 302 too, as in Fetch §4.4 step 12)."""
    if (status == 303 and method not in ("GET", "HEAD")) or (status in (301, 302) and method == "POST"):
        return "GET"
    return method
