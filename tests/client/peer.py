"""The other end of a connection, scripted: a server on loopback that says exactly the bytes a test gives it."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from yarl import URL

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


class Received(NamedTuple):
    """A request as it came."""

    method: str
    target: str
    version: str
    headers: dict[str, str]
    """By name in lower case; of several with one name, the values joined by a comma."""
    body: bytes
    head: bytes


class Peer:
    """One connection, seen from the server."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self.reader = reader
        self.writer = writer

    async def head(self) -> Received:
        """Read the head of the next request; `asyncio.IncompleteReadError` when the client has closed."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        request_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, version = request_line.split(" ")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        received = Received(method, target, version, headers, b"", head)
        self._server.received.append(received)
        return received

    async def request(self) -> Received:
        """Read the next request with its body."""
        received = await self.head()
        received = received._replace(body=await self.body(received))
        self._server.received[-1] = received
        return received

    async def body(self, received: Received) -> bytes:
        """Read the body that a head announces."""
        if received.headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                parts.append(await self.reader.readexactly(size))
                assert await self.reader.readline() == b"\r\n"
            assert await self.reader.readline() == b"\r\n"
            return b"".join(parts)
        return await self.reader.readexactly(int(received.headers.get("content-length", 0)))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def drip(self, data: bytes) -> None:
        """Send byte by byte, each in a segment of its own."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(data)):
            await self.send(data[at : at + 1])
            await asyncio.sleep(0)

    async def answer(self, body: bytes = b"", status: str = "200 OK", *headers: str) -> None:
        """Send a response framed by Content-Length."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def closed(self) -> None:
        """Wait until the client has closed the connection."""
        await self.reader.read()

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class Server:
    """A running server."""

    url: URL
    received: list[Received] = field(default_factory=list)
    """Every request, in the order in which heads came."""
    connections: int = 0
    """How many connections have been accepted."""
    open_connections: int = 0

    @property
    def port(self) -> int:
        assert self.url.port is not None
        return self.url.port


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop run until it has noticed something that no event tells of."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  see above
            await asyncio.sleep(0)


@asynccontextmanager
async def serving(
    script: Callable[[Peer], Awaitable[None]],
    *,
    tls: ssl.SSLContext | None = None,
    path: Path | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[Server]:
    """Run `script` for every connection, on loopback or on a Unix socket at `path`.

    A script ends when the client closes; what else it raises is raised at the end of the block.
    """
    running: set[asyncio.Task[None]] = set()
    failures: list[BaseException] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        served.connections += 1
        served.open_connections += 1
        try:
            await script(Peer(served, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        except Exception as error:
            failures.append(error)
        finally:
            running.discard(task)
            served.open_connections -= 1
            writer.close()

    if path is not None:
        listening = await asyncio.start_unix_server(accept, path, ssl=tls)
        served = Server(URL("http://localhost/"))
    else:
        listening = await asyncio.start_server(accept, host, 0, ssl=tls)
        port = listening.sockets[0].getsockname()[1]
        served = Server(URL.build(scheme="https" if tls else "http", host=host, port=port, path="/"))
    try:
        yield served
    finally:
        listening.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    for failure in failures:
        raise failure


def saying(*answers: bytes) -> Callable[[Peer], Awaitable[None]]:
    """A script that reads a request and says the next of `answers`, on every connection anew, and closes after the last."""

    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            await peer.send(answer)

    return script


def repeating(answer: bytes) -> Callable[[Peer], Awaitable[None]]:
    """A script that says the same to every request."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(answer)

    return script
