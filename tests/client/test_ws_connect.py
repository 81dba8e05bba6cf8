"""Opening a WebSocket: a request like any other, whose answer is checked."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from client import (
    BasicAuth,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ClientWSTimeout,
    CookieJar,
    NonHttpUrlRedirectClientError,
    ServerTimeoutError,
    TCPConnector,
    WSCloseCode,
    WSServerHandshakeError,
)
from tests.client.ws_peer import (
    TEXT,
    frame,
    open_websocket,
    read_frame,
    saying,
    shake_hands,
    switching,
)

if TYPE_CHECKING:
    from client.middleware import Handler
    from tests.client.conftest import Serve
    from tests.client.peer import Peer


async def test_the_handshake_is_a_request_like_any_other(connector: TCPConnector, serve: Serve) -> None:
    """Parameters, headers, credentials and cookies go with it; cookies come back with the answer."""

    async def script(peer: Peer) -> None:
        await open_websocket(peer, "Set-Cookie: seen=1")
        await shake_hands(peer)

    server = await serve(script)
    jar = CookieJar(unsafe=True)
    jar.update_cookies({"kept": "1"}, server.url)
    async with (
        ClientSession(connector=connector, connector_owner=False, cookie_jar=jar) as session,
        session.ws_connect(
            server.url / "chat",
            params={"room": "1"},
            headers={"X-Own": "yes"},
            auth=BasicAuth("me", "secret"),
            origin="http://example.org",
            protocols=["a", "b"],
            compress=15,
        ) as websocket,
    ):
        assert (websocket.protocol, websocket.compress, websocket.client_notakeover) == (None, 0, False)
    asked = server.received[0]
    assert (asked.method, asked.target) == ("GET", "/chat?room=1")
    assert {name: asked.headers[name] for name in ("x-own", "authorization", "cookie", "origin")} == {
        "x-own": "yes",
        "authorization": BasicAuth("me", "secret").encode(),
        "cookie": "kept=1",
        "origin": "http://example.org",
    }
    assert asked.headers["upgrade"] == "websocket"
    assert asked.headers["connection"] == "Upgrade"
    assert asked.headers["sec-websocket-version"] == "13"
    assert asked.headers["sec-websocket-protocol"] == "a, b"
    assert asked.headers["sec-websocket-extensions"] == "permessage-deflate; client_max_window_bits"
    assert "seen" in jar.filter_cookies(server.url)


async def test_subprotocols_offered_by_a_header(connector: TCPConnector, serve: Serve) -> None:
    """Whoever writes the header by hand has offered what it says, and nothing else."""

    async def script(peer: Peer) -> None:
        await open_websocket(peer, "Sec-WebSocket-Protocol: chat")
        await shake_hands(peer)

    server = await serve(script)
    header = {"Sec-WebSocket-Protocol": "talk, chat"}
    async with ClientSession(connector=connector, connector_owner=False) as session:
        async with session.ws_connect(server.url, headers=header) as websocket:
            assert websocket.protocol == "chat"
        with pytest.raises(WSServerHandshakeError, match="not offered"):
            await session.ws_connect(server.url, headers=header, protocols=["talk"])
    async with (
        ClientSession(connector=connector, connector_owner=False, headers=header) as session,
        session.ws_connect(server.url) as websocket,
    ):
        assert websocket.protocol == "chat"


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "403 Forbidden", "426 Upgrade Required"])
async def test_a_server_may_refuse(connector: TCPConnector, serve: Serve, status: str) -> None:
    """The error is that of the handshake even where the session raises for statuses."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.answer(b"no", status, "X-Why: because")

    server = await serve(script)
    async with ClientSession(connector=connector, connector_owner=False, raise_for_status=True) as session:
        with pytest.raises(WSServerHandshakeError) as caught:
            await session.ws_connect(server.url)
    assert caught.value.status == int(status[:3])
    assert caught.value.headers is not None
    assert caught.value.headers["X-Why"] == "because"
    assert caught.value.message
    assert caught.value.url == server.url


