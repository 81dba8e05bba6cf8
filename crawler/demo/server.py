"""Serves the demo's site on loopback: as much HTTP/1.1 as that takes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from crawler.demo.guide import SLOW_PATH

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator, Mapping

    from crawler.demo.guide import Answer

SLOWNESS = 0.5
"""Seconds that the slow page takes."""

_LOST: Answer = (404, {"Content-Type": "text/html"}, "<!DOCTYPE html>\n<title>Not found</title>\n<h1>Not found</h1>\n")


@asynccontextmanager
async def serving(pages: Mapping[str, Answer]) -> AsyncIterator[str]:
    """Serve `pages` on a free port while the block lasts; gives the URL of the site, with its slash."""
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await _answer(reader, writer, pages)
        except (ConnectionError, asyncio.CancelledError):
            return  # the client has gone, or the server is closed; Python 3.11 complains of tasks that end cancelled
        finally:
            connections.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _answer(reader: StreamReader, writer: StreamWriter, pages: Mapping[str, Answer]) -> None:
    """Answer requests until the client closes the connection."""
    while request := await reader.readline():
        while (await reader.readline()).strip():
            continue  # headers, of which none matters here
        path = request.split()[1].decode()
        if path == SLOW_PATH:
            await asyncio.sleep(SLOWNESS)
        status, headers, text = pages.get(path, _LOST)
        body = text.encode()
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{''.join(lines)}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
