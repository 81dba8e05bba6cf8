"""WebSocket servers of other libraries, on loopback: what they receive they send back.

The text "bye" has them close with code 4000, the text "ping" has them send a ping first and wait for the pong.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from yarl import URL

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Sequence

    from websockets.asyncio.server import ServerConnection
    from websockets.typing import Subprotocol

PROTOCOL = "echo"
BYE = 4000, "as you wish"


def _url(port: int, tls: ssl.SSLContext | None) -> URL:
    return URL.build(scheme="wss" if tls else "ws", host="127.0.0.1", port=port, path="/")


@asynccontextmanager
async def websockets_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[URL]:
    """An echo by `websockets`."""

    async def echo(connection: ServerConnection) -> None:
        try:
            async for message in connection:
                if message == "bye":
                    await connection.close(*BYE)
                    return
                if message == "ping":
                    await (await connection.ping(b"are you there?"))
                await connection.send(message)
        except ConnectionClosed:
            return

    def choose(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return next((protocol for protocol in offered if protocol == PROTOCOL), None)

    async with serve(echo, "127.0.0.1", 0, ssl=tls, select_subprotocol=choose, max_size=None) as server:
        yield _url(next(iter(server.sockets)).getsockname()[1], tls)


@asynccontextmanager
async def aiohttp_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[URL]:
    """An echo by aiohttp."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(protocols=[PROTOCOL], max_msg_size=0, autoping=False)
        await websocket.prepare(request)
        async for message in websocket:
            if message.type == WSMsgType.PING:
                await websocket.pong(message.data)
            elif message.type == WSMsgType.BINARY:
                await websocket.send_bytes(message.data)
            elif message.data == "bye":
                await websocket.close(code=BYE[0], message=BYE[1].encode())
            else:
                if message.data == "ping":
                    await websocket.ping(b"are you there?")
                    assert (await websocket.receive()).type == WSMsgType.PONG
                await websocket.send_str(message.data)
        return websocket

    application = web.Application()
    application.router.add_get("/", echo)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        yield _url(runner.addresses[0][1], tls)
    finally:
        await runner.cleanup()
