"""Connections before HTTP: handshakes with proxies go over them, and then a protocol takes them over.

A plain connection is used as a socket, not through a transport: so no more is read than is asked for, and the protocol that
takes it over finds it as if it had just been opened.
"""

from __future__ import annotations

import asyncio
import errno
import sys
from asyncio import sslproto
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar, cast

from client.handshakes import UnclearFault

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from ssl import SSLContext

    from client.handshakes import Handshake

_HAS_BROKEN_TLS: Final = sys.version_info < (3, 11, 8) or (3, 12) <= sys.version_info < (3, 12, 2)

P = TypeVar("P", bound=asyncio.Protocol)
Started: TypeAlias = tuple[asyncio.Transport, P]


class Wire(Protocol):
    """A connection for handshakes. Its owner must call `start` or `close` at the end."""

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""

    async def receive(self, limit: int) -> bytes:
        """Return the next bytes, at most `limit`; none at the end of the connection."""

    async def start(self, factory: Callable[[], P], tls: SSLContext | None, server_hostname: str | None) -> Started[P]:
        """Hand the connection to a new protocol, inside TLS if there is a context; return the transport and the protocol.

        Raises `OSError`, of which `ssl.SSLError` is a subclass; then the connection is closed.
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
    """A connection inside TLS, made by the `start` of another wire. It may carry TLS itself."""

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
        protocol = factory()
        if tls is None:
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            return transport, protocol
        _mend(transport)
        try:
            inner = await self._loop.start_tls(transport, protocol, tls, server_hostname=server_hostname)
            if inner is None:
                raise ConnectionAbortedError(errno.ECONNABORTED, "the connection was closed during the TLS handshake")
        except BaseException:
            transport.abort()
            raise
        protocol.connection_made(inner)
        return inner, protocol

    def close(self) -> None:
        assert self._transport is not None
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


def _mend(transport: asyncio.Transport) -> None:
    """Let a failed handshake inside asyncio's TLS raise its error (github.com/python/cpython/issues/113214).

    Before Python 3.11.8 and 3.12.2 it raises a TypeError: `_force_close` calls a function with an argument too many.
    """
    if _HAS_BROKEN_TLS and isinstance(transport, sslproto._SSLProtocolTransport):
        transport._force_close = lambda _error: transport.abort()  # type: ignore[attr-defined]


async def negotiate(wire: Wire, handshake: Handshake) -> None:
    """Carry out a handshake. Raises what it raises, and `OSError` if the connection fails."""
    ask = next(handshake)
    while True:
        if ask.data:
            await wire.send(ask.data)
        received = await wire.receive(ask.limit)
        if not received:
            raise UnclearFault("the proxy closed the connection during the handshake", errno.ECONNRESET)
        try:
            ask = handshake.send(received)
        except StopIteration:
            return
