"""WebSockets on the wire: back-pressure both ways, heartbeat, hostile servers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from client import (
    ClientConnectionResetError,
    ClientSession,
    ServerDisconnectedError,
    ServerTimeoutError,
    TCPConnector,
    WebSocketError,
    WSCloseCode,
    WSMsgType,
)
from tests.client.ws_peer import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    RSV1,
    TEXT,
    close_frame,
    deflated,
    frame,
    open_websocket,
    read_frame,
    saying,
    shake_hands,
    transport_of,
    until,
)

if TYPE_CHECKING:
    from tests.client.conftest import Serve
    from tests.client.peer import Peer

# -- back-pressure ----------------------------------------------------------------------------------------------------


async def test_what_is_not_received_holds_the_server_back(session: ClientSession, serve: Serve) -> None:
    message, count = b"x" * 10_000, 5_000

    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        for _ in range(count):
            await peer.send(frame(BINARY, message))
        await shake_hands(peer)

    server = await serve(script)
    async with session.ws_connect(server.url) as websocket:
        transport = transport_of(websocket)
        await until(lambda: not transport.is_reading())
        for _ in range(count):
            assert await websocket.receive_bytes() == message
        assert transport.is_reading()


async def test_compressed_messages_wait_compressed(session: ClientSession, serve: Serve) -> None:
    """Two hundred messages of a megabyte each, a thousandfold compressed, are little until they are asked for."""
    count, inflated = 200, bytes(1 << 20)
    data = frame(BINARY, deflated(inflated), rsv=RSV1)
    server = await serve(
        saying(data * count, headers=("Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover",))
    )
    async with session.ws_connect(server.url, compress=15) as websocket:
        for _ in range(5):
            assert len(await websocket.receive_bytes()) == len(inflated)
        await until(lambda: not transport_of(websocket).is_reading())


async def test_sending_waits_for_a_slow_server(session: ClientSession, serve: Serve) -> None:
    go, size, count = asyncio.Event(), 1 << 20, 16

    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        await go.wait()
        for _ in range(count):
            assert len(await read_frame_of(peer, size)) == size
        await shake_hands(peer)

    server = await serve(script)
    async with session.ws_connect(server.url) as websocket:
        waiting: list[int] = []

        async def send_all() -> None:
            for _ in range(count):
                await websocket.send_bytes(bytes(size))
                waiting.append(transport_of(websocket).get_write_buffer_size())

        sending = asyncio.ensure_future(send_all())
        await until(lambda: transport_of(websocket).get_write_buffer_size() > 0)
        assert not sending.done()
        go.set()
        await sending
        assert max(waiting) <= 64 * 1024


async def read_frame_of(peer: Peer, size: int) -> bytes:
    """Read a frame of a megabyte or so, without unmasking it."""
    await peer.reader.readexactly(14)
    return await peer.reader.readexactly(size)


async def test_who_waits_to_send_is_told_of_the_end(session: ClientSession, serve: Serve) -> None:
    """A connection that is lost takes nothing more."""
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        await go.wait()
        peer.reset()

    server = await serve(script)
    async with session.ws_connect(server.url) as websocket:
        sending = asyncio.ensure_future(websocket.send_bytes(bytes(8 << 20)))
        await until(lambda: transport_of(websocket).get_write_buffer_size() > 0)
        go.set()
        async with asyncio.timeout(10):
            with pytest.raises(ClientConnectionResetError):
                await sending
    assert websocket.close_code == 1006


async def test_others_go_on_sending_when_one_is_cancelled(session: ClientSession, serve: Serve) -> None:
    """Frames are whole on the wire whoever gives up waiting."""
    go, size = asyncio.Event(), 8 << 20

    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        await go.wait()
        for _ in range(3):
            await read_frame_of(peer, size)
        await shake_hands(peer)

    server = await serve(script)
    async with session.ws_connect(server.url) as websocket:
        sending = [asyncio.ensure_future(websocket.send_bytes(bytes(size))) for _ in range(3)]
        await until(lambda: transport_of(websocket).get_write_buffer_size() > 2 * size)
        sending[1].cancel()
        await asyncio.wait([sending[1]])
        assert not sending[0].done()
        assert not sending[2].done()
        go.set()
        await sending[0]
        await sending[2]
    assert websocket.close_code == 1000


# -- heartbeat --------------------------------------------------------------------------------------------------------


async def test_a_server_that_answers_pings_is_kept(session: ClientSession, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        for _ in range(3):
            asked = await read_frame(peer)
            assert asked.opcode == PING
            await peer.send(frame(PONG, asked.payload))
        await peer.send(frame(TEXT, b"alive"))
        await shake_hands(peer)

    server = await serve(script)
    async with session.ws_connect(server.url, heartbeat=0.02) as websocket:
        assert await websocket.receive_str() == "alive"
    assert websocket.close_code == 1000


async def test_a_server_that_does_not_answer_a_ping_is_given_up(
    session: ClientSession, connector: TCPConnector, serve: Serve
) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        assert (await read_frame(peer)).opcode == PING
        await peer.closed()

    server = await serve(script)
    async with session.ws_connect(server.url, heartbeat=0.02) as websocket:
        message = await websocket.receive()
        assert message.type is WSMsgType.ERROR
        assert isinstance(message.data, ServerTimeoutError)
        assert (await websocket.receive()).type is WSMsgType.CLOSED
    assert (websocket.closed, websocket.close_code) == (True, WSCloseCode.ABNORMAL_CLOSURE)
    assert websocket.exception() is message.data
    assert connector.in_use_count == 0


async def test_a_server_is_given_up_while_nobody_receives(session: ClientSession, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer, first=frame(TEXT, b"last words"))
        await peer.closed()

    server = await serve(script)
    websocket = await session.ws_connect(server.url, heartbeat=0.02)
    await until(lambda: websocket.closed)
    assert websocket.close_code == WSCloseCode.ABNORMAL_CLOSURE
    assert isinstance(websocket.exception(), ServerTimeoutError)
    assert not await websocket.close()
    assert await websocket.receive_str() == "last words"
    assert (await websocket.receive()).type is WSMsgType.ERROR


async def test_a_server_that_is_held_back_is_not_given_up(session: ClientSession, serve: Serve) -> None:
    """While we do not listen, its silence means nothing. Another server's being given up tells when it would have been."""
    message, count = b"x" * 10_000, 2_000

    async def flood(peer: Peer) -> None:
        await open_websocket(peer)
        for _ in range(count):
            await peer.send(frame(BINARY, message))
        await shake_hands(peer)

    async def silence(peer: Peer) -> None:
        await open_websocket(peer)
        await peer.closed()

    flooding, silent = await serve(flood), await serve(silence)
    async with session.ws_connect(flooding.url, heartbeat=0.02) as websocket:
        await until(lambda: not transport_of(websocket).is_reading())
        async with session.ws_connect(silent.url, heartbeat=0.06) as other:
            assert (await other.receive()).type is WSMsgType.ERROR
        assert not websocket.closed
        for _ in range(count):
            assert await websocket.receive_bytes() == message
    assert websocket.close_code == 1000


