"""Starting reader processes: early, so that they are ready when the crawl is, and so that none outlives it."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple, Self

from crawler.readers.signals import signals_blocked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from crawler.readers.fork import Fork
    from crawler.settings import Settings


def number_of_readers(settings: Settings) -> int:
    """How many processes there are beside the crawl's own: 0 if that one does everything."""
    return settings.processes if settings.processes > 1 else 0


class Launched(NamedTuple):
    """A new process, and our end of the socket to it. When that is closed, the process ends by itself."""

    process: subprocess.Popen[bytes] | Fork
    socket: socket.socket

    def kill(self) -> None:
        """End it, if it has not ended."""
        self.socket.close()
        self.process.kill()
        self.process.wait()


class Launches:
    """Starts processes ahead of need, and further ones when they are needed. Those that nobody has taken are killed at the end of the
    `with` block."""

    def __init__(self) -> None:
        self._ahead: list[Launched] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.resize(0)

    def fork(self, number: int) -> None:
        """Start `number` forks of this process, which have everything loaded that this one has; none if that is not safe."""
        if not number:
            return
        from crawler.loop import loop_factory
        from crawler.readers.fork import can_fork

        if can_fork():
            loop_factory()  # what it loads here need not be loaded there
            for _ in range(number):
                self._ahead.append(_fork(self._ahead))

    def resize(self, number: int) -> None:
        """Start or kill processes, so that exactly `number` are ready ahead of need."""
        while len(self._ahead) > number:
            self._ahead.pop().kill()
        while len(self._ahead) < number:
            self._ahead.append(_launch())

    def take(self) -> Launched:
        """A process, which the caller owns from now on."""
        return self._ahead.pop() if self._ahead else _launch()


def _fork(elders: Sequence[Launched]) -> Launched:
    """A fork of this process."""
    from crawler.readers.fork import Fork
    from crawler.readers.main import serve

    ours, theirs = socket.socketpair()

    def be_a_reader() -> None:
        for end in (ours, *(elder.socket for elder in elders)):
            end.close()  # if this process kept them, the others would not see that the crawl's process has gone
        serve(theirs.detach())

    with theirs, signals_blocked():
        return Launched(Fork(be_a_reader), ours)


def _launch() -> Launched:
    """A new interpreter. It does not search for modules in the current folder, where some may have the names of ours, until it is told
    to."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-P", "-m", "crawler.readers", str(theirs.fileno())]
    with theirs, signals_blocked():
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()])  # noqa: S603 - our own code in our own interpreter
    return Launched(process, ours)
