"""The way out through a proxy: whom it leads to, what of an answer is its own, and what is done while it is out of reach.

What the proxy fails at is no host's fault, and no page's. So it rests as a host would, and with it the crawl: nothing is begun, and
whatever it had to do with is put back. If it stays out of reach, or will not have us, the crawl ends, to be gone on with.
"""

from __future__ import annotations

import asyncio
import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from yarl import URL

from client.environment import NoProxy
from client.proxies import Proxy, without_credentials
from client.resolver import literal_address
from crawler.retries import PROXY, Failure, back_off

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from crawler.settings import Settings

_log = logging.getLogger(__name__)

_UNREACHED = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
"""What a forwarding proxy answers when it does not reach the host (RFC 9110 §15.6; 503 is Squid's)."""

_UNTOLD = frozenset({"address", "dns", "internal", "timeout", "url"})
"""Kinds of failure of a host that do not show that the proxy is well."""

_STRANGERS = 3
"""Like a host (crawler/hosts/throttle.py), one that has never let anything through is given the third part of the rests."""


class ProxyGate:
    """The proxy of one crawl. `open_again` is called when a rest is over, `give_up` when there will be none any more: then `verdict`
    says why."""

    def __init__(self, settings: Settings, *, open_again: Callable[[], object], give_up: Callable[[], object]) -> None:
        assert settings.proxy
        self._proxy = Proxy.of(settings.proxy)
        self._shown = without_credentials(settings.proxy)
        self._exceptions = NoProxy(settings.no_proxy)
        self._settings = settings
        self._open_again = open_again
        self._give_up = give_up
        self._has_passed = False
        self._rests = 0
        self._open_since = 0.0
        self._rests_until = 0.0
        self._resting: asyncio.TimerHandle | None = None
        self.verdict: str | None = None

    # ------------------------------------------------------------------ where it leads

    def leads_to(self, url: str) -> bool:
        """Whether a URL is asked for through the proxy."""
        parsed = URL(url, encoded=True)
        return not self._exceptions.matches(parsed.raw_host or "", parsed.port)

    def place_with(
        self, look_up: Callable[[str, int], Awaitable[list[str]]]
    ) -> Callable[[str, int], Awaitable[list[str]]]:
        """The same look-up, but none for names that the proxy resolves: where these are, nobody here knows."""

        async def place(name: str, port: int) -> list[str]:
            is_ours = not self._proxy.resolves_names or self._exceptions.matches(name, port)
            return await look_up(name, port) if is_ours or literal_address(name, port) else []

        return place

    def failure_of(self, url: str, status: int, headers: Mapping[str, str]) -> Failure | None:
        """What went wrong, if an answer tells of the way to the host; None if it is the host's own. A forwarding proxy speaks for
        both, and a host may pretend to be one: that costs it no more than itself once anything else has come through."""
        if status != HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and status not in _UNREACHED:
            return None
        if not (url.startswith("http:") and self._proxy.forwards("http") and self.leads_to(url)):
            return None
        if status != HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            asks = status == HTTPStatus.SERVICE_UNAVAILABLE and "Retry-After" in headers  # a proxy would not know
            return None if asks else Failure("connect", f"{status}, from the proxy or behind it", is_passing=True)
        kind = "connect" if self._has_passed else PROXY
        return Failure(kind, "407, the proxy asks for other credentials", is_passing=self._has_passed)

    def heed(self, url: str, status: int, headers: Mapping[str, str]) -> Failure | None:
        """Learn from an answer: what went wrong on the way, as `failure_of` has it, or that somebody was reached."""
        failure = self.failure_of(url, status, headers)
        if failure is None:
            self.passed(url)
        return failure

    # ------------------------------------------------------------------ how it is

    @property
    def is_open(self) -> bool:
        """Whether requests may be begun."""
        return self._resting is None and self.verdict is None

    def passed(self, url: str) -> None:
        """Somebody has answered a request for a URL; during a rest, over an old connection, which says nothing of new ones."""
        if (self._rests or not self._has_passed) and not self._resting and self.leads_to(url):
            if self._rests:
                _log.warning("the proxy %s is back", self._shown)
            self._has_passed, self._rests = True, 0

    def failed(self, url: str, failure: Failure) -> None:
        """A request for a URL has failed on its way behind the proxy, if this one kind of failure tells that."""
        if failure.kind not in _UNTOLD:
            self.passed(url)

    def missed(self, began_at: float, failure: Failure) -> float:
        """A request did not get past the proxy; returns for how many seconds none is begun. Requests that were under way together
        have failed once: only those that were begun since the last rest bring news."""
        now = time.monotonic()
        if self.is_open and began_at >= self._open_since:
            self._rests += 1
            most = self._settings.max_rests if self._has_passed else self._settings.max_rests // _STRANGERS
            if self._rests > most or not failure.is_passing:
                self._end(failure)
            else:
                self._rest(now, failure)
        return max(0.0, self._rests_until - now)

    def _rest(self, now: float, failure: Failure) -> None:
        rest = back_off(self._rests, first=self._settings.rest_wait, most=self._settings.max_retry_wait)
        level = logging.WARNING if self._rests == 1 else logging.INFO
        _log.log(level, "the proxy %s is out of reach, and the crawl waits for it: %s", self._shown, failure.text)
        self._rests_until = now + rest
        self._resting = asyncio.get_running_loop().call_later(rest, self._end_rest)

    def _end_rest(self) -> None:
        self._resting = None
        self._open_since = time.monotonic()
        self._open_again()

    def _end(self, failure: Failure) -> None:
        self.verdict = (
            f"the proxy {self._shown} is of no use: {failure.text}; see that it runs and takes the credentials of the"
            " setting proxy; the same command then goes on"
        )
        self._give_up()

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._resting:
            self._resting.cancel()
            self._resting = None
