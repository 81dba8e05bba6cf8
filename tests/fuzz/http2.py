"""Frames, sound, damaged and nonsense, cut anywhere, into a connection of HTTP/2 with two exchanges and an upload.

The laws: nothing but the errors we promise; every exchange ends when its connection does, and gives its stream back; however the
bytes are cut, the outcome is the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from hpack import Encoder
from yarl import URL

from client.errors import ClientError
from client.exchange import ReadPolicy, WireError
from client.http2 import Http2Protocol
from client.request import ClientRequest
from tests.fuzz.transport import Unheard

if TYPE_CHECKING:
    from random import Random

    from client.exchange import Exchange

_FIELDS = [
    (b"content-length", b"5"),
    (b"content-length", b"0"),
    (b"content-length", b"18446744073709551616"),
    (b"content-encoding", b"gzip"),
    (b"set-cookie", b"a=b"),
    (b"connection", b"close"),
    (b"X", b"upper"),
    (b"x", b" blanks "),
    (b"x", b"\xe9\xff"),
    (b"x", b"a\r\nb: c"),
    (b"x", b"long" * 20),
    (b"", b""),
    (b":status", b"200"),
    (b":path", b"/"),
]
_STATUSES = [b"200", b"200", b"200", b"204", b"304", b"103", b"100", b"101", b"302", b"099", b"2", b""]
_IDS = (1, 1, 1, 3, 3, 0, 2, 5, 99)
_CONTENT = [b"", b"hello", b"hello, and more", bytes(300), bytes(17_000)]
_PAYLOADS = {
    2: [bytes(5), b"\0\0\0\1\0", b""],
    3: [bytes(4), b"\0\0\0\7", b"\0\0\0\x0d", b"\0\0\0\5", b""],
    4: [b"", b"\0\3\0\0\0\1", b"\0\4\0\0\0\x0a", b"\0\4\xff\xff\xff\xff", b"\0\5\0\0\0\0", b"\0\1\0\0\xff\xff", b"\0"],
    6: [bytes(8), b"x"],
    7: [b"\0\0\0\1" + bytes(4), b"\0\0\0\3" + bytes(4), bytes(8) + b"why", b"\x7f\xff\xff\xff\0\0\0\x0b", b"\0"],
    8: [b"\0\0\0\1", b"\0\1\0\0", bytes(4), b"\x7f\xff\xff\xff", b"\0"],
    0xBE: [b"", b"unknown"],
}
_POLICY = ReadPolicy(max_headers=8, max_field_size=60, max_head_size=400, high_water=8, max_body_bytes=20_000)
_URL = URL("https://a.example/")
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"


class Outcome(NamedTuple):
    """What came of one exchange."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    error: type[BaseException] | None


class Target:
    """One event loop for the whole run."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def execute(self, random: Random) -> None:
        data = _frames(random)
        method = random.choice(("GET", "GET", "HEAD"))
        cuts = sorted(random.sample(range(len(data) + 1), min(len(data), random.randrange(6))))
        pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        self._runner.run(_compare(method, data, pieces))


async def _compare(method: str, data: bytes, pieces: list[bytes]) -> None:
    whole = await _feed(method, [data])
    ways = [pieces, [data[at : at + 1] for at in range(len(data))]] if len(data) < 2000 else [pieces]
    for way in ways:
        outcomes = await _feed(method, way)
        assert outcomes == whole, (method, data, way, whole, outcomes)


async def _feed(method: str, pieces: list[bytes]) -> list[Outcome]:
    protocol, transport = Http2Protocol(), Unheard()
    protocol.connection_made(transport)
    streams = [protocol.lend(), protocol.lend()]
    head = f"{method} / HTTP/1.1\r\nHost: a.example\r\n\r\n".encode()
    exchanges = [
        stream.begin(ClientRequest(method, _URL), head, _POLICY, is_whole)
        for stream, is_whole in zip(streams, (True, False), strict=True)
    ]
    upload = asyncio.ensure_future(streams[1].write(exchanges[1], bytes(100_000)))
    await asyncio.sleep(0)
    for piece in pieces:
        if not transport.is_aborted:
            protocol.data_received(piece)
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    assert not protocol._lent
    await asyncio.wait([upload])
    assert upload.exception() is None or isinstance(upload.exception(), ClientError)
    return [await _outcome(exchange) for exchange in exchanges]


async def _outcome(exchange: Exchange) -> Outcome:
    assert exchange.answered.done()
    try:
        if exchange.head is None:
            assert exchange.error is not None
            raise exchange.error
        assert exchange.body is not None
        body = await exchange.body.read()
    except (ClientError, WireError) as error:
        return Outcome(exchange.status, (), b"", type(error))
    assert exchange.is_complete
    return Outcome(exchange.status, tuple(exchange.head.headers), body, None)


def _frames(random: Random) -> bytes:
    """Settings, and then frames in some order, with some bytes changed."""
    encoder = Encoder()
    data = bytearray(_SETTINGS if random.random() < 0.95 else b"")
    for _ in range(random.randrange(12)):
        kind = random.choice((0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xBE))
        flags = random.choice((0, 1, 4, 5, 5, 0x0C, 0x29, random.randrange(256)))
        if kind in (1, 5, 9):
            status = [(b":status", random.choice(_STATUSES))] if random.random() < 0.9 else []
            fields = status + random.choices(_FIELDS[: random.choice((2, 6, len(_FIELDS)))], k=random.randrange(3))
            payload = bytes(encoder.encode(fields))
        else:
            payload = random.choice(_CONTENT if kind == 0 else _PAYLOADS[kind])
        stream_id = 0 if kind in (4, 6, 7) and random.random() < 0.9 else random.choice(_IDS)
        data += len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload
    for _ in range(random.choice((0, 0, 0, 1, 3))):
        if data:
            at = random.randrange(len(data))
            data[at : at + random.randrange(2)] = random.randbytes(random.randrange(2))
    return bytes(data)
