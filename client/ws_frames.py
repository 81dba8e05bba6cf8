"""Messages into frames and back (RFC 6455 §5, RFC 7692), without I/O, on the frame layer of `websockets`.

That library parses and writes single frames; sequences of frames are handled here. Its connection object is not used: it
answers pings and Close frames itself, which our callers may want to do.

Reading is lazy: bytes are buffered until somebody polls for the next message, and only that message is decoded. So the code
that feeds bytes bounds the buffer, and `max_msg_size` bounds the inflated message.
"""

from __future__ import annotations

import codecs
import zlib
from typing import TYPE_CHECKING, Final, NoReturn

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode

from client.errors import WebSocketError
from client.ws_messages import WSCloseCode, WSMessage, WSMsgType

if TYPE_CHECKING:
    from collections.abc import Generator

MAX_CONTROL_BYTES: Final = 125
"""The largest payload of a control frame (RFC 6455 §5.5)."""

_FRAMES_AT_ONCE: Final = 512
"""The number of frames after which a reader lets other tasks run: about 2 ms."""

_KINDS: Final = {int(opcode): WSMsgType(opcode) for opcode in Opcode}
_OPCODES: Final = {int(opcode): opcode for opcode in Opcode}

_SYNC_TAILS: Final = (b"", b"\0", b"\0\0\xff\xff", b"\0\0\0\xff\xff")
"""What may follow the final block of a message: the end of an empty block, whose first byte may or may not be on the wire."""


class Deflate(PerMessageDeflate):
    """permessage-deflate as agreed on. The window for compression may change from message to message."""

    def __init__(self, agreed: PerMessageDeflate) -> None:
        super().__init__(
            agreed.remote_no_context_takeover,
            agreed.local_no_context_takeover,
            agreed.remote_max_window_bits,
            agreed.local_max_window_bits,
        )
        self.window_bits = agreed.local_max_window_bits
        """The largest window that we may compress with, in bits."""

    def use_window(self, bits: int) -> None:
        """Compress the next messages with a window of ``2**bits`` bytes.

        A new window means a new compressor, which refers to no earlier data, so the server's decompressor can go on.
        """
        bits = min(bits, self.window_bits)
        if bits != self.local_max_window_bits:
            self.local_max_window_bits = bits
            if not self.local_no_context_takeover:
                self.encoder = zlib.compressobj(wbits=-bits)

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Decompress a frame.

        A message may end with a block marked as final (RFC 7692 §7.2.3.4). After that, the base class would decompress
        nothing and keep all further input.
        """
        decoded = super().decode(frame, max_size=max_size)
        decoder = getattr(self, "decoder", None)  # without context takeover of the server, none between messages
        if decoder is not None and decoder.eof:
            if decoder.unused_data not in _SYNC_TAILS:
                raise ProtocolError("data after the final block of a compressed message")
            self.decoder = zlib.decompressobj(wbits=-self.remote_max_window_bits)
        return decoded


class MessageReader:
    """Turns bytes into messages.

    A message has at most `max_msg_size` bytes, and so does each of its frames, on the wire and decompressed; 0 means no bound.
    Text is decoded, and must be valid UTF-8, unless `decodes_text` is off.
    """

    __slots__ = ("_buffer", "_error", "_kind", "_limit", "_parser", "_payload", "_utf8", "decodes_text", "is_starved")

    def __init__(self, *, max_msg_size: int = 0, deflate: Deflate | None = None, decodes_text: bool = True) -> None:
        self._limit = max_msg_size
        self._buffer = bytearray()
        self._kind: WSMsgType | None = None  # of the message that is incomplete
        self._payload = bytearray()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._parser = self._parse([deflate] if deflate is not None else [])
        self._error: WebSocketError | None = None
        self.decodes_text = decodes_text
        self.is_starved = False
        """Whether the last poll returned None because it needs more bytes."""

    @property
    def waiting_bytes(self) -> int:
        """How many bytes are buffered."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Append bytes that have arrived."""
        self._buffer += data

    def poll(self) -> WSMessage | None:
        """Return the next message; None if more bytes are needed, or to let other tasks run.

        If the server breaks the protocol or exceeds a bound, this raises `WebSocketError`, then and on every further call.
        After CLOSE there are no more messages.
        """
        if self._error is not None:
            raise self._error
        self.is_starved = False
        try:
            return next(self._parser)
        except WebSocketError as error:
            self._error = error
        except ProtocolError as error:
            self._error = _explained(WSCloseCode.PROTOCOL_ERROR, error)
        except PayloadTooBig as error:
            self._error = _explained(WSCloseCode.MESSAGE_TOO_BIG, error)
        except UnicodeDecodeError as error:
            self._error = _explained(WSCloseCode.INVALID_TEXT, error)
        raise self._error

    def _parse(self, extensions: list[Deflate]) -> Generator[WSMessage | None, None, NoReturn]:
        frames = 0
        while True:
            frame = yield from Frame.parse(self._read_exact, mask=False, max_size=self._room(), extensions=extensions)
            message = self._take(frame)
            if message is not None:
                yield message
                if message.type is WSMsgType.CLOSE:
                    break
            frames += 1
            if not frames % _FRAMES_AT_ONCE:
                yield None
        while True:
            self._buffer.clear()
            self.is_starved = True
            yield None

    def _read_exact(self, count: int) -> Generator[None, None, bytearray]:
        buffer = self._buffer
        while len(buffer) < count:
            self.is_starved = True
            yield None
        data = buffer[:count]
        del buffer[:count]
        return data

    def _room(self) -> int | None:
        """How large the next frame may be. A control frame may come between those of a message that has reached its bound."""
        return max(self._limit - len(self._payload), MAX_CONTROL_BYTES) if self._limit else None

    def _take(self, frame: Frame) -> WSMessage | None:
        """Return the message that this frame completes, if it does."""
        opcode = frame.opcode
        if opcode >= Opcode.CLOSE:
            return _control_message(frame)
        if opcode is Opcode.CONT:
            if self._kind is None:
                raise WebSocketError(WSCloseCode.PROTOCOL_ERROR, "a continuation frame without a message")
        elif self._kind is not None:
            raise WebSocketError(WSCloseCode.PROTOCOL_ERROR, "a new message inside another")
        elif frame.fin:
            return self._message(_KINDS[opcode], frame.data)
        else:
            self._kind = _KINDS[opcode]
        return self._continue(self._kind, frame)

    def _continue(self, kind: WSMsgType, frame: Frame) -> WSMessage | None:
        """Add a fragment to the incomplete message; return that if it is complete now."""
        self._payload += frame.data
        if kind is WSMsgType.TEXT and self.decodes_text:
            self._utf8.decode(frame.data, frame.fin)  # fails early; characters may be split between fragments
        if not frame.fin:
            self._check_size(len(self._payload))
            return None
        payload, self._payload, self._kind = self._payload, bytearray(), None
        return self._message(kind, payload)

    def _message(self, kind: WSMsgType, data: bytes | bytearray | memoryview) -> WSMessage:
        self._check_size(len(data))
        if kind is WSMsgType.TEXT and self.decodes_text:
            return WSMessage(kind, str(data, "utf-8"), "")
        return WSMessage(kind, bytes(data), "")

    def _check_size(self, size: int) -> None:
        if self._limit and size > self._limit:
            raise WebSocketError(WSCloseCode.MESSAGE_TOO_BIG, f"a message of more than {self._limit} bytes")


