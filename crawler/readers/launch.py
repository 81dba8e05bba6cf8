"""Starting reader processes: soon, for an interpreter takes a while to be of use, and so that none outlives its crawl."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from crawler.settings import Settings

OWNED_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Sent to a whole group of processes by a terminal or a service manager. What they mean, the crawl's process decides alone."""


def number_of_readers(settings: Settings) -> int:
    """How many processes there are beside the crawl's own: none if that does it all."""
    return settings.processes if settings.processes > 1 else 0


class Launched(NamedTuple):
    """A new process, and our end of the socket to it. When that is closed, it ends by itself."""

    process: subprocess.Popen[bytes]
    socket: socket.socket

    def kill(self) -> None:
        """End it, if it has not ended."""
        self.socket.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Launches:
    """So many processes begun ahead of need, and further ones whenever they are needed. What nobody has taken is gone at the end
    of the `with` block."""

    def __init__(self, ahead: int) -> None:
        self._ahead = [_launch() for _ in range(ahead)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._ahead:
            self._ahead.pop().kill()

    def take(self) -> Launched:
        """One to own."""
        return self._ahead.pop() if self._ahead else _launch()


def _launch() -> Launched:
    """A new interpreter. It does not look for modules in the current folder, where some may be called like ours, until it is
    told to."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-P", "-m", "crawler.readers", str(theirs.fileno())]
    with theirs, _held_back(OWNED_SIGNALS):  # the process begins with what is held back here, and so never dies of it
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()])  # noqa: S603 - our own code in our own interpreter
    return Launched(process, ours)


@contextmanager
def _held_back(signals: tuple[signal.Signals, ...]) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
