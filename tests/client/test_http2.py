"""HTTP/2: exchanges that share a connection, and what they share of its fate."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, cast

import pytest
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, StreamEnded, WindowUpdated
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hyperframe.frame import RstStreamFrame

from client import (
    ClientConnectionError,
    ClientConnectorSSLError,
    ClientPayloadError,
    ClientRequest,
    ClientSession,
    ClientTimeout,
    HostLimits,
    HttpVersion,
    ServerDisconnectedError,
    ServerTimeoutError,
    SocketTimeoutError,
    TCPConnector,
    TraceConfig,
)
from client.http2_library import STREAM_WINDOW
from tests.client.http2_peer import Http2Peer, server_context, speaking
from tests.client.peer import repeating, until
from tests.client.test_cancellation import cancel_after
from tests.servers.nginx import Nginx, find_nginx
from tests.servers.proxy import http_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    import trustme

    from client.carrier import Carrier
    from client.timings import ResponseTimings
    from client.tracing import Trace
    from tests.client.conftest import Serve
    from tests.client.http2_peer import Asked
    from tests.client.peer import Peer, Server

HI = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture
def connector(http2_connector: TCPConnector) -> TCPConnector:
    return http2_connector


async def answering(peer: Http2Peer) -> None:
    """Say hi to everybody."""
    await peer.greet()
    while True:
        await peer.answer(await peer.request(), b"hi")


async def answer_all(waiting: list[tuple[Http2Peer, Asked]]) -> None:
    """Say hi to those who wait, on whatever connection."""
    for peer, asked in waiting:
        await peer.answer(asked, b"hi")


async def get(session: ClientSession, server: Server, path: str = "", **options: Any) -> bytes:
    async with session.get(server.url / path, **options) as response:
        assert response.version == HttpVersion(2, 0)
        return await response.read()


# -- sharing


async def test_requests_wait_for_the_first_connection(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    """And then all of them are on it."""
    server = await serve(speaking(answering), tls=http2_tls)
    assert await asyncio.gather(*(get(session, server) for _ in range(20))) == [b"hi"] * 20
    assert server.connections == 1


async def test_the_wait_for_the_first_connection_is_told(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As time in the queue, by those who waited; how long it took to open is told by the one who did."""
    monkeypatch.setattr("client.sharing._HEAD_START_SECONDS", 60.0)

    async def timings_of() -> ResponseTimings:
        async with session.get(server.url) as response:
            await response.read()
            return response.timings

    server = await serve(speaking(answering), tls=http2_tls)
    first, *others = await asyncio.gather(*(timings_of() for _ in range(3)))
    others.append(await timings_of())
    assert first.queued < first.tls
    assert all(other[1:4] == (0, 0, 0) for other in others)
    assert all(other.queued > first.tls for other in others[:2])
    assert others[2].queued == 0
    for timings in (first, *others):
        assert timings.total is not None
        assert timings.receiving is not None
        assert sum((*timings[:-2], timings.receiving)) <= timings.total


async def test_receiving_begins_with_the_head(serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext) -> None:
    go_on = asyncio.Event()

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        asked = await peer.request()
        await peer.begin(asked.stream_id)
        await go_on.wait()
        await peer.data(asked.stream_id, b"hi", ends=True)
        await peer.closed()

    server = await serve(speaking(script), tls=http2_tls)
    async with session.get(server.url) as response:
        unfinished = response.timings
        go_on.set()
        await response.read()
        finished = response.timings
    assert unfinished.receiving is None
    assert finished.receiving is not None
    assert finished.receiving > 0
    assert finished[:5] == unfinished[:5]


async def test_a_server_that_speaks_http1(serve: Serve, session: ClientSession, authority: trustme.CA) -> None:
    """Those who waited open their own, and nobody waits any more."""
    server = await serve(repeating(HI), tls=server_context(authority, "http/1.1"))

    async def ask() -> bytes:
        async with session.get(server.url) as response:
            assert response.version == HttpVersion(1, 1)
            return await response.read()

    for _ in range(2):
        assert await asyncio.gather(*(ask() for _ in range(5))) == [b"hi"] * 5
        assert server.connections == 5


