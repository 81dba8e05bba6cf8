"""Small sites for tests: a real HTTP/1.1 server on loopback, in the test's own event loop, that keeps a log.

    async with serve({"/": page("Home", "/a"), "/a": (404, {}, "")}) as site:
        ...  # site.url, site.log

It shares no code with the client, so that the two cannot agree on a mistake.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import ssl
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator

MAX_BODY = 1 << 20


class Visit(NamedTuple):
    """One request as the server saw it. `at`: seconds of the monotonic clock when its head had come; `path`: with the query."""

    at: float
    method: str
    host: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Reply: TypeAlias = tuple[int, Mapping[str, str], str | bytes]
"""Status, headers, body. Text is sent as UTF-8; Content-Type is HTML unless given."""

Handler: TypeAlias = Callable[[Visit], Awaitable[Reply]]


@dataclass(slots=True)
class Site:
    """A server that runs: its address without a slash at the end, and what it was asked so far."""

    url: str
    port: int
    log: list[Visit] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [visit.path for visit in self.log]


def page(title: str, *links: str, body: str = "") -> Reply:
    """An HTML page with links."""
    anchors = "".join(f'<a href="{escape(link)}">{escape(link)}</a>\n' for link in links)
    return 200, {}, f"<!DOCTYPE html>\n<title>{escape(title)}</title>\n{body}\n{anchors}"


def redirect(target: str, status: int = 302) -> Reply:
    """A redirect to `target`."""
    return status, {"Location": target}, ""


@asynccontextmanager
async def serve(
    pages: Mapping[str, Reply] | Handler, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Site]:
    """Serve a table of pages by path, or whatever a handler replies. What is in no table is a 404."""
    handler = pages if callable(pages) else _from_table(pages)
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await _converse(reader, writer, handler, site.log)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the client hung up, or the server is closed; Python 3.11 complains of tasks that end cancelled
        finally:
            connections.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, host, port, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    site = Site(f"{'https' if tls else 'http'}://127.0.0.1:{port}", port)
    try:
        yield site
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def _from_table(pages: Mapping[str, Reply]) -> Handler:
    async def look_up(visit: Visit) -> Reply:
        return pages.get(visit.path, (404, {}, "<title>Not found</title>"))

    return look_up


async def _converse(reader: StreamReader, writer: StreamWriter, handler: Handler, log: list[Visit]) -> None:
    """Serve one connection until the client closes it."""
    while line := (await reader.readline()).decode("ascii"):
        method, path, _ = line.split()
        headers = await _headers(reader)
        length = int(headers.get("content-length", 0))
        assert length <= MAX_BODY
        arrived_at = time.monotonic()
        visit = Visit(arrived_at, method, headers.get("host", ""), path, headers, await reader.readexactly(length))
        log.append(visit)
        writer.write(_encoded(await handler(visit), with_body=method != "HEAD"))
        await writer.drain()


async def _headers(reader: StreamReader) -> dict[str, str]:
    """Header lines up to the empty one, names in lower case."""
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return headers


def _encoded(reply: Reply, *, with_body: bool) -> bytes:
    status, headers, content = reply
    body = content.encode() if isinstance(content, str) else content
    fields = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{head}\r\n".encode("latin-1") + (
        body if with_body else b""
    )
