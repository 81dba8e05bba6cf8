"""The server's end of a WebSocket, by hand: handshakes and frames as bytes, made without the library the client uses."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from base64 import b64encode
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from client import ClientWebSocketResponse
    from tests.client.peer import Peer, Received

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10


def accept_for(request: Received) -> str:
    """What Sec-WebSocket-Accept has to be (RFC 6455 §4.2.2)."""
    key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return b64encode(hashlib.sha1(key.encode()).digest()).decode()


def switching(request: Received, *headers: str) -> bytes:
    """The head that opens a WebSocket."""
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_for(request)}",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode()


async def open_websocket(peer: Peer, *headers: str, first: bytes = b"") -> Received:
    """Take a handshake, and send `first` in one piece with the answer."""
    request = await peer.head()
    await peer.send(switching(request, *headers) + first)
    return request


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = b"") -> bytes:
    """A frame as RFC 6455 §5.2 draws it."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 1 << 16:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    if mask:
        length = bytes([length[0] | 0x80]) + length[1:]
        payload = bytes(byte ^ key for byte, key in zip(payload, cycle(mask), strict=False))
    return bytes([(0x80 if fin else 0) | rsv | opcode]) + length + mask + payload


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def deflated(payload: bytes, *, wbits: int = -15) -> bytes:
    """A payload as permessage-deflate has it, compressed by itself (RFC 7692 §7.2.1)."""
    compressor = zlib.compressobj(9, wbits=wbits)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


class ReceivedFrame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool
    rsv: int
    mask: bytes

    @property
    def close_code(self) -> int:
        assert self.opcode == CLOSE
        return int.from_bytes(self.payload[:2], "big")


async def read_frame(peer: Peer) -> ReceivedFrame:
    """Read the next frame of the client; it must be masked. `asyncio.IncompleteReadError` when there is none."""
    first, second = await peer.reader.readexactly(2)
    assert second & 0x80, "a client's frame must be masked"
    size = second & 0x7F
    if size == 126:
        size = int.from_bytes(await peer.reader.readexactly(2), "big")
    elif size == 127:
        size = int.from_bytes(await peer.reader.readexactly(8), "big")
    mask = await peer.reader.readexactly(4)
    payload = await peer.reader.readexactly(size)
    if any(mask):
        payload = bytes(byte ^ key for byte, key in zip(payload, cycle(mask), strict=False))
    return ReceivedFrame(first & 0x0F, payload, bool(first & 0x80), first & 0x70, mask)


async def shake_hands(peer: Peer) -> int:
    """Answer the client's Close frame, close, and return its code."""
    received = await read_frame(peer)
    while received.opcode != CLOSE:
        received = await read_frame(peer)
    await peer.send(frame(CLOSE, received.payload))
    return received.close_code


def saying(*frames: bytes, headers: tuple[str, ...] = ()) -> Callable[[Peer], Awaitable[None]]:
    """A script that opens, sends frames in one piece with its answer, and closes as it should."""

    async def script(peer: Peer) -> None:
        await open_websocket(peer, *headers, first=b"".join(frames))
        await shake_hands(peer)

    return script


def transport_of(websocket: ClientWebSocketResponse) -> asyncio.Transport:
    """The transport, to see what is held back."""
    connection = websocket._response.connection
    assert connection is not None
    assert connection.transport is not None
    return connection.transport


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  what transports do they tell nobody
            await asyncio.sleep(0)
