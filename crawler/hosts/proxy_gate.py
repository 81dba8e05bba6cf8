"""The way out through a proxy: which hosts it is used for, which answers are its own, and what happens while it is out of reach.

A failure of the proxy is not the fault of any host or page. So the proxy rests as a host would, and the crawl with it: nothing is begun,
and requests that were under way are put back. If it stays out of reach, or refuses us, the crawl ends, and can be resumed.
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
"""Kinds of failure of a host that do not show that the proxy works."""

_STRANGERS = 3
"""Like a host (crawler/hosts/throttle.py), a proxy that has never let anything through is given only a third of the rests."""


class ProxyGate:
    """The proxy of one crawl. `open_again` is called when a rest is over, `give_up` when the proxy is given up: then `verdict` says
    why."""

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
        """Whether a URL is requested through the proxy."""
        parsed = URL(url, encoded=True)
        return not self._exceptions.matches(parsed.raw_host or "", parsed.port)

    def place_with(
        self, look_up: Callable[[str, int], Awaitable[list[str]]]
    ) -> Callable[[str, int], Awaitable[list[str]]]:
        """The same look-up, without addresses for names that the proxy resolves: these are not known here."""

        async def place(name: str, port: int) -> list[str]:
            is_ours = not self._proxy.resolves_names or self._exceptions.matches(name, port)
            return await look_up(name, port) if is_ours or literal_address(name, port) else []

        return place

    def failure_of(self, url: str, status: int, headers: Mapping[str, str]) -> Failure | None:
        """What went wrong on the way to the host, if that is what an answer says; None if it is the host's own answer. A forwarding
        proxy sends both kinds. A host may pretend to be a proxy: once anything else has come through, that harms only the host."""
        if status != HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and status not in _UNREACHED:
            return None
        if not (url.startswith("http:") and self._proxy.forwards("http") and self.leads_to(url)):
            return None
        if status != HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            asks = status == HTTPStatus.SERVICE_UNAVAILABLE and "Retry-After" in headers  # a proxy would not know
            return None if asks else Failure("connect", f"{status}, from the proxy or behind it", is_temporary=True)
        kind = "connect" if self._has_passed else PROXY
        return Failure(kind, "407, the proxy asks for other credentials", is_temporary=self._has_passed)

    def failure_on_the_way(self, url: str, status: int, headers: Mapping[str, str]) -> Failure | None:
        """Learn from an answer; returns what went wrong on the way, as `failure_of` does, or None if the host was reached."""
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
        """Note that a host has answered a request for a URL. Not during a rest: then it was over an old connection, which says nothing
        about new ones."""
        if (self._rests or not self._has_passed) and not self._resting and self.leads_to(url):
            if self._rests:
                _log.warning("the proxy %s is back", self._shown)
            self._has_passed, self._rests = True, 0

    def failed(self, url: str, failure: Failure) -> None:
        """Note that a request for a URL has failed. Most kinds of failure show that it got past the proxy."""
        if failure.kind not in _UNTOLD:
            self.passed(url)

    def missed(self, began_at: float, failure: Failure) -> float:
        """Note that a request did not get past the proxy; returns for how many seconds none will be begun. Requests that were under
        way together count once: only those begun since the last rest bring news."""
        now = time.monotonic()
        if self.is_open and began_at >= self._open_since:
            self._rests += 1
            most = self._settings.max_rests if self._has_passed else self._settings.max_rests // _STRANGERS
            if self._rests > most or not failure.is_temporary:
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
        """End a rest, without calling anybody."""
        if self._resting:
            self._resting.cancel()
            self._resting = None
