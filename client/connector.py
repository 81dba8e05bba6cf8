"""Connectors: where connections are opened, kept for the next request, and bounded.

A request first takes its host's slot (`HostLimits`), then an idle connection with the same key, or else opens one. What is
idle holds no slot. `limit` bounds connections in use; when idle ones would bring the sum above it, the one unused longest
is closed.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl as ssl_module
from abc import ABC, abstractmethod
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from warnings import warn

from client.connection import Connection, ConnectionKey
from client.errors import (
    AddressRefused,
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ConnectionTimeoutError,
    ServerTimeoutError,
    UnixClientConnectorError,
)
from client.happy_eyeballs import interleave_families, open_socket
from client.http1 import Http1Protocol
from client.limits import HostLimits
from client.resolver import (
    AddressGuard,
    DefaultResolver,
    DnsCache,
    SharedLookups,
    known_address,
    literal_address,
)
from client.timeouts import DEFAULT_TIMEOUT, ClientTimeout, fail_at
from client.timings import Opening
from client.tls import Fingerprint, TlsContexts, Verification, merge_verification
from client.tracing import (
    Trace,
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceConnectionQueuedEndParams,
    TraceConnectionQueuedStartParams,
    TraceConnectionReuseconnParams,
    TraceDnsCacheHitParams,
    TraceDnsCacheMissParams,
    TraceDnsResolveHostEndParams,
    TraceDnsResolveHostStartParams,
    emit,
)
from client.tunnels import blaming_proxy, hop_to, open_tunnel
from client.wires import SocketWire, TlsWire

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from types import TracebackType

    from client.abc import AbstractResolver, ResolveResult
    from client.limits import Slot
    from client.origin import HostKey
    from client.proxies import Proxy
    from client.request import ClientRequest
    from client.wires import Wire

KEEPALIVE_TIMEOUT: Final = 15.0

P = TypeVar("P", bound=asyncio.Protocol)


class BaseConnector(ABC):
    """A pool of connections; a subclass says in `_create_connection` how one is opened.

    `keepalive_timeout` is how long an idle connection is kept, in seconds; None keeps it until the server closes it.
    `force_close` (or a `keepalive_timeout` of 0) keeps none. `limit` and `limit_per_host` bound connections in use, 0 or
    None meaning no bound; `limits` takes a `HostLimits` made elsewhere in their place.
    """

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
            warn("loop is deprecated: the running loop is used", DeprecationWarning, stacklevel=2)
        if enable_cleanup_closed:
            warn(
                "enable_cleanup_closed is deprecated: closing never waits for the peer",
                DeprecationWarning,
                stacklevel=3,
            )
        self._loop = asyncio.get_running_loop()
        self._owns_limits = limits is None
        self._limits = HostLimits(limit=limit or 0, limit_per_host=limit_per_host or 0) if limits is None else limits
        self._keepalive_timeout = inf if keepalive_timeout is None else keepalive_timeout
        self._force_close = force_close or not self._keepalive_timeout
        self._idle: dict[ConnectionKey, list[Http1Protocol]] = {}
        self._idle_order: dict[Http1Protocol, ConnectionKey] = {}  # the one unused longest first
        self._in_use: set[Http1Protocol] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False

    # -- what it is -----------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self._is_closed

    @property
    def force_close(self) -> bool:
        """Whether connections are closed after one request."""
        return self._force_close

    @property
    def limit(self) -> int:
        """How many connections may be in use; 0 for no bound."""
        return self._limits.limit

    @property
    def limit_per_host(self) -> int:
        """How many connections to one host may be in use; 0 for no bound."""
        return self._limits.limit_per_host

    @property
    def limits(self) -> HostLimits:
        """What says who may be asked now."""
        return self._limits

    @property
    def idle_count(self) -> int:
        """How many connections are kept for another request."""
        return len(self._idle_order)

    @property
    def in_use_count(self) -> int:
        """How many connections are lent out."""
        return len(self._in_use)

    # -- lending --------------------------------------------------------------------------------------------------

    async def connect(
        self,
        req: ClientRequest,
        traces: Sequence[Trace] = (),
        timeout: ClientTimeout = DEFAULT_TIMEOUT,
        *,
        deadline_at: float = inf,
    ) -> Connection:
        """Lend a connection for a request, waiting for its host's slot first.

        `deadline_at`, on the loop's clock, is that of the whole request. Raises `ClientConnectorError` or one of its kind
        when no connection can be opened, `ConnectionTimeoutError` and `ServerTimeoutError` at the deadlines,
        `ClientConnectionError` when the connector is closed. Cancelled, it leaves nothing taken.
        """
        if self._is_closed:
            raise ClientConnectionError("the connector is closed")
        key = req.connection_key
        host = self._limits.host_of(key.origin)
        slot = self._limits.acquire_nowait(host)
        if slot is not None and (protocol := self._take_idle(key)) is not None:
            connection = Connection(self, key, protocol, slot)
            if traces:
                await self._tell_reuse(connection, traces)
            return connection
        now = self._loop.time()
        connect_at = timeout.deadline_at(now, timeout.connect)
        if connect_at < deadline_at:
            error: ServerTimeoutError = ConnectionTimeoutError(f"no connection within {timeout.connect:g} s")
        else:
            error = ServerTimeoutError("the total time allowed has passed before there was a connection")
        async with fail_at(min(connect_at, deadline_at), error):
            if slot is None:
                slot = await self._wait_for_slot(host, traces)
            queued = self._loop.time() - now
            connection = await self._connect_with(slot, req, key, traces, timeout)
        connection.queued = queued
        return connection

    async def _wait_for_slot(self, host: HostKey, traces: Sequence[Trace]) -> Slot:
        await emit(traces, TraceConnectionQueuedStartParams())
        slot = await self._limits.acquire(host)
        try:
            await emit(traces, TraceConnectionQueuedEndParams())
        except BaseException:
            slot.release()
            raise
        return slot

    async def _connect_with(
        self, slot: Slot, req: ClientRequest, key: ConnectionKey, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> Connection:
        """Lend an idle connection or a new one; the slot is given back on failure."""
        try:
            if (protocol := self._take_idle(key)) is not None:
                connection = Connection(self, key, protocol, slot)
                await self._tell_reuse(connection, traces)
                return connection
            self._make_room()
            await emit(traces, TraceConnectionCreateStartParams())
            started_at = self._loop.time()
            protocol = await self._create_connection(req, traces, timeout)
            protocol.opening = protocol.opening or Opening(connect=self._loop.time() - started_at)
        except BaseException:
            slot.release()
            raise
        connection = Connection(self, key, protocol, slot)
        self._in_use.add(protocol)
        try:
            if self._is_closed:
                raise ClientConnectionError("the connector was closed while it was connecting")
            await emit(traces, TraceConnectionCreateEndParams())
        except BaseException:
            connection.close()
            raise
        return connection

    async def _tell_reuse(self, connection: Connection, traces: Sequence[Trace]) -> None:
        try:
            await emit(traces, TraceConnectionReuseconnParams())
        except BaseException:
            connection.close()
            raise

    @abstractmethod
    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> Http1Protocol:
        """Open a connection for a request: an `Http1Protocol` that a transport has been connected to.

        Raises `ClientConnectorError` or one of its kind, and `ConnectionTimeoutError` after `timeout.sock_connect`.
        """

    # -- keeping --------------------------------------------------------------------------------------------------

    def _take_idle(self, key: ConnectionKey) -> Http1Protocol | None:
        """Return the connection of this key that was used last, out of those that still live."""
        protocols = self._idle.get(key)
        oldest_use = self._loop.time() - self._keepalive_timeout
        while protocols:
            protocol = protocols.pop()
            del self._idle_order[protocol]
            if not protocols:
                del self._idle[key]
            if protocol.is_idle and protocol.idle_since >= oldest_use:
                self._in_use.add(protocol)
                return protocol
            protocol.close()
        return None

    def give_back(self, key: ConnectionKey, protocol: Http1Protocol) -> None:
        """Take a connection back, to keep it if it can serve another request. Called by `Connection`."""
        self._in_use.discard(protocol)
        if self._is_closed or self._force_close or not protocol.is_idle:
            protocol.close()
            return
        self._idle.setdefault(key, []).append(protocol)
        self._idle_order[protocol] = key
        if self._sweeper is None and self._keepalive_timeout < inf:
            self._sweeper = self._loop.call_later(self._keepalive_timeout, self._sweep)

    def drop_idle(self, key: ConnectionKey) -> None:
        """Close the idle connections of a key: one of them was found dead."""
        for protocol in list(self._idle.get(key, ())):
            self._drop(protocol)

    def _make_room(self) -> None:
        limit = self._limits.limit
        while limit and self._idle_order and len(self._idle_order) + len(self._in_use) >= limit:
            self._drop(next(iter(self._idle_order)))

    def _drop(self, protocol: Http1Protocol) -> None:
        key = self._idle_order.pop(protocol)
        protocols = self._idle[key]
        protocols.remove(protocol)
        if not protocols:
            del self._idle[key]
        protocol.close()

    def _sweep(self) -> None:
        """Close what has been idle for too long, and sleep until the next one is due."""
        self._sweeper = None
        now = self._loop.time()
        while self._idle_order:
            oldest = next(iter(self._idle_order))
            due_at = oldest.idle_since + self._keepalive_timeout
            if due_at > now and not oldest.is_closed:
                self._sweeper = self._loop.call_at(due_at, self._sweep)
                return
            self._drop(oldest)

    # -- closing --------------------------------------------------------------------------------------------------

    def close(self) -> Closing:
        """Close all connections, in use or not, at once. The result may be awaited, to see their sockets closed too."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if self._owns_limits:
            self._limits.close(ClientConnectionError("the connector is closed"))
        protocols = [*self._idle_order, *self._in_use]
        self._idle_order.clear()
        self._idle.clear()
        for protocol in protocols:
            protocol.close()
        return Closing(protocols)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if not getattr(self, "_is_closed", True) and (self._idle_order or self._in_use):
            warn(f"unclosed connector {self!r}", ResourceWarning, stacklevel=2, source=self)
            if not self._loop.is_closed():
                self.close()