# -- hostile servers ----------------------------------------------------------------------------------------------

FAULTS = {
    "garbage": (b"HTTP/1.1 200 OK\r\n" * 10, WSCloseCode.PROTOCOL_ERROR),
    "a masked frame": (frame(TEXT, b"x", mask=b"mask"), WSCloseCode.PROTOCOL_ERROR),
    "a reserved bit": (frame(TEXT, b"x", rsv=RSV1), WSCloseCode.PROTOCOL_ERROR),
    "a reserved opcode": (frame(0x3), WSCloseCode.PROTOCOL_ERROR),
    "a fragmented ping": (frame(PING, fin=False), WSCloseCode.PROTOCOL_ERROR),
    "a close of one byte": (frame(CLOSE, b"\x03"), WSCloseCode.PROTOCOL_ERROR),
    "a close with a bad code": (close_frame(1006), WSCloseCode.PROTOCOL_ERROR),
    "no UTF-8": (frame(TEXT, b"\xff"), WSCloseCode.INVALID_TEXT),
    "a message too big": (frame(BINARY, bytes(1025)), WSCloseCode.MESSAGE_TOO_BIG),
    "a message that would be too big": (frame(BINARY, bytes(1025))[:4], WSCloseCode.MESSAGE_TOO_BIG),
}


