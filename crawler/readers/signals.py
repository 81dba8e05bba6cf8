"""Signals that are sent to a whole group of processes, by a terminal or a service manager: what they mean, the crawl's process
decides alone."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_OWNED = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_back() -> Iterator[None]:
    """A process that is begun meanwhile begins with them held back, and so never dies of them; `heed_none` lets them in."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OWNED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def heed_none() -> None:
    """They are nothing to this process from now on."""
    for number in _OWNED:
        signal.signal(number, _heedless)  # not SIG_IGN, which programs that a spider starts would inherit
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OWNED)


def _heedless(_number: int, _frame: FrameType | None) -> None:
    """Nothing comes of it."""
