"""The robots.txt of each origin: fetched as politely as any page, kept in the crawl file for a day, and in memory while there is room."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from http import HTTPStatus
from typing import TYPE_CHECKING

from msgspec import Struct

from client import ClientError, Origin, RedirectClientError, TooManyRedirects
from crawler.outcome import Skip, Skipped
from crawler.retries import Failure, failure_of
from crawler.web.urls import host_key, origin_of, robots_url

if TYPE_CHECKING:
    from client import ClientResponse, ClientSession
    from client.limits import HostLimits
    from client.origin import HostKey
    from crawler.frontier.protocol import Frontier, Lease
    from crawler.hosts.proxy_gate import ProxyGate
    from crawler.hosts.throttle import Throttle
    from crawler.web.robots import Robots

MAX_REDIRECTS = 5
"""The least that RFC 9309 §2.3.1.2 asks for."""

_FRESH_SECONDS = 24 * 3600.0
"""How long a robots.txt is used before it is fetched again (RFC 9309 §2.4)."""

_ORIGINS_KEPT = 20_000
_RULES_BYTES_KEPT = 128 << 20
"""For the rules of all origins: 6 KiB each, or a hundred lines; but those of one origin may take 10 MiB."""

_LARGE_BYTES = 16 * 1024
"""A robots.txt of this size takes a few milliseconds to parse, and the largest a hundred."""


class OriginRules(Struct):
    """What an origin's robots.txt says, and how long that holds; or why it could not be fetched, and when it may be tried again.
    `until` is on the monotonic clock."""

    robots: Robots | None
    failure: Failure | None
    until: float

    @property
    def size_bytes(self) -> int:
        return self.robots.size_bytes if self.robots else 0


class _Origins(OrderedDict[str, OriginRules]):
    """What is known about each origin. Those learned first are dropped when there is no room, but never the one learned last."""

    def __init__(self) -> None:
        super().__init__()
        self.size_bytes = 0

    def __setitem__(self, origin: str, known: OriginRules) -> None:
        if origin in self:
            del self[origin]
        super().__setitem__(origin, known)
        self.size_bytes += known.size_bytes
        while len(self) > 1 and (len(self) > _ORIGINS_KEPT or self.size_bytes > _RULES_BYTES_KEPT):
            del self[next(iter(self))]

    def __delitem__(self, origin: str) -> None:
        self.size_bytes -= self[origin].size_bytes
        super().__delitem__(origin)


class RobotsCache:
    """What the robots.txt files of a crawl say to `user_agent`. `proxy_gate`: the proxy, if requests go through one."""

    def __init__(
        self,
        session: ClientSession,
        limits: HostLimits,
        throttle: Throttle,
        frontier: Frontier,
        *,
        user_agent: str,
        proxy_gate: ProxyGate | None,
    ) -> None:
        self._session = session
        self._limits = limits
        self._throttle = throttle
        self._frontier = frontier
        self._user_agent = user_agent
        self._proxy_gate = proxy_gate
        self._known = _Origins()
        self._parsing = asyncio.Lock()
        self.foretold = OrderedDict[str, Skipped | None]()
        """Verdicts of large rules by URL, in case the rules are dropped before its turn."""

    def of(self, url: str) -> OriginRules | None:
        """What is known about a URL's origin; None if nothing is."""
        return self._known.get(origin_of(url)) if self._known else None

    def sitemaps_of(self, url: str) -> list[str]:
        """The sitemaps that the robots.txt of a URL's origin names, as they are written; empty while it is not known."""
        known = self.of(url)
        return known.robots.sitemaps if known and known.robots else []

    def note_failure(self, url: str, failure: Failure, until: float) -> None:
        """Note that the rules of a URL's origin cannot be fetched, until that instant (monotonic clock)."""
        self._known[origin_of(url)] = OriginRules(None, failure, until)

    def forget(self, url: str) -> None:
        """Have the rules of a URL's origin fetched again."""
        del self._known[origin_of(url)]

    async def learn(self, lease: Lease) -> Failure | None:
        """Take the rules from the crawl file while they are fresh, or ask the host. Returns the failure if they cannot be fetched.

        They may stay unknown if the host was paused meanwhile, or others at its address come first: no worker waits for that.
        """
        origin = origin_of(lease.url)
        kept = await self._frontier.robots_of(origin)
        age = self._frontier.now() - kept[0] if kept else _FRESH_SECONDS
        if kept and 0.0 <= age < _FRESH_SECONDS:
            body = kept[1]
        elif self._limits.ready_at(lease.host) > time.monotonic():
            return None
        else:
            answer = await self._ask(origin, lease.host)
            if isinstance(answer, Failure):
                return answer
            body, age = answer, 0.0
            self._frontier.note_robots(origin, self._frontier.now(), body)
        robots = await self._parse(body)
        if len(body) >= _LARGE_BYTES:
            self._foretell(lease, robots)
        self._throttle.obey_crawl_delay(lease.host, robots.crawl_delay)
        self._known[origin] = OriginRules(robots, None, time.monotonic() + _FRESH_SECONDS - age)
        return None

    async def _ask(self, origin: str, host: HostKey) -> bytes | Failure:
        try:
            return await self._fetch(robots_url(origin), host)
        except (TooManyRedirects, RedirectClientError):  # RFC 9309 §2.3.1.2: as if there were none
            return b""
        except ClientError as error:
            return failure_of(error)

    async def _fetch(self, url: str, host: HostKey) -> bytes | Failure:
        began_at = time.monotonic()
        async with self._session.get(url, max_redirects=MAX_REDIRECTS) as response:
            latency = time.monotonic() - began_at
            if self._proxy_gate:
                failure = self._proxy_gate.failure_on_the_way(f"{response.url}", response.status, response.headers)
                if failure:
                    return failure
            if response.status >= 500 or response.status == HTTPStatus.TOO_MANY_REQUESTS:
                self._throttle.obey_pause(
                    host_key(Origin.of(response.url)), began_at, response.status, response.headers
                )
                return Failure("robots", f"{url} answered {response.status}", is_temporary=True)
            body = await _read_start(response) if 200 <= response.status < 300 else b""
        self._throttle.answered(host, began_at, latency)
        return body

    async def _parse(self, body: bytes) -> Robots:
        """Parse the rules; if they are many, in a thread, so that nothing else waits, and one file at a time."""
        from crawler.web.robots import Robots  # while the first request is under way, there is nothing to parse

        if len(body) < _LARGE_BYTES:
            return Robots.parse(body, user_agent=self._user_agent)
        async with self._parsing:
            return await asyncio.to_thread(Robots.parse, body, user_agent=self._user_agent)

    def _foretell(self, lease: Lease, robots: Robots) -> None:
        """Keep the verdict for a lease. Its turn may never come, since it may be set aside before; so the oldest verdicts are dropped,
        too."""
        self.foretold[lease.url] = skipped(lease, robots)
        if len(self.foretold) > _ORIGINS_KEPT:
            self.foretold.popitem(last=False)


def skipped(lease: Lease, robots: Robots) -> Skipped | None:
    """What becomes of a request that the rules forbid; None if they do not."""
    refusal = robots.refusal_of(lease.url)
    return None if refusal is None else Skipped(reason=Skip.ROBOTS, final_url=lease.url, detail=refusal)


async def _read_start(response: ClientResponse) -> bytes:
    """The first 500 KiB of the body, which is as much as RFC 9309 §2.5 asks a crawler to read."""
    from crawler.web.robots import MAX_BYTES  # as above

    parts = []
    size = 0
    async for chunk in response.content.iter_any():
        parts.append(chunk)
        size += len(chunk)
        if size >= MAX_BYTES:
            response.close()
            break
    return b"".join(parts)[:MAX_BYTES]
