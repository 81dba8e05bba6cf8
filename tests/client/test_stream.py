"""Bodies as streams: every way of reading, back-pressure, decoding, bounds."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import zlib
from typing import TYPE_CHECKING, Any

import brotli
import pytest
from yarl import URL

from client import (
    BodyTooLarge,
    ClientPayloadError,
    ClientSession,
    ContentEncodingError,
    StreamReader,
    TCPConnector,
)
from tests.client.peer import repeating, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.client.conftest import Serve
    from tests.client.peer import Peer

LINES = b"first\nsecond\r\n\nlast"


class Flow:
    """The wire as a stream sees it."""

    def __init__(self) -> None:
        self.is_paused = False
        self.failed: Exception | None = None

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def fail(self, error: Exception) -> None:
        self.failed = error


def make(
    *pieces: bytes, eof: bool = True, high_water: int = 64, content_encoding: str = "", max_bytes: int | None = None
) -> StreamReader:
    """A stream that has received some pieces."""
    stream = StreamReader(Flow(), "GET", URL("http://a.example/"), high_water, max_bytes, content_encoding)
    for piece in pieces:
        stream.feed_data(piece)
    if eof:
        stream.feed_eof()
    return stream


async def exhaust(read: Callable[[], Awaitable[bytes]]) -> None:
    """Read until nothing is left."""
    while await read():
        pass


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


CUTS: dict[str, Callable[[bytes], list[bytes]]] = {"whole": lambda data: [data], "byte by byte": bytewise}


@pytest.mark.parametrize("content_encoding", ["", "gzip"])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
class TestReading:
    """Every method gives the same bytes, however they came and whatever they were coded as."""

    def make(self, cut: Callable[[bytes], list[bytes]], content_encoding: str) -> StreamReader:
        data = gzip.compress(LINES) if content_encoding else LINES
        return make(*cut(data), content_encoding=content_encoding, high_water=1000)

    async def test_read(self, cut: Callable[[bytes], list[bytes]], content_encoding: str) -> None:
        stream = self.make(cut, content_encoding)
        assert await stream.read() == LINES
        assert stream.at_eof()
        assert await stream.read() == b""

    async def test_read_some(self, cut: Callable[[bytes], list[bytes]], content_encoding: str) -> None:
        stream = self.make(cut, content_encoding)
        assert await stream.read(0) == b""
        read = [await stream.read(3) for _ in range(len(LINES))]
        assert all(0 < len(part) <= 3 for part in read[:6])
        assert b"".join(read) == LINES

    async def test_read_the_rest(self, cut: Callable[[bytes], list[bytes]], content_encoding: str) -> None:
        stream = self.make(cut, content_encoding)
        assert await stream.readexactly(3) + await stream.read() == LINES

    async def test_readexactly(self, cut: Callable[[bytes], list[bytes]], content_encoding: str) -> None:
        stream = self.make(cut, content_encoding)
        assert await stream.readexactly(0) == await stream.readexactly(-1) == b""
        assert await stream.readexactly(7) == LINES[:7]
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await stream.readexactly(100)
        assert caught.value.partial == LINES[7:]

    async def test_lines(self, cut: Callable[[bytes], list[bytes]], content_encoding: str) -> None:
        stream = self.make(cut, content_encoding)
        assert [line async for line in stream] == LINES.splitlines(keepends=True)
        assert await stream.readline() == b""

    async def test_readuntil(self, cut: Callable[[bytes], list[bytes]], content_encoding: str) -> None:
        stream = self.make(cut, content_encoding)
        assert await stream.readuntil(b"\r\n") == b"first\nsecond\r\n"
        assert await stream.readuntil(b"nowhere") == b"\nlast"
        with pytest.raises(ValueError, match="empty"):
            await stream.readuntil(b"")

    async def test_iterations(self, cut: Callable[[bytes], list[bytes]], content_encoding: str) -> None:
        parts = [part async for part in self.make(cut, content_encoding).iter_chunked(4)]
        assert all(len(part) <= 4 for part in parts)
        assert b"".join(parts) == LINES
        assert b"".join([part async for part in self.make(cut, content_encoding).iter_any()]) == LINES
        assert b"".join([part async for part, _ in self.make(cut, content_encoding).iter_chunks()]) == LINES

    async def test_read_nowait(self, cut: Callable[[bytes], list[bytes]], content_encoding: str) -> None:
        stream = self.make(cut, content_encoding)
        assert stream.read_nowait(2) + stream.read_nowait() == LINES


async def test_chunk_ends() -> None:
    """Where chunks ended is told, even when the end comes later than the bytes."""
    stream = make(b"ab", eof=False)
    assert await stream.readchunk() == (b"ab", False)
    stream.feed_data(b"c")
    stream.feed_chunk_end()
    stream.feed_data(b"d")
    assert await stream.readchunk() == (b"c", True)
    assert await stream.readchunk() == (b"d", False)
    waiting = asyncio.create_task(stream.readchunk())
    await asyncio.sleep(0)
    stream.feed_chunk_end()
    assert await waiting == (b"", True)
    stream.feed_eof()
    assert await stream.readchunk() == (b"", False)


async def test_chunk_ends_over_the_wire(serve: Serve, session: ClientSession) -> None:
    """The chunks of a response, as the server cut them."""
    server = await serve(
        repeating(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    )
    async with session.get(server.url) as response:
        assert [part async for part in response.content.iter_chunks()] == [(b"ab", True), (b"c", True)]


async def test_line_without_end() -> None:
    """A line longer than the high-water mark is an error, and not kept in memory to the end."""
    with pytest.raises(ValueError, match="within 64 bytes"):
        await make(b"x" * 100).readline()


async def test_waiting_readers_are_woken() -> None:
    """Reading waits for the next piece, and no longer."""
    stream = make(eof=False)
    reading = asyncio.create_task(stream.readany())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already reading"):
        await stream.readany()
    stream.feed_data(b"x")
    assert await reading == b"x"


@pytest.mark.parametrize("content_encoding", ["", "gzip"])
@pytest.mark.parametrize(
    ("method", "read", "expected"),
    [
        ("readline", StreamReader.readline, b"first\n"),
        ("readuntil", lambda stream: stream.readuntil(b"t\ns"), b"first\ns"),
        ("readexactly", lambda stream: stream.readexactly(9), b"first\nsec"),
        ("read", StreamReader.read, LINES),
        ("the rest", lambda stream: stream.read_all(), LINES[1:]),
    ],
)
async def test_a_reader_that_gives_up_loses_nothing(
    method: str, read: Callable[[StreamReader], Awaitable[bytes]], expected: bytes, content_encoding: str
) -> None:
    """Whoever waits for a while, and then again, gets what came meanwhile: in a body with a hole nobody sees the hole."""
    encoder = zlib.compressobj(wbits=31) if content_encoding else None

    def encoded(data: bytes) -> bytes:
        return encoder.compress(data) + encoder.flush(zlib.Z_SYNC_FLUSH) if encoder is not None else data

    stream = make(encoded(LINES[:3]), eof=False, content_encoding=content_encoding)
    if method == "the rest":
        assert await stream.read(1) == LINES[:1]
    for piece in (LINES[3:4], LINES[4:]):
        reading = asyncio.ensure_future(read(stream))
        await asyncio.sleep(0)
        stream.feed_data(encoded(piece))
        await asyncio.sleep(0)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            assert await reading == expected
            break
    else:
        if encoder is not None:
            stream.feed_data(encoder.flush())
        stream.feed_eof()
        assert await read(stream) == expected


@pytest.mark.parametrize(
    ("iterate", "expected"),
    [
        (StreamReader.iter_any, [LINES[:3], LINES[3:]]),
        (
            lambda stream: stream.iter_chunked(2),
            [LINES[:2], LINES[2:3], *(LINES[at : at + 2] for at in range(3, 19, 2))],
        ),
        (StreamReader.iter_chunks, [(LINES[:3], False), (LINES[3:], False)]),
        (aiter, LINES.splitlines(keepends=True)),
    ],
    ids=["iter_any", "iter_chunked", "iter_chunks", "lines"],
)
async def test_an_iteration_goes_on_after_a_step_that_was_cancelled(
    iterate: Callable[[StreamReader], AsyncIterator[Any]], expected: list[Any]
) -> None:
    """As aiohttp's do. One that ended there would pass for the whole body."""
    stream = make(LINES[:3], eof=False)
    iteration = iterate(stream)
    parts = []
    with pytest.raises(TimeoutError):
        while True:
            async with asyncio.timeout(0):
                parts.append(await anext(iteration))
    stream.feed_data(LINES[3:])
    stream.feed_eof()
    parts += [part async for part in iteration]
    assert parts == expected
    assert [part async for part in iteration] == []


