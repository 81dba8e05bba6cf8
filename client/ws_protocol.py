"""A connection that speaks WebSocket: bytes between the transport and the codec, held back both ways.

Bytes that arrive are kept until somebody polls for a message. When more than `HIGH_WATER_BYTES` wait the transport is
paused, until a poll has used them up and wants more. The other way round `drain` waits while the transport's buffer is full.

The HTTP protocol that the connection began with stays behind: connector and connection go on asking it whether the
connection is closed, and tell it to close.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from client.errors import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientOSError,
    ServerDisconnectedError,
    ServerTimeoutError,
)
from client.ws_heartbeat import Heartbeat
from client.ws_messages import WSMsgType

if TYPE_CHECKING:
    from client.connection import Connection
    from client.http1 import Http1Protocol
    from client.ws_frames import FrameWriter, MessageReader
    from client.ws_messages import WSMessage

HIGH_WATER_BYTES: Final = 64 * 1024
"""Bytes that wait to be read before the transport is paused."""

_LINGER_SECONDS: Final = 1.0
"""How long, after the closing handshake, we wait for the server to close the connection first (RFC 6455 §7.1.1)."""


class WebSocketProtocol(asyncio.Protocol):
    """Takes over a connection that has been upgraded, and gives it back when it is lost.

    A server that is silent for `heartbeat` seconds is asked for a sign of life, and given up if there is none within half of
    that; None never asks. The connection must not have been closed.
    """

    def __init__(
        self, connection: Connection, reader: MessageReader, writer: FrameWriter, *, heartbeat: float | None = None
    ) -> None:
        assert connection.transport is not None
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._transport = connection.transport
        self._reader = reader
        self._writer = writer
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._is_paused = True  # by the HTTP protocol, which leaves this to us
        self._is_deaf = False
        self._heartbeat: Heartbeat | None = None
        if heartbeat:
            self._heartbeat = Heartbeat(heartbeat, ping=self._ping, give_up=self._give_up)
        self.was_given_up: ServerTimeoutError | None = None
        """Why the server was given up; None unless it was."""
        http = cast("Http1Protocol", connection.protocol)  # HTTP/2 upgrades to nothing
        self._http = http
        unread, http.unread = http.unread, b""
        self._transport.set_protocol(self)
        self._resume()
        self.data_received(unread)

    # -- reading --------------------------------------------------------------------------------------------------

    def poll(self) -> WSMessage | None:
        """Return the next message if it is there.

        Raises `WebSocketError` as the reader does, and when there will be no more messages what ended the connection:
        `ServerDisconnectedError`, `ClientOSError` or `ServerTimeoutError`.
        """
        message = self._reader.poll()
        if message is None and self._reader.is_starved:
            if self._failure is not None:
                raise self._failure
            self._resume()
        return message

    async def wait(self) -> None:
        """Wait until polling again makes sense, or `wake` is called. One may wait at a time; cancelled, it loses nothing."""
        if not self._reader.is_starved:
            await asyncio.sleep(0)
            return
        assert self._waiter is None
        self._waiter = waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            if self._waiter is waiter:
                self._waiter = None

    def wake(self) -> None:
        """Have whoever waits look again."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # -- writing --------------------------------------------------------------------------------------------------

    def send(self, kind: WSMsgType, data: bytes | bytearray | memoryview, compress: int | None = None) -> None:
        """Send a message as `FrameWriter.frame` makes it, without waiting.

        Raises `ClientConnectionResetError` when the connection is closed, `ValueError` for what cannot be sent.
        """
        self._write(self._writer.frame(kind, data, compress))

    def send_close(self, code: int, reason: str) -> None:
        """Send a Close frame, without waiting: the last frame, and no more pings. Raises as `send` does."""
        self._write(self._writer.close_frame(code, reason))
        self._stop_heartbeat()

    def _write(self, frame: bytes) -> None:
        self._check_open()
        self._transport.write(frame)

    async def drain(self) -> None:
        """Wait while too much is still to be sent. Raises `ClientConnectionResetError` when the connection is lost meanwhile."""
        if not self._can_write.is_set():
            await self._can_write.wait()
            self._check_open()

    def _check_open(self) -> None:
        if self._failure is not None or self._transport.is_closing():
            raise ClientConnectionResetError("the WebSocket is closed")

    # -- its end --------------------------------------------------------------------------------------------------

    async def linger(self) -> None:
        """Wait a little for the server to close the connection; what still arrives is dropped."""
        self._is_deaf = True
        self._resume()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._connection.protocol.wait_lost()

    def close(self) -> None:
        """Close the connection at once."""
        self._connection.close()
        self._stop_heartbeat()

    def _stop_heartbeat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.stop()

    def _ping(self) -> None:
        with suppress(ClientConnectionResetError):  # then the transport is about to say so itself
            self.send(WSMsgType.PING, b"")

    def _give_up(self) -> None:
        assert self._heartbeat is not None
        error = ServerTimeoutError(f"the server did not answer a ping within {self._heartbeat.patience:g} s")
        self._failure = self.was_given_up = error
        self.close()
        self.wake()

    # -- what the transport calls ---------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        if self._heartbeat is not None:
            self._heartbeat.heard()
        self._reader.feed(data)
        if self._waiter is not None:
            self.wake()
        elif self._reader.waiting_bytes > HIGH_WATER_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
            if self._heartbeat is not None:
                self._heartbeat.hold()

    def eof_received(self) -> None:
        """The server has sent all it will; `connection_lost` follows."""

    def connection_lost(self, exc: Exception | None) -> None:
        if self._failure is None:
            self._failure = self._explain(exc)
            self._failure.__cause__ = exc
        self._http.connection_lost(exc)
        self.close()
        self._can_write.set()
        self.wake()

    def _explain(self, exc: Exception | None) -> ClientConnectionError:
        if self._connection.protocol.is_closed:
            return ClientConnectionError("the connection was closed on our side")
        return ClientOSError(*exc.args) if isinstance(exc, OSError) else ServerDisconnectedError()

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    def _resume(self) -> None:
        if self._is_paused and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()
            if self._heartbeat is not None:
                self._heartbeat.resume()