class Closing:
    """Connections that are being closed; awaiting it waits until they are."""

    def __init__(self, protocols: Sequence[Http1Protocol]) -> None:
        self._protocols = protocols

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        for protocol in self._protocols:
            await protocol.wait_lost()


class UnixConnector(BaseConnector):
    """Connections to one Unix domain socket, whatever the URLs' hosts are."""

    def __init__(
        self,
        path: str,
        *,
        keepalive_timeout: float | None = 30.0,
        force_close: bool = False,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
        limits: HostLimits | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(
            keepalive_timeout=keepalive_timeout,
            force_close=force_close,
            limit=limit,
            limit_per_host=limit_per_host,
            limits=limits,
            loop=loop,
        )
        self._path = path
        self._tls = TlsContexts()

    @property
    def path(self) -> str:
        """The socket's path."""
        return self._path

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> Http1Protocol:
        key = req.connection_key
        tls = self._tls.context_for(req.ssl) if key.is_ssl else None
        error = ConnectionTimeoutError(f"{self._path} did not accept a connection within {timeout.sock_connect} s")
        try:
            async with fail_at(timeout.deadline_at(self._loop.time(), timeout.sock_connect), error):
                _, protocol = await self._loop.create_unix_connection(
                    Http1Protocol, self._path, ssl=tls, server_hostname=_server_name(key) if tls else None
                )
        except ServerTimeoutError:
            raise
        except OSError as cause:
            raise UnixClientConnectorError(self._path, key, cause) from cause
        return protocol


class TCPConnector(BaseConnector):
    """Connections over TCP, with TLS where the URL says so.

    `ssl` is how servers are verified where a request does not say. Addresses come from `resolver`, and are remembered for
    `ttl_dns_cache` seconds (None: for ever) unless `use_dns_cache` is off; `family` narrows them to `AF_INET` or `AF_INET6`;
    an `address_guard` says which of them may be connected to. They are tried `happy_eyeballs_delay` seconds apart (RFC 8305;
    None: one after the other), the families alternating after `interleave` addresses of the preferred one. `local_addr` is
    the (host, port) that connections come from.

    Deprecated: `verify_ssl`, `ssl_context`, `fingerprint` (use `ssl`), `enable_cleanup_closed` (closing never waits for
    the peer) and `loop`.
    """

    def __init__(
        self,
        *,
        verify_ssl: bool = True,
        fingerprint: bytes | None = None,
        use_dns_cache: bool = True,
        ttl_dns_cache: float | None = 10,
        dns_cache_max_size: int = 1000,
        family: int = 0,
        ssl_context: ssl_module.SSLContext | None = None,
        ssl: Verification = True,
        local_addr: tuple[str, int] | None = None,
        resolver: AbstractResolver | None = None,
        address_guard: AddressGuard | None = None,
        keepalive_timeout: float | None = KEEPALIVE_TIMEOUT,
        force_close: bool = False,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
        limits: HostLimits | None = None,
        enable_cleanup_closed: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        happy_eyeballs_delay: float | None = 0.25,
        interleave: int | None = None,
    ) -> None:
        super().__init__(
            keepalive_timeout=keepalive_timeout,
            force_close=force_close,
            limit=limit,
            limit_per_host=limit_per_host,
            limits=limits,
            enable_cleanup_closed=enable_cleanup_closed,
            loop=loop,
        )
        self._ssl = merge_verification(
            ssl, verify_ssl=verify_ssl, ssl_context=ssl_context, fingerprint=fingerprint, stacklevel=4
        )
        self._tls = TlsContexts()
        self._resolver = resolver or DefaultResolver()
        self._owns_resolver = resolver is None
        self._cache = DnsCache(ttl=ttl_dns_cache, max_size=dns_cache_max_size, clock=self._loop.time)
        self._use_dns_cache = use_dns_cache
        self._lookups = SharedLookups()
        self._guard = address_guard
        self._family = socket.AddressFamily(family)
        self._local_addr = local_addr
        self._delay = happy_eyeballs_delay
        self._interleave = interleave or 1

    @property
    def family(self) -> int:
        """`AF_INET`, `AF_INET6`, or 0 for both."""
        return self._family

    @property
    def use_dns_cache(self) -> bool:
        """Whether addresses are remembered."""
        return self._use_dns_cache

    dns_cache = use_dns_cache
    """Older name of `use_dns_cache`."""

    @property
    def cached_hosts(self) -> Mapping[tuple[str, int], list[ResolveResult]]:
        """The addresses that are remembered, by host and port."""
        return self._cache.addresses

    def clear_dns_cache(self, host: str | None = None, port: int | None = None) -> None:
        """Forget the addresses of a host and port, or all; `ValueError` when only one of the two is given."""
        if host is None and port is None:
            self._cache.clear()
        elif host is None or port is None:
            raise ValueError("give host and port, or neither")
        else:
            self._cache.remove((host, port))

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> Http1Protocol:
        key = req.connection_key
        deadline_at = timeout.deadline_at(self._loop.time(), timeout.sock_connect)
        error = ConnectionTimeoutError(f"{key.host}:{key.port} did not connect within {timeout.sock_connect} s")
        async with fail_at(deadline_at, error):
            if key.proxy is not None:
                return await self._connect_through(key.proxy, req, traces)
            instants = [self._loop.time()]
            addresses = await self._addresses(key, traces)
            instants.append(self._loop.time())
            wire = await self._open_wire(key, addresses)
            instants.append(self._loop.time())
            protocol = await self._start(key, wire, self._verification(key), Http1Protocol)
            instants.append(self._loop.time())
        protocol.opening = Opening(*(later - earlier for earlier, later in pairwise(instants)))
        return protocol

    async def _connect_through(self, proxy: Proxy, req: ClientRequest, traces: Sequence[Trace]) -> Http1Protocol:
        """Open a connection to a request's origin, or one to a proxy that forwards the request."""
        key = req.connection_key
        verification = self._verification(key)
        hop = hop_to(proxy, verification)
        hosts = await self._hosts_for(proxy, key, traces)

        async def connect() -> Wire:
            with blaming_proxy(hop):
                wire = await self._reach(hop, traces)
                return await self._start(hop, wire, hop.ssl, TlsWire) if hop.is_ssl else wire

        if proxy.forwards(key.origin.scheme):
            with blaming_proxy(hop):
                return await self._start(hop, await self._reach(hop, traces), hop.ssl, Http1Protocol)
        return await self._start(key, await open_tunnel(req, hop, hosts, connect), verification, Http1Protocol)

    async def _hosts_for(self, proxy: Proxy, key: ConnectionKey, traces: Sequence[Trace]) -> list[str]:
        """Return what to tell a proxy of where the key leads: the host's addresses, or just its name."""
        if not proxy.resolves_names:
            return [address["host"] for address in await self._addresses(key, traces)]
        if (known := known_address(key.host, key.port)) is not None:
            self._permit(key, [known])
        return [key.host]

    async def _reach(self, hop: ConnectionKey, traces: Sequence[Trace]) -> Wire:
        """Connect to a proxy. It is the user who named it: the address guard is not asked."""
        literal = literal_address(hop.host, hop.port)
        return await self._open_wire(hop, [literal] if literal else await self._resolve(hop, traces))

    async def _addresses(self, key: ConnectionKey, traces: Sequence[Trace]) -> list[ResolveResult]:
        """Return the addresses that may be connected to."""
        literal = literal_address(key.host, key.port)
        return self._permit(key, [literal] if literal else await self._resolve(key, traces))

    def _permit(self, key: ConnectionKey, addresses: list[ResolveResult]) -> list[ResolveResult]:
        """Return those of the addresses that the guard lets through; `AddressRefused` when it is none."""
        if self._guard is None:
            return addresses
        permitted = self._guard.permit(key.host, addresses)
        if not permitted:
            found = ", ".join(address["host"] for address in addresses)
            raise AddressRefused(key, OSError(errno.EACCES, f"not a public address: {found}"))
        return permitted

    async def _resolve(self, key: ConnectionKey, traces: Sequence[Trace]) -> list[ResolveResult]:
        host, port = key.host, key.port
        if self._use_dns_cache:
            if (remembered := self._cache.get((host, port))) is not None:
                await emit(traces, TraceDnsCacheHitParams(host))
                return remembered
            await emit(traces, TraceDnsCacheMissParams(host))
        await emit(traces, TraceDnsResolveHostStartParams(host))
        try:
            addresses = await self._lookups.run((host, port), lambda: self._look_up(host, port))
        except (OSError, UnicodeError) as error:  # UnicodeError: a label of more than 63 characters
            cause = error if isinstance(error, OSError) else OSError(str(error))
            raise ClientConnectorDNSError(key, cause) from error
        await emit(traces, TraceDnsResolveHostEndParams(host))
        return addresses

    async def _look_up(self, host: str, port: int) -> list[ResolveResult]:
        addresses = await self._resolver.resolve(host, port, family=self._family)
        if not addresses:
            raise OSError(None, "the name has no address")
        if self._use_dns_cache:
            self._cache.put((host, port), addresses)
        return addresses

    async def _open_wire(self, key: ConnectionKey, addresses: list[ResolveResult]) -> Wire:
        try:
            return SocketWire(
                await open_socket(
                    interleave_families(addresses, self._interleave), delay=self._delay, local_addr=self._local_addr
                )
            )
        except OSError as error:
            raise ClientConnectorError(key, error) from error

    def _verification(self, key: ConnectionKey) -> Verification:
        return self._ssl if key.ssl is True else key.ssl

    async def _start(self, key: ConnectionKey, wire: Wire, verification: Verification, factory: Callable[[], P]) -> P:
        """Have a protocol take a connection over, inside TLS where the key says so."""
        tls = self._tls.context_for(verification) if key.is_ssl else None
        try:
            transport, protocol = await wire.start(factory, tls, _server_name(key) if tls else None)
        except ssl_module.SSLCertVerificationError as error:
            raise ClientConnectorCertificateError(key, error) from error
        except ssl_module.SSLError as error:
            raise ClientConnectorSSLError(key, error) from error
        except OSError as error:
            raise ClientConnectorError(key, error) from error
        if tls and isinstance(verification, Fingerprint):
            try:
                verification.check(transport, key.host, key.port)
            except BaseException:
                transport.abort()
                raise
        return protocol


def _server_name(key: ConnectionKey) -> str:
    """The name that TLS asks the server for, and verifies (RFC 6066 §3: no trailing dot)."""
    return key.server_hostname or key.host.removesuffix(".")
