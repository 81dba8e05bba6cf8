"""What a host is owed: its robots.txt is asked for first and obeyed, its pace is kept, its rest is not disturbed.

Limits themselves (connections, spacing, pauses) are the connector's `HostLimits`; what is learned of hosts is `Throttle`'s.
This module decides what may be asked, and what becomes of that which may not.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections import OrderedDict
from http import HTTPStatus
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from yarl import URL

from client import ClientError, Origin, RedirectClientError, TooManyRedirects
from client.resolver import is_public
from crawler.hosts.pace import OVERLOAD, QUOTA, STATED_QUOTA
from crawler.hosts.throttle import Throttle
from crawler.outcome import Aside, Failed, Postponed, SetAside, Skip, Skipped
from crawler.retries import (
    HOLDING_STATUSES,
    PROXY,
    UNREACHABLE,
    Failure,
    failure_of,
    failure_of_lookup,
    retry_after_of,
)
from crawler.web.urls import host_key, origin_of, robots_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from client import ClientResponse, ClientSession
    from client.limits import HostLimits
    from client.origin import HostKey
    from crawler.frontier.protocol import Frontier, HostState, Lease
    from crawler.hosts.pace import HostPace
    from crawler.hosts.passage import Passage
    from crawler.retries import RetryPolicy
    from crawler.settings import Settings
    from crawler.web.robots import Robots

_log = logging.getLogger(__name__)

_FRESH_SECONDS = 24 * 3600.0
"""How long a robots.txt is used before it is asked for again (RFC 9309 §2.4)."""

_ORIGINS_KEPT = 20_000
_RULES_BYTES_KEPT = 128 << 20
"""So much for the rules of all of them: 6 KiB each, which is a hundred lines; but those of one may take 10 MiB."""

_LARGE_BYTES = 16 * 1024
"""A robots.txt of that size takes a few milliseconds to read, and the largest a hundred."""

MAX_REDIRECTS = 5
"""As many as RFC 9309 §2.3.1.2 asks for at least."""


class _Known(Struct):
    """What an origin's robots.txt says, until then; or why it could not be had, and when it may be asked for again."""

    robots: Robots | None
    failure: Failure | None
    until: float

    @property
    def size_bytes(self) -> int:
        return self.robots.size_bytes if self.robots else 0


