"""One reader process, seen from the crawl's process: the channel to it, and how it ends."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from crawler.readers.channel import MAX_LENGTH, Channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from crawler.readers.launch import Launched

GARBLED = "it wrote into the socket to the crawl's process"
"""Why a process is killed that sends something that is not a message: a callback has written into any open file, say."""

_LAST_WORDS_SECONDS = 10.0
"""How long a process that has closed its channel may take to end."""


class ReaderProcess:
    """A running process and the channel to it. Once `channel.ended` is set, the process has ended or is about to."""

    def __init__(self, launched: Launched, channel: Channel) -> None:
        self._process = launched.process
        self._why_killed = ""
        self.channel = channel

    @classmethod
    @asynccontextmanager
    async def of(
        cls, launched: Launched, hear: Callable[[memoryview], None], *, longest: int = MAX_LENGTH
    ) -> AsyncIterator[ReaderProcess]:
        """Take over a process, which has ended at the end of the `with` block, killed if necessary. Its messages have at most `longest`
        bytes."""
        try:
            reader = cls(launched, await Channel.over(launched.socket, hear, longest=longest))
            try:
                yield reader
            finally:
                reader.channel.close()
        finally:
            launched.kill()

    def kill(self, why: str) -> None:
        """Kill the process. `why` is a clause such as "it slept"."""
        self._why_killed = why
        self._process.kill()
        self.channel.abort()

    async def end(self) -> str:
        """Wait until the process has ended; returns how, as a clause such as "it was killed by SIGSEGV"."""
        await self.channel.ended.wait()
        if self.channel.is_garbled:
            self.kill(GARBLED)
        too_late = asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, self._process.kill)
        code = await asyncio.to_thread(self._process.wait)
        too_late.cancel()
        if self._why_killed:
            return f"{self._why_killed}, and was killed"
        return f"it left with exit code {code}" if code >= 0 else f"it was killed by {_name_of(-code)}"


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
