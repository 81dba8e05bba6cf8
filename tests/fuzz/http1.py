"""Responses, sound, damaged and nonsense, cut anywhere, into a connection.

The laws: nothing but the errors we promise; every exchange ends when its connection does; however the bytes are cut, the
outcome is the same; and a connection is only used again after a complete response with nothing behind it.
"""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, NamedTuple

from yarl import URL

from client.errors import ClientError
from client.exchange import ReadPolicy, WireError
from client.http1 import Http1Protocol
from client.request import ClientRequest
from tests.fuzz.transport import Unheard

if TYPE_CHECKING:
    from random import Random

_LINES = [
    b"Content-Length: 5",
    b"Content-Length: 0",
    b"Content-Length: 18446744073709551616",
    b"content-length:5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"transfer-encoding: gzip, chunked",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Content-Encoding: gzip",
    b"Set-Cookie: a=b",
    b"Location: /x",
    b"X: \xe9\xff",
    b" folded",
    b"\tfolded: too",
    b"X : blank",
    b"no colon",
    b"NUL: \0",
    b"",
]
_STATUS_LINES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 100 Continue",
    b"HTTP/1.1 103 Early Hints",
    b"HTTP/1.1 101 Switching Protocols",
    b"HTTP/1.1 302 Found",
    b"HTTP/1.1 999",
    b"HTTP/1.1 099 Low",
    b"HTTP/2.0 200 OK",
    b"RTSP/1.0 200 OK",
    b"<html>",
]
_BODIES = [
    b"",
    b"hello",
    b"hello, and more",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5;ext=1 \r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
    b"5\r\nhel",
    b"ffffffffffffffffff\r\n",
    b"\r\n",
    gzip.compress(b"hello"),
]
_POLICY = ReadPolicy(
    max_headers=8, max_field_size=60, max_line_size=60, max_head_size=400, high_water=8, max_body_bytes=64
)
_URL = URL("http://a.example/")


class Outcome(NamedTuple):
    """What came of a connection that was fed some bytes and then closed."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    error: type[BaseException] | None
    is_idle: bool


class Target:
    """One event loop for the whole run."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def execute(self, random: Random) -> None:
        method = random.choice(("GET", "GET", "HEAD", "CONNECT"))
        data = _response(random)
        cuts = sorted(random.sample(range(len(data) + 1), min(len(data), random.randrange(6))))
        pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        self._runner.run(_compare(method, data, pieces))


async def _compare(method: str, data: bytes, pieces: list[bytes]) -> None:
    outcomes = [await _feed(method, cut) for cut in ([data], pieces, [data[at : at + 1] for at in range(len(data))])]
    whole = outcomes[0]
    for outcome in outcomes[1:]:
        assert outcome[:4] == whole[:4], (method, data, pieces, whole, outcome)
        assert whole.is_idle or not outcome.is_idle, (method, data, pieces)


async def _feed(method: str, pieces: list[bytes]) -> Outcome:
    protocol, transport = Http1Protocol(), Unheard()
    protocol.connection_made(transport)
    exchange = protocol.begin(ClientRequest(method, _URL), b"", _POLICY)
    for piece in pieces:
        if not transport.is_aborted:
            protocol.data_received(piece)
    is_idle = protocol.is_idle
    assert not (is_idle and transport.is_aborted)
    protocol.connection_lost(None)
    try:
        await exchange.answered
        if exchange.head is None:
            assert exchange.error is not None
            raise exchange.error
        assert exchange.body is not None
        body = await exchange.body.read()
    except (ClientError, WireError) as error:
        assert not is_idle or exchange.is_complete
        return Outcome(exchange.status, (), b"", type(error), is_idle)
    assert exchange.is_complete or exchange.status == 101 or exchange.ends_with_connection
    return Outcome(exchange.status, tuple(exchange.head.headers), body, None, is_idle)


def _response(random: Random) -> bytes:
    """Heads and bodies in some order, with some bytes changed."""
    data = bytearray()
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        end = random.choice((b"\r\n", b"\r\n", b"\r\n", b"\n"))
        lines = [random.choice(_STATUS_LINES[: random.choice((2, len(_STATUS_LINES)))])]
        lines += random.choices(_LINES[: random.choice((4, 8, len(_LINES)))], k=random.randrange(4))
        data += end.join(lines) + end * 2
        data += random.choice(_BODIES)
    for _ in range(random.choice((0, 0, 0, 1, 3))):
        at = random.randrange(len(data))
        data[at : at + random.randrange(2)] = random.choice((b"", b"\0", b"\r", b"\n", b":", b" ", b"\xff", b"0"))
    return bytes(data)
