"""Messages to the user, on standard error: standard output is for results."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

FINISHED, FAILED, MISUSED, STOPPED = 0, 1, 2, 3
"""Exit codes: all done; the crawl itself failed; bad usage or spider; stopped early and resumable."""


class StandardError:
    """Standard error as it is at each moment: while progress is shown, what is written there goes above the view."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def open_closed_streams() -> None:
    """Make streams that the user has closed (`2>&-`) lead nowhere. Otherwise they are None to whoever writes there, and the next
    file that is opened gets their number, so that libraries would write their messages into it."""
    for name in (
        "stdin",
        "stdout",
        "stderr",
    ):  # in the order of their numbers: the system gives the lowest that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: SIM115, PTH123 - until the process ends


def say(text: str) -> None:
    """Print a line for the user. If that fails, because nobody reads it or the disk is full, it is no reason to stop."""
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def complain(text: object) -> None:
    """Say what is wrong."""
    say(f"error: {text}")


def flush_results() -> OSError | None:
    """Write out what is left for standard output; returns the error if that fails. Python would try again at exit, and fail with a
    message of its own, so what is left then goes nowhere."""
    if sys.stdout.closed:  # by a spider
        return None
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None