class _Origins(OrderedDict[str, _Known]):
    """What is known of each origin. The ones learned first give way, but never the one that was learned last."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = 0

    def __setitem__(self, origin: str, known: _Known) -> None:
        if origin in self:
            del self[origin]
        super().__setitem__(origin, known)
        self._bytes += known.size_bytes
        while len(self) > 1 and (len(self) > _ORIGINS_KEPT or self._bytes > _RULES_BYTES_KEPT):
            del self[next(iter(self))]

    def __delitem__(self, origin: str) -> None:
        self._bytes -= self[origin].size_bytes
        super().__delitem__(origin)


class _GivenUp(Struct):
    """What becomes of all requests to a host; until then, when one of them is to see whether it is back."""

    verdict: SetAside
    until: float


class Politeness:
    """Keeps the manners of one crawl. `robots` in the settings says whether robots.txt is asked for at all.

    `locate` tells the addresses of a host and port; those that `is_shared` says so of have limits of their own. `passage`: the
    proxy, if all goes through one.
    """

    def __init__(
        self,
        session: ClientSession,
        limits: HostLimits,
        retries: RetryPolicy,
        settings: Settings,
        frontier: Frontier,
        *,
        locate: Callable[[str, int], Awaitable[list[str]]],
        is_shared: Callable[[str], bool] = is_public,
        passage: Passage | None = None,
    ) -> None:
        self._session = session
        self._limits = limits
        self._retries = retries
        self._settings = settings
        self._frontier = frontier
        self._locate = passage.place_with(locate) if passage else locate
        self._passage = passage
        self._is_shared = is_shared
        self._places = bool(settings.per_ip or settings.ip_delay)
        self._throttle = Throttle(limits, frontier, settings)
        self.answered = self._throttle.answered
        """To be told of every answer, except those that `heed` is told of: host, the instant (monotonic clock) at which the
        request was begun, seconds until it was answered."""
        self._known = _Origins()
        self._foretold = OrderedDict[str, Skipped | None]()
        """By URL, what large rules say of it, should they have to give way before its turn."""
        self._parsing = asyncio.Lock()
        self._given_up: dict[HostKey, _GivenUp] = {}
        self._to_lay_aside: asyncio.Queue[HostKey] = asyncio.Queue()
        self._to_try_again: list[tuple[float, HostKey]] = []

    # ------------------------------------------------------------------ before a request

    def knows(self, lease: Lease) -> bool:
        """Whether `judge` can answer; if not, `learn` has to be awaited first."""
        if self._given_up and (given_up := self._given_up.get(lease.host)):
            if given_up.until > time.monotonic():
                return True
            del self._given_up[lease.host]
        if self._foretold and lease.url in self._foretold:
            return True
        is_placed = not self._places or self._limits.is_placed(lease.host)
        if is_placed and not self._settings.robots:
            return True
        known = self._known.get(origin_of(lease.url))
        return known is not None and (known.failure is not None or (is_placed and known.until > time.monotonic()))

    def judge(self, lease: Lease) -> Skipped | Postponed | Failed | SetAside | None:
        """None when the request may be made; else what becomes of it."""
        if self._foretold and lease.url in self._foretold:
            foretold = self._foretold.pop(lease.url)
            return self._given_up[lease.host].verdict if lease.host in self._given_up else foretold
        if self._given_up and (given_up := self._given_up.get(lease.host)):
            return given_up.verdict
        known = self._known.get(origin_of(lease.url)) if self._known else None
        if known is None:
            assert not self._settings.robots
            return None
        if known.failure:  # RFC 9309 §2.3.1.4: unreachable means that nothing is allowed
            return self._wait_for_rules(lease, known.failure, known.until)
        return _skipped(lease, known.robots) if known.robots else None

    def _wait_for_rules(self, lease: Lease, failure: Failure, until: float) -> Postponed | Failed:
        """One request has been held up by the failure; the others of its host wait until it is time to ask again."""
        del self._known[origin_of(lease.url)]
        if failure.is_passing:
            self._limits.hold_until(lease.host, until)
        wait = max(0.0, until - time.monotonic())
        is_patient = self._throttle.is_out_of_reach(lease.host)
        return self._retries.decide(lease, failure, retry_after=wait, is_patient=is_patient)

    def sitemaps_of(self, url: str) -> list[str]:
        """The sitemaps that the robots.txt of a URL's origin names, as they are written; none while it is not known."""
        known = self._known.get(origin_of(url))
        return known.robots.sitemaps if known and known.robots else []

    async def learn(self, lease: Lease) -> None:
        """Find out what `judge` has to know of the lease's host: where it is, and the rules in its robots.txt.

        May return without, when others at the host's address come first, or the proxy is out of reach. What cannot be had is known
        as such.
        """
        began_at = time.monotonic()
        answer: bytes | Failure | None
        try:
            answer = await self._find_out(lease)
        except Exception as error:  # a fault of ours: it may cost this host, not the crawl
            _log.exception("asking for the robots.txt of %s", lease.host)
            answer = Failure("internal", f"{type(error).__name__}: {error}", is_passing=False)
        if isinstance(answer, Failure) and not self._is_on_the_way(lease, began_at, answer):
            self._known[origin_of(lease.url)] = _Known(None, answer, self._try_again_at(lease, answer))

    def _is_on_the_way(self, lease: Lease, began_at: float, failure: Failure) -> bool:
        """Whether a failure tells nothing of the host; the proxy, if there is one, is told of every one."""
        if not self._passage:
            return False
        if failure.kind == PROXY:
            self._passage.missed(began_at, failure)
            return True
        self._passage.failed(lease.url, failure)
        return False

    async def _find_out(self, lease: Lease) -> Failure | None:
        if self._places and (failure := await self._place(lease)):  # each time that rules are asked for: hosts move
            return failure
        return await self._learn_rules(lease) if self._settings.robots else None

    def _try_again_at(self, lease: Lease, failure: Failure) -> float:
        """When a host that has just failed may be asked again."""
        now = time.monotonic()
        rest = 0.0
        if failure.kind != "internal":
            standing = self._throttle.unreachable(lease.host, now, failure)
            if isinstance(standing, SetAside):
                self._give_up(lease.host, standing)
            else:
                rest = standing
        return now + (rest or self._retries.wait_before(lease.attempts + 1))

    async def _place(self, lease: Lease) -> Failure | None:
        """Say at which address the host is, so that it shares the limits there: of several, the lowest."""
        url = URL(lease.url, encoded=True)
        # As it is asked for, not decoded: Python would look up strasse.example where xn--strae-oqa.example is meant.
        name, port = url.raw_host or "", url.port or 0
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                addresses = await self._locate(name, port)
        except (OSError, TimeoutError) as error:
            return failure_of_lookup(f"{name}:{port}", error)
        self._limits.place(lease.host, min(filter(self._is_shared, addresses), default=None))
        return None

    # ------------------------------------------------------------------ robots.txt

    async def _learn_rules(self, lease: Lease) -> Failure | None:
        """Take the rules from the crawl file while they are fresh, or ask the host, as politely as for any page."""
        origin = origin_of(lease.url)
        kept = await self._frontier.robots_of(origin)
        age = self._frontier.now() - kept[0] if kept else _FRESH_SECONDS
        if kept and 0.0 <= age < _FRESH_SECONDS:
            body = kept[1]
        elif self._limits.ready_at(lease.host) > time.monotonic():
            return None  # it was paused meanwhile, or others at its address come first; no worker waits with it
        else:
            try:
                answer = await self._ask(origin, lease.host)
            except (TooManyRedirects, RedirectClientError):  # RFC 9309 §2.3.1.2: as if there were none
                answer = b""
            except ClientError as error:
                answer = failure_of(error)
            if isinstance(answer, Failure):
                return answer
            body, age = answer, 0.0
            self._frontier.note_robots(origin, self._frontier.now(), body)
        robots = await self._parse(body)
        if len(body) >= _LARGE_BYTES:
            self._foretell(lease, robots)
        self._throttle.obey_crawl_delay(lease.host, robots.crawl_delay)
        self._known[origin] = _Known(robots, None, time.monotonic() + _FRESH_SECONDS - age)
        return None

    def _foretell(self, lease: Lease, robots: Robots) -> None:
        """Not every turn comes: a lease may be set aside before. So the verdicts that were found first give way, too."""
        self._foretold[lease.url] = _skipped(lease, robots)
        if len(self._foretold) > _ORIGINS_KEPT:
            self._foretold.popitem(last=False)

    async def _parse(self, body: bytes) -> Robots:
        """Read the rules; many in a thread, so that nothing else waits for it, and of one file at a time."""
        from crawler.web.robots import Robots  # while the first request is under way, there is nothing to parse

        if len(body) < _LARGE_BYTES:
            return Robots.parse(body, user_agent=self._settings.user_agent)
        async with self._parsing:
            return await asyncio.to_thread(Robots.parse, body, user_agent=self._settings.user_agent)

    async def _ask(self, origin: str, host: HostKey) -> bytes | Failure:
        began_at = time.monotonic()
        async with self._session.get(robots_url(origin), max_redirects=MAX_REDIRECTS) as response:
            latency = time.monotonic() - began_at
            if self._passage:
                failure = self.failure_on_the_way(f"{response.url}", response.status, response.headers)
                if failure:
                    return failure
            if response.status >= 500 or response.status == HTTPStatus.TOO_MANY_REQUESTS:
                self.heed(host_key(Origin.of(response.url)), began_at, response.status, response.headers)
                return Failure("robots", f"{robots_url(origin)} answered {response.status}", is_passing=True)
            body = await _read_start(response) if 200 <= response.status < 300 else b""
        self._throttle.answered(host, began_at, latency)
        return body

    # ------------------------------------------------------------------ after a request

    def heed(self, host: HostKey, began_at: float, status: int, headers: Mapping[str, str]) -> float | None:
        """Pause the host as a 429 or 503 asks, by Retry-After or else for a while; returns the seconds that it asks for, as far
        as they are granted; None if it does not say, or for any other status."""
        if status not in HOLDING_STATUSES:
            return None
        asked = retry_after_of(headers.get("Retry-After"))
        trouble = OVERLOAD
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            trouble = QUOTA if asked is None else STATED_QUOTA
        pause = self._throttle.refused(host, began_at, trouble, asked=asked)
        return None if asked is None else pause

    def failure_on_the_way(self, url: str, status: int, headers: Mapping[str, str]) -> Failure | None:
        """What went wrong between us and the host, where the answer to a request tells that; `failed` is to be told of it. None for an
        answer of the host."""
        if not self._passage:
            return None
        if failure := self._passage.failure_of(url, status, headers):
            return failure
        self._passage.passed(url)
        return None

    def failed(self, lease: Lease, began_at: float, failure: Failure) -> Postponed | Failed | SetAside:
        """What becomes of a request to which no answer came, or none of use. It may be the host's fault, or the proxy's: then that
        rests, and its requests are not given up for it."""
        if self._passage:
            if failure.kind == PROXY:
                wait = self._passage.missed(began_at, failure)
                passing = failure._replace(is_passing=True)  # for this request: the crawl goes on some time
                outcome = self._retries.decide(lease, passing, retry_after=wait, is_patient=True)
                return replace(outcome, is_charged=False) if isinstance(outcome, Postponed) else outcome
            self._passage.failed(lease.url, failure)
        if failure.kind not in UNREACHABLE:
            return self._retries.decide(lease, failure)
        standing = self._throttle.unreachable(lease.host, began_at, failure)
        if isinstance(standing, SetAside):
            return self._give_up(lease.host, standing)
        is_patient = self._throttle.is_out_of_reach(lease.host)
        return self._retries.decide(lease, failure, retry_after=standing or None, is_patient=is_patient)

    def _give_up(self, host: HostKey, verdict: SetAside) -> SetAside:
        if given_up := self._given_up.get(host):
            return given_up.verdict
        _log.warning("%s is set aside: %s", host, verdict.detail)
        self._given_up[host] = _GivenUp(verdict, time.monotonic() + self._throttle.try_again_in(host))
        self._to_lay_aside.put_nowait(host)
        return verdict

    async def lay_aside(self) -> None:
        """Set aside what is queued of hosts that were given up, and after a while release it, to try again; until cancelled."""
        while True:
            now = time.monotonic()
            due_at = self._to_try_again[0][0] if self._to_try_again else None
            if due_at is not None and due_at <= now:
                await self._try_again(heapq.heappop(self._to_try_again)[1])
                continue
            try:
                async with asyncio.timeout(None if due_at is None else due_at - now):
                    host = await self._to_lay_aside.get()
            except TimeoutError:
                continue
            if given_up := self._given_up.get(host):
                await self._frontier.set_aside(host, given_up.verdict.reason, given_up.verdict.detail)
                heapq.heappush(self._to_try_again, (given_up.until, host))

    async def _try_again(self, host: HostKey) -> None:
        given_up = self._given_up.get(host)
        if given_up is None or given_up.until <= time.monotonic():  # else it was given up anew meanwhile
            self._given_up.pop(host, None)
            await self._frontier.release(host=host, reason=Aside.HOST)

    # ------------------------------------------------------------------ orders, earlier runs, reports

    def treat(self, host: HostKey, state: HostState) -> None:
        """Keep to what is ordered of the host: its delay, its number of connections."""
        self._throttle.treat(host, state)

    def forgive(self, host: HostKey) -> None:
        """Ask a host again that rests, or was given up."""
        self._given_up.pop(host, None)
        self._throttle.forgive(host)

    def resume(self) -> None:
        """Take up what earlier runs learned of hosts, and what is ordered. Hosts that they gave up are tried again later."""
        for host in self._throttle.resume():
            heapq.heappush(self._to_try_again, (time.monotonic() + self._throttle.try_again_in(host), host))

    def save(self) -> None:
        """Note what was learned, for the next run."""
        self._throttle.save()

    def pace_of(self, host: HostKey) -> HostPace | None:
        """What pace the host was asked at; None when nothing is remembered of it."""
        return self._throttle.pace_of(host)

    def paces(self, limit: int) -> list[HostPace]:
        """The paces of the hosts that were asked most often in this run, the busiest first."""
        return self._throttle.paces(limit)


def _skipped(lease: Lease, robots: Robots) -> Skipped | None:
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
