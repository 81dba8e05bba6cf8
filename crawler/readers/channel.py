"""Messages over a stream socket: before each its length, four bytes, the least first."""

from __future__ import annotations

import asyncio
import logging
import struct
from math import inf
from typing import TYPE_CHECKING, cast

from crawler.readers.gathering import Gathering

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_log = logging.getLogger(__name__)

_LENGTH = struct.Struct("<I")

MAX_LENGTH = 2**32 - 1
"""Of any message."""


class Channel(asyncio.Protocol):
    """One end of the socket. `hear` is called with each message, which is gone when it returns; `ended` is set when the other
    end has gone, or `close` was called and everything is sent. Messages of one turn of the loop go out by one system call, but
    one that comes `at_once_after` so many seconds behind another does so at once. An end that is about to send more than
    `longest` bytes in one message is not listened to any more: somebody else writes into its socket. Nor is one whose message `hear`
    raises on: it would say things that nobody hears, and be waited for."""

    def __init__(
        self, hear: Callable[[memoryview], None], *, at_once_after: float = inf, longest: int = MAX_LENGTH
    ) -> None:
        self._hear = hear
        self._longest = longest
        self._pending = bytearray()
        self._outgoing: list[bytes] = []
        self._gathering = Gathering(self._flush, at_once_after=at_once_after)
        self._transport: asyncio.WriteTransport | None = None
        self.ended = asyncio.Event()
        self.is_garbled = False
        """Whether what came was no message, or none that could be taken in."""

    @classmethod
    async def over(
        cls,
        ours: socket.socket,
        hear: Callable[[memoryview], None],
        *,
        at_once_after: float = inf,
        longest: int = MAX_LENGTH,
    ) -> Channel:
        """Take over a connected Unix socket."""
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_unix_connection(
            lambda: cls(hear, at_once_after=at_once_after, longest=longest), sock=ours
        )
        return channel

    def send(self, message: bytes) -> None:
        """Send a message; to an end that has gone, nothing is sent."""
        self._outgoing += (_LENGTH.pack(len(message)), message)
        self._gathering.put_by()

    async def flush(self) -> None:
        """See that all is with the system, whatever keeps the loop from its next turn."""
        self._gathering.end()
        await asyncio.sleep(0)  # uvloop writes at the end of a turn

    def _flush(self) -> None:
        if self._transport and self._outgoing and not self._transport.is_closing():
            self._transport.writelines(self._outgoing)
        self._outgoing = []

    def close(self) -> None:
        """Hear nothing more, and end when everything is sent."""
        self._flush()
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """Hear nothing more, and send nothing more."""
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        if self._pending:
            self._pending += data
            used = self._tell(self._pending)
            del self._pending[:used]
        elif (used := self._tell(data)) < len(data):
            self._pending += memoryview(data)[used:]

    def _tell(self, data: bytes | bytearray) -> int:
        """Tell of the messages that are whole; returns where the rest begins."""
        start, end = 0, 0
        with memoryview(data) as view:
            while len(data) - start >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(data, start)
                if length > self._longest:
                    return self._give_up(data)
                end = start + _LENGTH.size + length
                if end > len(data):
                    break
                with view[start + _LENGTH.size : end] as message:
                    try:
                        self._hear(message)
                    except Exception:
                        _log.exception("taking in a message from another process")
                        return self._give_up(data)
                start = end
        return start

    def _give_up(self, data: bytes | bytearray) -> int:
        self.is_garbled = True
        self.abort()
        return len(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()
