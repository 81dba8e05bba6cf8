"""Connectors: they open, lend and limit connections.

A request first takes its host's slot (`HostLimits`), then an idle connection with the same key, or a new one. Idle
connections hold no slot. `limit` bounds connections in use, and as many again may be idle: before another one is opened, the
least recently used are closed. If connections are shared (HTTP/2), streams are lent and counted: the limits apply to
requests.
"""

from __future__ import annotations

import asyncio
import errno
from abc import ABC, abstractmethod
from contextlib import nullcontext
from math import inf
from typing import TYPE_CHECKING, Any, Final, Self
from warnings import warn

from client.buffered import protocol_factory
from client.connection import Connection, ConnectionKey
from client.deprecation import deprecated
from client.errors import (
    ClientConnectionError,
    ClientConnectorDNSError,
    ConnectionTimeoutError,
    ConnectorClosed,
    ServerDisconnectedError,
    ServerTimeoutError,
)
from client.limits import HostLimits
from client.loops import running_loop
from client.older_connectors import TOO_LATE, adapt
from client.pool import IdlePool
from client.timeouts import DEFAULT_TIMEOUT, ClientTimeout
from client.timings import Opening
from client.tracing import (
    Trace,
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceConnectionQueuedEndParams,
    TraceConnectionQueuedStartParams,
    TraceConnectionReuseconnParams,
    emit,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from types import TracebackType

    from client.carrier import Carrier
    from client.limits import Slot
    from client.origin import HostKey
    from client.request import ClientRequest
    from client.sharing import Sharing

KEEPALIVE_TIMEOUT: Final = 15.0


class BaseConnector(ABC):
    """A pool of connections; subclasses implement `_create_connection`.

    `keepalive_timeout` is how long an idle connection is kept, in seconds; None keeps it until the server closes it.
    `force_close` (or a `keepalive_timeout` of 0) keeps none. `limit` and `limit_per_host` bound connections in use; 0 or
    None means no bound. `limits` is a `HostLimits` to use in their place, which may be shared.

    Raises RuntimeError without a running event loop.
    """

    _is_closed = True  # for __del__, if __init__ fails

    allowed_protocol_schema_set: frozenset[str] = frozenset({"http", "https", "ws", "wss"})

    def __init__(
        self,
        *,
        keepalive_timeout: float | None = KEEPALIVE_TIMEOUT,
        force_close: bool = False,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
        limits: HostLimits | None = None,
        enable_cleanup_closed: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if loop is not None:
            deprecated("loop is deprecated: the running loop is used")
        if enable_cleanup_closed:
            deprecated("enable_cleanup_closed is deprecated: closing never waits for the peer")
        self._loop = running_loop(self)
        self._owns_limits = limits is None
        self._limits = HostLimits(limit=limit or 0, limit_per_host=limit_per_host or 0) if limits is None else limits
        self._force_close = force_close or keepalive_timeout == 0
        self._idle = IdlePool(inf if keepalive_timeout is None else keepalive_timeout)
        self._in_use: set[Carrier] = set()
        self._connecting: set[asyncio.Timeout] = set()  # the deadlines of the calls of `connect`
        self._factory = protocol_factory(self._loop)
        """Makes the protocols to which `_create_connection` connects transports."""
        self._sharing: Sharing | None = None
        """Shares connections among requests; None if connections are not shared."""
        self._is_closed = False

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        adapt(cls)

    # -- properties -----------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self._is_closed

    @property
    def force_close(self) -> bool:
        """Whether connections are closed after one request."""
        return self._force_close

    @property
    def limit(self) -> int:
        """How many connections may be in use; 0: any number."""
        return self._limits.limit

    @property
    def limit_per_host(self) -> int:
        """How many connections to one host may be in use; 0: any number."""
        return self._limits.limit_per_host

    @property
    def limits(self) -> HostLimits:
        """The limits of hosts, which slots are taken from."""
        return self._limits

    @property
    def idle_count(self) -> int:
        """How many connections are kept for another request."""
        return len(self._idle)

    @property
    def in_use_count(self) -> int:
        """How many connections are lent out."""
        return len(self._in_use)

    # -- lending --------------------------------------------------------------------------------------------------

    async def connect(
        self,
        request: ClientRequest | None = None,
        traces: Sequence[Trace] = (),
        timeout: ClientTimeout = DEFAULT_TIMEOUT,
        *,
        deadline_at: float = inf,
        req: ClientRequest | None = None,
    ) -> Connection:
        """Lend a connection for a request, after waiting for its host's slot.

        The request may also be passed as `req`: aiohttp's documentation and its code differ. `deadline_at`, on the loop's clock,
        is that of the whole request. Raises `ClientConnectorError` or a subclass if no connection can be opened,
        `ConnectionTimeoutError` and `ServerTimeoutError` at the deadlines, `ConnectorClosed` if the connector is closed. If it is
        cancelled, no slot or connection stays in use.
        """
        if self._is_closed:
            raise ConnectorClosed("the connector is closed")
        if request is None:
            request, req = req, None
        if request is None or req is not None:
            raise TypeError("connect() takes one request")
        key = request.connection_key
        host = self._limits.host_of(key.origin)
        slot = self._limits.acquire_nowait(host)
        now = self._loop.time()
        end_at, late = _earlier(timeout.deadline_at(now, timeout.connect), deadline_at, timeout)
        end = asyncio.timeout_at(None if end_at == inf else end_at)
        self._connecting.add(end)
        try:
            async with end:
                if slot is None:
                    slot = await self._wait_for_slot(host, traces)
                connection = await self._connect_with(slot, request, key, traces, timeout, asked_at=now)
        except TimeoutError as cause:
            if not end.expired():
                raise
            if self._is_closed:
                raise ConnectorClosed("the connector was closed while it was connecting") from cause
            raise late from cause
        finally:
            self._connecting.discard(end)
        return connection

    def lend_idle(self, req: ClientRequest) -> Connection | None:
        """Lend a connection for a request if that is possible without waiting; else return None, and `connect` has to be called.

        This saves most requests of a busy session a coroutine.
        """
        key = req.connection_key
        kept = self._idle.by_key.get(key)
        if not kept or self._is_closed:
            return None
        if not self._idle.has_usable(kept):  # seen before a slot is taken: one that is given back counts as a start
            return None
        slot = self._limits.acquire_nowait(self._limits.host_of(key.origin))
        if slot is None:
            return None
        protocol = self._idle.pop(kept)
        self._in_use.add(protocol)
        return Connection(self, key, protocol, slot)

    def _lend(self, key: ConnectionKey, protocol: Carrier, slot: Slot, queued: float) -> Connection:
        self._in_use.add(protocol)
        connection = Connection(self, key, protocol, slot)
        connection.queued = queued
        return connection

    async def _wait_for_slot(self, host: HostKey, traces: Sequence[Trace]) -> Slot:
        await emit(traces, TraceConnectionQueuedStartParams())
        try:
            slot = await self._limits.acquire(host)
        except ClientConnectionError as error:
            raise type(error)(*error.args) from error  # all waiters get the same object
        try:
            await emit(traces, TraceConnectionQueuedEndParams())
        except BaseException:
            slot.release()
            raise
        return slot

    async def _connect_with(
        self,
        slot: Slot,
        req: ClientRequest,
        key: ConnectionKey,
        traces: Sequence[Trace],
        timeout: ClientTimeout,
        *,
        asked_at: float,
    ) -> Connection:
        """Lend an idle connection or a new one; the slot is given back on failure."""
        try:
            sharing = None if self._force_close else self._sharing  # a connection for each request
            if sharing is not None and not sharing.may_offer(req):
                sharing = None
            protocol = self._take_idle(key) if sharing is None else await sharing.find(key)
            queued = self._loop.time() - asked_at
            if protocol is not None:
                connection = self._lend(key, protocol, slot, queued)
                await self._tell_reuse(connection, traces)
                return connection
            with nullcontext() if sharing is None else sharing.opening(key):
                protocol = await self._open_connection(req, traces, timeout)
        except BaseException:
            slot.release()
            raise
        connection = self._lend(key, protocol, slot, queued)
        try:
            if self._is_closed:
                raise ConnectorClosed("the connector was closed while it was connecting")
            await emit(traces, TraceConnectionCreateEndParams())
            await _hear_out(protocol)
        except BaseException:
            connection.close()
            raise
        return connection

    def _take_idle(self, key: ConnectionKey) -> Carrier | None:
        kept = self._idle.by_key.get(key)
        return self._idle.take(kept) if kept else None

    async def _open_connection(self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout) -> Carrier:
        """Open a connection, after closing idle ones if there are too many."""
        _check_name(req.connection_key)
        self._make_room()
        await emit(traces, TraceConnectionCreateStartParams())
        started_at = self._loop.time()
        protocol = await self._create_connection(req, traces, timeout)
        protocol.opening = protocol.opening or Opening(connect=self._loop.time() - started_at)
        return protocol

    async def _tell_reuse(self, connection: Connection, traces: Sequence[Trace]) -> None:
        try:
            await emit(traces, TraceConnectionReuseconnParams())
        except BaseException:
            connection.close()
            raise

    @abstractmethod
    async def _create_connection(self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout) -> Carrier:
        """Open a connection for a request. Returns an `Http1Protocol` connected to a transport, or a stream of HTTP/2.

        Raises `ClientConnectorError` or a subclass, and `ConnectionTimeoutError` after `timeout.sock_connect` seconds.
        """

    # -- keeping --------------------------------------------------------------------------------------------------

    def give_back(self, key: ConnectionKey, protocol: Carrier) -> None:
        """Take a connection back, and keep it if it can serve another request. Called by `Connection`."""
        self._in_use.discard(protocol)
        if protocol.is_idle and not self._force_close and not self._is_closed:
            self._idle.put(key, protocol)
        else:
            protocol.close()

    def _keep_shared(self, key: ConnectionKey, stream: Carrier) -> None:
        """Keep a shared connection of which no other stream is lent."""
        if self._force_close or self._is_closed:
            stream.close()
        else:
            self._idle.put(key, stream)

    def drop_idle(self, key: ConnectionKey) -> None:
        """Close the idle connections with a key, after one of them was found dead."""
        self._idle.drop(key)

    def _make_room(self) -> None:
        limit = self._limits.limit
        while limit and len(self._idle) >= limit:
            self._idle.drop_oldest()

    # -- closing --------------------------------------------------------------------------------------------------

    def close(self) -> Closing:
        """Close all connections at once: in use, idle or being opened. Await the result to wait until their sockets are closed."""
        self._is_closed = True
        if self._owns_limits:
            self._limits.close(ConnectorClosed("the connector is closed"))
        if self._connecting and not self._loop.is_closed():
            self._loop.call_soon(self._call_off)
        in_use = list(self._in_use)
        for protocol in in_use:
            protocol.close()
        return Closing(in_use + self._idle.clear())

    def _call_off(self) -> None:
        """Make the deadlines of all calls of `connect` pass now."""
        for end in self._connecting:
            if not end.expired():
                end.reschedule(self._loop.time())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if not self._is_closed and (self._idle or self._in_use):
            warn(f"unclosed connector {self!r}", ResourceWarning, stacklevel=2, source=self)
            if not self._loop.is_closed():
                self.close()


def _earlier(connect_at: float, deadline_at: float, timeout: ClientTimeout) -> tuple[float, ServerTimeoutError]:
    """Return the earlier of two deadlines: that for a connection, and that of the whole request; and the error when it passes."""
    if connect_at < deadline_at:
        return connect_at, ConnectionTimeoutError(f"no connection within {timeout.connect:g} s")
    return deadline_at, ServerTimeoutError(TOO_LATE)


def _check_name(key: ConnectionKey) -> None:
    """Raise `ClientConnectorDNSError` for a name that cannot be sent in SNI. A proxy or the user's resolver may have an address for
    it, but then the `ssl` module would leave the connection open.
    """
    if not key.is_ssl:
        return
    try:
        key.server_name.encode("idna")
    except UnicodeError as error:  # an empty label, or one of more than 63 characters
        raise ClientConnectorDNSError(key, OSError(errno.EINVAL, str(error))) from error


async def _hear_out(protocol: Carrier) -> None:
    """Let the loop read what a new connection has received before a request is written: it belongs to no response, and would be
    taken for that of the request (RFC 9112 §9.2). Raises `ServerDisconnectedError` if there were bytes, or the end.
    """
    for _ in range(2):  # asyncio resumes tasks before it reads: only the second iteration comes after that
        await asyncio.sleep(0)
    if not protocol.is_idle:
        raise ServerDisconnectedError("the server sent data or closed the connection before the request")


class Closing:
    """Connections that are being closed; await it to wait until their sockets are closed."""

    def __init__(self, protocols: Sequence[Carrier]) -> None:
        self._protocols = protocols

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        for protocol in self._protocols:
            await protocol.wait_lost()
