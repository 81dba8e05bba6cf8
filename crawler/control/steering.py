"""Carrying out orders: by the process that crawls, within a second, or by whoever holds the file of a crawl at rest.

Orders for a host are kept in the crawl file, so they outlast the run. A running crawl also applies them at once.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, assert_never

from client.origin import HostKey
from crawler.errors import CrawlError, StateError, StorageError, UsageError
from crawler.frontier.protocol import HostState
from crawler.orders import Change, Hold, Release, RetryFailed
from crawler.outcome import Aside
from crawler.reports.wording import counted

if TYPE_CHECKING:
    from crawler.frontier.sqlite import SqliteFrontier
    from crawler.orders import Order
    from crawler.politeness import Politeness
    from crawler.scheduler import Scheduler

_log = logging.getLogger(__name__)

REFUSED = "refused: "
"""How the answer to an order that could not be carried out begins."""

_LOOK_SECONDS = 0.25
"""How often the file is looked at for orders: one PRAGMA, about 0.1 ms."""

_HOSTS_COMPARED = 2_000
"""How many names are compared to find the one that was probably meant: some 20 ms, during which a running crawl stands still."""


class RunningCrawl(NamedTuple):
    """The parts of a running crawl on which orders act at once."""

    scheduler: Scheduler
    politeness: Politeness


class Steering:
    """Carries out the orders to one crawl. `running`: its parts, if it is running; None if it is at rest."""

    def __init__(self, frontier: SqliteFrontier, running: RunningCrawl | None = None) -> None:
        self._frontier = frontier
        self._running = running

    def resume(self) -> None:
        """Hold the hosts that were ordered to be held in earlier runs."""
        assert self._running, "a crawl at rest holds everything"
        for host, state in self._frontier.host_states().items():
            if state.held:
                self._running.scheduler.hold(host)

    async def keep_listening(self) -> None:
        """Carry orders out soon after they are given; until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if await self._frontier.inbox.has_news():
                await self.obey()

    async def obey(self) -> None:
        """Carry out all waiting orders, in the order in which they were given. One that cannot be carried out is answered, too.

        If the process is killed between an order's effect and its answer, it is carried out once more, which changes nothing.
        """
        for number, order in await self._frontier.inbox.waiting():
            await self._frontier.inbox.close(number, await self._answer(order))

    async def _answer(self, order: Order | None) -> str:
        """What came of an order. One that raises is also closed: left in the file, it would end this run, and each further one."""
        try:
            return await self._carry_out(order)
        except (StorageError, StateError):  # nothing can be written to such a file, and the order is not to blame
            raise
        except CrawlError as error:
            return f"{REFUSED}{error}"
        except Exception as error:
            _log.exception("the order %r", order)
            return f"{REFUSED}{type(error).__name__}: {error}"

    async def _carry_out(self, order: Order | None) -> str:
        match order:
            case Hold():
                return await self._hold(self._known(order.host))
            case Release():
                return await self._release(order)
            case Change():
                return await self._change(order, self._known(order.host))
            case RetryFailed():
                return await self._retry(order)
            case None:
                raise UsageError(
                    "the program that holds the crawl file does not know this order, or not within these bounds"
                )
            case _:
                assert_never(order)

    async def _hold(self, host: HostKey) -> str:
        if self._state_of(host).held:
            return f"{host} is held already"
        self._frontier.note_host(host, held=time.time())
        await self._frontier.flush()
        if self._running:
            self._running.scheduler.hold(host)
        return f"{host} is held: nothing more of it is fetched until it is released"

    async def _release(self, order: Release) -> str:
        host = self._known(order.host) if order.host else None
        effects = [await self._let_go(host)] if host else []
        if order.aside or order.url:
            reason = None if order.aside in (None, "any") else Aside(order.aside)
            effects.append(_queued_again(await self._frontier.release(host=host, reason=reason, url=order.url)))
        return "; ".join(effects)

    async def _let_go(self, host: HostKey) -> str:
        state = self._state_of(host)
        was_held, was_out_of_reach = state.held, state.failures
        self._frontier.note_host(host, held=None)
        if was_out_of_reach:  # a pause that the host itself asked for, with a 429 or 503, goes on
            self._frontier.note_host(host, failures=None, resting_until=None)
        await self._frontier.flush()
        if self._running:
            self._running.scheduler.release(host)
            if was_out_of_reach:
                self._running.politeness.forgive(host)
        tried_again = await self._frontier.release(host=host, reason=Aside.HOST)
        if tried_again:
            return f"{host} is released; {_queued_again(tried_again)}"
        return f"{host} is released" if was_held or was_out_of_reach else f"{host} was neither held nor left alone"

    async def _change(self, order: Change, host: HostKey) -> str:
        orders = {"delay": order.delay, "per_host": order.per_host, "budget": order.budget}
        given = {name: value if value >= 0 else None for name, value in orders.items() if value is not None}
        effects = [_in_words(name, value) for name, value in given.items() if value is not None]
        if taken_back := [f"no {name.replace('_', '-')}" for name, value in given.items() if value is None]:
            effects.append(f"{', '.join(taken_back)} of its own any more")
        if given:
            self._frontier.note_host(host, **given)
            await self._frontier.flush()
            if self._running:
                self._running.politeness.apply_orders(host, self._state_of(host))
        if given.get("budget") is not None:
            if beyond := await self._frontier.set_aside(host, Aside.BUDGET):
                effects.append(f"{counted(beyond, 'request')} beyond it set aside")
            if let_in := await self._frontier.fill_budgets(host=host):
                effects.append(_queued_again(let_in))
        if order.priority is not None:
            like = _url_like(host, order.path) if order.path else None
            moved = await self._frontier.reprioritise(host=host, url_like=like, priority=order.priority)
            which = counted(moved, "request") + (f" like {order.path}" if order.path else "")
            effects.append(f"priority {order.priority} for {which} that {_waits(moved)}")
        return f"{host}: {', '.join(effects)}"

    async def _retry(self, order: RetryFailed) -> str:
        host = self._known(order.host) if order.host else None
        moved = await self._frontier.retry(
            statuses=order.statuses, kinds=order.kinds, host=host, redirected_to=order.redirected_to
        )
        if not moved:
            if order.redirected_to:
                return f"nothing was redirected to {order.redirected_to}… and failed or was skipped"
            is_any = not (order.statuses or order.kinds or order.host)
            return "nothing has failed" if is_any else "nothing of that kind has failed"
        then = "" if self._running else "; crawl run resumes with them"
        what = "redirected request" if order.redirected_to else "failed request"
        return f"{counted(moved, what)} queued again{then}"

    def _known(self, host: str) -> HostKey:
        """The key of a host on which something was found; UsageError for any other."""
        key = HostKey(host)
        if key not in self._frontier.known_hosts:
            from difflib import get_close_matches

            close = get_close_matches(host, islice(self._frontier.known_hosts, _HOSTS_COMPARED), n=1)
            raise UsageError(f"nothing was found on a host {host}" + (f"; did you mean {close[0]}?" if close else ""))
        return key

    def _state_of(self, host: HostKey) -> HostState:
        return self._frontier.host_states().get(host) or HostState()


def _in_words(name: str, value: float) -> str:
    match name:
        case "delay":
            return f"at least {value:g} s between two requests"
        case "per_host":
            return f"at most {counted(int(value), 'connection')} at once"
        case _:
            return f"a budget of {counted(int(value), 'request') if value else 'any number of requests'}"


def _url_like(host: HostKey, path: str) -> str:
    """The SQL LIKE pattern, with `\\` as escape, of the URLs on a host with such a path and query."""
    return re.sub(r"[\\%_]", r"\\\g<0>", f"*://{host}{path}").replace("*", "%")


def _queued_again(moved: int) -> str:
    return f"{counted(moved, 'request')} queued again that stood aside"


def _waits(number: int) -> str:
    return "waits" if number == 1 else "wait"
