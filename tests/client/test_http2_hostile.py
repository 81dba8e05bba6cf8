"""HTTP/2 with servers that break it: each ends in an error of ours, soon, and harms nobody else.

In every case the server is asked once, does what the case says, and then waits. The request must fail with one of the errors
named; the connector must be none the worse for it, and the next request be answered.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from h2.errors import ErrorCodes
from h2.events import Event, SettingsAcknowledged
from h2.settings import SettingCodes
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    ExtensionFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from yarl import URL

from client import (
    BadHttpMessage,
    ClientOSError,
    ClientPayloadError,
    ClientRequest,
    ClientSession,
    HeadersTooLarge,
    ServerDisconnectedError,
    TCPConnector,
)
from client.exchange import ReadPolicy
from client.http2 import Http2Protocol
from client.http2_library import STREAM_WINDOW
from tests.client.http2_peer import Http2Peer, speaking
from tests.client.peer import until

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from client.http2_stream import Http2Stream
    from tests.client.conftest import Serve
    from tests.client.peer import Server

OK = (":status", "200")
FLOOD = 6_000
"""More frames that bring nothing than anybody has to bear."""


class Case(NamedTuple):
    does: Callable[[Http2Peer, int], Awaitable[None]]
    """What the server does: the connection, and the stream of the request."""
    ends: tuple[type[Exception], ...]


def sending(*frames: Frame | Callable[[Http2Peer, int], Frame | bytes], head: bool = False) -> Any:
    """A server that sends frames, behind a head if need be. Those of stream 1 are for the request."""

    async def does(peer: Http2Peer, stream_id: int) -> None:
        if head:
            await peer.begin(stream_id)
        await peer.raw(*(frame(peer, stream_id) if callable(frame) else frame for frame in frames))

    return does


def flooding(*frames: Frame, head: bool = True) -> Any:
    """A server that sends the same over and over, until the client has enough."""

    async def does(peer: Http2Peer, stream_id: int) -> None:
        if head:
            await peer.begin(stream_id)
        data = b"".join(frame.serialize() for frame in frames) * 200
        for _ in range(FLOOD // 200 + 1):
            await peer.raw(data)

    return does


def heading(*fields: tuple[str, str], flags: tuple[str, ...] = ("END_HEADERS", "END_STREAM")) -> Any:
    return sending(lambda peer, stream_id: HeadersFrame(stream_id, peer.block(*fields), flags=flags))


async def continuing(peer: Http2Peer, stream_id: int) -> None:
    """A block of fields without an end (CVE-2024-27316)."""
    await peer.raw(HeadersFrame(stream_id, peer.block(OK)))
    for _ in range(200):
        await peer.raw(ContinuationFrame(stream_id, peer.block(("x", "y" * 100))))


async def exploding(peer: Http2Peer, stream_id: int) -> None:
    """A large field, put into the table once and meant a thousand times."""
    peer.h2.encoder.header_table_size = 4096
    large = ("x-large", "y" * 4000)
    block = peer.block(OK, large) + peer.block(*[large] * 1000)
    await peer.raw(HeadersFrame(stream_id, block, flags=("END_HEADERS",)))


async def heading_at_length(peer: Http2Peer, stream_id: int) -> None:
    """Fields that are modest each, in several frames."""
    block = peer.block(OK, *[(f"x-{number}", "&" * 8000) for number in range(9)])
    parts = [block[start : start + 16_384] for start in range(0, len(block), 16_384)]
    await peer.raw(HeadersFrame(stream_id, parts[0]), *[ContinuationFrame(stream_id, part) for part in parts[1:-1]])
    await peer.raw(ContinuationFrame(stream_id, parts[-1], flags=("END_HEADERS",)))


async def dribbling(peer: Http2Peer, stream_id: int) -> None:
    """A response byte by byte, and then an end where there should be more."""
    frame = HeadersFrame(stream_id, peer.block(OK, ("content-length", "9")), flags=("END_HEADERS",))
    for byte in frame.serialize() + DataFrame(stream_id, b"four", flags=("END_STREAM",)).serialize():
        await peer.raw(bytes([byte]))


async def departing(peer: Http2Peer, stream_id: int) -> None:
    await peer.begin(stream_id, ("content-length", "9"))
    await peer.data(stream_id, b"four")
    peer.leave()


async def hanging_up(peer: Http2Peer, _stream_id: int) -> None:
    peer.hang_up()


BAD, GONE, CUT = (BadHttpMessage,), (ServerDisconnectedError,), (ClientPayloadError,)
CASES = {
    # floods
    "pings": Case(flooding(PingFrame(0)), CUT),
    "settings": Case(flooding(SettingsFrame(0, {SettingCodes.MAX_CONCURRENT_STREAMS: 7})), CUT),
    "acknowledged settings": Case(flooding(SettingsFrame(0, flags=("ACK",))), CUT),
    "priorities": Case(flooding(PriorityFrame(1, depends_on=3)), CUT),
    "window updates": Case(flooding(WindowUpdateFrame(0, 1)), CUT),
    "empty data": Case(flooding(DataFrame(1)), CUT),
    "padding": Case(flooding(DataFrame(1, pad_length=0, flags=("PADDED",))), CUT),
    "unknown frames": Case(flooding(ExtensionFrame(0xBE, 0, 0, b"")), CUT),
    "resets of others": Case(flooding(RstStreamFrame(1), RstStreamFrame(3)), CUT),
    "pings before a head": Case(flooding(PingFrame(0), head=False), BAD),
    "goaways": Case(flooding(GoAwayFrame(0, last_stream_id=1)), CUT),
    "interim responses": Case(
        sending(*[lambda peer, sid: HeadersFrame(sid, peer.block((":status", "103")), flags=("END_HEADERS",))] * 40),
        (HeadersTooLarge,),
    ),
    # heads
    "continuations": Case(continuing, BAD),
    "a bomb": Case(exploding, (HeadersTooLarge,)),
    "a field too long": Case(heading(OK, ("x", "y" * 9000)), (HeadersTooLarge,)),
    "too many fields": Case(heading(OK, *[("x", "y")] * 200), (HeadersTooLarge,)),
    "too large a head": Case(heading_at_length, (HeadersTooLarge,)),
    "no status": Case(heading(("x", "y")), BAD),
    "two statuses": Case(heading(OK, OK), BAD),
    "a status that is none": Case(heading((":status", "2OO")), BAD),
    "a status behind a field": Case(heading(("x", "y"), OK), BAD),
    "another pseudo-field": Case(heading(OK, (":path", "/")), BAD),
    "a switch of protocols": Case(heading((":status", "101"), flags=("END_HEADERS",)), BAD),
    "an interim end": Case(heading((":status", "103")), BAD),
    "upper case": Case(heading(OK, ("X-Name", "y")), BAD),
    "no name": Case(heading(OK, ("", "y")), BAD),
    "a line break": Case(heading(OK, ("x", "a\r\nset-cookie: b=1")), BAD),
    "a NUL": Case(heading(OK, ("x", "a\0b")), BAD),
    "a field of HTTP/1.1": Case(heading(OK, ("transfer-encoding", "chunked")), BAD),
    "a length that is none": Case(heading(OK, ("content-length", "many")), BAD),
    "two lengths": Case(heading(OK, ("content-length", "1"), ("content-length", "2")), BAD),
    "a block that is none": Case(sending(HeadersFrame(1, b"\xff" * 40, flags=("END_HEADERS",))), BAD),
    "a table too large": Case(sending(HeadersFrame(1, b"\x3f\xff\xff\xff\xff\x07", flags=("END_HEADERS",))), BAD),
    # content
    "content before a head": Case(sending(DataFrame(1, b"x")), BAD),
    "more than announced": Case(
        sending(
            lambda peer, sid: HeadersFrame(sid, peer.block(OK, ("content-length", "1")), flags=("END_HEADERS",)),
            DataFrame(1, b"xyz", flags=("END_STREAM",)),
        ),
        CUT,
    ),
    "less than announced": Case(dribbling, CUT),
    "nothing of what was announced": Case(heading(OK, ("content-length", "1")), CUT),
    "trailers before the end": Case(
        sending(
            lambda peer, sid: HeadersFrame(sid, peer.block(OK, ("content-length", "9")), flags=("END_HEADERS",)),
            lambda peer, sid: HeadersFrame(sid, peer.block(("x", "y")), flags=("END_HEADERS", "END_STREAM")),
        ),
        CUT,
    ),
    "trailers without an end": Case(
        sending(lambda peer, sid: HeadersFrame(sid, peer.block(("x", "y")), flags=("END_HEADERS",)), head=True), CUT
    ),
    "a reset in the body": Case(sending(RstStreamFrame(1, error_code=2), head=True), CUT),
    "a reset before the head": Case(sending(RstStreamFrame(1, error_code=2)), GONE),
    "a reset for no reason": Case(sending(RstStreamFrame(1, error_code=0x1234)), GONE),
    "the end of the connection in the body": Case(departing, CUT),
    "a TCP reset": Case(hanging_up, (ClientOSError, ServerDisconnectedError)),
    # frames
    "garbage": Case(sending(lambda *_: b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10), BAD),
    "a frame too large": Case(sending(lambda *_: b"\xff\xff\xff\0\0\0\0\0\1" + bytes(1000)), BAD),
    "content of no stream": Case(sending(lambda *_: b"\0\0\1\0\0\0\0\0\0x"), BAD),
    "content of a stream never opened": Case(sending(DataFrame(99, b"x")), BAD),
    "a head of a stream never opened": Case(
        sending(lambda peer, _: HeadersFrame(99, peer.block(OK), flags=("END_HEADERS",))), BAD
    ),
    "a stream of the server's": Case(
        sending(lambda peer, _: HeadersFrame(2, peer.block(OK), flags=("END_HEADERS",))), BAD
    ),
    "a push": Case(
        sending(lambda peer, sid: PushPromiseFrame(sid, 2, peer.block((":path", "/")), flags=("END_HEADERS",))), BAD
    ),
    "another frame in a head": Case(sending(lambda peer, sid: HeadersFrame(sid, peer.block(OK)), PingFrame(0)), BAD),
    "a goaway in a head": Case(
        sending(lambda peer, sid: HeadersFrame(sid, peer.block(OK)), GoAwayFrame(0, last_stream_id=1)), BAD
    ),
    "a continuation of nothing": Case(sending(ContinuationFrame(1, b"x")), BAD),
    "too much padding": Case(sending(lambda *_: b"\0\0\2\0\x08\0\0\0\1\xffx", head=True), CUT),
    "settings cut short": Case(sending(lambda *_: b"\0\0\5\4\0\0\0\0\0" + bytes(5)), BAD),
    "settings that are none": Case(sending(SettingsFrame(0, {SettingCodes.INITIAL_WINDOW_SIZE: 1 << 31})), BAD),
    "a window too large": Case(sending(WindowUpdateFrame(1, (1 << 31) - 1)), BAD),
    "a connection window too large": Case(sending(WindowUpdateFrame(0, (1 << 31) - 1)), BAD),
    "a window of nothing": Case(sending(lambda *_: b"\0\0\4\x08\0\0\0\0\1" + bytes(4)), BAD),
    "a ping cut short": Case(sending(lambda *_: b"\0\0\1\6\0\0\0\0\0x"), BAD),
    "a goaway cut short": Case(sending(lambda *_: b"\0\0\1\7\0\0\0\0\0x"), BAD),
    "a goaway of a stream": Case(sending(lambda *_: b"\0\0\x08\7\0\0\0\0\1" + bytes(8)), BAD),
    "a dependence on itself": Case(sending(PriorityFrame(1, depends_on=1)), BAD),
}


async def ask(session: ClientSession, server: Server) -> bytes:
    async with session.get(server.url) as response:
        return await response.read()


@pytest.mark.parametrize("name", CASES)
async def test_it_ends_in_an_error(
    name: str, serve: Serve, http2_connector: TCPConnector, http2_tls: ssl.SSLContext
) -> None:
    does, ends = CASES[name]
    is_first = True

    async def script(peer: Http2Peer) -> None:
        nonlocal is_first
        was_first, is_first = is_first, False
        await peer.greet()
        if was_first:
            await does(peer, (await peer.request()).stream_id)
        while True:
            await peer.answer(await peer.request(), b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    async with ClientSession(connector=http2_connector, connector_owner=False) as session:
        async with asyncio.timeout(10):
            with pytest.raises(ends) as caught:
                await ask(session, server)
        assert type(caught.value) in ends
        assert caught.value.url == server.url  # type: ignore[attr-defined]
        assert await ask(session, server) == b"hi"
        assert (http2_connector.in_use_count, http2_connector.limits.active) == (0, 0)


EARLY = {
    "text": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "nothing": b"",
    "a ping": PingFrame(0).serialize(),
    "acknowledged settings": SettingsFrame(0, flags=("ACK",)).serialize(),
    "goaway at once": SettingsFrame(0).serialize() + GoAwayFrame(0, error_code=0x1234).serialize(),
    "room for nobody": SettingsFrame(0, {SettingCodes.MAX_CONCURRENT_STREAMS: 0}).serialize() + b"\0\0\0\4\1\0\0\0\0",
}


@pytest.mark.parametrize("name", EARLY)
async def test_servers_that_begin_otherwise(
    name: str, serve: Serve, http2_connector: TCPConnector, http2_tls: ssl.SSLContext
) -> None:
    """Where settings should come; and those who say that they want no requests."""

    async def script(peer: Http2Peer) -> None:
        await peer.raw(EARLY[name])
        if name != "nothing":
            await peer.event(Event)
        if name == "room for nobody":
            await peer.raw(RstStreamFrame(1, error_code=ErrorCodes.REFUSED_STREAM))
            await peer.closed()

    server = await serve(speaking(script), tls=http2_tls)
    async with ClientSession(connector=http2_connector, connector_owner=False) as session:
        async with asyncio.timeout(10):
            with pytest.raises((BadHttpMessage, ServerDisconnectedError)):
                await ask(session, server)


async def test_only_who_is_at_fault_is_told_of_it(
    serve: Serve, http2_connector: TCPConnector, http2_tls: ssl.SSLContext
) -> None:
    """One response breaks the connection: its request learns how, the others are made again elsewhere."""
    connections = 0

    async def script(peer: Http2Peer) -> None:
        nonlocal connections
        connections += 1
        await peer.greet()
        if connections == 1:
            await peer.answer(await peer.request(), b"hi")
            bad, _good = sorted([await peer.request(), await peer.request()], key=lambda asked: asked.path)
            await peer.raw(HeadersFrame(bad.stream_id, b"\xff" * 40, flags=("END_HEADERS",)))
            await peer.closed()
        while True:
            await peer.answer(await peer.request(), b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    async with ClientSession(connector=http2_connector, connector_owner=False) as session:

        async def get(path: str) -> bytes:
            async with session.get(server.url / path) as response:
                return await response.read()

        assert await get("") == b"hi"
        bad, good = await asyncio.gather(get("bad"), get("good"), return_exceptions=True)
        assert isinstance(bad, BadHttpMessage)
        assert good == b"hi"


MALFORMED = [
    "upper case",
    "a line break",
    "no status",
    "more than announced",
    "a reset before the head",
    "a field too long",
]


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_response_costs_its_stream(
    name: str, serve: Serve, http2_connector: TCPConnector, http2_tls: ssl.SSLContext
) -> None:
    """What leaves the connection's state clear leaves the connection in use (RFC 9113 §8.1.1)."""
    does, ends = CASES[name]

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        await does(peer, (await peer.request()).stream_id)
        while True:
            await peer.answer(await peer.request(), b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    async with ClientSession(connector=http2_connector, connector_owner=False) as session:
        with pytest.raises(ends):
            await ask(session, server)
        assert await ask(session, server) == b"hi"
    assert server.connections == 1


async def test_more_than_the_window(serve: Serve, http2_connector: TCPConnector, http2_tls: ssl.SSLContext) -> None:
    """Of a body that nobody reads no more is taken in than was allowed."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        stream_id = (await peer.request()).stream_id
        await peer.begin(stream_id)
        for _ in range(100):
            await peer.raw(DataFrame(stream_id, bytes(16_384)))
        await peer.closed()

    server = await serve(speaking(script), tls=http2_tls)
    async with (
        ClientSession(connector=http2_connector, connector_owner=False) as session,
        session.get(server.url, read_bufsize=1000) as response,
    ):
        await until(lambda: response.content.exception() is not None)
        with pytest.raises(ClientPayloadError, match="FlowControlError"):
            await response.read()
        assert response.content.total_bytes <= 2 * STREAM_WINDOW


async def test_frames_of_streams_that_are_over(
    serve: Serve, http2_connector: TCPConnector, http2_tls: ssl.SSLContext
) -> None:
    """What was under way when a request was given up is nobody's, and harms nobody; the connection's window is opened for it."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        for _ in range(34):
            asked = await peer.request()
            await peer.begin(asked.stream_id)
            await peer.was_reset(asked.stream_id)
            early = HeadersFrame(asked.stream_id, peer.block((":status", "103")), flags=("END_HEADERS",))
            trailers = HeadersFrame(asked.stream_id, peer.block(("x-new", "1")))
            await peer.raw(early, *[DataFrame(asked.stream_id, bytes(16_384))] * 32)
            await peer.raw(trailers, ContinuationFrame(asked.stream_id, b"", flags=("END_HEADERS",)))
            await peer.raw(DataFrame(asked.stream_id, flags=("END_STREAM",)), RstStreamFrame(asked.stream_id))
        await peer.answer(await peer.request(), b"hi" * 100_000)

    server = await serve(speaking(script), tls=http2_tls)
    async with ClientSession(connector=http2_connector, connector_owner=False) as session:
        for _ in range(34):
            (await session.get(server.url)).close()
        assert await ask(session, server) == b"hi" * 100_000
    assert server.connections == 1


class Clogged(asyncio.Transport):
    """A transport whose peer reads nothing."""

    def __init__(self, protocol: Http2Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self.waiting_bytes = 0
        self.is_aborted = False

    def write(self, data: Any) -> None:
        self.waiting_bytes += len(data)
        if self.waiting_bytes > 50_000:
            self._protocol.pause_writing()

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True


async def test_a_server_that_has_us_answer_and_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among content, pings are no flood; their answers are kept within bounds all the same."""
    monkeypatch.setattr("client.http2._MAX_UNREAD_BYTES", 100_000)
    protocol = Http2Protocol()
    transport = Clogged(protocol)
    protocol.connection_made(transport)
    protocol.data_received(SettingsFrame(0).serialize())
    exchange = protocol.lend().begin(
        ClientRequest("GET", URL("https://a.example/")), b"GET / HTTP/1.1\r\n\r\n", ReadPolicy()
    )
    protocol.data_received(HeadersFrame(1, Encoder().encode([OK]), flags=("END_HEADERS",)).serialize())
    data = PingFrame(0).serialize() * 1000 + DataFrame(1, b"x").serialize()
    for _ in range(10):
        protocol.data_received(data)
    assert transport.is_aborted
    assert 100_000 < transport.waiting_bytes < 200_000
    assert exchange.body is not None
    assert isinstance(exchange.body.exception(), ClientPayloadError)


TAILS: dict[str, Callable[[Http2Peer, int], list[Frame]]] = {
    "another frame in a head": lambda peer, sid: [HeadersFrame(sid, peer.block(OK)), PingFrame(0)],
    "a block that is none": lambda _, sid: [HeadersFrame(sid, b"\xff" * 40, flags=("END_HEADERS",))],
    "too large a head": lambda _, sid: [HeadersFrame(sid, b"x")] + [ContinuationFrame(sid, b"x" * 16_384)] * 5,
}


@pytest.mark.parametrize("name", TAILS)
async def test_what_comes_for_a_stream_that_is_over_may_end_the_connection(
    name: str, serve: Serve, http2_connector: TCPConnector, http2_tls: ssl.SSLContext
) -> None:
    """Its fields are part of the connection's state."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        asked = await peer.request()
        if asked.path == "/first":
            await peer.begin(asked.stream_id)
            await peer.was_reset(asked.stream_id)
            await peer.raw(*TAILS[name](peer, asked.stream_id))
            await peer.closed()
            return
        await peer.answer(asked, b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    async with ClientSession(connector=http2_connector, connector_owner=False) as session:
        (await session.get(server.url / "first")).close()
        await until(lambda: server.open_connections == 0)
        assert await ask(session, server) == b"hi"


async def test_a_bound_that_comes_before_a_request_does() -> None:
    """A stream was lent, and now there may be none: nothing goes out, and the request may go elsewhere."""
    protocol = Http2Protocol()
    transport = Clogged(protocol)
    protocol.connection_made(transport)
    stream = protocol.lend()
    protocol.data_received(SettingsFrame(0, {SettingCodes.MAX_CONCURRENT_STREAMS: 0}).serialize())
    with pytest.raises(ServerDisconnectedError) as caught:
        stream.begin(ClientRequest("GET", URL("https://a.example/")), b"GET / HTTP/1.1\r\n\r\n", ReadPolicy())
    assert caught.value.is_unprocessed
    stream.close()
    assert transport.is_aborted


def test_a_connection_that_outlives_its_loop() -> None:
    """Nothing can be sent any more, and nothing is tried: transports complain of it."""

    async def ask() -> tuple[Http2Stream, Clogged]:
        protocol = Http2Protocol()
        transport = Clogged(protocol)
        protocol.connection_made(transport)
        stream = protocol.lend()
        stream.begin(ClientRequest("GET", URL("https://a.example/")), b"GET / HTTP/1.1\r\n\r\n", ReadPolicy())
        await asyncio.sleep(0)
        return stream, transport

    with asyncio.Runner() as runner:
        stream, transport = runner.run(ask())
    before = transport.waiting_bytes
    stream.close()
    assert stream.is_closed
    assert transport.waiting_bytes == before


@pytest.mark.parametrize("size", [0, 100, 1 << 30])
async def test_a_server_that_wants_a_table_of_its_own_size(
    size: int, serve: Serve, http2_connector: TCPConnector, http2_tls: ssl.SSLContext
) -> None:
    """Ours stays small: whatever it says, we keep no more fields for it. Less, if it says so."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet({SettingCodes.HEADER_TABLE_SIZE: size})
        while True:
            await peer.answer(await peer.request(), b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    async with ClientSession(connector=http2_connector, connector_owner=False) as session:
        response = await session.get(server.url)
        for number in range(20):
            async with session.get(server.url, headers={"X-Number": f"{number}" * 500}) as another:
                assert await another.read() == b"hi"
        response.close()
    assert server.connections == 1


async def test_a_server_that_changes_its_mind_about_the_table(
    serve: Serve, http2_connector: TCPConnector, http2_tls: ssl.SSLContext
) -> None:
    """It is told of the least size and of the last (RFC 7541 §4.2): one in between may be more than it bears by now."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        asked = await peer.request()
        for size in (0, 4096, 50):
            peer.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: size})
            await peer.flush()
            await peer.event(SettingsAcknowledged)
        while True:
            await peer.answer(asked, b"hi")
            asked = await peer.request()

    server = await serve(speaking(script), tls=http2_tls)
    async with ClientSession(connector=http2_connector, connector_owner=False) as session:
        for _ in range(2):
            assert await ask(session, server) == b"hi"
    assert server.connections == 1
