"""One reader process, as the crawl's process sees it: the channel to it, how it ends, and that it does end."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from crawler.readers.channel import Channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from crawler.readers.launch import Launched

_LAST_WORDS_SECONDS = 10.0
"""How long a process that has closed its channel may take to end."""


class ReaderProcess:
    """A running process and the channel to it. Once `channel.ended` is set, it has ended or is about to."""

    def __init__(self, launched: Launched, channel: Channel) -> None:
        self._process = launched.process
        self.channel = channel

    @classmethod
    @asynccontextmanager
    async def of(cls, launched: Launched, hear: Callable[[memoryview], None]) -> AsyncIterator[ReaderProcess]:
        """Take over a process, which is gone at the end of the `with` block, killed if need be."""
        try:
            reader = cls(launched, await Channel.over(launched.socket, hear))
            try:
                yield reader
            finally:
                reader.channel.close()
        finally:
            launched.kill()

    async def end(self) -> str:
        """Wait until it has gone, and say how in words, as in "it was killed by SIGSEGV"."""
        await self.channel.ended.wait()
        too_late = asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, self._process.kill)
        code = await asyncio.to_thread(self._process.wait)
        too_late.cancel()
        return f"it left with exit code {code}" if code >= 0 else f"it was killed by {_name_of(-code)}"


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
