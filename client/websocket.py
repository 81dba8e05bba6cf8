"""The user's interface to an open WebSocket.

Departures from aiohttp, whose interface it has:

- A `receive` that times out or is cancelled changes nothing: the WebSocket stays open, and no message is lost.
- `close_code` is the standard's (RFC 6455 §7.1.5): 1005 for a Close frame without a code, 1006 if there was no Close frame;
  `exception` then returns what happened to the connection.
- A Close frame is answered with its own code, not with 1000 (§5.5.1), and the server may close the connection first (§7.1.1).
- A subprotocol or an extension that was not offered fails the handshake (§4.1).
- ``compress=0`` sends a message uncompressed, and the window may change between messages.
- The heartbeat does not give up a server that is silent because nobody receives, so that reading is paused.

Departures from the standard: text is checked at the end of each frame, not while the frame arrives (§8.1 allows this), and a
window of 8 bits (RFC 7692) cannot be agreed on for our side, because zlib does not have it.
"""

from __future__ import annotations

import asyncio
import json as json_module
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self, cast

from client.errors import ClientConnectionResetError, ClientError, ServerTimeoutError, WebSocketError
from client.timeouts import DEFAULT_WS_TIMEOUT
from client.ws_messages import WSCloseCode, WSMessage, WSMessageTypeError, WSMsgType

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from client.response import ClientResponse
    from client.timeouts import ClientWSTimeout
    from client.ws_handshake import Agreement
    from client.ws_protocol import WebSocketProtocol

_CLOSING: Final = WSMessage(WSMsgType.CLOSING, None, None)
_CLOSED: Final = WSMessage(WSMsgType.CLOSED, None, None)
_END: Final = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)
_SENDABLE: Final = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG)


