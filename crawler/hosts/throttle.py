"""The pace and the rests of every host: learned, kept and reported here, and enforced by the connector's `HostLimits`.

What is learned is kept in the crawl file, so that the next run begins where this one stopped. Instants are of the monotonic clock;
those in the crawl file are seconds of the epoch.
"""

from __future__ import annotations

import heapq
import logging
import time
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING

from crawler.hosts.pace import OVERLOAD, QUOTA, STATED_QUOTA, HostPace, Pace
from crawler.outcome import Aside, SetAside
from crawler.retries import HOLDING_STATUSES, back_off, retry_after_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from client.limits import HostLimits
    from client.origin import HostKey
    from crawler.frontier.protocol import Frontier, HostState
    from crawler.hosts.pace import Trouble
    from crawler.retries import Failure
    from crawler.settings import Settings

_log = logging.getLogger(__name__)

_HOSTS_KEPT = 20_000
_CANDIDATES = 8
"""When there is no room, one of so many hosts known longest is forgotten: the one with least to remember."""

_REFUSALS_A_TURN = 16
"""So many refusals in a row double a pause: then it is not one page, but the host."""

_STRANGERS = 3
"""A host that has never answered is given only a third of the rests."""

_LONGEST_SECONDS = 24 * 3600.0
"""A host that was given up is tried again at least once a day."""

_ANSWERS_A_NOTE = 32
"""A pace that is recovering is noted in the crawl file every so many answers."""


