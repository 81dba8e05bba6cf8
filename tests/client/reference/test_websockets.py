"""WebSockets: every parameter of `ws_connect`, and everything that an open one can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from client import (
    BasicAuth,
    ClientConnectionResetError,
    ClientSession,
    ClientWebSocketResponse,
    ClientWSTimeout,
    ServerTimeoutError,
    WebSocketError,
    WSCloseCode,
    WSMessage,
    WSMessageTypeError,
    WSMsgType,
    WSServerHandshakeError,
)
from tests.client.reference.seen import Seen
from tests.client.reference.servers.proxies import LOGIN, PASSWORD
from tests.client.reference.table import PARAMETERS, REQUIRED, exercises
from tests.client.ws_peer import open_websocket

if TYPE_CHECKING:
    from tests.client.conftest import Serve
    from tests.client.peer import Peer
    from tests.client.reference.servers.proxies import Proxy


async def _seen(websocket: ClientWebSocketResponse) -> Seen:
    """What the server tells first."""
    return Seen.of(await websocket.receive_json())


async def _silence(peer: Peer) -> None:
    """Open a WebSocket, and say nothing more."""
    await open_websocket(peer)
    await peer.closed()


# -- opening


@exercises("ClientSession.ws_connect", "ClientSession.ws_connect(url)", "ClientWebSocketResponse")
@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_a_websocket_is_entered_or_awaited(session: ClientSession, asgi: str, scheme: str) -> None:
    url = asgi.replace("http", scheme)
    async with session.ws_connect(url) as websocket:
        assert isinstance(websocket, ClientWebSocketResponse)
        assert (await _seen(websocket)).headers["Upgrade"] == "websocket"
    assert websocket.closed
    websocket = await session.ws_connect(url)
    assert (await _seen(websocket)).target == "/"
    await websocket.close()


@exercises(
    *(f"ClientSession.ws_connect({name})" for name in ("params", "headers", "auth", "origin")),
)
async def test_the_handshake_says_what_it_is_told_to(session: ClientSession, asgi: str) -> None:
    async with session.ws_connect(
        f"{asgi}chat",
        params={"room": "1"},
        headers={"X-Ours": "1"},
        auth=BasicAuth("somebody", "opensesame"),
        origin="https://site.example",
    ) as websocket:
        request = await _seen(websocket)
    assert request.target == "/chat?room=1"
    assert request.headers["X-Ours"] == "1"
    assert BasicAuth.decode(request.headers["Authorization"]).password == "opensesame"
    assert request.headers["Origin"] == "https://site.example"


@exercises("ClientSession.ws_connect(protocols)", "ClientWebSocketResponse.protocol")
@pytest.mark.parametrize(("offered", "chosen"), [((), None), (["chat.v1", "chat.v2"], "chat.v2")])
async def test_the_server_chooses_a_subprotocol(
    session: ClientSession, asgi: str, offered: Any, chosen: str | None
) -> None:
    async with session.ws_connect(asgi, protocols=offered) as websocket:
        assert websocket.protocol == chosen


@exercises("ClientSession.ws_connect(method)")
async def test_another_method_can_be_asked_with(session: ClientSession, serve: Serve) -> None:
    server = await serve(_silence)
    async with session.ws_connect(server.url, method="POST", timeout=ClientWSTimeout(ws_close=0.01)):
        assert server.received[0].method == "POST"


@exercises("WSServerHandshakeError")
async def test_a_server_may_decline(session: ClientSession, asgi: str) -> None:
    with pytest.raises(WSServerHandshakeError) as caught:
        await session.ws_connect(f"{asgi}no-websocket")
    assert caught.value.status == 403


@exercises("ClientSession.ws_connect(proxy)", "ClientSession.ws_connect(proxy_auth)")
async def test_a_websocket_goes_through_a_tunnel(session: ClientSession, asgi: str, tinyproxy: Proxy) -> None:
    credentials = BasicAuth(LOGIN, PASSWORD)
    async with session.ws_connect(asgi, proxy=tinyproxy.url, proxy_auth=credentials) as websocket:
        request = await _seen(websocket)
    assert "Proxy-Authorization" not in request.headers
    assert f"CONNECT {request.headers['Host']}" in tinyproxy.log.read_text()


@exercises("ClientSession.ws_connect(proxy_headers)")
async def test_headers_can_be_for_the_proxy(session: ClientSession, asgi: str, tinyproxy: Proxy) -> None:
    headers = {"Proxy-Authorization": BasicAuth(LOGIN, PASSWORD).encode()}
    async with session.ws_connect(asgi, proxy=tinyproxy.url, proxy_headers=headers) as websocket:
        assert "Proxy-Authorization" not in (await _seen(websocket)).headers


@exercises("ClientSession.ws_connect(compress)", "ClientWebSocketResponse.compress")
@pytest.mark.parametrize("bits", [0, 9, 12, 15])
async def test_messages_can_be_compressed(session: ClientSession, asgi: str, bits: int) -> None:
    async with session.ws_connect(asgi, compress=bits) as websocket:
        await _seen(websocket)
        assert websocket.compress == bits
        for text in ("compressible " * 1000, "short"):
            await websocket.send_str(text)
            assert await websocket.receive_str() == text


@pytest.mark.parametrize(
    ("name", "default"),
    [item for item in PARAMETERS["ClientSession.ws_connect"].items() if item[1] not in (REQUIRED, ...)],
)
async def test_a_default_is_what_happens_without_it(
    session: ClientSession, asgi: str, name: str, default: object
) -> None:
    requests = []
    for options in ({}, {name: default}):
        given: dict[str, Any] = options
        async with session.ws_connect(asgi, **given) as websocket:
            request = await _seen(websocket)
            request.headers.popall("Sec-WebSocket-Key")
            requests.append(request._replace(client=("", 0)))
            await websocket.send_str("text")
            assert await websocket.receive() == WSMessage(WSMsgType.TEXT, "text", "")
    assert requests[0] == requests[1]


# -- messages


@exercises(
    "ClientWebSocketResponse.send_str",
    "ClientWebSocketResponse.send_bytes",
    "ClientWebSocketResponse.send_json",
    "ClientWebSocketResponse.receive",
    "ClientWebSocketResponse.receive_str",
    "ClientWebSocketResponse.receive_bytes",
    "ClientWebSocketResponse.receive_json",
    "WSMessage",
    "WSMessage.type",
    "WSMessage.data",
    "WSMessage.extra",
    "WSMessage.json",
    "WSMsgType",
)
async def test_messages_come_back_as_they_were_sent(session: ClientSession, asgi: str) -> None:
    async with session.ws_connect(asgi) as websocket:
        await _seen(websocket)
        await websocket.send_str("Käse")
        assert await websocket.receive_str() == "Käse"
        await websocket.send_bytes(b"\0\xff")
        assert await websocket.receive_bytes() == b"\0\xff"
        await websocket.send_json({"a": [1]})
        assert await websocket.receive_json() == {"a": [1]}
        await websocket.send_json([1])
        message = await websocket.receive()
        assert (message.type, message.data, message.extra) == (WSMsgType.TEXT, "[1]", "")
        assert message.json() == [1]


@exercises("WSMessageTypeError")
async def test_a_message_of_another_kind_is_an_error(session: ClientSession, asgi: str) -> None:
    async with session.ws_connect(asgi) as websocket:
        with pytest.raises(WSMessageTypeError):
            await websocket.receive_bytes()


@exercises("ClientWebSocketResponse.receive")
async def test_iterating_ends_when_the_server_closes(session: ClientSession, asgi: str) -> None:
    async with session.ws_connect(asgi) as websocket:
        await websocket.send_str("one")
        await websocket.send_str("close 4000 enough")
        kinds = [message.type async for message in websocket]
    assert kinds == [WSMsgType.TEXT, WSMsgType.TEXT]
    assert websocket.close_code == 4000


@exercises(
    "ClientSession.ws_connect(autoping)", "ClientWebSocketResponse.ping", "ClientWebSocketResponse.pong", "WSMsgType"
)
@pytest.mark.parametrize("autoping", [True, False])
async def test_pongs_are_seen_by_who_looks_after_pings(session: ClientSession, asgi: str, autoping: bool) -> None:
    async with session.ws_connect(asgi, autoping=autoping) as websocket:
        await _seen(websocket)
        await websocket.pong(b"unasked")
        await websocket.ping(b"anybody?")
        await websocket.send_str("text")
        message = await websocket.receive()
        if not autoping:
            assert message == WSMessage(WSMsgType.PONG, b"anybody?", "")
            message = await websocket.receive()
        assert message.data == "text"


@exercises("ClientSession.ws_connect(heartbeat)")
async def test_a_heartbeat_asks_whether_the_server_is_there(session: ClientSession, asgi: str) -> None:
    async with session.ws_connect(asgi, heartbeat=0.05, autoping=False) as websocket:
        await _seen(websocket)
        for _ in range(2):
            assert (await websocket.receive()).type is WSMsgType.PONG


@exercises("ClientSession.ws_connect(heartbeat)", "ClientWebSocketResponse.exception")
async def test_a_server_without_a_pulse_is_given_up(session: ClientSession, serve: Serve) -> None:
    server = await serve(_silence)
    async with session.ws_connect(server.url, heartbeat=0.05) as websocket:
        message = await websocket.receive()
        assert message.type is WSMsgType.ERROR
        assert isinstance(message.data, ServerTimeoutError)
        assert websocket.exception() is message.data
        assert websocket.closed


@exercises("ClientSession.ws_connect(max_msg_size)", "WebSocketError", "WSCloseCode")
async def test_messages_are_bounded(session: ClientSession, asgi: str) -> None:
    async with session.ws_connect(asgi, max_msg_size=1000) as websocket:
        await _seen(websocket)
        await websocket.send_bytes(bytes(1001))
        message = await websocket.receive()
        assert message.type is WSMsgType.ERROR
        assert isinstance(message.data, WebSocketError)
        assert message.data.code == websocket.close_code == WSCloseCode.MESSAGE_TOO_BIG


@exercises("ClientSession.ws_connect(decode_text)")
async def test_text_can_be_left_as_bytes(session: ClientSession, asgi: str) -> None:
    async with session.ws_connect(asgi, decode_text=False) as websocket:
        await websocket.receive()
        await websocket.send_str("Käse")
        assert await websocket.receive() == WSMessage(WSMsgType.TEXT, "Käse".encode(), "")


@exercises("ClientWebSocketResponse.get_extra_info")
async def test_the_transport_can_be_asked(session: ClientSession, asgi: str) -> None:
    async with session.ws_connect(asgi) as websocket:
        assert websocket.get_extra_info("peername")[0] == "127.0.0.1"
        assert websocket.get_extra_info("nothing", "default") == "default"
    assert websocket.get_extra_info("peername") is None


# -- the end


@exercises(
    "ClientWebSocketResponse.close",
    "ClientWebSocketResponse.closed",
    "ClientWebSocketResponse.close_code",
    "ClientConnectionResetError",
)
async def test_closing_is_agreed_on(session: ClientSession, asgi: str) -> None:
    websocket = await session.ws_connect(asgi)
    assert not websocket.closed
    assert websocket.close_code is None
    assert await websocket.close(code=4001, message="enough")
    assert websocket.closed
    assert websocket.close_code == 4001
    assert not await websocket.close()
    assert (await websocket.receive()).type is WSMsgType.CLOSED
    with pytest.raises(ClientConnectionResetError):
        await websocket.send_str("late")


@exercises("ClientSession.ws_connect(autoclose)")
@pytest.mark.parametrize("autoclose", [True, False])
async def test_the_end_may_be_left_to_the_caller(session: ClientSession, asgi: str, autoclose: bool) -> None:
    async with session.ws_connect(asgi, autoclose=autoclose) as websocket:
        await _seen(websocket)
        await websocket.send_str("close 4000 enough")
        assert await websocket.receive() == WSMessage(WSMsgType.CLOSE, 4000, "enough")
        assert websocket.closed is autoclose
    assert websocket.closed


@exercises("ClientSession.ws_connect(timeout)", "ClientWSTimeout", "ClientWSTimeout(ws_close)")
async def test_closing_may_take_only_so_long(session: ClientSession, serve: Serve) -> None:
    server = await serve(_silence)
    websocket = await session.ws_connect(server.url, timeout=ClientWSTimeout(ws_close=0.05))
    await websocket.close()
    assert isinstance(websocket.exception(), TimeoutError)
    assert websocket.close_code == WSCloseCode.ABNORMAL_CLOSURE


@exercises("ClientSession.ws_connect(timeout)")
async def test_a_number_is_the_time_for_closing(session: ClientSession, serve: Serve) -> None:
    server = await serve(_silence)
    with pytest.warns(DeprecationWarning, match="timeout") as warnings:
        websocket = await session.ws_connect(server.url, timeout=0.05)
    assert warnings[0].filename == __file__
    await websocket.close()
    assert websocket.close_code == WSCloseCode.ABNORMAL_CLOSURE


@exercises("ClientSession.ws_connect(timeout)", "ClientWSTimeout(ws_receive)")
async def test_receiving_may_take_only_so_long(session: ClientSession, asgi: str) -> None:
    async with session.ws_connect(asgi, timeout=ClientWSTimeout(ws_receive=0.05)) as websocket:
        await _seen(websocket)
        with pytest.raises(TimeoutError):
            await websocket.receive()
        await websocket.send_str("still open")
        assert await websocket.receive_str() == "still open"


@exercises("ClientSession.ws_connect(receive_timeout)")
async def test_receive_timeout_is_an_older_word(session: ClientSession, asgi: str) -> None:
    with pytest.warns(DeprecationWarning, match="receive_timeout"):
        websocket = await session.ws_connect(asgi, receive_timeout=0.05)
    async with websocket:
        await _seen(websocket)
        with pytest.raises(TimeoutError):
            await websocket.receive()
