"""Talk over a WebSocket until the server has had enough."""

from __future__ import annotations

import client as aiohttp


async def main(url: str) -> tuple[list[str], list[bytes], int | None]:
    texts: list[str] = []
    blobs: list[bytes] = []
    session = aiohttp.ClientSession()
    async with session.ws_connect(url, protocols=("chat",), heartbeat=30.0, compress=15) as ws:
        assert ws.protocol == "chat"
        await ws.receive()  # who we are
        await ws.send_str("hello")
        async for msg in ws:
            if msg.type == aiohttp.WSMsgType.TEXT:
                texts.append(msg.data)
                await (ws.send_bytes(b"bytes") if len(texts) < 3 else ws.send_str("close 4000 bye"))
            elif msg.type == aiohttp.WSMsgType.BINARY:
                blobs.append(msg.data)
                await ws.send_json({"count": len(blobs)})
            elif msg.type == aiohttp.WSMsgType.ERROR:
                break
    await session.close()
    return texts, blobs, ws.close_code