class Throttle:
    """How each host is treated, within the user's settings and orders."""

    def __init__(self, limits: HostLimits, frontier: Frontier, settings: Settings) -> None:
        self._limits = limits
        self._frontier = frontier
        self._settings = settings
        self._paces: dict[HostKey, Pace] = {}

    # ------------------------------------------------------------------ what happens

    def answered(self, host: HostKey, began_at: float, latency: float) -> None:
        """Learn from an answer that came after `latency` seconds. Called for every page, so it must be cheap."""
        pace = self._paces.get(host) or self._enter(host)
        pace.begun(began_at)
        if pace.failures:
            self._frontier.note_host(host, failures=None, resting_until=None)
        if pace.answered(began_at, latency) and self._settings.adaptive:
            self._apply(host, pace)
            if pace.is_free or pace.requests % _ANSWERS_A_NOTE == 0:
                self._note(host, pace)

    def refused(self, host: HostKey, began_at: float, trouble: Trouble, *, asked: float | None) -> float:
        """Leave a host alone that asks for that, for `asked` seconds. If it does not say for how long (None), it is for a while that
        grows with the number of refusals in a row. Returns for how many seconds.
        """
        now = time.monotonic()
        pace = self._paces.get(host) or self._enter(host)
        pace.begun(began_at)
        pace.refused(began_at, now)
        most = self._settings.max_retry_wait
        if asked is None:
            pause = back_off(1 + pace.pauses_in_a_row // _REFUSALS_A_TURN, first=self._settings.retry_wait, most=most)
        else:
            pause = min(asked, most)
            if asked > most:
                pace.pauses_cut += 1
                _log.warning("%s asks for a pause of %.0f s; it is given max_retry_wait, %.0f s", host, asked, most)
        self._leave_alone(host, now, pause)
        self._complain(host, pace, began_at, now, trouble)
        return pause

    def obey_pause(self, host: HostKey, began_at: float, status: int, headers: Mapping[str, str]) -> float | None:
        """Pause the host as a 429 or 503 asks: as long as Retry-After says, or for a while. Returns the seconds it asks for, as far as
        they are granted; None if it does not say, and for any other status."""
        if status not in HOLDING_STATUSES:
            return None
        asked = retry_after_of(headers.get("Retry-After"))
        trouble = OVERLOAD
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            trouble = QUOTA if asked is None else STATED_QUOTA
        pause = self.refused(host, began_at, trouble, asked=asked)
        return None if asked is None else pause

    def unreachable(self, host: HostKey, began_at: float, failure: Failure) -> float | SetAside:
        """Learn from a host that did not answer; returns for how many seconds it rests now, or a verdict if it is given up.

        0.0: it does not rest, since the page alone may be to blame. There is no rest after a failure that is not temporary.
        """
        now = time.monotonic()
        pace = self._paces.get(host) or self._enter(host)
        pace.begun(began_at)
        if not pace.failed(began_at):
            return max(0.0, pace.rests_until - now)
        rests = pace.failures - self._settings.rest_after
        if rests >= 0 and (rests >= self._most_rests(pace) or not failure.is_temporary):
            pace.forget_rate()
            self._apply(host, pace)
            self._note(host, pace)
            return SetAside(Aside.HOST, f"out of reach; failures in a row: {pace.failures}; the last: {failure}")
        if failure.kind == "timeout":
            pace.waited(now - began_at)
        rest = 0.0
        if rests >= 0:
            rest = back_off(rests + 1, first=self._settings.rest_wait, most=self._settings.max_retry_wait)
            pace.rest(now, rest)
            self._leave_alone(host, now, rest)
            _log.info("%s rests for %.1f s: %s", host, rest, failure)
        self._complain(host, pace, began_at, now, OVERLOAD)
        return rest

    def _most_rests(self, pace: Pace) -> int:
        """After how many rests a host is given up: sooner if it has never answered."""
        return self._settings.max_rests if pace.has_answered else self._settings.max_rests // _STRANGERS

    def try_again_in(self, host: HostKey) -> float:
        """Seconds until a host that was given up is tried again: twice as long each time, with jitter."""
        pace = self._paces.get(host) or self._enter(host)
        turn = pace.failures - self._settings.rest_after - self._most_rests(pace)
        most = min(_LONGEST_SECONDS, self._settings.max_retry_wait * 2.0 ** min(max(turn, 0), 64))
        return most / 2 + back_off(1, first=most / 2, most=most / 2)

    def is_out_of_reach(self, host: HostKey) -> bool:
        """Whether its last failures are the host's fault, not the pages'."""
        pace = self._paces.get(host)
        return pace is not None and pace.failures >= self._settings.rest_after

    def obey_crawl_delay(self, host: HostKey, asked: float | None) -> None:
        """Keep to the Crawl-delay of a robots.txt, up to `max_crawl_delay`; None: it has none."""
        pace = self._paces.get(host)
        if asked != (pace.crawl_delay if pace else None):
            pace = pace or self._enter(host)
            pace.crawl_delay = asked
            if asked is not None and asked > self._settings.max_crawl_delay:
                most = self._settings.max_crawl_delay
                _log.warning(
                    "%s asks for a Crawl-delay of %.0f s; it is given max_crawl_delay, %.0f s", host, asked, most
                )
            self._apply(host, pace)

    # ------------------------------------------------------------------ the user's orders, and earlier runs

    def apply_orders(self, host: HostKey, state: HostState) -> None:
        """Apply the orders for a host: its delay and its number of connections; None: as the settings say."""
        pace = self._paces.get(host) or self._enter(host)
        pace.per_host = self._settings.per_host if state.per_host is None else state.per_host
        self._apply(host, pace)

    def forgive(self, host: HostKey) -> None:
        """Forget the failures of a host, and end its rest."""
        if pace := self._paces.get(host):
            pace.forgive()
        self._limits.unhold(host)

    def resume(self) -> list[HostKey]:
        """Take up what earlier runs learned, and the orders; returns the hosts that were out of reach."""
        out_of_reach = []
        for host, state in list(self._frontier.host_states().items()):
            if (state.failures or 0) >= self._settings.rest_after:
                out_of_reach.append(host)
            if state.pace or state.failures or state.per_host is not None or state.delay is not None:
                self._apply(host, self._enter(host))
            remaining = (state.resting_until or 0.0) - self._frontier.now()
            if remaining > 0.0:
                self._limits.hold_until(host, time.monotonic() + min(remaining, self._settings.max_retry_wait))
        return out_of_reach

    def save(self) -> None:
        """Note what was learned about the hosts asked in this run."""
        for host, pace in self._paces.items():
            if pace.requests:
                self._note(host, pace)

    # ------------------------------------------------------------------ reports

    def pace_of(self, host: HostKey) -> HostPace | None:
        """The pace at which a host was asked; None when nothing is remembered about it."""
        pace = self._paces.get(host)
        return self._report_of(host, pace) if pace else None

    def paces(self, limit: int) -> list[HostPace]:
        """The paces of the hosts asked most often, the busiest first."""
        busiest = heapq.nlargest(limit, self._paces.items(), key=lambda entry: entry[1].requests)
        return [self._report_of(host, pace) for host, pace in busiest if pace.requests]

    def _report_of(self, host: HostKey, pace: Pace) -> HostPace:
        asked = pace.crawl_delay
        return HostPace(
            host=host,
            requests=pace.requests,
            mean_gap=pace.mean_gap,
            spacing=self._spacing(host, pace),
            connections=self._connections(pace),
            latency=pace.latency or None,
            pauses=pace.pauses,
            pauses_cut=pace.pauses_cut,
            rests=pace.rests,
            crawl_delay=asked,
            crawl_delay_cut=asked is not None and asked > self._settings.max_crawl_delay,
        )

    # ------------------------------------------------------------------ how it is done

    def _enter(self, host: HostKey) -> Pace:
        if len(self._paces) >= _HOSTS_KEPT:
            self._make_room()
        pace = self._paces[host] = Pace(per_host=self._settings.per_host, max_delay=self._settings.max_delay)
        if state := self._frontier.host_states().get(host):
            pace.resume(spacing=state.pace or 0.0, latency=state.latency or 0.0, failures=state.failures or 0)
            if state.per_host is not None:
                pace.per_host = state.per_host
        return pace

    def _make_room(self) -> None:
        oldest = list(islice(self._paces.items(), _CANDIDATES))
        forgotten, pace = min(oldest, key=lambda entry: (entry[1].is_remarkable, entry[1].requests))
        for host, kept in oldest:
            del self._paces[host]
            if host != forgotten:
                self._paces[host] = kept  # as the youngest
        if pace.is_remarkable:
            self._note(forgotten, pace)

    def _complain(self, host: HostKey, pace: Pace, began_at: float, now: float, trouble: Trouble) -> None:
        if self._settings.adaptive and pace.complained(began_at, now, trouble):
            self._apply(host, pace)
        self._note(host, pace)

    def _leave_alone(self, host: HostKey, now: float, seconds: float) -> None:
        self._limits.hold_until(host, now + seconds)
        self._frontier.note_host(host, resting_until=self._frontier.now() + seconds)

    def _apply(self, host: HostKey, pace: Pace) -> None:
        self._limits.configure(host, limit_per_host=self._connections(pace), spacing=self._spacing(host, pace))

    def _connections(self, pace: Pace) -> int:
        return pace.connections if self._settings.adaptive else pace.per_host

    def _spacing(self, host: HostKey, pace: Pace) -> float:
        """The longest of what the user, robots.txt and the pace ask for."""
        state = self._frontier.host_states().get(host)
        delay = self._settings.delay if state is None or state.delay is None else state.delay
        asked = min(pace.crawl_delay or 0.0, self._settings.max_crawl_delay)
        return max(delay, asked, pace.spacing if self._settings.adaptive else 0.0)

    def _note(self, host: HostKey, pace: Pace) -> None:
        self._frontier.note_host(
            host, pace=pace.spacing or None, latency=pace.latency or None, failures=pace.failures or None
        )
