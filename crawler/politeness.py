"""What a host is owed: its robots.txt is asked for first and obeyed, and its pauses are kept.

Limits themselves (connections, spacing, pauses) are the connector's `HostLimits`; this module only sets them.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from client import ClientError, TooManyRedirects
from crawler.outcome import Failed, Postponed, Skip, Skipped
from crawler.retries import HOLDING_STATUSES, Failure, failure_of, retry_after_of
from crawler.web.robots import Robots
from crawler.web.urls import host_of, origin_of, robots_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from client import ClientResponse, ClientSession
    from client.limits import HostLimits
    from client.origin import HostKey
    from crawler.frontier.protocol import Lease
    from crawler.retries import RetryPolicy
    from crawler.settings import Settings

_log = logging.getLogger(__name__)

_FRESH_SECONDS = 24 * 3600.0
"""How long a robots.txt is used before it is asked for again (RFC 9309 §2.4)."""

_ORIGINS_KEPT = 20_000
_MAX_REDIRECTS = 5
_MAX_BYTES = 500 * 1024


@dataclass(slots=True)
class _Known:
    """What an origin's robots.txt says, or why it could not be had; until when that holds, on the monotonic clock."""

    robots: Robots | None
    failure: Failure | None
    until: float


class Politeness:
    """Keeps the manners of one crawl. `robots` in the settings says whether robots.txt is asked for at all."""

    def __init__(self, session: ClientSession, limits: HostLimits, retries: RetryPolicy, settings: Settings) -> None:
        self._session = session
        self._limits = limits
        self._retries = retries
        self._settings = settings
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def knows(self, lease: Lease) -> bool:
        """Whether `judge` can answer; if not, `learn` has to be awaited first."""
        if not self._settings.robots:
            return True
        known = self._known.get(origin_of(lease.url))
        return known is not None and known.until > time.monotonic()

    def judge(self, lease: Lease) -> Skipped | Postponed | Failed | None:
        """None when the request may be made; else what becomes of it."""
        if not self._settings.robots:
            return None
        known = self._known[origin_of(lease.url)]
        if known.failure:  # RFC 9309 §2.3.1.4: unreachable means that nothing is allowed
            return self._retries.decide(lease, known.failure, retry_after=max(0.0, known.until - time.monotonic()))
        if known.robots and not known.robots.allows(lease.url):
            return Skipped(reason=Skip.ROBOTS, final_url=lease.url, detail=known.robots.rule_for(lease.url) or "")
        return None

    async def learn(self, lease: Lease) -> None:
        """Ask for the robots.txt of the lease's origin, as politely as for any page.

        One that cannot be had is left alone until the requests that wait for it are due to be tried again.
        """
        origin = origin_of(lease.url)
        answer: Robots | Failure
        try:
            answer = await self._ask(origin)
        except TooManyRedirects:  # RFC 9309 §2.3.1.2: as if there were none
            answer = Robots.parse(b"", user_agent=self._settings.user_agent)
        except ClientError as error:
            answer = failure_of(error)
        except Exception as error:  # a fault of ours: it may cost this host, not the crawl
            _log.exception("asking for the robots.txt of %s", origin)
            answer = Failure("internal", f"{type(error).__name__}: {error}", is_passing=False)
        if isinstance(answer, Failure):
            wait = self._retries.wait_before(lease.attempts + 1)
            known = _Known(None, answer, time.monotonic() + wait)
        else:
            known = _Known(answer, None, time.monotonic() + _FRESH_SECONDS)
            self._obey_delay(host_of(lease.url), answer)
        self._known[origin] = known
        if len(self._known) > _ORIGINS_KEPT:
            self._known.popitem(last=False)

    async def _ask(self, origin: str) -> Robots | Failure:
        async with self._session.get(robots_url(origin), max_redirects=_MAX_REDIRECTS) as response:
            if response.status >= 500 or response.status == HTTPStatus.TOO_MANY_REQUESTS:
                self.heed(host_of(f"{origin}/"), response.status, response.headers)
                return Failure("robots", f"{robots_url(origin)} answered {response.status}", is_passing=True)
            body = await _read_start(response) if response.ok else b""
        return Robots.parse(body, user_agent=self._settings.user_agent)

    def _obey_delay(self, host: HostKey, robots: Robots) -> None:
        if robots.crawl_delay:
            delay = min(robots.crawl_delay, self._settings.max_crawl_delay)
            self._limits.configure(host, spacing=max(delay, self._settings.delay))

    def heed(self, host: HostKey, status: int, headers: Mapping[str, str]) -> float | None:
        """Pause the host as a 429 or 503 asks, by Retry-After or else for a while; returns the seconds of the pause."""
        if status not in HOLDING_STATUSES:
            return None
        asked = retry_after_of(headers.get("Retry-After"))
        pause = self._retries.wait_before(1) if asked is None else min(asked, self._settings.max_retry_wait)
        self._limits.hold_until(host, time.monotonic() + pause)
        return pause


async def _read_start(response: ClientResponse) -> bytes:
    """The first 500 KiB of the body, which is as much as RFC 9309 §2.5 asks a crawler to read."""
    parts = []
    size = 0
    async for chunk in response.content.iter_any():
        parts.append(chunk)
        size += len(chunk)
        if size >= _MAX_BYTES:
            response.close()
            break
    return b"".join(parts)[:_MAX_BYTES]
