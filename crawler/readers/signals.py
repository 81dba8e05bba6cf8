"""Signals that a terminal or a service manager sends to a whole group of processes: the crawl's process alone decides what they mean."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_OWNED = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block the signals: a process that is started within the block inherits that, and so does not die of them before it has called
    `ignore_signals`, which unblocks them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OWNED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_signals() -> None:
    """Ignore the signals in this process from now on."""
    for number in _OWNED:
        signal.signal(number, _do_nothing)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OWNED)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """A handler that is not SIG_IGN, which programs that a spider starts would inherit."""