@pytest.mark.parametrize(("data", "code"), FAULTS.values(), ids=FAULTS)
async def test_a_server_at_fault_is_told_so_and_left(
    session: ClientSession, connector: TCPConnector, serve: Serve, data: bytes, code: WSCloseCode
) -> None:
    told = []

    async def script(peer: Peer) -> None:
        await open_websocket(peer, first=frame(TEXT, b"fine so far") + data)
        told.append(await read_frame(peer))

    server = await serve(script)
    async with session.ws_connect(server.url, max_msg_size=1024) as websocket:
        assert await websocket.receive_str() == "fine so far"
        message = await websocket.receive()
        assert message.type is WSMsgType.ERROR
        assert isinstance(message.data, WebSocketError)
        assert (await websocket.receive()).type is WSMsgType.CLOSED
    await until(lambda: bool(told))
    assert [frame.close_code for frame in told] == [code]
    assert (websocket.close_code, websocket.exception()) == (code, message.data)
    assert message.data.code == code
    assert str(server.url) in str(message.data)
    assert connector.in_use_count == 0


async def test_a_server_at_fault_is_not_waited_for(
    session: ClientSession, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 6455 §7.1.7: what it does with the connection cannot be relied on."""
    monkeypatch.setattr("client.ws_protocol._LINGER_SECONDS", 3600)

    async def script(peer: Peer) -> None:
        await open_websocket(peer, first=frame(0x3))
        await peer.closed()

    server = await serve(script)
    async with asyncio.timeout(10), session.ws_connect(server.url) as websocket:
        assert (await websocket.receive()).type is WSMsgType.ERROR


async def test_a_server_at_fault_is_left_although_it_goes_on(
    session: ClientSession, connector: TCPConnector, serve: Serve
) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer, first=b"\xff" * 100)
        while True:
            await peer.send(frame(TEXT, b"never mind" * 1000))

    server = await serve(script)
    websocket = await session.ws_connect(server.url)
    assert (await websocket.receive()).type is WSMsgType.ERROR
    assert connector.in_use_count == 0
    await until(lambda: server.open_connections == 0)


async def test_a_fault_during_the_closing_handshake_ends_it(session: ClientSession, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        await read_frame(peer)
        await peer.send(b"\xff" * 100)

    server = await serve(script)
    websocket = await session.ws_connect(server.url)
    assert await websocket.close()
    assert websocket.close_code == WSCloseCode.ABNORMAL_CLOSURE
    assert isinstance(websocket.exception(), WebSocketError)


async def test_a_flood_of_pings_is_answered_no_faster_than_it_is_read(session: ClientSession, serve: Serve) -> None:
    count = 100_000

    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        flooding = asyncio.ensure_future(peer.send(frame(PING, b"p" * 100) * count))
        for _ in range(count):
            await peer.reader.readexactly(2 + 4 + 100)
        await flooding
        await peer.send(frame(TEXT, b"over"))
        await shake_hands(peer)

    server = await serve(script)
    async with session.ws_connect(server.url) as websocket:
        assert await websocket.receive_str() == "over"


async def test_a_flood_leaves_others_their_turn(session: ClientSession, serve: Serve) -> None:
    """Frames that are there already are no reason to keep the event loop."""
    server = await serve(saying(frame(PONG) * 50_000, frame(TEXT, b"over")))
    async with session.ws_connect(server.url) as websocket:
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count_turns())
        assert await websocket.receive_str() == "over"
        counting.cancel()
        assert turns > 20


@pytest.mark.parametrize("cut", [1, 3, 10])
async def test_a_connection_that_ends_within_a_frame_is_lost(session: ClientSession, serve: Serve, cut: int) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer, first=frame(BINARY, bytes(1000))[:cut])

    server = await serve(script)
    async with session.ws_connect(server.url) as websocket:
        assert (await websocket.receive()).type is WSMsgType.CLOSED
    assert websocket.close_code == WSCloseCode.ABNORMAL_CLOSURE
    assert isinstance(websocket.exception(), ServerDisconnectedError)