class FrameWriter:
    """Turns each message into one masked frame."""

    __slots__ = ("_deflate",)

    def __init__(self, deflate: Deflate | None = None) -> None:
        self._deflate = deflate

    def frame(self, kind: WSMsgType, data: bytes | bytearray | memoryview, compress: int | None = None) -> bytes:
        """Return the frame of a message.

        `compress` is the window for this message, in bits, at most the one agreed on; 0 means no compression, None the window
        agreed on. It has no effect if no compression was agreed on. Raises `ValueError` for a message that cannot be sent.
        """
        if isinstance(data, memoryview):
            data = bytes(data)  # the length of a memoryview counts elements, not bytes
        if kind >= WSMsgType.CLOSE and len(data) > MAX_CONTROL_BYTES:
            raise ValueError(f"a {kind.name} frame holds at most {MAX_CONTROL_BYTES} bytes, not {len(data)}")
        if compress is not None:
            check_window(compress)
        extensions: list[Deflate] = []
        if self._deflate is not None and compress != 0:
            self._deflate.use_window(compress or self._deflate.window_bits)
            extensions.append(self._deflate)
        return Frame(_OPCODES[kind], data).serialize(mask=True, extensions=extensions)

    def close_frame(self, code: int, reason: str = "") -> bytes:
        """Return a Close frame, without content for `NO_STATUS`. Raises `ValueError` for a code that must not be sent."""
        if code == WSCloseCode.NO_STATUS:
            return self.frame(WSMsgType.CLOSE, b"")
        try:
            content = Close(code, reason).serialize()
        except ProtocolError as error:
            raise ValueError(f"{code} cannot be sent as the code of a Close frame (RFC 6455 §7.4)") from error
        return self.frame(WSMsgType.CLOSE, content)


def check_window(bits: int) -> None:
    """Raise `ValueError` unless `bits` is 0 or the size of a window.

    zlib cannot compress with a window of 8 bits, which RFC 7692 would allow.
    """
    if bits != 0 and not 9 <= bits <= 15:
        raise ValueError(f"compress must be 0 or from 9 to 15, not {bits!r}")


def _control_message(frame: Frame) -> WSMessage:
    if frame.opcode is not Opcode.CLOSE:
        return WSMessage(WSMsgType(frame.opcode), bytes(frame.data), "")
    close = Close.parse(frame.data)
    return WSMessage(WSMsgType.CLOSE, int(close.code), close.reason)


def _explained(code: WSCloseCode, cause: Exception) -> WebSocketError:
    error = WebSocketError(code, str(cause))
    error.__cause__ = cause
    return error
