"""The deadlines of an exchange, for connections of HTTP/1.1 and streams of HTTP/2.

There are two deadlines and one timer. The timer is not rescheduled when a deadline changes: it wakes, compares, and sleeps until
the earlier one. So a connection that serves many requests with distant deadlines rarely sets it.
"""

from __future__ import annotations

from abc import abstractmethod
from math import inf
from typing import TYPE_CHECKING

from client.errors import ServerTimeoutError, SocketTimeoutError

if TYPE_CHECKING:
    import asyncio

    from client.exchange import Exchange


class Deadlines:
    """Gives up an exchange that takes too long. A base class, since a separate object would cost every request some lookups."""

    __slots__ = ("_deadline_at", "_exchange", "_loop", "_silence_at", "_timer", "_timer_at")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._exchange: Exchange | None = None
        self._deadline_at = inf  # of the whole call
        self._silence_at = inf  # until when the peer may be silent; never while it is not to blame for that
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    @abstractmethod
    def _give_up(self, exchange: Exchange, error: ServerTimeoutError) -> None:
        """End an exchange whose deadline has passed."""

    def _set_timer(self) -> None:
        """Set the timer for the earlier deadline, unless it wakes before that anyway."""
        wake_at = min(self._deadline_at, self._silence_at)
        if wake_at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = wake_at
            self._timer = self._loop.call_at(wake_at, self._on_timer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, inf
        exchange = self._exchange
        if exchange is None:
            return
        now = self._loop.time()
        if self._deadline_at <= now:
            self._give_up(exchange, ServerTimeoutError("the total time allowed has passed"))
        elif self._silence_at <= now:
            self._give_up(exchange, SocketTimeoutError(f"nothing was received for {exchange.sock_read:g} s"))
        else:
            self._set_timer()
