"""Messages over a stream socket: each after its length, in four bytes, little-endian."""

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
    """One end of the socket. `hear` is called with each message, which is gone when it returns; `ended` is set when the other end has
    gone, or when `close` was called and everything is sent. Messages of one turn of the loop go out in one system call, but one that
    comes `at_once_after` seconds or more after the one before goes out at once.

    The channel is aborted when the other end announces more than `longest` bytes in one message, which means that something else
    writes into its socket; and when `hear` raises, since the other end would be waited for in vain.
    """

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
        """Whether something came that was not a message, or not one that could be taken in."""

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
        """Send a message; if the other end has gone, nothing happens."""
        self._outgoing += (_LENGTH.pack(len(message)), message)
        self._gathering.schedule()

    async def flush(self) -> None:
        """Hand everything to the system, even if the loop does not come to its next turn."""
        self._gathering.flush()
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
        """Call `hear` with the messages that are complete; returns where the rest begins."""
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