async def test_who_gives_up_on_everything_may_read_part_by_part() -> None:
    """And holds the wire back again."""
    stream = make(b"one", eof=False, high_water=4)
    reading = asyncio.ensure_future(stream.read())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert await stream.readany() == b"one"
    reading = asyncio.ensure_future(stream.readany())
    await asyncio.sleep(0)
    stream.feed_data(b"two")
    async with asyncio.timeout(10):
        assert await reading == b"two"
    stream.feed_data(b"three")
    assert isinstance(stream._flow, Flow)
    assert stream._flow.is_paused


async def test_a_separator_in_two_pieces_before_more_than_is_taken_at_once() -> None:
    rest = bytes(range(1, 97)) * 1000
    stream = make(b"first\r", b"\n" + rest)
    assert await stream.readuntil(b"\r\n") == b"first\r\n"
    assert await stream.read() == rest


async def test_errors_go_before_bytes() -> None:
    """Half a body is none."""
    stream = make(b"half", eof=False)
    stream.set_exception(ClientPayloadError("cut"))
    assert isinstance(stream.exception(), ClientPayloadError)
    for read in (stream.read, stream.readany, stream.readline, stream.readchunk, stream.wait_eof):
        with pytest.raises(ClientPayloadError):
            await read()


async def test_what_went_wrong_first_is_what_is_told() -> None:
    """A body that was too large already does not become one that was cut short, however its bytes came."""
    stream = make(b"12345", eof=False, max_bytes=4)
    stream.set_exception(ClientPayloadError("cut"))
    with pytest.raises(BodyTooLarge):
        await stream.read()


