"""One reader process, as the crawl's process sees it: how it is started, how it ends, and that it does end."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from crawler.readers.channel import Channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

OWNED_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Sent to a whole group of processes by a terminal or a service manager. What they mean, the crawl's process decides alone."""

_LAST_WORDS_SECONDS = 10.0
"""How long a process that has closed its channel may take to end."""


class ReaderProcess:
    """A running process and the channel to it. Once `channel.ended` is set, it has ended or is about to."""

    def __init__(self, process: subprocess.Popen[bytes], channel: Channel) -> None:
        self._process = process
        self.channel = channel

    @classmethod
    @asynccontextmanager
    async def start(cls, hear: Callable[[memoryview], None]) -> AsyncIterator[ReaderProcess]:
        """Start one, which is gone at the end of the `with` block, killed if need be."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = _spawn(theirs)
        try:
            reader = cls(process, await Channel.over(ours, hear))
            try:
                yield reader
            finally:
                reader.channel.close()
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    async def end(self) -> str:
        """Wait until it has gone, and say how in words, as in "it was killed by SIGSEGV"."""
        await self.channel.ended.wait()
        too_late = asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, self._process.kill)
        code = await asyncio.to_thread(self._process.wait)
        too_late.cancel()
        return f"it left with exit code {code}" if code >= 0 else f"it was killed by {_name_of(-code)}"


def _spawn(channel: socket.socket) -> subprocess.Popen[bytes]:
    """A new interpreter that has `channel`. It does not look for modules in the current folder, where some may be called like
    ours, until we tell it to."""
    command = [sys.executable, "-P", "-m", "crawler.readers", str(channel.fileno())]
    with _held_back(OWNED_SIGNALS):  # the new process begins with what is held back here, and so never dies of them
        return subprocess.Popen(command, pass_fds=[channel.fileno()])  # noqa: S603 - our own code, run by our own interpreter


@contextmanager
def _held_back(signals: tuple[signal.Signals, ...]) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
