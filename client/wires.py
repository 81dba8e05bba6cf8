"""Connections on which nobody speaks HTTP yet: handshakes with proxies go over them, then a protocol takes them over.

A plain one is used as a socket, not through a transport: so what is not asked for is not read, and whoever takes the
connection over finds it as if it had just been opened.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, cast

from client.handshakes import ProxyFault

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext

    from client.handshakes import Handshake

P = TypeVar("P", bound=asyncio.Protocol)
Started: TypeAlias = tuple[asyncio.Transport, P]


class Wire(Protocol):
    """What handshakes need of a connection. Whoever has one calls `start` or `close` at the end."""

    async def send(self, data: bytes) -> None:
        """Send all of it."""

    async def receive(self, limit: int) -> bytes:
        """Return the next bytes, no more than `limit`; none at the end of the connection."""

    async def start(self, factory: Callable[[], P], tls: SSLContext | None, server_hostname: str | None) -> Started[P]:
        """Have a protocol take the connection over, inside TLS if there is a context; closed if that fails.

        Returns its transport and the protocol.

        Raises `OSError`, of which `ssl.SSLError` is a kind.
        """

    def close(self) -> None:
        """Close the connection at once."""


class SocketWire:
    """A connected, non-blocking socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._socket, data)

    async def receive(self, limit: int) -> bytes:
        return await self._loop.sock_recv(self._socket, limit)

    async def start(self, factory: Callable[[], P], tls: SSLContext | None, server_hostname: str | None) -> Started[P]:
        return await self._loop.create_connection(factory, sock=self._socket, ssl=tls, server_hostname=server_hostname)

    def close(self) -> None:
        self._socket.close()


class TlsWire(asyncio.Protocol):
    """A connection inside TLS; made by the `start` of another wire. A second TLS may go inside."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = asyncio.StreamReader()

    async def send(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)  # a handshake is too small for flow control

    async def receive(self, limit: int) -> bytes:
        return await self._received.read(limit)

    async def start(self, factory: Callable[[], P], tls: SSLContext | None, server_hostname: str | None) -> Started[P]:
        transport = self._transport
        assert transport is not None
        if tls is None:
            protocol = factory()
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            return transport, protocol
        # Not by start_tls: its TLS inside TLS breaks down when a handshake fails, in Python before 3.11.8 and 3.12.2
        # (github.com/python/cpython/issues/113214). So the inner one gets a socket, and a relay behind that.
        near, far = socket.socketpair()
        try:
            await self._relay(transport, far)
        except BaseException:
            near.close()
            transport.abort()
            raise
        near.setblocking(False)
        return await SocketWire(near).start(factory, tls, server_hostname)

    async def _relay(self, transport: asyncio.Transport, far: socket.socket) -> None:
        """Carry bytes between the connection and a socket, until one of them is closed."""
        far.setblocking(False)
        try:
            other, _ = await self._loop.create_connection(lambda: _Relay(transport, transport.abort), sock=far)
        except BaseException:
            far.close()
            raise
        transport.set_protocol(_Relay(other, other.close))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # -- what the transport calls ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._received.set_transport(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self._received.feed_eof()
        else:
            self._received.set_exception(exc)


class _Relay(asyncio.Protocol):
    """Writes what one transport receives to another, which is not read faster than the one can be written to."""

    def __init__(self, other: asyncio.Transport, end: Callable[[], None]) -> None:
        self._other = other
        self._end = end

    def data_received(self, data: bytes) -> None:
        self._other.write(data)

    def pause_writing(self) -> None:
        if not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        if not self._other.is_closing():
            self._other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()


async def negotiate(wire: Wire, handshake: Handshake) -> None:
    """Carry a handshake out. Raises what it raises, and `OSError` when the connection fails."""
    ask = next(handshake)
    while True:
        if ask.data:
            await wire.send(ask.data)
        received = await wire.receive(ask.limit)
        if not received:
            raise ProxyFault("the proxy closed the connection during the handshake", errno.ECONNRESET)
        try:
            ask = handshake.send(received)
        except StopIteration:
            return