async def test_a_complete_body_does_not_fail() -> None:
    """What happens to the connection afterwards is no matter of the body."""
    stream = make(b"all")
    stream.set_exception(ClientPayloadError("late"))
    assert await stream.read() == b"all"


async def test_eof_callbacks() -> None:
    """Told once, at the end, or at once if that has been."""
    told: list[int] = []
    stream = make(eof=False)
    stream.on_eof(lambda: told.append(1))
    assert not stream.is_eof()
    stream.feed_eof()
    stream.on_eof(lambda: told.append(2))
    assert told == [1, 2]
    await stream.wait_eof()


async def test_an_eof_callback_that_fails() -> None:
    """It is reported, and neither the others nor the connection hear of it."""
    reports: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context["exception"]))
    told: list[int] = []
    stream = make(eof=False)
    stream.on_eof(lambda: told.append(1 // 0))
    stream.on_eof(lambda: told.append(2))
    stream.feed_eof()
    assert told == [2]
    assert [type(error) for error in reports] == [ZeroDivisionError]


# -- back-pressure ----------------------------------------------------------------------------------------------------


async def test_pauses_above_and_resumes_below() -> None:
    """Above the mark the wire is held back; with half of it read, let go."""
    flow = Flow()
    stream = StreamReader(flow, "GET", URL(), 100)
    stream.feed_data(b"x" * 60)
    assert not flow.is_paused
    stream.feed_data(b"x" * 60)
    assert flow.is_paused
    await stream.readany()
    assert flow.is_paused
    await stream.readany()
    assert not flow.is_paused


async def test_reading_everything_lets_the_wire_run() -> None:
    """`read` wants all of it: holding back would gain nothing."""
    flow = Flow()
    stream = StreamReader(flow, "GET", URL(), 10)
    stream.feed_data(b"x" * 20)
    assert flow.is_paused
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    assert not flow.is_paused
    stream.feed_data(b"x" * 100)
    assert not flow.is_paused
    stream.feed_eof()
    assert len(await reading) == 120


@pytest.mark.parametrize("ends", ["eof", "error"])
async def test_a_paused_wire_is_released_at_the_end(ends: str) -> None:
    """A connection that goes back to the pool must be read from."""
    flow = Flow()
    stream = StreamReader(flow, "GET", URL(), 10)
    stream.feed_data(b"x" * 20)
    assert flow.is_paused
    stream.feed_eof() if ends == "eof" else stream.set_exception(ClientPayloadError())
    assert not flow.is_paused


async def test_a_slow_reader_holds_the_server_back(serve: Serve, session: ClientSession) -> None:
    """Over a real connection: what waits in memory is bounded, whatever the server has to say."""
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        for _ in range(500):
            await peer.send(b"x" * 100_000)
            sent += 100_000

    server = await serve(script)
    async with session.get(server.url, read_bufsize=10_000) as response:
        seen = -1
        while sent != seen:  # until the server cannot go on
            seen = sent
            for _ in range(50):
                await asyncio.sleep(0)
        assert response.content.total_bytes < 1_000_000
        assert sent < 20_000_000
        total = 0
        async for part in response.content.iter_any():
            total += len(part)
        assert total == 50_000_000


# -- decoding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", brotli.compress)]
)
async def test_decodes(coding: str, encode: Callable[[bytes], bytes], serve: Serve, session: ClientSession) -> None:
    """Whole or part by part; without, if one prefers."""
    page = b"page " * 5000
    encoded = encode(page)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(encoded)}\r\n\r\n".encode()
    server = await serve(repeating(head + encoded))
    async with session.get(server.url) as response:
        assert await response.read() == page
        assert response.headers["Content-Encoding"] == coding
        assert response.content_length == len(encoded)
    async with session.get(server.url) as response:
        parts = [part async for part in response.content.iter_chunked(1000)]
        assert b"".join(parts) == page
        assert response.content.content_encoding == coding
    async with session.get(server.url, auto_decompress=False) as response:
        assert await response.read() == encoded