class ClientWebSocketResponse:
    """An open WebSocket, made by `ClientSession.ws_connect`.

    ``async for message in ws`` receives until it is closed. Only one task may receive at a time; others may send and close it.
    Use it in `async with`, or `close` it: until then it keeps its connection and its host's slot.
    """

    def __init__(
        self,
        response: ClientResponse,
        wire: WebSocketProtocol,
        agreement: Agreement,
        *,
        timeout: ClientWSTimeout = DEFAULT_WS_TIMEOUT,
        autoclose: bool = True,
        autoping: bool = True,
    ) -> None:
        self._response = response
        self._wire = wire
        self._agreement = agreement
        self._timeout = timeout
        self._autoclose = autoclose
        self._autoping = autoping
        self._is_closed = False
        self._is_receiving = False
        self._close_code: int | None = None
        self._exception: BaseException | None = None

    # -- properties -----------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the WebSocket is closed or closing: by `close`, by the server, or because the server was given up."""
        return self._is_closed or self._wire.was_given_up is not None

    @property
    def close_code(self) -> int | None:
        """The code of the Close frame that ended the WebSocket: the server's, or ours if the server broke the protocol.

        1005 if that frame had no code, 1006 if the connection ended without such a frame, None while the WebSocket is open.
        """
        if self._close_code is None and self._wire.was_given_up is not None:
            return WSCloseCode.ABNORMAL_CLOSURE
        return self._close_code

    @property
    def protocol(self) -> str | None:
        """The subprotocol that the server chose."""
        return self._agreement.protocol

    @property
    def compress(self) -> int:
        """The size of the window that messages are compressed with, in bits; 0 if they are not compressed."""
        return 0 if self._agreement.deflate is None else self._agreement.deflate.window_bits

    @property
    def client_notakeover(self) -> bool:
        """Whether each of our messages is compressed independently of those before (RFC 7692 §7.1.1.2)."""
        return self._agreement.deflate is not None and self._agreement.deflate.local_no_context_takeover

    def exception(self) -> BaseException | None:
        """Return the last error, or None."""
        return self._exception or self._wire.was_given_up

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the transport's information for `name` (see `asyncio.BaseTransport`); `default` if the transport is gone."""
        connection = self._response.connection
        transport = connection.transport if connection is not None else None
        return default if transport is None else transport.get_extra_info(name, default)

    # -- sending --------------------------------------------------------------------------------------------------

    async def send_str(self, data: str, compress: int | None = None) -> None:
        """Send text; see `send_frame`."""
        if not isinstance(data, str):
            raise TypeError(f"text to send must be str, not {type(data).__name__}")
        await self.send_frame(data.encode(), WSMsgType.TEXT, compress)

    async def send_bytes(self, data: bytes | bytearray | memoryview, compress: int | None = None) -> None:
        """Send bytes; see `send_frame`."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"bytes to send must be bytes, bytearray or memoryview, not {type(data).__name__}")
        await self.send_frame(data, WSMsgType.BINARY, compress)

    async def send_json(
        self, data: Any, compress: int | None = None, *, dumps: Callable[[Any], str] = json_module.dumps
    ) -> None:
        """Send `dumps(data)` as text; see `send_frame`."""
        await self.send_str(dumps(data), compress)

    async def send_json_bytes(self, data: Any, compress: int | None = None, *, dumps: Callable[[Any], bytes]) -> None:
        """Send `dumps(data)` as bytes; see `send_frame`."""
        await self.send_bytes(dumps(data), compress)

    async def ping(self, message: bytes | str = b"") -> None:
        """Send a ping, with at most 125 bytes of content; see `send_frame`."""
        await self.send_frame(_as_bytes(message), WSMsgType.PING)

    async def pong(self, message: bytes | str = b"") -> None:
        """Send a pong, solicited or not, with at most 125 bytes of content; see `send_frame`."""
        await self.send_frame(_as_bytes(message), WSMsgType.PONG)

    async def send_frame(
        self, message: bytes | bytearray | memoryview, opcode: WSMsgType, compress: int | None = None
    ) -> None:
        """Send a message of one frame: TEXT, BINARY, PING or PONG. Waits while too much data is still to be sent.

        `compress` is the size of the window for this message, in bits, at most the one agreed on; 0 sends it uncompressed. It
        has no effect if no compression was agreed on. Raises `ClientConnectionResetError` if the WebSocket is closed,
        `ValueError` for a message that cannot be sent. If it is cancelled, the message is sent all the same.
        """
        if opcode not in _SENDABLE:
            raise ValueError(f"{opcode!r} cannot be sent as a message")
        if self._is_closed:
            raise ClientConnectionResetError("the WebSocket is closed")
        self._wire.send(opcode, message, compress)
        await self._wire.drain()

    # -- receiving ------------------------------------------------------------------------------------------------

    async def receive(self, timeout: float | None = None) -> WSMessage:
        """Wait for the next message: TEXT, BINARY, or one of those that mark the end.

        These are CLOSE if the server closes, which is answered unless `autoclose` is off; CLOSING if `close` is called
        meanwhile; ERROR if the server broke the protocol, exceeded a bound (`WebSocketError`) or was given up
        (`ServerTimeoutError`); CLOSED if the WebSocket is closed or the connection was lost. PING and PONG are returned only
        if `autoping` is off.

        Raises `TimeoutError` after `timeout` seconds, by default `ClientWSTimeout.ws_receive`, and `RuntimeError` if another
        task is receiving. No message is lost by a timeout or by being cancelled.
        """
        if self._is_receiving:
            raise RuntimeError("another task is already receiving")
        if self._is_closed:
            return _CLOSED
        if self._close_code is not None:  # without autoclose, the server's Close frame has not been answered yet
            await self.close()
            return _CLOSED
        self._is_receiving = True
        seconds = timeout or self._timeout.ws_receive
        try:
            if seconds:
                async with asyncio.timeout(seconds):
                    message = await self._next()
            else:  # the usual case; an empty context would cost a fifth of what a message does
                message = await self._next()
        except ClientError as error:
            return await self._break_off(error)
        finally:
            self._is_receiving = False
        if message.type is WSMsgType.CLOSE:
            self._close_code = message.data
            if self._autoclose:
                await self._close(message.data)
        return message

    async def receive_str(self, *, timeout: float | None = None) -> str:
        """Receive a TEXT message; its bytes if `decode_text` is off. Raises `WSMessageTypeError` (a `TypeError`) for others."""
        return cast("str", await self._receive_only(WSMsgType.TEXT, timeout))

    async def receive_bytes(self, *, timeout: float | None = None) -> bytes:
        """Receive a BINARY message. Raises `WSMessageTypeError` (a `TypeError`) for others."""
        return cast("bytes", await self._receive_only(WSMsgType.BINARY, timeout))

    async def receive_json(
        self, *, loads: Callable[[Any], Any] = json_module.loads, timeout: float | None = None
    ) -> Any:
        """Receive a TEXT message and parse it with `loads`. Raises `WSMessageTypeError` (a `TypeError`) for others."""
        return loads(await self.receive_str(timeout=timeout))

    async def _receive_only(self, kind: WSMsgType, timeout: float | None) -> object:
        message = await self.receive(timeout)
        if message.type is not kind:
            raise WSMessageTypeError(f"received {message.type.name} ({message.data!r}), not {kind.name}")
        return message.data

    async def _next(self) -> WSMessage:
        while not self._is_closed:
            message = self._wire.poll()
            if message is None:
                await self._wire.wait()
            elif message.type is WSMsgType.PING and self._autoping:
                with suppress(ClientConnectionResetError):  # messages that came before the end are still returned
                    await self.pong(message.data)
            elif message.type is not WSMsgType.PONG or not self._autoping:
                return message
        return _CLOSING

    async def _break_off(self, error: ClientError) -> WSMessage:
        """Close after an error, with a Close frame if the server is to blame; return the message that reports it."""
        self._note(error)
        if isinstance(error, WebSocketError):
            self._close_code = error.code
            await self._close(error.code, fails=True)
            return WSMessage(WSMsgType.ERROR, error, None)
        self._is_closed = True
        self._close_code = WSCloseCode.ABNORMAL_CLOSURE
        self._response.close()
        return WSMessage(WSMsgType.ERROR, error, None) if isinstance(error, ServerTimeoutError) else _CLOSED

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WSMessage:
        message = await self.receive()
        if message.type in _END:
            raise StopAsyncIteration
        return message

    # -- closing --------------------------------------------------------------------------------------------------

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes | str = b"") -> bool:
        """Close the WebSocket; return whether it was open. May be called while another task receives.

        Sends a Close frame with `code` and, as its reason, `message`, and waits at most `ClientWSTimeout.ws_close` seconds for
        the server's; messages before that are dropped. Then the connection is closed in any case: after an error, `close_code`
        is 1006 and `exception` returns the error. Raises `ValueError` for a code or reason that cannot be sent.
        """
        if self.closed:
            return False
        reason = message if isinstance(message, str) else message.decode()
        await self._close(code, reason)
        return True

    async def _close(self, code: int, reason: str = "", *, fails: bool = False) -> None:
        with suppress(ClientConnectionResetError):  # the server's Close frame may have come before the end
            self._wire.send_close(code, reason)
        self._is_closed = True
        self._wire.wake()
        try:
            if fails:  # the server cannot be relied on, so we do not wait for it (RFC 6455 §7.1.7)
                await asyncio.sleep(0)  # uvloop sends at the end of a loop iteration
            else:
                await self._finish()
        except (ClientError, TimeoutError) as error:
            self._note(error)
            self._close_code = WSCloseCode.ABNORMAL_CLOSURE
        except BaseException:
            if self._close_code is None:
                self._close_code = WSCloseCode.ABNORMAL_CLOSURE
            raise
        finally:
            self._wire.close()
            self._response.close()

    async def _finish(self) -> None:
        """Wait for the server's part of the closing handshake (RFC 6455 §7.1.2); ours is done."""
        async with asyncio.timeout(self._timeout.ws_close or None):
            while self._close_code is None:
                message = self._wire.poll()
                if message is None:
                    await self._wire.wait()
                elif message.type is WSMsgType.CLOSE:
                    self._close_code = message.data
        await self._wire.linger()

    def _note(self, error: Exception) -> None:
        """Remember an error. If it is a `ClientError`, it names the request that opened the WebSocket."""
        if isinstance(error, ClientError):
            error.method, error.url = self._response.method, self._response.url
        self._exception = error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def _as_bytes(message: bytes | str) -> bytes:
    return message.encode() if isinstance(message, str) else message
