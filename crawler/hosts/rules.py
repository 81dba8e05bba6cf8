"""The robots.txt of each origin: asked for as politely as any page, kept in the crawl file for a day, remembered as far as there is
room.
"""

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
"""As many as RFC 9309 §2.3.1.2 asks for at least."""

_FRESH_SECONDS = 24 * 3600.0
"""How long a robots.txt is used before it is asked for again (RFC 9309 §2.4)."""

_ORIGINS_KEPT = 20_000
_RULES_BYTES_KEPT = 128 << 20
"""So much for the rules of all of them: 6 KiB each, which is a hundred lines; but those of one may take 10 MiB."""

_LARGE_BYTES = 16 * 1024
"""A robots.txt of that size takes a few milliseconds to read, and the largest a hundred."""


class Known(Struct):
    """What an origin's robots.txt says, until then; or why it could not be had, and when it may be asked for again."""

    robots: Robots | None
    failure: Failure | None
    until: float

    @property
    def size_bytes(self) -> int:
        return self.robots.size_bytes if self.robots else 0


class _Origins(OrderedDict[str, Known]):
    """What is known of each origin. The ones learned first give way, but never the one that was learned last."""

    def __init__(self) -> None:
        super().__init__()
        self.size_bytes = 0

    def __setitem__(self, origin: str, known: Known) -> None:
        if origin in self:
            del self[origin]
        super().__setitem__(origin, known)
        self.size_bytes += known.size_bytes
        while len(self) > 1 and (len(self) > _ORIGINS_KEPT or self.size_bytes > _RULES_BYTES_KEPT):
            del self[next(iter(self))]

    def __delitem__(self, origin: str) -> None:
        self.size_bytes -= self[origin].size_bytes
        super().__delitem__(origin)


class Rules:
    """What the robots.txt files of a crawl say to `user_agent`. `proxy_gate`: the proxy, if all goes through one."""

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
        """By URL, what large rules say of it, should they have to give way before its turn."""

    def of(self, url: str) -> Known | None:
        """What is known of a URL's origin."""
        return self._known.get(origin_of(url)) if self._known else None

    def sitemaps_of(self, url: str) -> list[str]:
        """The sitemaps that the robots.txt of a URL's origin names, as they are written; none while it is not known."""
        known = self.of(url)
        return known.robots.sitemaps if known and known.robots else []

    def note_failure(self, url: str, failure: Failure, until: float) -> None:
        """The rules of a URL's origin cannot be had, until then."""
        self._known[origin_of(url)] = Known(None, failure, until)

    def forget(self, url: str) -> None:
        """Have the rules of a URL's origin asked for again."""
        del self._known[origin_of(url)]

    async def learn(self, lease: Lease) -> Failure | None:
        """Take the rules from the crawl file while they are fresh, or ask the host. Returns why they cannot be had.

        They may stay unknown, when the host was paused meanwhile, or others at its address come first: no worker waits with it.
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
        self._known[origin] = Known(robots, None, time.monotonic() + _FRESH_SECONDS - age)
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
                failure = self._proxy_gate.heed(f"{response.url}", response.status, response.headers)
                if failure:
                    return failure
            if response.status >= 500 or response.status == HTTPStatus.TOO_MANY_REQUESTS:
                self._throttle.heed(host_key(Origin.of(response.url)), began_at, response.status, response.headers)
                return Failure("robots", f"{url} answered {response.status}", is_passing=True)
            body = await _read_start(response) if 200 <= response.status < 300 else b""
        self._throttle.answered(host, began_at, latency)
        return body

    async def _parse(self, body: bytes) -> Robots:
        """Read the rules; many in a thread, so that nothing else waits for it, and of one file at a time."""
        from crawler.web.robots import Robots  # while the first request is under way, there is nothing to parse

        if len(body) < _LARGE_BYTES:
            return Robots.parse(body, user_agent=self._user_agent)
        async with self._parsing:
            return await asyncio.to_thread(Robots.parse, body, user_agent=self._user_agent)

    def _foretell(self, lease: Lease, robots: Robots) -> None:
        """Not every turn comes: a lease may be set aside before. So the verdicts that were found first give way, too."""
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