async def test_unknown_coding_is_passed_on() -> None:
    """As browsers do."""
    assert await make(b"as it is", content_encoding="utf-8").read() == b"as it is"
    assert await make(b"as it is", content_encoding="utf-8").readany() == b"as it is"


@pytest.mark.parametrize("data", [b"not gzip", gzip.compress(b"cut" * 100)[:-9]], ids=["garbage", "cut short"])
async def test_body_that_does_not_decompress(data: bytes) -> None:
    """The error says what it is about, however the body is read."""
    for read in ("read", "readany"):
        stream = make(data, content_encoding="gzip")
        with pytest.raises(ContentEncodingError) as caught:
            await exhaust(getattr(stream, read))
        assert (caught.value.method, caught.value.url) == ("GET", URL("http://a.example/"))


async def test_a_bomb_is_read_within_bounds() -> None:
    """A megabyte that becomes a gigabyte is decoded as far as it is asked for, and refused beyond the bound."""
    bomb = gzip.compress(bytes(50_000_000))
    stream = make(bomb, content_encoding="gzip", high_water=1 << 20)
    assert len(await stream.read(1000)) == 1000
    for read in ("read", "readany"):
        stream = make(bomb, content_encoding="gzip", max_bytes=1_000_000)
        with pytest.raises(BodyTooLarge):
            await exhaust(getattr(stream, read))


# -- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunks", "end of connection"])
@pytest.mark.parametrize("streams", [False, True], ids=["read", "iterated"])
async def test_max_body_bytes(framing: str, streams: bool, serve: Serve, connector: TCPConnector) -> None:
    """A body beyond the bound is an error while it is read, and costs no more than the bound; up to it, it is fine."""
    size = 3_000_000

    async def script(peer: Peer) -> None:
        received = await peer.request()
        length = int(received.target[1:])
        match framing:
            case "length":
                await peer.answer(b"x" * length)
            case "chunks":
                await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                await peer.send(b"%x\r\n%s\r\n0\r\n\r\n" % (length, b"x" * length))
            case _:
                await peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * length)

    server = await serve(script)
    async with ClientSession(connector=connector, connector_owner=False, max_body_bytes=1_000_000) as session:

        async def read(length: int) -> int:
            async with session.get(server.url / str(length)) as response:
                if streams:
                    return sum([len(part) async for part in response.content.iter_any()])
                return len(await response.read())

        assert await read(1_000_000) == 1_000_000
        with pytest.raises(BodyTooLarge) as caught:
            await read(size)
        assert caught.value.url == server.url / str(size)
        async with session.get(server.url / str(size), max_body_bytes=size) as response:
            assert len(await response.read()) == size


async def test_a_large_body_takes_little_memory(serve: Serve, session: ClientSession) -> None:
    """Streamed, a body is never whole in memory: what waits is bounded by the mark and one read of the transport."""
    block = os.urandom(100_000)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(1000):
            await peer.send(block)

    server = await serve(script)
    most = total = 0
    async with session.get(server.url) as response:
        async for part in response.content.iter_any():
            total += len(part)
            most = max(most, response.content.total_bytes - total)
    assert total == 100_000_000
    assert most < 1_000_000


async def test_the_connection_is_idle_before_the_body_is_read(serve: Serve, session: ClientSession) -> None:
    """A body that has arrived needs its connection no more, even if nobody has read it."""
    server = await serve(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000))
    response = await session.get(server.url)
    connector = session.connector
    assert connector is not None
    await until(lambda: connector.idle_count == 1)
    assert response.content.is_eof()
    assert not response.content.at_eof()
    assert len(await response.read()) == 100_000
