"""The pool: what is kept, what is closed, who waits, and what a dead connection costs."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from client import (
    AbstractResolver,
    BaseConnector,
    ClientConnectionError,
    ClientConnectorError,
    ClientOSError,
    ClientRequest,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    ConnectorClosed,
    HostLimits,
    Origin,
    ServerDisconnectedError,
    ServerTimeoutError,
    TCPConnector,
    TraceConfig,
    UnixClientConnectorError,
    UnixConnector,
)
from client.origin import HostKey
from tests.client.peer import repeating, serving, until
from tests.client.test_cancellation import Loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from client import ClientResponse
    from client.carrier import Carrier
    from client.connection import Connection
    from client.http1 import Http1Protocol
    from client.tracing import Trace
    from tests.client.conftest import Serve
    from tests.client.peer import Peer

HI = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Gate:
    """A script that answers each request when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)
        self.answers = asyncio.Semaphore(0)

    async def __call__(self, peer: Peer) -> None:
        while True:
            await peer.request()
            self.asked.release()
            await self.answers.acquire()
            await peer.send(HI)


async def get(session: ClientSession, url: object) -> bytes:
    async with session.get(str(url)) as response:
        return await response.read()


# -- keeping ----------------------------------------------------------------------------------------------------------


async def test_keeps_a_connection(serve: Serve, session: ClientSession) -> None:
    """Requests one after the other share a connection."""
    server = await serve(repeating(HI))
    for _ in range(3):
        assert await get(session, server.url) == b"hi"
    assert server.connections == 1


async def test_unread_body_closes_the_connection(serve: Serve, session: ClientSession) -> None:
    """What the server still means to send must not answer the next request."""
    server = await serve(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 1000))
    async with session.get(server.url) as response:
        assert response.connection is not None
    assert response.connection is None
    assert session.connector is not None
    assert session.connector.idle_count == 0


async def test_body_that_came_with_the_head_gives_the_connection_back_at_once(
    serve: Serve, session: ClientSession
) -> None:
    """Nobody need read a small body for its connection to serve again."""
    server = await serve(repeating(HI))
    response = await session.get(server.url)
    assert response.connection is None
    assert session.connector is not None
    assert (session.connector.idle_count, session.connector.in_use_count) == (1, 0)
    assert await response.read() == b"hi"


@pytest.mark.parametrize(("force_close", "keepalive_timeout"), [(True, 15), (False, 0)])
async def test_force_close(serve: Serve, force_close: bool, keepalive_timeout: float) -> None:
    """With keep-alive off the server is told so, and nothing is kept."""
    server = await serve(repeating(HI))
    connector = TCPConnector(force_close=force_close, keepalive_timeout=keepalive_timeout)
    assert connector.force_close
    async with ClientSession(connector=connector) as session:
        await get(session, server.url)
        await get(session, server.url)
        assert connector.idle_count == 0
    assert server.connections == 2
    assert all(request.headers["connection"] == "close" for request in server.received)


async def test_keepalive_timeout(serve: Serve) -> None:
    """An idle connection is closed when its time is up, by a timer that then sleeps no more."""
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HI)
        await peer.closed()
        closed.set()

    server = await serve(script)
    async with ClientSession(connector=TCPConnector(keepalive_timeout=0.01)) as session:
        await get(session, server.url)
        await closed.wait()
        assert session.connector is not None
        assert session.connector.idle_count == 0


async def test_keepalive_timers_are_each_connections_own(serve: Serve) -> None:
    """Each falls due in its turn, and both are closed."""
    closed = 0

    async def script(peer: Peer) -> None:
        nonlocal closed
        while True:
            try:
                await peer.request()
            finally:
                closed += peer.reader.at_eof()
            await peer.send(HI)

    server = await serve(script)
    async with ClientSession(connector=TCPConnector(keepalive_timeout=0.05)) as session:
        connector = session.connector
        assert connector is not None
        for name in ("localhost", "127.0.0.1"):
            await get(session, server.url.with_host(name))
        await until(lambda: connector.idle_count == 0)
        await until(lambda: closed == 2)


async def test_no_keepalive_timeout(serve: Serve) -> None:
    """None keeps connections until the server closes them."""
    server = await serve(repeating(HI))
    async with ClientSession(connector=TCPConnector(keepalive_timeout=None)) as session:
        await get(session, server.url)
        await get(session, server.url)
    assert server.connections == 1


