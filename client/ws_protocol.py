"""The WebSocket protocol of a connection: bytes between the transport and the codec, with flow control in both directions.

Bytes that arrive are buffered until somebody polls for a message. Above `HIGH_WATER_BYTES` the transport is paused, until a
poll needs more bytes. For sending, `drain` waits while the transport's buffer is full.

The HTTP protocol with which the connection began is kept: connector and connection still ask it whether the connection is
closed, and tell it to close.
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
"""How many bytes may be buffered before the transport is paused."""

_LINGER_SECONDS: Final = 1.0
"""How long to wait, after the closing handshake, for the server to close the connection first (RFC 6455 §7.1.1)."""


class WebSocketProtocol(asyncio.Protocol):
    """Takes over a connection that has been upgraded, and closes it when it is lost.

    A server that is silent for `heartbeat` seconds is sent a ping, and given up if it stays silent for half of that; with None,
    it never is. The connection must not have been closed.
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
        self._is_paused = True  # by the HTTP protocol; we have to resume it
        self._is_deaf = False
        self._heartbeat: Heartbeat | None = None
        if heartbeat:
            self._heartbeat = Heartbeat(heartbeat, ping=self._ping, give_up=self._give_up)
        self.was_given_up: ServerTimeoutError | None = None
        """Why the server was given up; None unless it was."""
        http = cast("Http1Protocol", connection.protocol)  # HTTP/2 has no Upgrade
        self._http = http
        unread, http.unread = http.unread, b""
        self._transport.set_protocol(self)
        self._resume()
        self.data_received(unread)

    # -- reading --------------------------------------------------------------------------------------------------

    def poll(self) -> WSMessage | None:
        """Return the next message if it has arrived, else None.

        Raises `WebSocketError` as the reader does. After the last message, raises the error that ended the connection:
        `ServerDisconnectedError`, `ClientOSError` or `ServerTimeoutError`.
        """
        message = self._reader.poll()
        if message is None and self._reader.is_starved:
            if self._failure is not None:
                raise self._failure
            self._resume()
        return message

    async def wait(self) -> None:
        """Wait until it makes sense to poll again, or `wake` is called. Only one task may wait at a time; it may be cancelled."""
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
        """Make the waiting task poll again."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # -- writing --------------------------------------------------------------------------------------------------

    def send(self, kind: WSMsgType, data: bytes | bytearray | memoryview, compress: int | None = None) -> None:
        """Send a message without waiting; the parameters are those of `FrameWriter.frame`.

        Raises `ClientConnectionResetError` if the connection is closed, `ValueError` for a message that cannot be sent.
        """
        self._write(self._writer.frame(kind, data, compress))

    def send_close(self, code: int, reason: str) -> None:
        """Send a Close frame, the last frame, without waiting, and stop the heartbeat. Raises as `send` does."""
        self._write(self._writer.close_frame(code, reason))
        self._stop_heartbeat()

    def _write(self, frame: bytes) -> None:
        self._check_open()
        self._transport.write(frame)

    async def drain(self) -> None:
        """Wait while too much is still to be sent. Raises `ClientConnectionResetError` if the connection is lost meanwhile."""
        if not self._can_write.is_set():
            await self._can_write.wait()
            self._check_open()

    def _check_open(self) -> None:
        if self._failure is not None or self._transport.is_closing():
            raise ClientConnectionResetError("the WebSocket is closed")

    # -- closing --------------------------------------------------------------------------------------------------

    async def linger(self) -> None:
        """Wait a little for the server to close the connection; data that still arrives is dropped."""
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
        with suppress(ClientConnectionResetError):  # the transport is about to report that itself
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
        """The server will send no more; `connection_lost` follows."""

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
