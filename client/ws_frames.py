"""Messages into frames and back (RFC 6455 §5, RFC 7692), without I/O, on the frame layer of `websockets`.

That library parses and writes one frame; what frames are to each other is decided here. Its own connection object is not
used: it answers pings and Close frames by itself, which our callers may ask us to leave to them.

Reading is lazy: bytes are kept as they came until somebody polls for the next message, and no more than one message is
made of them at a time. So what waits is bounded by whoever feeds, and what a message inflates to by `max_msg_size`.
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
"""Bound of the payload of a control frame (RFC 6455 §5.5)."""

_FRAMES_AT_ONCE: Final = 512
"""Frames after which a reader lets others have the processor: about 2 ms."""

_KINDS: Final = {int(opcode): WSMsgType(opcode) for opcode in Opcode}
_OPCODES: Final = {int(opcode): opcode for opcode in Opcode}

_SYNC_TAILS: Final = (b"", b"\0", b"\0\0\xff\xff", b"\0\0\0\xff\xff")
"""What may follow the final block of a message: the end of an empty block, of which the wire has the first byte or none."""


class Deflate(PerMessageDeflate):
    """permessage-deflate as it was agreed on; compresses with a window that can be changed from message to message."""

    def __init__(self, agreed: PerMessageDeflate) -> None:
        super().__init__(
            agreed.remote_no_context_takeover,
            agreed.local_no_context_takeover,
            agreed.remote_max_window_bits,
            agreed.local_max_window_bits,
        )
        self.window_bits = agreed.local_max_window_bits
        """The largest window that we may compress with."""

    def use_window(self, bits: int) -> None:
        """Compress what follows with a window of ``2**bits`` bytes.

        Another window is another compressor, which knows nothing of what went before: the server's inflater goes on.
        """
        bits = min(bits, self.window_bits)
        if bits != self.local_max_window_bits:
            self.local_max_window_bits = bits
            if not self.local_no_context_takeover:
                self.encoder = zlib.compressobj(wbits=-bits)

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Inflate a frame.

        A message may end with a block marked as final (RFC 7692 §7.2.3.4). The base class would inflate nothing from there
        on, and keep all further input.
        """
        decoded = super().decode(frame, max_size=max_size)
        decoder = getattr(self, "decoder", None)  # there is none between messages when the server takes no context over
        if decoder is not None and decoder.eof:
            if decoder.unused_data not in _SYNC_TAILS:
                raise ProtocolError("data behind the final block of a compressed message")
            self.decoder = zlib.decompressobj(wbits=-self.remote_max_window_bits)
        return decoded


class MessageReader:
    """Bytes in, messages out.

    A message, its frames on the wire, and what they inflate to, have at most `max_msg_size` bytes each; 0 is no bound.
    Text is checked to be UTF-8 and decoded, unless `decodes_text` is off.
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
        """Whether the last poll returned None for want of bytes."""

    @property
    def waiting_bytes(self) -> int:
        """How many bytes wait to be read."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Append what has arrived."""
        self._buffer += data

    def poll(self) -> WSMessage | None:
        """Return the next message, or None: because it needs more bytes, or because others should have their turn.

        Raises `WebSocketError`, from then on always, when the server breaks the protocol or a bound. Nothing comes after CLOSE.
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
        """How large the next frame may be; a control frame may be among those of a message that has reached its bound."""
        return max(self._limit - len(self._payload), MAX_CONTROL_BYTES) if self._limit else None

    def _take(self, frame: Frame) -> WSMessage | None:
        """Return the message that this frame completes."""
        opcode = frame.opcode
        if opcode >= Opcode.CLOSE:
            return _control_message(frame)
        if opcode is Opcode.CONT:
            if self._kind is None:
                raise WebSocketError(WSCloseCode.PROTOCOL_ERROR, "a continuation of no message")
        elif self._kind is not None:
            raise WebSocketError(WSCloseCode.PROTOCOL_ERROR, "a new message within another")
        elif frame.fin:
            return self._message(_KINDS[opcode], frame.data)
        else:
            self._kind = _KINDS[opcode]
        return self._continue(self._kind, frame)

    def _continue(self, kind: WSMsgType, frame: Frame) -> WSMessage | None:
        """Add a fragment to the message that is incomplete."""
        self._payload += frame.data
        if kind is WSMsgType.TEXT and self.decodes_text:
            self._utf8.decode(frame.data, frame.fin)  # to know at once; characters may straddle fragments
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
    """Messages into masked frames, one each."""

    __slots__ = ("_deflate",)

    def __init__(self, deflate: Deflate | None = None) -> None:
        self._deflate = deflate

    def frame(self, kind: WSMsgType, data: bytes | bytearray | memoryview, compress: int | None = None) -> bytes:
        """Return the frame of a message.

        `compress` is a window in bits for this message, at most the one agreed on; 0 sends it as it is; None is as agreed.
        Where no compression has been agreed on there is none. Raises `ValueError` for what cannot be sent.
        """
        if isinstance(data, memoryview):
            data = bytes(data)  # its length is that of its elements, of whatever size they are
        if kind >= WSMsgType.CLOSE and len(data) > MAX_CONTROL_BYTES:
            raise ValueError(f"a {kind.name} frame holds {MAX_CONTROL_BYTES} bytes, not {len(data)}")
        if compress is not None:
            check_window(compress)
        extensions: list[Deflate] = []
        if self._deflate is not None and compress != 0:
            self._deflate.use_window(compress or self._deflate.window_bits)
            extensions.append(self._deflate)
        return Frame(_OPCODES[kind], data).serialize(mask=True, extensions=extensions)

    def close_frame(self, code: int, reason: str = "") -> bytes:
        """Return a Close frame; without content when the code is `NO_STATUS`. `ValueError` for a code not to be sent."""
        if code == WSCloseCode.NO_STATUS:
            return self.frame(WSMsgType.CLOSE, b"")
        try:
            content = Close(code, reason).serialize()
        except ProtocolError as error:
            raise ValueError(f"{code} cannot be sent as the code of a Close frame (RFC 6455 §7.4)") from error
        return self.frame(WSMsgType.CLOSE, content)


def check_window(bits: int) -> None:
    """Raise `ValueError` unless this is 0 or the size of a window in bits.

    zlib cannot compress with 8 bits, which RFC 7692 would allow.
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