async def test_one_dead_connection_condemns_its_like(serve: Serve, session: ClientSession) -> None:
    """A server that has closed one kept connection has closed the others too: they are not tried one by one."""
    gate = Gate()
    restarted = False

    async def script(peer: Peer) -> None:
        if restarted:
            await repeating(HI)(peer)
            return
        await peer.request()
        gate.asked.release()
        await gate.answers.acquire()
        await peer.send(HI)
        await peer.request()

    server = await serve(script)
    tasks = [asyncio.create_task(get(session, server.url)) for _ in range(3)]
    for _ in tasks:
        await gate.asked.acquire()
    for _ in tasks:
        gate.answers.release()
    await asyncio.gather(*tasks)
    assert session.connector is not None
    assert session.connector.idle_count == 3
    restarted = True
    assert await get(session, server.url) == b"hi"
    assert (server.connections, session.connector.idle_count) == (4, 1)


async def test_as_many_connections_may_be_idle_as_in_use(serve: Serve) -> None:
    """A crawl over many hosts must not pile up idle sockets: the one unused longest makes room."""
    servers = [await serve(repeating(HI)) for _ in range(3)]
    async with ClientSession(connector=TCPConnector(limit=2)) as session:
        for server in servers:
            await get(session, server.url)
            assert session.connector is not None
            assert session.connector.idle_count <= 2
        await get(session, servers[1].url)
        await get(session, servers[2].url)
    assert [server.connections for server in servers] == [1, 1, 1]


async def test_connections_being_opened_cost_no_others(serve: Serve) -> None:
    """Those who open connections at once make room for one, or hosts that take turns would all be connected to anew."""
    gates = [Gate(), Gate()]
    servers = [await serve(gate) for gate in gates]
    async with ClientSession(connector=TCPConnector(limit=4)) as session:
        for _ in range(2):
            for gate, server in zip(gates, servers, strict=True):
                tasks = [asyncio.create_task(get(session, server.url)) for _ in range(4)]
                for _ in range(4):
                    await gate.asked.acquire()
                assert sum(server.open_connections for server in servers) <= 8
                for _ in range(4):
                    gate.answers.release()
                await asyncio.gather(*tasks)
        assert [server.connections for server in servers] == [5, 5]


async def test_the_pool_forgets_where_connections_once_led(serve: Serve) -> None:
    """A crawl of a million hosts must not keep a place for each."""
    server = await serve(repeating(HI))
    async with TCPConnector(limit=1) as connector, ClientSession(connector=connector) as session:
        for number in range(200):
            async with session.get(server.url, server_hostname=f"host-{number}") as response:
                assert await response.read() == b"hi"
        assert connector.idle_count == 1
        assert len(connector._idle.by_key) < 100


async def test_connections_are_kept_apart_by_what_they_verify(serve: Serve, session: ClientSession) -> None:
    """A connection made without verification serves no request that asks for it."""
    server = await serve(repeating(HI))
    await get(session, server.url)
    async with session.get(server.url, server_hostname="other.example"):
        pass
    assert server.connections == 2


# -- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "limit_per_host"), [(1, 0), (0, 1), (2, 1)])
async def test_requests_wait_for_a_slot(serve: Serve, limit: int, limit_per_host: int) -> None:
    """No more connections than allowed; who waits is served in turn, over the connection given back."""
    gate = Gate()
    server = await serve(gate)
    async with ClientSession(connector=TCPConnector(limit=limit, limit_per_host=limit_per_host)) as session:
        tasks = [asyncio.create_task(get(session, server.url)) for _ in range(3)]
        for _ in tasks:
            await gate.asked.acquire()
            assert session.connector is not None
            assert session.connector.in_use_count == session.connector.limits.active == 1
            gate.answers.release()
        assert await asyncio.gather(*tasks) == [b"hi"] * 3
    assert server.connections == 1


async def test_limits_are_the_ones_given() -> None:
    """What enforces the limits can be asked, and shared."""
    limits = HostLimits(limit=7, limit_per_host=3)
    connector = TCPConnector(limits=limits)
    assert (connector.limits, connector.limit, connector.limit_per_host) == (limits, 7, 3)
    await connector.close()
    host = limits.host_of(Origin("http", "a.example", 80))
    assert limits.acquire_nowait(host) is not None, "closing a connector does not close limits that are not its own"


