"""How a WebSocket ends: closed by either side, lost, forgotten, or cancelled."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any

import pytest

from client import (
    ClientConnectionResetError,
    ClientOSError,
    ClientSession,
    ClientWSTimeout,
    ServerDisconnectedError,
    TCPConnector,
    WSCloseCode,
    WSMessage,
    WSMsgType,
)
from tests.client.ws_peer import (
    BINARY,
    PING,
    TEXT,
    close_frame,
    frame,
    open_websocket,
    read_frame,
    saying,
    shake_hands,
    switching,
    until,
)

if TYPE_CHECKING:
    from yarl import URL

    from tests.client.conftest import Serve
    from tests.client.peer import Peer


async def test_closing_says_why_and_waits_for_the_server(session: ClientSession, serve: Serve) -> None:
    said = []

    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        said.append((await read_frame(peer)).payload)
        await peer.send(frame(TEXT, b"dropped") * 3 + close_frame(1000))

    server = await serve(script)
    async with session.ws_connect(server.url) as websocket:
        assert await websocket.close(code=WSCloseCode.GOING_AWAY, message=b"tired")
        assert not await websocket.close()
        assert (await websocket.receive()).type is WSMsgType.CLOSED
        assert websocket.get_extra_info("peername", "gone") == "gone"
    assert said == [close_frame(1001, b"tired")[2:]]
    assert (websocket.close_code, websocket.exception()) == (1000, None)


async def test_a_websocket_that_was_awaited_closes_at_the_end_of_its_block(
    session: ClientSession, serve: Serve
) -> None:
    server = await serve(saying())
    websocket = await session.ws_connect(server.url)
    async with websocket as same:
        assert same is websocket
        assert not websocket.closed
    assert websocket.close_code == 1000


async def test_a_server_that_does_not_close_is_left(session: ClientSession, serve: Serve) -> None:
    """However much it sends instead."""

    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        while True:
            await peer.send(frame(TEXT, b"not yet" * 100))

    server = await serve(script)
    websocket = await session.ws_connect(server.url, timeout=ClientWSTimeout(ws_close=0.05))
    assert await websocket.close()
    assert websocket.close_code == WSCloseCode.ABNORMAL_CLOSURE
    assert isinstance(websocket.exception(), TimeoutError)


async def test_a_close_frame_is_the_last_frame(session: ClientSession, serve: Serve) -> None:
    """Not even a ping follows it."""
    behind = []

    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        await read_frame(peer)
        behind.append(await peer.reader.read())

    server = await serve(script)
    timeout = ClientWSTimeout(ws_close=0.1)
    async with session.ws_connect(server.url, heartbeat=0.02, timeout=timeout) as websocket:
        await websocket.close()
    await until(lambda: server.open_connections == 0)
    assert behind == [b""]
    assert websocket.close_code == WSCloseCode.ABNORMAL_CLOSURE


async def test_what_comes_behind_the_servers_close_is_dropped(session: ClientSession, serve: Serve) -> None:
    """It does not keep the server from closing the connection, as it should."""
    all_sent = asyncio.Event()

    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        await shake_hands(peer)
        await peer.send(frame(BINARY, bytes(16 << 20)))
        all_sent.set()

    server = await serve(script)
    async with session.ws_connect(server.url) as websocket:
        await websocket.close()
    assert all_sent.is_set()
    assert websocket.close_code == 1000


async def test_closing_ends_a_receive_of_another_task(session: ClientSession, serve: Serve) -> None:
    server = await serve(saying())
    websocket = await session.ws_connect(server.url)
    receiving = asyncio.ensure_future(websocket.receive())
    await asyncio.sleep(0)
    assert await websocket.close()
    assert (await receiving) == WSMessage(WSMsgType.CLOSING, None, None)
    assert websocket.close_code == 1000


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("steps", range(1, 7))
async def test_a_close_that_is_cancelled_leaves_no_connection(
    session: ClientSession, connector: TCPConnector, serve: Serve, *, steps: int, answers: bool
) -> None:
    """At whichever of its awaits, the server closing the connection or not."""

    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        if answers:
            await shake_hands(peer)
        await peer.closed()

    server = await serve(script)
    websocket = await session.ws_connect(server.url)
    closing = asyncio.ensure_future(websocket.close())
    for _ in range(steps):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    assert closing.cancelled()
    assert websocket.closed
    assert websocket.close_code in (1000, WSCloseCode.ABNORMAL_CLOSURE)
    assert connector.in_use_count == 0
    await until(lambda: server.open_connections == 0)


@pytest.mark.parametrize("steps", range(12))
async def test_a_handshake_that_is_cancelled_leaves_no_connection(
    session: ClientSession, connector: TCPConnector, serve: Serve, steps: int
) -> None:
    """At whichever of its awaits."""
    server = await serve(saying(frame(TEXT, b"x")))

    async def use() -> None:
        async with session.ws_connect(server.url) as websocket:
            await websocket.receive()
            await websocket.receive()

    using = asyncio.ensure_future(use())
    for _ in range(steps):
        await asyncio.sleep(0)
    using.cancel()
    await asyncio.wait([using])
    assert using.cancelled()
    assert connector.in_use_count == 0
    await until(lambda: server.open_connections == 0)


async def test_a_lost_connection_is_told_after_what_came_before(session: ClientSession, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer, first=frame(TEXT, b"whole") + frame(TEXT, b"half")[:-2])

    server = await serve(script)
    async with session.ws_connect(server.url) as websocket:
        await until(lambda: websocket.get_extra_info("socket") is None)
        assert await websocket.receive_str() == "whole"
        assert await websocket.receive() == WSMessage(WSMsgType.CLOSED, None, None)
        with pytest.raises(ClientConnectionResetError):
            await websocket.send_str("anyone?")
    assert websocket.close_code == WSCloseCode.ABNORMAL_CLOSURE
    assert isinstance(websocket.exception(), ServerDisconnectedError)


async def test_a_reset_is_told_as_such(session: ClientSession, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        await read_frame(peer)
        peer.reset()

    server = await serve(script)
    async with session.ws_connect(server.url) as websocket:
        await websocket.send_str("x")
        assert [message async for message in websocket] == []
    assert websocket.close_code == WSCloseCode.ABNORMAL_CLOSURE
    error = websocket.exception()
    assert isinstance(error, ClientOSError)
    assert error.errno == errno.ECONNRESET


async def test_the_servers_close_counts_although_the_connection_is_lost(session: ClientSession, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer, first=frame(PING) + close_frame(1012))

    server = await serve(script)
    websocket = await session.ws_connect(server.url)
    await until(lambda: websocket.get_extra_info("socket") is None)
    assert (await websocket.receive()).type is WSMsgType.CLOSE
    other = await session.ws_connect(server.url)
    await until(lambda: other.get_extra_info("socket") is None)
    await other.close()
    assert [each.close_code for each in (websocket, other)] == [1012, 1012]


async def test_a_session_that_closes_closes_its_websockets(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        await peer.closed()

    server = await serve(script)
    async with ClientSession() as session:
        websocket = await session.ws_connect(server.url)
        receiving = asyncio.ensure_future(websocket.receive())
        await asyncio.sleep(0)
    assert await receiving == WSMessage(WSMsgType.CLOSED, None, None)
    assert (websocket.closed, websocket.close_code) == (True, WSCloseCode.ABNORMAL_CLOSURE)
    assert await websocket.close() is False
    await until(lambda: server.open_connections == 0)


async def test_a_websocket_keeps_its_hosts_slot_until_it_is_closed(serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        received = await peer.head()
        if "upgrade" in received.headers:
            await peer.send(switching(received))
            await shake_hands(peer)
        else:
            await peer.answer(b"served")

    server = await serve(script)
    async with TCPConnector(limit_per_host=1) as connector, ClientSession(connector=connector) as session:
        async with session.ws_connect(server.url.with_scheme("ws")):
            other = asyncio.ensure_future(session.get(server.url).__aenter__())
            await until(lambda: connector.limits.active == 1)
            assert connector.limits.acquire_nowait(connector.limits.host_of(origin_of(server.url))) is None
            assert not other.done()
        assert await (await other).text() == "served"


def origin_of(url: URL) -> Any:
    from client import Origin

    return Origin.of(url)


async def test_a_websocket_that_is_forgotten_is_closed_with_a_warning(
    session: ClientSession, connector: TCPConnector, serve: Serve
) -> None:
    server = await serve(saying())
    websocket = await session.ws_connect(server.url, heartbeat=30)
    assert not websocket.closed
    with pytest.warns(ResourceWarning, match="unclosed"):
        del websocket
    assert connector.in_use_count == 0
    await until(lambda: server.open_connections == 0)
