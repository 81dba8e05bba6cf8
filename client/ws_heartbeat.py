"""Detecting a dead peer: it is sent a ping when it has been silent, and given up if it stays silent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Heartbeat:
    """Calls `ping` when nothing has arrived for `interval` seconds, and `give_up` if nothing arrives in half of that again.

    Any data counts, not only pongs. There is one timer: it is not rescheduled when data arrives, but wakes, compares the
    times, and sleeps again.
    """

    __slots__ = ("_give_up", "_heard_at", "_interval", "_is_held", "_loop", "_ping", "_pinged_at", "_timer")

    def __init__(self, interval: float, *, ping: Callable[[], None], give_up: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._interval = interval
        self._ping = ping
        self._give_up = give_up
        self._heard_at = self._loop.time()
        self._pinged_at: float | None = None
        self._is_held = False
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(interval, self._on_timer)

    @property
    def patience(self) -> float:
        """How long the server may be silent after a ping, in seconds."""
        return self._interval / 2

    def heard(self) -> None:
        """Data has arrived."""
        self._heard_at = self._loop.time()
        self._pinged_at = None

    def hold(self) -> None:
        """Reading is paused: silence does not count until `resume`."""
        self._is_held = True

    def resume(self) -> None:
        """Reading goes on."""
        self._is_held = False
        self.heard()

    def stop(self) -> None:
        """Stop the timer for good."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        now = self._loop.time()
        if self._is_held:
            self._heard_at, self._pinged_at = now, None
        if self._pinged_at is None and self._heard_at + self._interval <= now:
            self._pinged_at = now
            self._ping()
        elif self._pinged_at is not None and self._pinged_at + self.patience <= now:
            self._timer = None
            self._give_up()
            return
        due_at = self._heard_at + self._interval if self._pinged_at is None else self._pinged_at + self.patience
        self._timer = self._loop.call_at(due_at, self._on_timer)