async def test_waiting_for_a_slot_ends_at_connect(serve: Serve) -> None:
    """`connect` bounds the wait for the pool; the slot that comes later goes to the next."""
    gate = Gate()
    server = await serve(gate)
    async with ClientSession(connector=TCPConnector(limit=1)) as session:
        first = asyncio.create_task(get(session, server.url))
        await gate.asked.acquire()
        with pytest.raises(ConnectionTimeoutError) as caught:
            await session.get(server.url, timeout=ClientTimeout(connect=0.01))
        assert caught.value.url == server.url
        gate.answers.release()
        assert await first == b"hi"
        gate.answers.release()
        assert await get(session, server.url) == b"hi"


async def test_waiting_for_a_slot_ends_at_total(serve: Serve) -> None:
    """So does the whole request's deadline, which says that it was that one."""
    gate = Gate()
    server = await serve(gate)
    async with ClientSession(connector=TCPConnector(limit=1)) as session:
        first = asyncio.create_task(get(session, server.url))
        await gate.asked.acquire()
        with pytest.raises(ServerTimeoutError) as caught:
            await session.get(server.url, timeout=ClientTimeout(total=0.01, connect=5))
        assert not isinstance(caught.value, ConnectionTimeoutError)
        gate.answers.release()
        await first


async def test_redirects_take_a_slot_of_their_own(serve: Serve) -> None:
    """The spacing of a host holds for redirects too: each hop is a start."""
    server = await serve(repeating(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"))
    limits = HostLimits(limit_per_host=1, spacing=3600.0)
    async with ClientSession(connector=TCPConnector(limits=limits)) as session:
        with pytest.raises(ConnectionTimeoutError):
            await session.get(
                server.url, timeout=ClientTimeout(connect=0.5)
            )  # enough for the first connection, on any machine
    assert len(server.received) == 1


# -- dead connections -------------------------------------------------------------------------------------------------


def dying(*, resets: bool, after_request: bool) -> Callable[[Peer], Awaitable[None]]:
    """A script that answers one request on each connection, and then closes it: at once, or with the next request."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HI)
        if after_request:
            await peer.request()
        if resets:
            peer.reset()

    return script


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_an_idempotent_request_is_repeated_once(
    method: str, resets: bool, serve: Serve, session: ClientSession
) -> None:
    """A kept connection that dies with the request is nobody's fault: the request goes out again (RFC 9110 §9.2.2)."""
    server = await serve(dying(resets=resets, after_request=True))
    await get(session, server.url)
    async with session.request(method, server.url) as response:
        assert response.status == 200
    assert [request.method for request in server.received] == ["GET", method, method]


async def test_a_request_that_may_have_worked_is_not_repeated(serve: Serve, session: ClientSession) -> None:
    """A POST that got no answer may have bought something."""
    server = await serve(dying(resets=False, after_request=True))
    await get(session, server.url)
    with pytest.raises(ServerDisconnectedError):
        await session.post(server.url, data=b"once")
    assert len(server.received) == 2


async def test_a_request_is_not_repeated_whose_answer_had_begun(serve: Serve, session: ClientSession) -> None:
    """The connection was not dead, then: what there is of the answer is not to be had again."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HI)
        await peer.request()
        await peer.send(HI[:10])

    server = await serve(script)
    await get(session, server.url)
    with pytest.raises(ServerDisconnectedError):
        await get(session, server.url)
    assert len(server.received) == 2


async def test_nothing_is_repeated_on_a_new_connection(serve: Serve, session: ClientSession) -> None:
    """A server that closes new connections is broken, not tired."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    server = await serve(script)
    with pytest.raises(ClientOSError):
        await session.get(server.url)
    assert server.connections == 1


async def test_the_second_attempt_is_the_last(serve: Serve, session: ClientSession) -> None:
    """The repetition goes over a new connection, and ends there."""

    async def script(peer: Peer) -> None:
        await peer.request()
        if server.connections == 1:
            await peer.send(HI)
            await peer.request()

    server = await serve(script)
    await get(session, server.url)
    with pytest.raises(ServerDisconnectedError):
        await session.get(server.url)
    assert server.connections == 2


async def test_a_request_goes_out_twice_at_most(serve: Serve) -> None:
    """Also where another has left a used connection behind meanwhile, and that dies as well."""
    another_waits = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HI)
        await peer.request()
        await another_waits.wait()

    async def queued(*_: object) -> None:
        another_waits.set()

    trace = TraceConfig()
    trace.on_connection_queued_start.append(queued)
    server = await serve(script)
    connector = TCPConnector(limit=1)
    async with ClientSession(connector=connector, trace_configs=[trace]) as session, asyncio.timeout(10):
        await get(session, server.url)
        dying_twice = asyncio.ensure_future(get(session, server.url / "dies"))
        await until(lambda: len(server.received) == 2)
        await get(session, server.url / "other")
        with pytest.raises(ServerDisconnectedError):
            await dying_twice
    assert [request.target for request in server.received] == ["/", "/dies", "/other", "/dies"]


@pytest.mark.parametrize("by_session", [False, True])
async def test_who_asks_for_the_end_sends_nothing_more(by_session: bool, serve: Serve) -> None:
    """Whatever the server says (RFC 9112 §9.6)."""
    server = await serve(repeating(HI))
    closing = {"Connection": "close"}
    async with ClientSession(headers=closing if by_session else None) as session:
        for headers in (None, closing, None):
            async with session.get(server.url, headers=headers):
                pass
    assert server.connections == (3 if by_session else 2)


async def test_a_body_that_cannot_be_replayed_is_not_repeated(serve: Serve, session: ClientSession) -> None:
    """A generator gives its bytes once."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"once"

    server = await serve(dying(resets=False, after_request=True))
    await get(session, server.url)
    with pytest.raises(ServerDisconnectedError):
        await session.put(server.url, data=parts())


async def test_a_connection_that_closed_while_idle_is_not_used(serve: Serve, session: ClientSession) -> None:
    """Where the end was seen in time, nothing is even sent on it, not even a POST."""
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HI)
        if server.connections == 1:
            peer.writer.close()
            await peer.writer.wait_closed()
            ended.set()
        await peer.request()
        await peer.send(HI)

    server = await serve(script)
    await get(session, server.url)
    await ended.wait()
    connector = session.connector
    assert connector is not None
    await until(lambda: not any(protocol.is_idle for protocol in connector._idle._by_age))
    async with session.post(server.url, data=b"x") as response:
        assert response.status == 200
    assert [request.method for request in server.received] == ["GET", "POST"]


async def test_a_connection_that_closed_while_idle_is_no_start(serve: Serve) -> None:
    """A request that may go out now does not wait as if one had gone out over it."""
    now = 0.0
    limits = HostLimits(spacing=60.0, clock=lambda: now)
    server = await serve(dying(resets=False, after_request=False))
    async with ClientSession(connector=TCPConnector(limits=limits)) as session, asyncio.timeout(10):
        for _ in range(3):
            await get(session, server.url)
            assert session.connector is not None
            assert session.connector.idle_count == 1
            await until(lambda: server.open_connections == 0)
            now += 60.0
    assert server.connections == 3


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_is_sent_once_is_not_sent_to_a_server_that_has_gone(
    method: str, resets: bool, serve: Serve, session: ClientSession
) -> None:
    """Not even where the program was busy in the meantime, so that nobody has told us of the end."""
    server = await serve(dying(resets=resets, after_request=False))
    for _ in range(2):
        await get(session, server.url)
        connector = session.connector
        assert connector is not None
        (protocol,) = connector._idle._by_age
        transport = protocol.transport
        assert transport is not None
        transport.pause_reading()
        await until(lambda: server.open_connections == 0)
        assert protocol.is_idle
        asyncio.get_running_loop().call_soon(transport.resume_reading)
        async with session.request(method, server.url, data=b"once") as response:
            assert response.status == 200
    assert [request.method for request in server.received] == ["GET", method] * 2


# -- opening ----------------------------------------------------------------------------------------------------------


async def test_refused(session: ClientSession) -> None:
    """Nobody listens: the error says where, why, and for what."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(ClientConnectorError) as caught:
        await session.get(f"http://127.0.0.1:{port}/path")
    error = caught.value
    assert (error.host, error.port, error.method) == ("127.0.0.1", port, "GET")
    assert error.errno is not None
    assert f"127.0.0.1:{port}" in str(error)
    assert "/path" in str(error)
    assert isinstance(error.os_error, ConnectionRefusedError)


async def test_sock_connect(serve: Serve) -> None:
    """A server that accepts connections but never finishes the TLS handshake is given up at `sock_connect`."""

    async def script(peer: Peer) -> None:
        await peer.closed()

    server = await serve(script)
    async with ClientSession() as session:
        with pytest.raises(ConnectionTimeoutError) as caught:
            await session.get(server.url.with_scheme("https"), timeout=ClientTimeout(sock_connect=0.02))
        assert caught.value.url == server.url.with_scheme("https")


@pytest.mark.parametrize("host", ["127.0.0.1", "here.example"])
async def test_small_writes_do_not_wait_for_each_other(host: str, serve: Serve) -> None:
    """Parts of a body and WebSocket messages would take 40 ms each, whoever found the address (RFC 896, RFC 1122 §4.2.3.2)."""
    server = await serve(repeating(HI))
    async with TCPConnector(resolver=Loopback()) as connector:
        lent = await connector.connect(ClientRequest("GET", server.url.with_host(host)))
        assert lent.transport is not None
        connection = lent.transport.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        lent.close()


async def test_local_addr(serve: Serve) -> None:
    """Connections come from the address that was asked for."""
    came_from: list[str] = []

    async def script(peer: Peer) -> None:
        came_from.append(peer.writer.get_extra_info("peername")[0])
        await repeating(HI)(peer)

    server = await serve(script)
    async with ClientSession(connector=TCPConnector(local_addr=("127.0.0.2", 0))) as session:
        await get(session, server.url)
    assert came_from == ["127.0.0.2"]


async def test_a_connector_of_ones_own(serve: Serve) -> None:
    """`_create_connection` is all that a subclass writes."""
    server = await serve(repeating(HI))

    class Fixed(BaseConnector):
        async def _create_connection(
            self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
        ) -> Http1Protocol:
            loop = asyncio.get_running_loop()
            return (await loop.create_connection(self._factory, "127.0.0.1", server.port))[1]

    async with ClientSession(connector=Fixed()) as session:
        assert await get(session, "http://wherever.example/") == b"hi"
    assert server.received[0].headers["host"] == "wherever.example"


class Echo(asyncio.Transport):
    """A transport without a socket, which answers with what was sent."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._written = b""

    def write(self, data: Any) -> None:
        self._written += data
        if self._written.endswith(b"end"):
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(self._written), self._written)
            asyncio.get_running_loop().call_soon(self._protocol.data_received, answer)

    def is_closing(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return True

    def abort(self) -> None:
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


async def test_connections_need_not_be_sockets() -> None:
    """A connector of one's own may make them of anything that asyncio has a transport for."""

    class Echoing(BaseConnector):
        async def _create_connection(
            self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
        ) -> Carrier:
            protocol = self._factory()
            protocol.connection_made(Echo(protocol))
            return protocol

    async def parts() -> AsyncIterator[bytes]:
        yield b"the "
        yield b"end"

    async with (
        ClientSession(connector=Echoing()) as session,
        session.post("http://nowhere.example/", data=parts(), headers={"Content-Length": "7"}) as response,
    ):
        assert (await response.read()).endswith(b"\r\n\r\nthe end")


async def test_connect_of_ones_own_sees_every_request(serve: Serve) -> None:
    """Also those that go over a connection which is there already."""
    server = await serve(repeating(HI))
    seen: list[str] = []

    class Watching(TCPConnector):
        async def connect(self, request: ClientRequest | None = None, *args: Any, **kwargs: Any) -> Connection:
            assert request is not None
            seen.append(request.url.path)
            return await super().connect(request, *args, **kwargs)

    async with ClientSession(connector=Watching()) as session:
        for path in ("a", "b", "c"):
            await get(session, server.url / path)
    assert seen == ["/a", "/b", "/c"]
    assert server.connections == 1


async def test_a_connector_as_it_was_written_for_aiohttp_2(serve: Serve) -> None:
    """Then, the request was the only parameter."""
    server = await serve(repeating(HI))
    with pytest.warns(DeprecationWarning, match="_create_connection"):

        class Fixed(BaseConnector):
            async def _create_connection(self, req: ClientRequest) -> Http1Protocol:  # type: ignore[override]
                loop = asyncio.get_running_loop()
                return (await loop.create_connection(self._factory, "127.0.0.1", server.port))[1]

    async with ClientSession(connector=Fixed()) as session:
        assert await get(session, "http://wherever.example/") == b"hi"


class Watched(TCPConnector):
    """Notes who is called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []


class ConnectsAsInAiohttp3(Watched):
    async def connect(self, req: ClientRequest, traces: Any, timeout: Any) -> Connection:  # type: ignore[override]
        self.calls.append(req.url.path)
        return await super().connect(req, traces, timeout)


class ConnectsByName(Watched):
    async def connect(self, req: ClientRequest, **options: Any) -> Connection:  # type: ignore[override]
        self.calls.append(req.url.path)
        return await super().connect(req, **options)


class ConnectMixin:
    async def connect(self, req: ClientRequest, traces: Any = (), timeout: Any = None) -> Connection:
        self.calls.append(req.url.path)  # type: ignore[attr-defined]
        return await super().connect(req, traces, timeout)  # type: ignore[misc, no-any-return]


class ConnectsByMixin(ConnectMixin, Watched):  # type: ignore[misc]
    pass


class ConnectsTwice(ConnectsAsInAiohttp3):
    async def connect(self, *arguments: Any, **options: Any) -> Connection:
        return await super().connect(*arguments, **options)


@pytest.mark.parametrize("kind", [ConnectsAsInAiohttp3, ConnectsByName, ConnectsByMixin, ConnectsTwice])
async def test_connect_of_ones_own_is_called_as_in_aiohttp(kind: type[Watched], serve: Serve) -> None:
    """Whatever it knows of its parameters, every request goes through it, and ends in time."""
    connector = kind()
    server = await serve(repeating(HI))
    async with ClientSession(connector=connector) as session:
        for path in ("a", "b"):
            await get(session, server.url / path)
        slots = [connector.limits.acquire_nowait(connector.limits.host_of(Origin.of(server.url))) for _ in range(100)]
        with pytest.raises(ServerTimeoutError, match="total time"):
            await session.get(server.url / "c", timeout=ClientTimeout(total=0.01))
        for slot in slots:
            assert slot is not None
            slot.release()
    assert connector.calls == ["/a", "/b", "/c"]
    assert server.connections == 1


async def test_creating_of_ones_own_may_pass_on_what_it_is_given(serve: Serve) -> None:
    """All, by position, or the request alone, as in aiohttp 2."""
    server = await serve(repeating(HI))

    class PassesAll(Watched):
        async def _create_connection(self, *arguments: Any) -> Carrier:
            self.calls.append("all")
            return await super()._create_connection(*arguments)

    class OlderMixin:
        async def _create_connection(self, req: ClientRequest) -> Carrier:
            self.calls.append("older")  # type: ignore[attr-defined]
            return await super()._create_connection(req)  # type: ignore[misc, no-any-return]

    with pytest.warns(DeprecationWarning, match="_create_connection") as warned:

        class Older(OlderMixin, Watched):  # type: ignore[misc]
            pass

    assert [warning.filename for warning in warned] == [__file__]
    for kind in (PassesAll, Older):
        connector = kind()
        async with ClientSession(connector=connector) as session:
            assert await get(session, server.url) == b"hi"
        assert len(connector.calls) == 1


async def test_what_aiohttp_2_called_is_still_bound_by_time(serve: Serve) -> None:
    """It is given the request alone, so the limits are kept for it."""
    server = await serve(repeating(HI))
    never = asyncio.Event()
    with pytest.warns(DeprecationWarning, match="connect takes"):

        class Connects(TCPConnector):
            async def connect(self, req: ClientRequest) -> Connection:  # type: ignore[override]
                if req.url.path == "/never":
                    await never.wait()
                return await super().connect(req)

    with pytest.warns(DeprecationWarning, match="_create_connection takes"):

        class Creates(TCPConnector):
            async def _create_connection(self, req: ClientRequest) -> Carrier:  # type: ignore[override]
                if req.url.path == "/never":
                    await never.wait()
                return await super()._create_connection(req)  # type: ignore[call-arg]

    for kind, late in ((Connects, ClientTimeout(connect=0.01)), (Creates, ClientTimeout(sock_connect=0.01))):
        async with ClientSession(connector=kind()) as session:
            assert await get(session, server.url) == b"hi"
            async with asyncio.timeout(10):
                with pytest.raises(ConnectionTimeoutError):
                    await session.get(f"http://127.0.0.2:{server.port}/never", timeout=late)


@pytest.mark.parametrize("kind", [str, Path])
async def test_unix_socket(kind: type[str | Path], serve: Serve, tmp_path: Path) -> None:
    """Whatever the URL's host is, the socket's path is where it goes."""
    path = tmp_path / "socket"
    await serve(repeating(HI), path=path)
    connector = UnixConnector(kind(path))
    assert connector.path == kind(path)
    async with ClientSession(connector=connector) as session:
        assert await get(session, "http://localhost/") == b"hi"
        assert await get(session, "http://other.example/") == b"hi"


async def test_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    """The error names the path."""
    path = str(tmp_path / "nothing")
    async with ClientSession(connector=UnixConnector(path)) as session:
        with pytest.raises(UnixClientConnectorError) as caught:
            await session.get("http://localhost/")
    assert caught.value.path == path
    assert path in str(caught.value)


# -- lending by hand, and closing -------------------------------------------------------------------------------------


async def test_connect_lends_and_takes_back(serve: Serve, connector: TCPConnector, session: ClientSession) -> None:
    """`connect` takes a request; what it lends can be released, again and again."""
    server = await serve(repeating(HI))
    await get(session, server.url)
    connection = await connector.connect(ClientRequest("GET", server.url))
    assert connection.was_used
    assert connection.transport is not None
    assert not connection.closed
    connection.release()
    connection.release()
    assert connection.closed
    assert connection.transport is None
    assert connector.idle_count == 1


async def test_forgotten_connection_is_closed_with_a_warning(
    serve: Serve, connector: TCPConnector, session: ClientSession
) -> None:
    """A lent connection that nobody gives back is noticed."""
    server = await serve(repeating(HI))
    connection = await connector.connect(ClientRequest("GET", server.url))
    with pytest.warns(ResourceWarning, match="unclosed connection"):
        del connection
    assert connector.in_use_count == 0


async def test_close_fails_those_who_wait(serve: Serve) -> None:
    """Closing a connector ends requests under way, waiting ones included; none hangs."""
    gate = Gate()
    server = await serve(gate)
    connector = TCPConnector(limit=1)
    async with ClientSession(connector=connector) as session:
        tasks = [asyncio.create_task(get(session, server.url)) for _ in range(2)]
        await gate.asked.acquire()
        await connector.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, Exception) for result in results)
        assert connector.closed
        assert session.closed
        with pytest.raises(ClientConnectionError):
            await session.get(server.url)
    assert connector.in_use_count == connector.limits.active == 0


async def test_close_fails_those_who_connect(serve: Serve) -> None:
    """Whatever they wait for: a look-up, a handshake, a proxy, or a slot that is somebody else's to give back."""

    class NeverResolver(AbstractResolver):
        async def resolve(self, *_args: Any, **_options: Any) -> list[Any]:
            waiting.release()
            await asyncio.Event().wait()
            return []

        async def close(self) -> None:
            pass

    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        waiting.release()
        await peer.closed()

    waiting = asyncio.Semaphore(0)
    server = await serve(script)
    limits = HostLimits(limit=4)
    other = limits.acquire_nowait(HostKey("other"))
    assert other is not None
    connector = TCPConnector(resolver=NeverResolver(), limits=limits)
    async with ClientSession(connector=connector) as session:
        calls = [
            session.get("http://example.com/"),
            session.get(server.url.with_scheme("https")),
            session.get("https://127.0.0.1:1/", proxy=server.url),
            session.get(server.url),  # the fourth slot is out
        ]
        tasks = [asyncio.ensure_future(call) for call in calls]
        for _ in range(3):
            await waiting.acquire()
        await session.close()
        async with asyncio.timeout(10):
            results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [ConnectorClosed] * 4
    assert limits.active == 1
    other.release()


async def test_who_waits_for_a_slot_when_it_is_closed_has_an_error_of_his_own(serve: Serve) -> None:
    """It names the request, and none knows of another."""
    gate = Gate()
    server = await serve(gate)
    async with ClientSession(connector=TCPConnector(limit=1)) as session:
        tasks = [asyncio.create_task(get(session, server.url / str(number))) for number in range(3)]
        await gate.asked.acquire()
    errors = (await asyncio.gather(*tasks, return_exceptions=True))[1:]
    assert [type(error) for error in errors] == [ConnectorClosed] * 2
    assert [error.url for error in errors if isinstance(error, ConnectorClosed)] == [server.url / "1", server.url / "2"]


async def test_a_session_may_be_closed_in_another_loop(serve: Serve) -> None:
    """In one that comes after, whether the first still is there or not."""

    async def used() -> ClientSession:
        session = ClientSession()
        await get(session, server.url)
        return session

    def close_elsewhere() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # a loop that is closed can close no transports
            asyncio.run(asyncio.run(used()).close())
            loop = asyncio.new_event_loop()
            asyncio.run(loop.run_until_complete(used()).close())
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
            gc.collect()

    server = await serve(repeating(HI))
    await asyncio.to_thread(close_elsewhere)
    await until(lambda: server.open_connections == 0)


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
async def test_a_response_may_be_closed_after_its_loop(
    serve: Serve, make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Though it holds its server back, whose turn would be to go on."""

    async def half_read() -> ClientResponse:
        session = ClientSession()
        response = await session.get(server.url)
        await response.content.readexactly(1)
        assert response.connection is not None
        transport = response.connection.transport
        assert transport is not None
        await until(lambda: not transport.is_reading())
        return response

    def close_later() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # a loop that is closed can close no transports
            loop = make_loop()
            response = loop.run_until_complete(half_read())
            loop.close()
            response.close()
            assert response.closed
            del response
            gc.collect()

    body = b"x" * 1_000_000
    server = await serve(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + body))
    await asyncio.to_thread(close_later)


async def test_close_without_await(serve: Serve) -> None:
    """In aiohttp 2 closing was a plain call; it still may be one."""
    server = await serve(repeating(HI))
    connector = TCPConnector()
    session = ClientSession(connector=connector)
    await get(session, server.url)
    connector.close()
    assert connector.closed
    await session.close()


async def test_forgotten_connector_warns(serve: Serve) -> None:
    """Idle connections whose connector is gone are closed with a warning."""
    server = await serve(repeating(HI))
    connector = TCPConnector()
    session = ClientSession(connector=connector, connector_owner=False)
    await get(session, server.url)
    await session.close()
    del session
    with pytest.warns(ResourceWarning, match="unclosed connector"):
        del connector


async def test_deprecated_parameters() -> None:
    """Older spellings still work, and say what to write instead."""
    with pytest.warns(DeprecationWarning, match="loop"):
        await TCPConnector(loop=asyncio.get_running_loop()).close()
    with pytest.warns(DeprecationWarning, match="enable_cleanup_closed"):
        await TCPConnector(enable_cleanup_closed=True).close()
    connector = TCPConnector(limit=None, limit_per_host=None)
    assert (connector.limit, connector.limit_per_host) == (0, 0)
    await connector.close()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc, which is Linux's")
def test_to_connect_to_a_known_address_takes_no_thread() -> None:
    """By itself, uvloop has four threads begin to look up what is numeric."""
    program = """
import asyncio, os, socket, uvloop
from client import ClientSession

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")

async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    async with await asyncio.start_server(answer, sock=listener), ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{listener.getsockname()[1]}/") as response:
            print(response.status, len(os.listdir("/proc/self/task")))

uvloop.run(main())
"""
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert told.stdout.split() == ["204", "1"]


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_connections_that_receive_into_one_buffer(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """On asyncio's loop they do; what each has received, heads in pieces and bodies of many reads, stays its own."""

    async def script(peer: Peer) -> None:
        target = (await peer.request()).target
        await peer.drip(b"HTTP/1.1 200 OK\r\nX-Target: %s\r\nContent-Length: 1000000\r\n\r\n" % target.encode())
        for _ in range(10):
            await peer.send(target[-1:].encode() * 100_000)
            await asyncio.sleep(0)

    async def fetch(session: ClientSession, url: str) -> tuple[str, bytes]:
        async with session.get(url) as response:
            assert response.connection is not None
            is_buffered = isinstance(response.connection.protocol, asyncio.BufferedProtocol)
            assert is_buffered is (factory is asyncio.new_event_loop)
            return response.headers["X-Target"], await response.read()

    async def main() -> None:
        async with serving(script) as server, ClientSession() as session:
            letters = "abcdefgh"
            fetched = await asyncio.gather(*(fetch(session, f"{server.url}{letter}") for letter in letters))
            assert fetched == [(f"/{letter}", letter.encode() * 1_000_000) for letter in letters]

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
