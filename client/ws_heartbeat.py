"""How a peer that has died without a word is noticed: a ping when it is silent, and an end if it stays so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Heartbeat:
    """Calls `ping` when nothing has been heard for `interval` seconds, and `give_up` when nothing is in half of that again.

    Whatever is heard counts, not pongs alone. One timer: it is not moved when something is heard, but wakes, compares, and
    sleeps again.
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
        """How long an answer to a ping may take, in seconds."""
        return self._interval / 2

    def heard(self) -> None:
        """Something has arrived."""
        self._heard_at = self._loop.time()
        self._pinged_at = None

    def hold(self) -> None:
        """We do not listen; silence means nothing until something is heard again."""
        self._is_held = True

    def resume(self) -> None:
        """We listen again."""
        self._is_held = False
        self.heard()

    def stop(self) -> None:
        """Do nothing any more."""
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