async def test_an_answer_to_another_key_is_refused(session: ClientSession, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        request = await peer.head()
        request.headers["sec-websocket-key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        await peer.send(switching(request))
        await peer.closed()

    server = await serve(script)
    with pytest.raises(WSServerHandshakeError) as caught:
        await session.ws_connect(server.url)
    assert caught.value.status == 101


async def test_an_upgrade_to_something_else_is_refused(session: ClientSession, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
        await peer.closed()

    server = await serve(script)
    with pytest.raises(WSServerHandshakeError, match="a protocol other than WebSocket"):
        await session.ws_connect(server.url)


async def test_an_answer_whose_connection_is_gone_opens_nothing(session: ClientSession, serve: Serve) -> None:
    async def close(request: ClientRequest, handler: Handler) -> ClientResponse:
        response = await handler(request)
        response.close()
        return response

    server = await serve(saying())
    async with ClientSession(connector=session.connector, connector_owner=False, middlewares=[close]) as closing:
        with pytest.raises(WSServerHandshakeError, match="closed"):
            await closing.ws_connect(server.url)


async def test_redirects_are_followed(session: ClientSession, serve: Serve) -> None:
    """To http, as aiohttp does, and to ws as well, which an http request must not be redirected to."""

    async def script(peer: Peer) -> None:
        received = await peer.head()
        if received.target == "/":
            await peer.answer(b"", "302 Found", "Location: /relative")
            received = await peer.head()
        if received.target == "/relative":
            await peer.answer(b"", "307 Temporary Redirect", f"Location: {server.url.with_scheme('ws')}absolute")
            received = await peer.head()
        if received.target == "/absolute":
            await peer.answer(b"", "302 Found", f"Location: {server.url}http")
            received = await peer.head()
        await peer.send(switching(received))
        await shake_hands(peer)

    server = await serve(script)
    async with session.ws_connect(server.url.with_scheme("ws")) as websocket:
        assert not websocket.closed
    assert [asked.target for asked in server.received] == ["/", "/relative", "/absolute", "/http"]
    assert all("sec-websocket-key" in asked.headers for asked in server.received)
    with pytest.raises(NonHttpUrlRedirectClientError):
        await session.get(server.url / "relative")


async def test_the_handshake_has_the_sessions_deadline(connector: TCPConnector, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.closed()

    server = await serve(script)
    async with ClientSession(connector=connector, connector_owner=False, timeout=ClientTimeout(total=0.05)) as session:
        with pytest.raises(ServerTimeoutError):
            await session.ws_connect(server.url)


async def test_a_deadline_for_requests_is_none_for_the_websocket(connector: TCPConnector, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        await read_frame(peer)
        await peer.send(frame(TEXT, b"late"))
        await shake_hands(peer)

    server = await serve(script)
    timeout = ClientTimeout(total=0.2, sock_read=0.2, ceil_threshold=60)
    async with (
        ClientSession(connector=connector, connector_owner=False, timeout=timeout) as session,
        session.ws_connect(server.url) as websocket,
    ):
        with pytest.raises(TimeoutError):
            await websocket.receive(timeout=0.4)
        await websocket.send_str("go on")
        assert await websocket.receive_str() == "late"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"compress": 8}, ValueError),
        ({"compress": 16}, ValueError),
        ({"protocols": ["a b"]}, ValueError),
        ({"protocols": "chat"}, TypeError),
        ({"heartbeat": -1}, ValueError),
        ({"max_msg_size": -1}, ValueError),
        ({"timeout": ClientWSTimeout, "unheard_of": 1}, TypeError),
        ({"data": b"body"}, TypeError),
    ],
)
async def test_parameters_that_make_no_sense_are_refused(
    session: ClientSession, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await session.ws_connect("ws://127.0.0.1:1/", **options)


@pytest.mark.parametrize("value", [-1, float("inf"), "1"])
def test_a_limit_is_a_number_of_seconds(value: Any) -> None:
    with pytest.raises(ValueError, match="ws_close"):
        ClientWSTimeout(ws_close=value)


async def test_the_older_timeouts_work_and_warn(session: ClientSession, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        await peer.closed()

    server = await serve(script)
    with pytest.warns(DeprecationWarning, match="use ClientWSTimeout") as warnings:
        context = session.ws_connect(server.url, timeout=0.01, receive_timeout=0.02)
    assert [warning.filename for warning in warnings] == [__file__] * 2
    async with context as websocket:
        with pytest.raises(TimeoutError):
            await websocket.receive()
    assert isinstance(websocket.exception(), TimeoutError)
    assert websocket.close_code == WSCloseCode.ABNORMAL_CLOSURE


async def test_it_is_a_coroutine(session: ClientSession, serve: Serve) -> None:
    """Whatever takes one, takes it: a task, for instance."""
    server = await serve(saying(frame(TEXT, b"hi")))
    task = asyncio.create_task(session.ws_connect(server.url))
    websocket = await task
    assert await websocket.receive_str() == "hi"
    await websocket.close()


async def test_one_that_is_given_up_before_it_began_leaves_nothing(session: ClientSession, serve: Serve) -> None:
    """Closed, or cancelled with its task before the first step: nothing is asked, and no coroutine is left to warn of."""
    server = await serve(saying())
    opening = session.ws_connect(server.url)
    assert asyncio.iscoroutine(opening)
    opening.close()
    task = asyncio.create_task(session.ws_connect(server.url))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del opening, task
    gc.collect()
    assert server.received == []


async def test_one_that_is_cancelled_while_it_waits_leaves_no_connection(
    session: ClientSession, connector: TCPConnector, serve: Serve
) -> None:
    """The task's cancellation reaches the request."""
    has_come = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        has_come.set()
        await peer.closed()

    server = await serve(script)
    task = asyncio.create_task(session.ws_connect(server.url))
    await has_come.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert connector.in_use_count == 0
