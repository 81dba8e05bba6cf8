"""WebSockets as a caller uses them, with servers of other libraries and with scripted ones."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from client import (
    ClientConnectionResetError,
    ClientConnectorCertificateError,
    ClientSession,
    ClientWSTimeout,
    WSCloseCode,
    WSMessage,
    WSMessageTypeError,
    WSMsgType,
)
from tests.client.ws_peer import (
    BINARY,
    CLOSE,
    CONTINUATION,
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
    switching,
)
from tests.servers.websocket import BYE, PROTOCOL, aiohttp_server, websockets_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from yarl import URL

    from tests.client.conftest import Serve
    from tests.client.peer import Peer

SERVERS = {"websockets": websockets_server, "aiohttp": aiohttp_server}


@pytest.fixture(params=SERVERS)
async def echo(request: pytest.FixtureRequest) -> AsyncIterator[URL]:
    """The URL of an echo by another library."""
    async with SERVERS[request.param]() as url:
        yield url


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


# -- with servers of other libraries ----------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [0, 9, 12, 15])
async def test_messages_come_back_as_they_were_sent(session: ClientSession, echo: URL, compress: int) -> None:
    async with session.ws_connect(echo, compress=compress) as websocket:
        assert bool(websocket.compress) == bool(compress)
        for text in ("", "x", "κόσμε " * 100, "x" * 70_000):
            await websocket.send_str(text)
            assert await websocket.receive_str() == text
        for data in (b"", b"\xff\0", bytes(range(256)) * 4_000):
            await websocket.send_bytes(data)
            assert await websocket.receive_bytes() == data
        await websocket.send_bytes(memoryview(b"view"), compress=0)
        assert await websocket.receive_bytes() == b"view"
        await websocket.send_json({"a": [1, "ä"]}, compress=9)
        assert await websocket.receive_json() == {"a": [1, "ä"]}
    assert (websocket.closed, websocket.close_code, websocket.exception()) == (True, 1000, None)


async def test_a_loop_over_messages_ends_when_the_server_closes(session: ClientSession, echo: URL) -> None:
    async with session.ws_connect(echo) as websocket:
        for text in ("one", "two", "bye"):
            await websocket.send_str(text)
        assert [message async for message in websocket] == [
            WSMessage(WSMsgType.TEXT, "one", ""),
            WSMessage(WSMsgType.TEXT, "two", ""),
        ]
    assert (websocket.closed, websocket.close_code) == (True, BYE[0])


async def test_the_servers_close_is_told_with_its_reason(session: ClientSession, echo: URL) -> None:
    websocket = await session.ws_connect(echo)
    await websocket.send_str("bye")
    assert await websocket.receive() == WSMessage(WSMsgType.CLOSE, *BYE)
    assert await websocket.receive() == WSMessage(WSMsgType.CLOSED, None, None)
    assert not await websocket.close()


async def test_pings_are_answered(session: ClientSession, echo: URL) -> None:
    async with session.ws_connect(echo) as websocket:
        await websocket.send_str("ping")
        assert await websocket.receive_str() == "ping"


async def test_a_subprotocol_is_agreed_on(session: ClientSession, echo: URL) -> None:
    async with session.ws_connect(echo, protocols=("other", PROTOCOL)) as websocket:
        assert websocket.protocol == PROTOCOL


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
async def test_a_websocket_goes_inside_tls(
    session: ClientSession, authority: trustme.CA, server: Callable[..., Any]
) -> None:
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(ours)
    async with server(theirs) as url:
        assert url.scheme == "wss"
        async with session.ws_connect(url, ssl=ours, compress=15) as websocket:
            data = bytes(range(256)) * 4_000
            await websocket.send_bytes(data)
            assert await websocket.receive_bytes() == data
            assert websocket.get_extra_info("ssl_object") is not None
        assert websocket.close_code == 1000
        with pytest.warns(DeprecationWarning, match="verify_ssl"):
            websocket = await session.ws_connect(url.with_scheme("https"), verify_ssl=False)
        await websocket.send_str("x")
        assert await websocket.receive_str() == "x"
        await websocket.close()
        with pytest.raises(ClientConnectorCertificateError):
            await session.ws_connect(url)


# -- receiving --------------------------------------------------------------------------------------------------------


async def test_frames_may_come_with_the_answer_to_the_handshake(session: ClientSession, serve: Serve) -> None:
    server = await serve(saying(frame(TEXT, b"first"), frame(BINARY, b"second", fin=False), frame(CONTINUATION, b"!")))
    async with session.ws_connect(server.url) as websocket:
        assert await websocket.receive_str() == "first"
        assert await websocket.receive_bytes() == b"second!"


async def test_everything_may_come_one_byte_at_a_time(session: ClientSession, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        request = await peer.head()
        await peer.drip(switching(request) + frame(TEXT, "grün".encode()) + frame(BINARY, b"x" * 200))
        await shake_hands(peer)

    server = await serve(script)
    async with session.ws_connect(server.url) as websocket:
        assert await websocket.receive_str() == "grün"
        assert await websocket.receive_bytes() == b"x" * 200
    assert websocket.close_code == 1000


async def test_a_message_of_another_type_is_a_type_error(session: ClientSession, serve: Serve) -> None:
    server = await serve(saying(frame(BINARY, b"x"), frame(TEXT, b"x"), frame(BINARY, b"x")))
    async with session.ws_connect(server.url) as websocket:
        with pytest.raises(WSMessageTypeError, match="BINARY"):
            await websocket.receive_str()
        with pytest.raises(TypeError, match="TEXT"):
            await websocket.receive_bytes()
        with pytest.raises(TypeError, match="BINARY"):
            await websocket.receive_json()


async def test_pings_can_be_left_to_the_caller(session: ClientSession, serve: Serve) -> None:
    answers = []

    async def script(peer: Peer) -> None:
        await open_websocket(peer, first=frame(PING, b"?") + frame(PONG, b"!"))
        answers.append(await read_frame(peer))
        answers.append(await read_frame(peer))
        await shake_hands(peer)

    server = await serve(script)
    async with session.ws_connect(server.url, autoping=False) as websocket:
        assert await websocket.receive() == WSMessage(WSMsgType.PING, b"?", "")
        assert await websocket.receive() == WSMessage(WSMsgType.PONG, b"!", "")
        await websocket.pong("by hand")
        await websocket.ping(b"and you?")
    assert [(answer.opcode, answer.payload) for answer in answers] == [(PONG, b"by hand"), (PING, b"and you?")]


@pytest.mark.parametrize("closing", [close_frame(4001, b"so"), frame(CLOSE)])
async def test_the_servers_close_is_answered_with_its_code(
    session: ClientSession, serve: Serve, closing: bytes
) -> None:
    answers = []

    async def script(peer: Peer) -> None:
        await open_websocket(peer, first=closing)
        answers.append(await read_frame(peer))

    server = await serve(script)
    async with session.ws_connect(server.url) as websocket:
        assert (await websocket.receive()).type is WSMsgType.CLOSE
    assert answers[0].opcode == CLOSE
    assert answers[0].payload == closing[2:4]
    assert websocket.close_code == (4001 if closing[2:] else WSCloseCode.NO_STATUS)


async def test_the_servers_close_can_be_left_to_the_caller(session: ClientSession, serve: Serve) -> None:
    codes = []

    async def script(peer: Peer) -> None:
        await open_websocket(peer, first=close_frame(1001))
        assert (await read_frame(peer)).payload == b"last words"
        codes.append((await read_frame(peer)).close_code)

    server = await serve(script)
    async with session.ws_connect(server.url, autoclose=False) as websocket:
        assert (await websocket.receive()).type is WSMsgType.CLOSE
        assert not websocket.closed
        await websocket.send_str("last words")
        assert await websocket.close(code=4321)
    assert codes == [4321]
    assert websocket.close_code == 1001


async def test_a_close_left_to_the_caller_is_answered_by_the_next_receive(session: ClientSession, serve: Serve) -> None:
    server = await serve(saying(close_frame(1001)))
    async with session.ws_connect(server.url, autoclose=False) as websocket:
        assert (await websocket.receive()).type is WSMsgType.CLOSE
        assert (await websocket.receive()).type is WSMsgType.CLOSED
        assert websocket.closed


async def test_text_can_be_received_as_bytes(session: ClientSession, serve: Serve) -> None:
    server = await serve(saying(frame(TEXT, b"\xff"), frame(TEXT, b"[1]")))
    async with session.ws_connect(server.url, decode_text=False) as websocket:
        assert await websocket.receive() == WSMessage(WSMsgType.TEXT, b"\xff", "")
        assert await websocket.receive_json() == [1]


async def test_a_timeout_loses_nothing(session: ClientSession, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer, first=frame(TEXT, b"slow")[:3])
        await read_frame(peer)
        await peer.send(frame(TEXT, b"slow")[3:])
        await shake_hands(peer)

    server = await serve(script)
    async with session.ws_connect(server.url, timeout=ClientWSTimeout(ws_receive=0.01, ws_close=5)) as websocket:
        with pytest.raises(TimeoutError):
            await websocket.receive()
        assert (websocket.closed, websocket.close_code) == (False, None)
        await websocket.send_str("go on")
        assert await websocket.receive_str(timeout=30) == "slow"
    assert websocket.close_code == 1000


async def test_being_cancelled_loses_nothing(session: ClientSession, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await open_websocket(peer)
        await read_frame(peer)
        await peer.send(frame(TEXT, b"kept"))
        await shake_hands(peer)

    server = await serve(script)
    async with session.ws_connect(server.url) as websocket:
        receiving = asyncio.ensure_future(websocket.receive())
        await asyncio.sleep(0)
        receiving.cancel()
        await asyncio.wait([receiving])
        assert receiving.cancelled()
        await websocket.send_str("go on")
        assert await websocket.receive_str() == "kept"


async def test_one_task_may_receive_at_a_time(session: ClientSession, serve: Serve) -> None:
    server = await serve(saying())
    async with session.ws_connect(server.url) as websocket:
        receiving = asyncio.ensure_future(websocket.receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already receiving"):
            await websocket.receive()
        await websocket.close()
        assert (await receiving).type is WSMsgType.CLOSING


# -- sending ----------------------------------------------------------------------------------------------------------


async def test_compression_is_as_agreed_and_as_asked_for_each_message(session: ClientSession, serve: Serve) -> None:
    frames = []

    async def script(peer: Peer) -> None:
        await open_websocket(
            peer, "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; client_max_window_bits=11"
        )
        frames.extend([await read_frame(peer) for _ in range(3)])
        await shake_hands(peer)

    server = await serve(script)
    async with session.ws_connect(server.url, compress=15) as websocket:
        assert (websocket.compress, websocket.client_notakeover) == (11, True)
        await websocket.send_str("x" * 100)
        await websocket.send_json_bytes("x" * 100, compress=0, dumps=str.encode)
        await websocket.send_frame(b"x" * 100, WSMsgType.TEXT, compress=9)
    assert [received.rsv for received in frames] == [RSV1, 0, RSV1]
    assert frames[0].payload == deflated(b"x" * 100) == frames[2].payload
    assert frames[1].payload == b"x" * 100


async def test_what_cannot_be_sent_is_refused_and_leaves_it_open(session: ClientSession, serve: Serve) -> None:
    server = await serve(saying())
    async with session.ws_connect(server.url) as websocket:
        for refused in (b"bytes", None):
            with pytest.raises(TypeError):
                await websocket.send_str(refused)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await websocket.send_bytes("text")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="from 9 to 15"):
            await websocket.send_str("x", compress=16)
        with pytest.raises(ValueError, match="125"):
            await websocket.ping(b"p" * 126)
        with pytest.raises(ValueError, match="CLOSE"):
            await websocket.send_frame(b"", WSMsgType.CLOSE)
        with pytest.raises(ValueError, match="1006"):
            await websocket.close(code=1006)
        with pytest.raises(ValueError, match="125"):
            await websocket.close(message=b"r" * 124)
        assert not websocket.closed
        await websocket.send_bytes(bytearray(b"still open"))
    assert websocket.close_code == 1000
    with pytest.raises(ClientConnectionResetError):
        await websocket.send_str("late")