async def test_those_who_wait_do_not_fail_with_the_first(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    """The first is called off while it connects: the others see to themselves."""
    server = await serve(speaking(answering), tls=http2_tls)
    first = asyncio.ensure_future(get(session, server))
    others = [asyncio.ensure_future(get(session, server)) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.gather(*others) == [b"hi"] * 3
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_nobody_waits_long_for_what_somebody_else_tries(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first connection hangs before TLS, the next before it says anything: each costs those who wait a moment."""
    monkeypatch.setattr("client.sharing._HEAD_START_SECONDS", 0.05)
    count = 0
    is_over = asyncio.Event()

    async def relay(peer: Peer) -> None:
        nonlocal count
        count += 1
        if count == 1:
            await is_over.wait()
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(peer.reader, writer), pump(reader, peer.writer))

    async def script(peer: Http2Peer) -> None:
        if server.connections == 1:
            await peer.closed()
        await answering(peer)

    server = await serve(speaking(script), tls=http2_tls)
    front = await serve(relay)
    url = front.url.with_scheme("https")

    async def ask() -> bytes:
        async with session.get(url) as response:
            return await response.read()

    asking = [asyncio.ensure_future(ask()) for _ in range(3)]
    done, others = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result() for task in done] == [b"hi"]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    is_over.set()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_no_more_than_the_server_allows(serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext) -> None:
    """Those who wait see what it allows first; what goes beyond has connections of its own."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet({SettingCodes.MAX_CONCURRENT_STREAMS: 2})
        while True:
            await peer.answer(await peer.request(), b"hi")  # the library complains of a third meanwhile

    server = await serve(speaking(script), tls=http2_tls)
    assert await asyncio.gather(*(get(session, server) for _ in range(6))) == [b"hi"] * 6
    assert 2 <= server.connections <= 5


async def test_no_more_connections_than_it_takes(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many requests come at once: as many wait for each connection as will find room on it."""
    monkeypatch.setattr("client.sharing._HEAD_START_SECONDS", 60.0)
    waiting: list[tuple[Http2Peer, Asked]] = []

    async def script(peer: Http2Peer) -> None:
        await peer.greet({SettingCodes.MAX_CONCURRENT_STREAMS: 10})
        while True:
            waiting.append((peer, await peer.head()))
            if len(waiting) == 100:
                await answer_all(waiting)

    server = await serve(speaking(script), tls=http2_tls)
    assert await asyncio.gather(*(get(session, server) for _ in range(100))) == [b"hi"] * 100
    assert server.connections == 10


async def test_limits_count_requests(serve: Serve, http2_tls: ssl.SSLContext) -> None:
    """One connection, and still no more requests at once than a host may have."""
    most = 0

    async def script(peer: Http2Peer) -> None:
        nonlocal most
        await peer.greet()
        while True:
            asked = [await peer.request(), await peer.request()]
            most = max(most, peer.h2.open_inbound_streams)
            for one in asked:
                await peer.answer(one, b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    connector = TCPConnector(http2=True, ssl=False, limits=HostLimits(limit_per_host=2))
    async with ClientSession(connector=connector) as session:
        assert await asyncio.gather(*(get(session, server) for _ in range(8))) == [b"hi"] * 8
        assert (most, server.connections, connector.idle_count) == (2, 1, 1)


async def test_starts_keep_their_distance(serve: Serve, http2_tls: ssl.SSLContext) -> None:
    server = await serve(speaking(answering), tls=http2_tls)
    limits = HostLimits(spacing=0.02)
    async with ClientSession(connector=TCPConnector(http2=True, ssl=False, limits=limits)) as session:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        await asyncio.gather(*(get(session, server) for _ in range(4)))
        assert loop.time() - began_at >= 0.06


class _Late:
    """A transport that writes in the next turn of the loop, and tells of it."""

    def __init__(self, transport: asyncio.Transport, on_write: Callable[[], object]) -> None:
        self._transport = transport
        self._on_write = on_write

    def write(self, data: bytes) -> None:
        asyncio.get_running_loop().call_soon(self._write, data)

    def _write(self, data: bytes) -> None:
        self._on_write()
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def test_a_start_is_counted_when_it_is_out(serve: Serve, http2_tls: ssl.SSLContext) -> None:
    """Not before, though requests that nobody counts are written together: spacing and whoever is told of them go by that."""
    was_counted: list[bool] = []  # whether it was, when something was written
    written_before: list[int] = []  # how often something was, when somebody was told

    class Connector(TCPConnector):
        async def _create_connection(
            self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
        ) -> Carrier:
            carrier = await super()._create_connection(req, traces, timeout)
            assert carrier.transport is not None
            late = _Late(carrier.transport, lambda: was_counted.append(limits.ready_at(host) < inf))
            carrier.transport = cast("asyncio.Transport", late)
            return carrier

    trace = TraceConfig()

    @trace.on_request_headers_sent.append
    async def tell(*_: object) -> None:
        await asyncio.sleep(0)
        written_before.append(len(was_counted))

    server = await serve(speaking(answering), tls=http2_tls)
    limits = HostLimits(spacing=0.001)
    host = limits.host_of(ClientRequest("GET", server.url).connection_key.origin)
    connector = Connector(http2=True, ssl=False, limits=limits)
    async with ClientSession(connector=connector) as session:
        await get(session, server)
        was_counted.clear()
        await get(session, server)
    assert not was_counted[0]
    connector = Connector(http2=True, ssl=False)
    async with ClientSession(connector=connector, trace_configs=[trace]) as session:
        await get(session, server)
        was_counted.clear()
        await get(session, server)
    assert written_before[1] == 1


@pytest.mark.parametrize("options", [{"force_close": True}, {"keepalive_timeout": 0}])
async def test_connections_that_are_not_kept(options: dict[str, Any], serve: Serve, http2_tls: ssl.SSLContext) -> None:
    server = await serve(speaking(answering), tls=http2_tls)
    async with ClientSession(connector=TCPConnector(http2=True, ssl=False, **options)) as session:
        for count in (1, 2):
            assert await get(session, server) == b"hi"
            assert server.connections == count
            await until(lambda: server.open_connections == 0)


async def test_a_connection_for_each_request(serve: Serve, http2_tls: ssl.SSLContext) -> None:
    """Where that is asked for, requests at the same time do not share one either: a proxy may take them different ways."""
    server = await serve(speaking(answering), tls=http2_tls)
    async with ClientSession(connector=TCPConnector(http2=True, ssl=False, force_close=True)) as session:
        assert await asyncio.gather(*(get(session, server) for _ in range(5))) == [b"hi"] * 5
        assert server.connections == 5
        await until(lambda: server.open_connections == 0)


async def test_an_idle_connection_is_closed_in_time(serve: Serve, http2_tls: ssl.SSLContext) -> None:
    server = await serve(speaking(answering), tls=http2_tls)
    connector = TCPConnector(http2=True, ssl=False, keepalive_timeout=0.05)
    async with ClientSession(connector=connector) as session:
        assert await get(session, server) == b"hi"
        assert connector.idle_count == 1
        await until(lambda: server.open_connections == 0)
        assert connector.idle_count == 0
        assert await get(session, server) == b"hi"


async def test_closing_ends_what_is_under_way(serve: Serve, http2_tls: ssl.SSLContext) -> None:
    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        await peer.begin((await peer.request()).stream_id)
        await peer.closed()

    server = await serve(speaking(script), tls=http2_tls)
    connector = TCPConnector(http2=True, ssl=False)
    session = ClientSession(connector=connector)
    response = await session.get(server.url)
    waiting = asyncio.ensure_future(session.get(server.url))
    await until(lambda: connector.in_use_count == 2)
    await asyncio.sleep(0)
    await session.close()
    with pytest.raises(ClientPayloadError):
        await response.read()
    with pytest.raises(ClientConnectionError):
        await waiting
    assert (connector.in_use_count, connector.idle_count, connector.limits.active) == (0, 0, 0)
    await until(lambda: server.open_connections == 0)


async def test_tls_inside_tls(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext, server_tls: ssl.SSLContext
) -> None:
    """Through a proxy that speaks TLS itself, and HTTP/1.1; what the server says at once is not lost."""
    server = await serve(speaking(answering), tls=http2_tls)
    async with http_proxy(names={}, tls=server_tls) as proxy:
        for _ in range(2):
            assert await get(session, server, proxy=proxy.url) == b"hi"
        assert (proxy.connections, server.connections) == (1, 1)


async def test_a_forgotten_response(serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext) -> None:
    """It is missed, and costs its stream alone."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        stream_id = (await peer.request()).stream_id
        await peer.begin(stream_id)
        assert await peer.was_reset(stream_id) == ErrorCodes.CANCEL
        await peer.answer(await peer.request(), b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    with pytest.warns(ResourceWarning, match="unclosed"):
        await session.get(server.url)
    assert await get(session, server) == b"hi"


async def test_an_older_version_is_spoken_where_it_is_asked_for(
    serve: Serve, connector: TCPConnector, session: ClientSession, authority: trustme.CA
) -> None:
    """By another session on the same connector, for one, while connections of HTTP/2 are there."""

    async def script(peer: Peer) -> None:
        tls = peer.writer.get_extra_info("ssl_object")
        await (speaking(answering) if tls.selected_alpn_protocol() == "h2" else repeating(HI))(peer)

    server = await serve(script, tls=server_context(authority, "h2", "http/1.1"))
    assert await get(session, server) == b"hi"
    async with (
        ClientSession(connector=connector, connector_owner=False, version=HttpVersion(1, 0)) as older,
        older.post(server.url, data=b"body") as response,
    ):
        assert (await response.read(), response.version) == (b"hi", HttpVersion(1, 1))


@pytest.mark.parametrize("http2", [False, True])
async def test_a_context_that_offers_what_the_request_cannot_use(
    http2: bool, serve: Serve, authority: trustme.CA
) -> None:
    """The server would choose it, and take every word of HTTP/1.1 for nonsense: it is said what is wrong."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    server = await serve(speaking(answering), tls=server_context(authority, "h2", "http/1.1"))
    connector = TCPConnector(http2=http2, ssl=context)
    async with ClientSession(connector=connector) as session:
        with pytest.raises(ClientConnectorSSLError, match="chose HTTP/2, which the ssl context offers"):
            await session.ws_connect(server.url.with_scheme("wss"))
        assert connector.limits.active == 0
        await until(lambda: server.open_connections == 0)


# -- the exchange


async def test_what_goes_out(serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext) -> None:
    """Pseudo-fields first, names in lower case, nothing of HTTP/1.1."""
    asked: list[Asked] = []

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        asked.append(await peer.request())
        await peer.answer(asked[0])

    server = await serve(speaking(script), tls=http2_tls)
    async with session.post(server.url / "path" % {"q": "1"}, data=b"body", headers={"X-Name": "Wert ä"}) as response:
        await response.read()
    assert asked[0].headers[:4] == [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", f"127.0.0.1:{server.port}"),
        (":path", "/path?q=1"),
    ]
    rest = dict(asked[0].headers[4:])
    assert (rest["x-name"], rest["content-length"], asked[0].body) == ("Wert ä", "4", b"body")
    assert "host" not in rest


async def test_interim_responses_and_trailers(serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext) -> None:
    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        asked = await peer.head()
        for status in (103, 100):
            await peer.begin(asked.stream_id, ("link", "</a>"), status=status)
        assert await peer.body(asked.stream_id) == b"body" * 30_000
        await peer.begin(asked.stream_id, ("set-cookie", "a=1"), ("x-name", " blanks\t"))
        await peer.data(asked.stream_id, b"hi")
        peer.h2.send_headers(asked.stream_id, [("x-trailer", "1")], end_stream=True)
        await peer.flush()

    server = await serve(speaking(script), tls=http2_tls)
    async with session.post(server.url, data=b"body" * 30_000, expect100=True) as response:
        assert await response.read() == b"hi"
        assert response.headers.getall("X-Name") == ["blanks"]
        assert "x-trailer" not in response.headers
        assert response.cookies["a"].value == "1"


async def test_a_refusal_before_the_body(serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext) -> None:
    """The body stays here, the stream is reset, and the connection goes on."""
    codes: list[int] = []

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        asked = await peer.head()
        await peer.answer(asked, b"no", status=417)
        codes.append(await peer.was_reset(asked.stream_id))
        await peer.answer(await peer.request(), b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    async with session.post(server.url, data=b"body", expect100=True) as response:
        assert (response.status, await response.read()) == (417, b"no")
    assert await get(session, server) == b"hi"
    assert codes == [ErrorCodes.NO_ERROR]


async def test_an_early_answer_calls_an_upload_off(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    """Whole and with RST_STREAM(NO_ERROR) behind it, it stands (RFC 9113 §8.1)."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(10_000)

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        asked = await peer.head()
        await peer.answer(asked, b"enough", status=413)
        await peer.reset(asked.stream_id, ErrorCodes.NO_ERROR)
        while True:
            await peer.answer(await peer.request(), b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    async with session.post(server.url, data=endless()) as response:
        assert (response.status, await response.read()) == (413, b"enough")
    assert await get(session, server) == b"hi"
    assert server.connections == 1


async def test_uploads_wait_for_the_window(serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext) -> None:
    """A byte more than allowed would be an error; a change of settings in the middle is heard."""
    body = bytes(range(256)) * 1000

    async def script(peer: Http2Peer) -> None:
        await peer.greet({SettingCodes.INITIAL_WINDOW_SIZE: 10})
        asked = await peer.head()
        while peer.h2.remote_flow_control_window(asked.stream_id):
            await peer.event(WindowUpdated.__mro__[1])
        peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 5000, SettingCodes.MAX_FRAME_SIZE: 20_000})
        await peer.flush()
        received = [e.data for e in peer.seen if hasattr(e, "data")]
        assert b"".join(received) + await peer.body(asked.stream_id) == body
        await peer.answer(asked, b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    async with session.put(server.url, data=body) as response:
        assert await response.read() == b"hi"


async def test_uploads_wait_for_a_server_that_does_not_read(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    """Whatever its window: what it does not read stays with the caller, not in our memory."""
    part, count = bytes(100_000), 200
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(count):
            yield part
            sent += 1

    async def script(peer: Http2Peer) -> None:
        await peer.greet({SettingCodes.INITIAL_WINDOW_SIZE: 1 << 30})
        peer.h2.increment_flow_control_window(1 << 30)
        await peer.flush()
        asked = await peer.head()
        before = -1
        while before < sent:
            before = sent
            for _ in range(200):
                await asyncio.sleep(0)
        assert 0 < sent < count
        assert len(await peer.body(asked.stream_id)) == count * len(part)
        await peer.answer(asked, b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    async with session.put(server.url, data=body()) as response:
        assert await response.read() == b"hi"


async def test_an_upload_in_large_parts_is_no_flood_of_answers(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    """What we have to say may wait, whatever the server sends meanwhile."""
    parts = [bytes(4_000_000)] * 5

    async def body() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def script(peer: Http2Peer) -> None:
        await peer.greet({SettingCodes.INITIAL_WINDOW_SIZE: 1 << 30})
        peer.h2.increment_flow_control_window(1 << 30)
        await peer.flush()
        await peer.answer(await peer.request(), b"hi")
        asked = await peer.head()
        await peer.begin(asked.stream_id)
        assert len(await peer.body(asked.stream_id)) == 20_000_000
        await peer.data(asked.stream_id, b"hi", ends=True)

    server = await serve(speaking(script), tls=http2_tls)
    assert await get(session, server) == b"hi"
    async with session.put(server.url, data=body()) as response:
        assert await response.read() == b"hi"


async def test_uploads_take_turns(serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext) -> None:
    """The connection's window is for all: one without an end does not keep the others waiting."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(100_000)

    is_under_way = asyncio.Event()

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        first = await peer.head()
        is_under_way.set()
        while True:
            event = await peer.event(Event)
            if isinstance(event, DataReceived):
                assert event.stream_id is not None
                peer.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
                await peer.flush()
            elif isinstance(event, StreamEnded):
                assert event.stream_id != first.stream_id
                await peer.begin(event.stream_id or 0, ends=True)

    server = await serve(speaking(script), tls=http2_tls)
    uploading = asyncio.ensure_future(session.put(server.url, data=endless()))
    await is_under_way.wait()
    async with asyncio.timeout(10), session.put(server.url, data=bytes(600_000)) as response:
        assert response.status == 200
    assert not uploading.done()
    uploading.cancel()
    with suppress(asyncio.CancelledError):
        await uploading
    assert server.connections == 1


async def test_a_slow_reader_holds_back_its_server_alone(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    """The window is all that comes beyond what was asked for; others get theirs meanwhile."""
    sent = 0

    async def script(peer: Http2Peer) -> None:
        nonlocal sent
        await peer.greet()
        slow = await peer.request()
        await peer.begin(slow.stream_id)
        while room := min(peer.h2.local_flow_control_window(slow.stream_id), 16_384):
            await peer.data(slow.stream_id, bytes(room))
            sent += room
        for _ in range(3):
            await peer.answer(await peer.request(), bytes(1000))
        await peer.data(slow.stream_id, bytes(3_000_000), ends=True)

    server = await serve(speaking(script), tls=http2_tls)
    async with session.get(server.url, read_bufsize=10_000) as slow:
        for _ in range(3):
            assert await get(session, server) == bytes(1000)
        assert STREAM_WINDOW <= sent <= 2 * STREAM_WINDOW
        total = 0
        async for part in slow.content.iter_chunked(5000):
            total += len(part)
    assert total == sent + 3_000_000


async def test_content_that_comes_with_a_head_that_has_none(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    """HEAD is answered by its head; what follows is not waited for."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        asked = await peer.request()
        await peer.begin(asked.stream_id, ("content-length", "100"))
        await peer.was_reset(asked.stream_id)
        await peer.answer(await peer.request(), b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    async with session.head(server.url) as response:
        assert (response.content_length, await response.read()) == (100, b"")
    assert await get(session, server) == b"hi"


async def test_a_body_has_an_end_whatever_the_caller_says(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    """`read_until_eof` is about HTTP/1.1."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        await peer.answer(await peer.request(), b"hi", measured=False)

    server = await serve(speaking(script), tls=http2_tls)
    assert await get(session, server, read_until_eof=False) == b"hi"


# -- deadlines and cancellation


async def silent(peer: Http2Peer) -> None:
    await peer.greet()
    await peer.closed()


async def half(peer: Http2Peer) -> None:
    await peer.greet()
    asked = await peer.request()
    await peer.begin(asked.stream_id)
    await peer.data(asked.stream_id, b"half")
    await peer.closed()


@pytest.mark.parametrize("script", [silent, half])
@pytest.mark.parametrize(
    ("timeout", "kind"),
    [(ClientTimeout(total=0.2), ServerTimeoutError), (ClientTimeout(sock_read=0.2), SocketTimeoutError)],
)
async def test_deadlines(
    timeout: ClientTimeout,
    kind: type[Exception],
    script: Callable[[Http2Peer], Awaitable[None]],
    serve: Serve,
    session: ClientSession,
    http2_tls: ssl.SSLContext,
) -> None:
    server = await serve(speaking(script), tls=http2_tls)
    with pytest.raises(kind):
        await get(session, server, timeout=timeout)


async def test_a_connection_that_is_silent_is_not_used_again(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    """It may be dead, though nothing says so: the next request has another."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        await peer.answer(await peer.request(), b"hi")
        await peer.closed()

    server = await serve(speaking(script), tls=http2_tls)
    assert await get(session, server) == b"hi"
    with pytest.raises(ServerTimeoutError):
        await get(session, server, timeout=ClientTimeout(total=0.2))
    assert await get(session, server) == b"hi"
    assert server.connections == 2


async def test_a_server_that_was_held_back_is_not_suspected(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    """It was silent since nobody read what it had sent."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        while True:
            asked = await peer.request()
            if asked.path == "/large":
                await peer.begin(asked.stream_id)
                await peer.data(asked.stream_id, bytes(STREAM_WINDOW))
                await peer.was_reset(asked.stream_id)
            else:
                await peer.answer(asked, b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    assert await get(session, server) == b"hi"
    async with session.get(server.url / "large", read_bufsize=1000, timeout=ClientTimeout(total=1)) as response:
        await until(lambda: response.content.exception() is not None)
        assert isinstance(response.content.exception(), ServerTimeoutError)
    assert await get(session, server) == b"hi"
    assert server.connections == 1


async def test_a_deadline_costs_one_stream(serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext) -> None:
    """What else is on the connection goes on."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        await peer.answer(await peer.request(), b"hi")
        late, other = sorted([await peer.request(), await peer.request()], key=lambda asked: asked.path)
        assert await peer.was_reset(late.stream_id) == ErrorCodes.CANCEL
        await peer.answer(other, b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    assert await get(session, server) == b"hi"
    late = asyncio.ensure_future(get(session, server, "late", timeout=ClientTimeout(total=0.1)))
    assert await get(session, server, "other") == b"hi"
    with pytest.raises(ServerTimeoutError):
        await late
    assert server.connections == 1


async def test_a_cancelled_request_is_reset(serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext) -> None:
    """Alone; what else is on the connection goes on, and so does the connection."""
    is_asked = asyncio.Event()

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        gone, other = sorted([await peer.request(), await peer.request()], key=lambda asked: asked.path)
        is_asked.set()
        assert await peer.was_reset(gone.stream_id) == ErrorCodes.CANCEL
        await peer.answer(other, b"other")
        await peer.answer(await peer.request(), b"hi")

    server = await serve(speaking(script), tls=http2_tls)
    other, gone = (asyncio.ensure_future(get(session, server, path)) for path in ("other", "gone"))
    await is_asked.wait()
    gone.cancel()
    assert await other == b"other"
    assert await get(session, server) == b"hi"
    assert server.connections == 1
    with suppress(asyncio.CancelledError):
        await gone


async def parts() -> AsyncIterator[bytes]:
    for _ in range(3):
        await asyncio.sleep(0)
        yield b"part" * 10_000


async def streamed(session: ClientSession, server: Server) -> None:
    async with session.get(server.url / "large", read_bufsize=1000) as response:
        async for _ in response.content.iter_any():
            pass


async def uploaded(session: ClientSession, server: Server) -> None:
    async with session.post(server.url, data=parts()) as response:
        await response.read()


async def announced(session: ClientSession, server: Server) -> None:
    async with session.post(server.url, data=b"body", expect100=True) as response:
        await response.read()


async def lingering(peer: Http2Peer) -> None:
    """Answers in several pieces, so that there is something to wait for at each of them."""
    await peer.greet()
    while True:
        asked = await peer.head()
        with suppress(ProtocolError):  # it has been reset meanwhile
            if dict(asked.headers).get("expect"):
                await peer.begin(asked.stream_id, status=100)
            await peer.begin(asked.stream_id)
            for number in range(5):
                await asyncio.sleep(0)
                size = 1000 if asked.path == "/large" else 10
                peer.h2.send_data(asked.stream_id, bytes(size), end_stream=number == 4)
                await peer.flush()


@pytest.mark.parametrize("request_", [get, streamed, uploaded, announced])
async def test_cancelled_at_every_step(
    request_: Callable[[ClientSession, Server], Awaitable[Any]],
    serve: Serve,
    session: ClientSession,
    http2_tls: ssl.SSLContext,
) -> None:
    """Whoever takes gives back, and another request on the connection does not notice."""
    server = await serve(speaking(lingering), tls=http2_tls)
    connector = session.connector
    assert connector is not None
    assert await get(session, server) == bytes(50)
    cancelled = 0
    for steps in range(40):
        other = asyncio.ensure_future(get(session, server))
        cancelled += await cancel_after(steps, request_(session, server))
        assert await other == bytes(50)
        assert (connector.in_use_count, connector.limits.active, connector.idle_count) == (0, 0, 1)
    assert cancelled > 5
    assert server.connections <= 2  # the first, and one where both requests began at the same time


@pytest.mark.parametrize("is_shared", [False, True])
async def test_cancelled_while_it_connects(is_shared: bool, serve: Serve, http2_tls: ssl.SSLContext) -> None:
    server = await serve(speaking(lingering), tls=http2_tls)
    for steps in range(0, 60, 3):
        connector = TCPConnector(http2=True, ssl=False)
        async with ClientSession(connector=connector) as session:
            others = [asyncio.ensure_future(get(session, server)) for _ in range(2 * is_shared)]
            await cancel_after(steps, get(session, server))
            assert await asyncio.gather(*others) == [bytes(50)] * len(others)
            assert (connector.in_use_count, connector.limits.active) == (0, 0)
    await until(lambda: server.open_connections == 0)


# -- connections that end, requests that are refused


async def test_a_connection_that_died_while_idle(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    """The request goes out again on another."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        await peer.answer(await peer.request(), b"hi")
        await peer.request()
        peer.hang_up()

    server = await serve(speaking(script), tls=http2_tls)
    assert await get(session, server) == b"hi"
    assert await get(session, server) == b"hi"
    with pytest.raises(ClientConnectionError):
        await session.post(server.url, data=b"not idempotent")
    assert server.connections == 2


@pytest.mark.parametrize(("code", "name"), [(0, "NO_ERROR"), (2, "INTERNAL_ERROR"), (0x1234, "error 0x1234")])
async def test_a_reset_is_called_by_its_name(
    code: int, name: str, serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        await peer.raw(RstStreamFrame((await peer.request()).stream_id, error_code=code))
        await peer.closed()

    server = await serve(speaking(script), tls=http2_tls)
    with pytest.raises(ServerDisconnectedError, match=rf"reset the stream \({name}\)"):
        await get(session, server)


@pytest.mark.parametrize("code", [ErrorCodes.REFUSED_STREAM, ErrorCodes.HTTP_1_1_REQUIRED])
async def test_a_refused_request_is_made_again(
    code: ErrorCodes, serve: Serve, session: ClientSession, authority: trustme.CA
) -> None:
    """Whatever it asks for, since the server has done nothing; over HTTP/1.1 if it wants that, and from then on."""

    is_first = True

    async def script(peer: Peer) -> None:
        nonlocal is_first
        tls = peer.writer.get_extra_info("ssl_object")
        if tls.selected_alpn_protocol() == "http/1.1":
            await repeating(HI)(peer)
            return
        http2 = Http2Peer(peer)
        await http2.greet()
        if is_first:
            is_first = False
            await http2.reset((await http2.request()).stream_id, code)
        while True:
            await http2.answer(await http2.request(), b"hi")

    server = await serve(script, tls=server_context(authority, "h2", "http/1.1"))
    expected = HttpVersion(2, 0) if code == ErrorCodes.REFUSED_STREAM else HttpVersion(1, 1)
    for _ in range(2):
        async with session.post(server.url, data=b"body") as response:
            assert (await response.read(), response.version) == (b"hi", expected)


async def test_a_request_that_is_always_refused(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few times more, and no more; the server has ever more time to think."""
    monkeypatch.setattr("client.call._FIRST_PAUSE_SECONDS", 0.004)
    count = 0

    async def script(peer: Http2Peer) -> None:
        nonlocal count
        await peer.greet()
        while True:
            await peer.reset((await peer.request()).stream_id, ErrorCodes.REFUSED_STREAM)
            count += 1

    server = await serve(speaking(script), tls=http2_tls)
    began_at = asyncio.get_running_loop().time()
    with pytest.raises(ServerDisconnectedError, match="REFUSED_STREAM") as caught:
        await get(session, server)
    assert caught.value.is_unprocessed
    assert count == 6
    assert asyncio.get_running_loop().time() - began_at >= 0.03


async def test_a_server_that_allows_no_request(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of zero should not last (RFC 9113 §6.5.2): it is asked again as one that refuses is, and sees no request."""
    monkeypatch.setattr("client.call._FIRST_PAUSE_SECONDS", 0.004)
    allowed = [0, 0, 0, 0, 1, *[0] * 6]
    asked: list[Asked] = []

    async def script(peer: Http2Peer) -> None:
        await peer.greet({SettingCodes.MAX_CONCURRENT_STREAMS: allowed.pop(0)})
        asked.append(await peer.request())
        await peer.answer(asked[-1], b"hi")
        peer.leave()

    server = await serve(speaking(script), tls=http2_tls)
    async with session.post(server.url, data={"a": "b"}) as response:
        assert await response.read() == b"hi"
    assert server.connections == 5
    with pytest.raises(ServerDisconnectedError, match="takes no more requests") as caught:
        await session.post(server.url, data={"a": "b"})
    assert caught.value.is_unprocessed
    assert allowed == []
    assert [one.body for one in asked] == [b"a=b"]


async def test_no_pause_goes_beyond_the_deadline(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.call._FIRST_PAUSE_SECONDS", 1000.0)

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        while True:
            await peer.reset((await peer.request()).stream_id, ErrorCodes.REFUSED_STREAM)

    server = await serve(speaking(script), tls=http2_tls)
    with pytest.raises(ServerTimeoutError):
        await get(session, server, timeout=ClientTimeout(total=0.2))


async def test_requests_that_are_refused_more_than_once(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    """Each connection serves one, and none of the others that came with it: they take turns, and none fails."""

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        asked = await peer.request()
        if server.connections < 5:  # and here they all are, one fewer each time
            for _ in range(6 - server.connections):
                await peer.request()
        await peer.raw(b"\0\0\x08\x07\0\0\0\0\0" + asked.stream_id.to_bytes(4, "big") + bytes(4))
        await peer.answer(asked, b"hi")
        await peer.closed()

    server = await serve(speaking(script), tls=http2_tls)
    assert await asyncio.gather(*(get(session, server) for _ in range(6))) == [b"hi"] * 6


@pytest.mark.parametrize("taken", [1, 7])
async def test_a_server_that_takes_few_requests_over_a_connection(
    taken: int, serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is seen by the first connection, and the others are asked for no more at once."""
    monkeypatch.setattr("client.sharing._HEAD_START_SECONDS", 60.0)

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        asked = [await peer.request() for _ in range(taken)]
        await peer.raw(b"\0\0\x08\x07\0\0\0\0\0" + asked[-1].stream_id.to_bytes(4, "big") + bytes(4))
        for one in asked:
            await peer.answer(one, b"hi")
        await peer.closed()

    server = await serve(speaking(script), tls=http2_tls)
    assert await asyncio.gather(*(get(session, server) for _ in range(84))) == [b"hi"] * 84
    assert server.connections == 84 // taken


async def test_a_server_that_takes_few_requests_at_once(
    serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext
) -> None:
    """It does not say how many, but refuses those beyond: they have connections of their own."""
    waiting: list[tuple[Http2Peer, Asked]] = []

    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        taken = 0
        while True:
            asked = await peer.head()
            if taken == 3:
                await peer.reset(asked.stream_id, ErrorCodes.REFUSED_STREAM)
                continue
            taken += 1
            waiting.append((peer, asked))
            if len(waiting) == 60:
                await answer_all(waiting)

    server = await serve(speaking(script), tls=http2_tls)
    assert await asyncio.gather(*(get(session, server) for _ in range(60))) == [b"hi"] * 60
    assert 20 <= server.connections < 40


async def test_goaway_in_good_order(serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext) -> None:
    """Those up to the last one are answered, those beyond made again elsewhere; the connection is closed behind the last."""
    connections = 0

    async def script(peer: Http2Peer) -> None:
        nonlocal connections
        connections += 1
        await peer.greet()
        if connections > 1:
            while True:
                await peer.answer(await peer.request(), b"second")
        first, _second = await peer.request(), await peer.request()
        last_id = first.stream_id.to_bytes(4, "big")
        await peer.raw(b"\0\0\x08\x07\0\0\0\0\0" + last_id + bytes(4))
        await until(lambda: connections == 2)
        await peer.answer(first, b"first" * 50_000)
        await peer.closed()

    server = await serve(speaking(script), tls=http2_tls)

    async def post() -> bytes:
        async with session.post(server.url, data=b"body") as response:
            return await response.read()

    assert sorted(await asyncio.gather(post(), post())) == [b"first" * 50_000, b"second"]
    await until(lambda: server.open_connections == 1)


async def test_goaway_while_idle(serve: Serve, session: ClientSession, http2_tls: ssl.SSLContext) -> None:
    async def script(peer: Http2Peer) -> None:
        await peer.greet()
        asked = await peer.request()
        await peer.answer(asked, b"hi")
        await peer.raw(b"\0\0\x08\x07\0\0\0\0\0" + asked.stream_id.to_bytes(4, "big") + bytes(4))
        await peer.closed()

    server = await serve(speaking(script), tls=http2_tls)
    for _ in range(3):
        async with session.post(server.url) as response:
            assert await response.read() == b"hi"
    assert server.connections == 3


@pytest.mark.skipif(find_nginx() is None, reason="Debian's package nginx-light is not installed")
@pytest.mark.parametrize("taken", [1, 5])
async def test_nginx_takes_few_requests_over_a_connection(
    taken: int, session: ClientSession, authority: trustme.CA, tmp_path: Path
) -> None:
    """It refuses what comes beyond, while much is under way, and no request fails."""
    root, folder, certificate = tmp_path / "root", tmp_path / "nginx", tmp_path / "certificate.pem"
    root.mkdir()
    folder.mkdir()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    (root / "page").write_bytes(b"page" * 50_000)
    with Nginx(root, folder, keepalive_requests=taken, tls=(certificate, certificate)) as nginx:

        async def ask(method: str) -> int:
            async with session.request(
                method, f"{nginx.url}page", data=b"body" if method == "POST" else None
            ) as response:
                assert method == "POST" or len(await response.read()) == 200_000
                return response.status

        assert await asyncio.gather(*(ask("GET") for _ in range(60))) == [200] * 60
        assert await asyncio.gather(*(ask("POST") for _ in range(20))) == [405] * 20
