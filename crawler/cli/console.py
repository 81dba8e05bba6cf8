"""What the command says to its user, on standard error: standard output is for results."""

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


def say(text: str) -> None:
    """Print a line for the user; when nobody listens, that is no reason to stop."""
    with suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)


def complain(text: object) -> None:
    """Say what is wrong."""
    say(f"error: {text}")


def flush_results() -> bool:
    """Deliver what is left for standard output; False when its reader has gone. Python would try again at exit, and fail
    with a message of its own, unless what is left has somewhere to go."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
