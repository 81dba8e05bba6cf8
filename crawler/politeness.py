"""What a host is owed: its robots.txt is asked for first and obeyed, its pace is kept, its rest is not disturbed.

The limits themselves (connections, spacing, pauses) are the connector's `HostLimits`; `Throttle` keeps what is learned about hosts, and
`RobotsCache` what their robots.txt files say. This module decides which requests may be made, and what becomes of the others.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from typing import TYPE_CHECKING

from msgspec import Struct
from yarl import URL

from client.resolver import is_public
from crawler.hosts.rules import RobotsCache, skipped
from crawler.hosts.throttle import Throttle
from crawler.outcome import Aside, Failed, Postponed, SetAside, Skipped
from crawler.retries import (
    PROXY,
    UNREACHABLE,
    Failure,
    failure_of_lookup,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from client import ClientSession
    from client.limits import HostLimits
    from client.origin import HostKey
    from crawler.frontier.protocol import Frontier, HostState, Lease
    from crawler.hosts.pace import HostPace
    from crawler.hosts.proxy_gate import ProxyGate
    from crawler.retries import RetryPolicy
    from crawler.settings import Settings

_log = logging.getLogger(__name__)


class _GivenUp(Struct):
    """What becomes of all requests to a host; until then, when one of them is to see whether it is back."""

    verdict: SetAside
    until: float


class Politeness:
    """Keeps the manners of one crawl. `robots` in the settings says whether robots.txt is fetched at all.

    `locate` finds the addresses of a host and port. Hosts at an address for which `is_shared` is true also share limits of that
    address. `proxy_gate`: the proxy, if requests go through one.
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
        proxy_gate: ProxyGate | None = None,
    ) -> None:
        self._limits = limits
        self._retries = retries
        self._settings = settings
        self._frontier = frontier
        self._locate = proxy_gate.place_with(locate) if proxy_gate else locate
        self._proxy_gate = proxy_gate
        self._is_shared = is_shared
        self._places = bool(settings.per_ip or settings.ip_delay)
        self._throttle = Throttle(limits, frontier, settings)
        self.answered = self._throttle.answered
        """Call it with every answer, except those for `obey_pause`: the host, the instant (monotonic clock) at which the request was
        begun, and the seconds until it was answered."""
        self.obey_pause = self._throttle.obey_pause
        """Call it with an answer whose status asks for a pause."""
        agent = settings.user_agent
        self._rules = RobotsCache(session, limits, self._throttle, frontier, user_agent=agent, proxy_gate=proxy_gate)
        self.sitemaps_of = self._rules.sitemaps_of
        self._given_up: dict[HostKey, _GivenUp] = {}
        self._to_set_aside: asyncio.Queue[HostKey] = asyncio.Queue()
        self._to_try_again: list[tuple[float, HostKey]] = []

    # ------------------------------------------------------------------ before a request

    def knows(self, lease: Lease) -> bool:
        """Whether `judge` can answer; if not, `learn` has to be awaited first."""
        if self._given_up and (given_up := self._given_up.get(lease.host)):
            if given_up.until > time.monotonic():
                return True
            del self._given_up[lease.host]
        if self._rules.foretold and lease.url in self._rules.foretold:
            return True
        is_placed = not self._places or self._limits.is_placed(lease.host)
        if is_placed and not self._settings.robots:
            return True
        known = self._rules.of(lease.url)
        return known is not None and (known.failure is not None or (is_placed and known.until > time.monotonic()))

    def judge(self, lease: Lease) -> Skipped | Postponed | Failed | SetAside | None:
        """None when the request may be made; otherwise what becomes of it."""
        if self._rules.foretold and lease.url in self._rules.foretold:
            foretold = self._rules.foretold.pop(lease.url)
            return self._given_up[lease.host].verdict if lease.host in self._given_up else foretold
        if self._given_up and (given_up := self._given_up.get(lease.host)):
            return given_up.verdict
        known = self._rules.of(lease.url)
        if known is None:
            assert not self._settings.robots
            return None
        if known.failure:  # RFC 9309 §2.3.1.4: unreachable means that nothing is allowed
            return self._wait_for_rules(lease, known.failure, known.until)
        return skipped(lease, known.robots) if known.robots else None

    def _wait_for_rules(self, lease: Lease, failure: Failure, until: float) -> Postponed | Failed:
        """One request has been held up by the failure; the others of its host wait until it is time to ask again."""
        self._rules.forget(lease.url)
        if failure.is_temporary:
            self._limits.hold_until(lease.host, until)
        wait = max(0.0, until - time.monotonic())
        if failure.is_shortage:
            return self._retries.put_off(lease, failure, wait)
        is_patient = self._throttle.is_out_of_reach(lease.host)
        return self._retries.decide(lease, failure, retry_after=wait, is_patient=is_patient)

    async def learn(self, lease: Lease) -> None:
        """Find out what `judge` has to know about the lease's host: its address, and the rules in its robots.txt.

        May return without them when others at the host's address come first, or the proxy is out of reach: then ask again. A
        failure is noted, so that `judge` knows of it.
        """
        began_at = time.monotonic()
        try:
            failure = await self._find_out(lease)
        except Exception as error:  # a fault of ours: it may cost this host, not the crawl
            _log.exception("asking for the robots.txt of %s", lease.host)
            failure = Failure("internal", f"{type(error).__name__}: {error}", is_temporary=False)
        if failure and not self._is_on_the_way(lease, began_at, failure):
            self._rules.note_failure(lease.url, failure, self._try_again_at(lease, failure))

    def _is_on_the_way(self, lease: Lease, began_at: float, failure: Failure) -> bool:
        """Whether a failure says nothing about the host. The proxy's gate, if there is one, is told of every failure."""
        if not self._proxy_gate:
            return False
        if failure.kind == PROXY:
            self._proxy_gate.missed(began_at, failure)
            return True
        self._proxy_gate.failed(lease.url, failure)
        return False

    async def _find_out(self, lease: Lease) -> Failure | None:
        if self._places and (failure := await self._place(lease)):  # each time that rules are asked for: hosts move
            return failure
        return await self._rules.learn(lease) if self._settings.robots else None

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
        """Find the host's address, of several the lowest, so that it shares the limits there; the failure if that cannot be done."""
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

    # ------------------------------------------------------------------ after a request

    def failure_on_the_way(self, url: str, status: int, headers: Mapping[str, str]) -> Failure | None:
        """What went wrong between us and the host, if an answer says that much: it is then for `failed`. None for an answer of the
        host itself."""
        return self._proxy_gate.failure_on_the_way(url, status, headers) if self._proxy_gate else None

    def failed(self, lease: Lease, began_at: float, failure: Failure) -> Postponed | Failed | SetAside:
        """What becomes of a request without an answer, or without one of use. If the fault may be the host's, it rests; if it is the
        proxy's, the proxy does. No request is given up for a fault of the proxy, or of this machine."""
        if self._proxy_gate:
            if failure.kind == PROXY:
                return self._retries.put_off(lease, failure, self._proxy_gate.missed(began_at, failure))
            self._proxy_gate.failed(lease.url, failure)
        if failure.is_shortage:
            return self._retries.put_off(lease, failure)
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
        self._to_set_aside.put_nowait(host)
        return verdict

    async def keep_setting_aside(self) -> None:
        """Set aside what is queued for hosts that were given up, and release it after a while, to try again; until cancelled."""
        while True:
            now = time.monotonic()
            due_at = self._to_try_again[0][0] if self._to_try_again else None
            if due_at is not None and due_at <= now:
                await self._try_again(heapq.heappop(self._to_try_again)[1])
                continue
            try:
                async with asyncio.timeout(None if due_at is None else due_at - now):
                    host = await self._to_set_aside.get()
            except TimeoutError:
                continue
            if given_up := self._given_up.get(host):
                await self._frontier.set_aside(host, given_up.verdict.reason, given_up.verdict.detail)
                heapq.heappush(self._to_try_again, (given_up.until, host))

    async def _try_again(self, host: HostKey) -> None:
        given_up = self._given_up.get(host)
        if given_up is None or given_up.until <= time.monotonic():  # otherwise it was given up again meanwhile
            self._given_up.pop(host, None)
            await self._frontier.release(host=host, reason=Aside.HOST)

    # ------------------------------------------------------------------ orders, earlier runs, reports

    def apply_orders(self, host: HostKey, state: HostState) -> None:
        """Apply the orders for a host: its delay, its number of connections."""
        self._throttle.apply_orders(host, state)

    def forgive(self, host: HostKey) -> None:
        """Ask a host again that is resting or was given up."""
        self._given_up.pop(host, None)
        self._throttle.forgive(host)

    def resume(self) -> None:
        """Take up what earlier runs learned about hosts, and the orders. Hosts that those runs gave up are tried again later."""
        for host in self._throttle.resume():
            heapq.heappush(self._to_try_again, (time.monotonic() + self._throttle.try_again_in(host), host))

    def save(self) -> None:
        """Note what was learned, for the next run."""
        self._throttle.save()

    def pace_of(self, host: HostKey) -> HostPace | None:
        """The pace at which the host was asked; None when nothing is remembered about it."""
        return self._throttle.pace_of(host)

    def paces(self, limit: int) -> list[HostPace]:
        """The paces of the hosts that were asked most often in this run, the busiest first."""
        return self._throttle.paces(limit)
