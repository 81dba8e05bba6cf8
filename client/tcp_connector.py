"""Connections over TCP: to servers, or through proxies."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl as ssl_module
from typing import TYPE_CHECKING, TypeVar

from client.address_finder import AddressFinder
from client.connector import KEEPALIVE_TIMEOUT, BaseConnector
from client.errors import (
    ClientConnectorError,
    ClientConnectorSSLError,
    ConnectionTimeoutError,
    MissingPackage,
)
from client.happy_eyeballs import interleave_families, open_socket
from client.resolver import (
    AddressGuard,
    DefaultResolver,
    DnsCache,
    known_address,
    literal_address,
)
from client.timeouts import DEFAULT_TIMEOUT, fail_at
from client.timings import Opening
from client.tls import Fingerprint, TlsContexts, Verification, explained, handshake_error, merge_verification
from client.tunnels import blaming_proxy, hop_to, open_tunnel
from client.wires import SocketWire, TlsWire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from client.abc import AbstractResolver, ResolveResult
    from client.carrier import Carrier
    from client.connection import ConnectionKey
    from client.limits import HostLimits
    from client.proxies import Proxy
    from client.request import ClientRequest
    from client.sharing import Sharing
    from client.timeouts import ClientTimeout
    from client.tracing import Trace
    from client.wires import Wire

P = TypeVar("P", bound=asyncio.Protocol)


class TCPConnector(BaseConnector):
    """Connections over TCP, with TLS for https and wss URLs.

    `ssl` says how servers are verified unless a request does. Addresses come from `resolver`, and are cached for
    `ttl_dns_cache` seconds (None: for ever) unless `use_dns_cache` is off; `family` restricts them to `AF_INET` or
    `AF_INET6`; an `address_guard` decides which of them may be connected to. They are tried `happy_eyeballs_delay` seconds apart
    (RFC 8305; None: one after the other), with the families alternating after `interleave` addresses of the preferred one.
    `local_addr` is the local (host, port) of connections. With `http2`, servers are offered HTTP/2 over TLS, which needs the
    package h2, installed by `nephila[http2]`; without it, `MissingPackage` is raised.

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
        http2: bool = False,
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
        self._ssl = merge_verification(ssl, verify_ssl=verify_ssl, ssl_context=ssl_context, fingerprint=fingerprint)
        self._tls = TlsContexts()
        self._finder = AddressFinder(
            resolver or DefaultResolver(),
            family=socket.AddressFamily(family),
            cache=DnsCache(ttl=ttl_dns_cache, max_size=dns_cache_max_size, clock=self._loop.time),
            uses_cache=use_dns_cache,
            guard=address_guard,
        )
        self._local_addr = local_addr
        self._delay = happy_eyeballs_delay
        self._interleave = interleave or 1
        self._sharing = self._share_connections() if http2 else None

    def _share_connections(self) -> Sharing:
        """Return the object that shares connections of HTTP/2. Raises `MissingPackage` without the package h2."""
        try:
            from client.sharing import Sharing
        except ImportError as error:
            raise MissingPackage("TCPConnector(http2=True)", "h2", "http2") from error
        return Sharing(self._keep_shared, self._take_idle)

    @property
    def verify_ssl(self) -> bool:
        """Whether servers are verified with authorities, unless a request says otherwise."""
        if isinstance(self._ssl, ssl_module.SSLContext):
            return self._ssl.verify_mode is not ssl_module.CERT_NONE
        return self._ssl is True

    @property
    def ssl_context(self) -> ssl_module.SSLContext:
        """The context of TLS connections, unless a request says otherwise."""
        return self._tls.context_for(self._ssl)

    @property
    def fingerprint(self) -> bytes | None:
        """The SHA-256 digest of the certificate that servers must show, unless a request says otherwise; None: any."""
        return self._ssl.fingerprint if isinstance(self._ssl, Fingerprint) else None

    @property
    def family(self) -> int:
        """`AF_INET`, `AF_INET6`, or 0 for both."""
        return self._finder.family

    @property
    def use_dns_cache(self) -> bool:
        """Whether addresses are cached."""
        return self._finder.uses_cache

    dns_cache = use_dns_cache
    """Older name of `use_dns_cache`."""

    @property
    def cached_hosts(self) -> Mapping[tuple[str, int], list[ResolveResult]]:
        """The cached addresses, by host and port."""
        return self._finder.cache.addresses

    def clear_dns_cache(self, host: str | None = None, port: int | None = None) -> None:
        """Remove the addresses of a host and port from the cache, or all. Raises `ValueError` if only one of the two is given."""
        if host is None and port is None:
            self._finder.cache.clear()
        elif host is None or port is None:
            raise ValueError("give host and port, or neither")
        else:
            self._finder.cache.remove((host, port))

    async def addresses_of(self, host: str, port: int) -> list[str]:
        """Return the addresses that a connection to a host would use, from the cache or a look-up.

        This opens no connection, takes no slot, and does not check the address guard. Raises OSError if there are none.
        """
        return [address["host"] for address in await self._finder.find(host, port)]

    async def _create_connection(self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout) -> Carrier:
        key = req.connection_key
        deadline_at = timeout.deadline_at(self._loop.time(), timeout.sock_connect)
        error = ConnectionTimeoutError(f"{key.host}:{key.port} did not connect within {timeout.sock_connect} s")
        async with fail_at(deadline_at, error):
            if key.proxy is not None:
                return await self._connect_through(key.proxy, req, traces, error)
            began_at = self._loop.time()
            addresses = await self._finder.permitted(key, traces)
            resolved_at = self._loop.time()
            wire = await self._open_wire(key, addresses)
            connected_at = self._loop.time()
            protocol = await self._start_http(req, wire, self._verification(key))
        protocol.opening = Opening.between(began_at, resolved_at, connected_at, self._loop.time(), has_tls=key.is_ssl)
        return protocol

    async def _connect_through(
        self, proxy: Proxy, req: ClientRequest, traces: Sequence[Trace], late: ConnectionTimeoutError
    ) -> Carrier:
        """Open a connection to a request's origin through a proxy, or to a proxy that forwards the request. `late`, the error of
        the deadline, is marked if the proxy is to blame."""
        key = req.connection_key
        verification = self._verification(key)
        hop = hop_to(proxy, verification)
        began_at = self._loop.time()
        hosts = await self._hosts_for(proxy, key, traces)
        resolved_at = began_at if proxy.resolves_names else self._loop.time()

        async def connect() -> Wire:
            late.is_of_proxy = True
            with blaming_proxy(hop):
                wire = await self._reach(hop, traces)
                wire = await self._start(hop, wire, hop.ssl, TlsWire) if hop.is_ssl else wire
            late.is_of_proxy = False
            return wire

        if key.is_forwarded:
            late.is_of_proxy = True
            with blaming_proxy(hop):
                wire = await self._reach(hop, traces)
                connected_at = self._loop.time()
                protocol: Carrier = await self._start(hop, wire, hop.ssl, self._factory)
        else:
            wire = await open_tunnel(req, hop, hosts, connect)
            connected_at = self._loop.time()
            protocol = await self._start_http(req, wire, verification)
        has_tls = hop.is_ssl if key.is_forwarded else key.is_ssl
        protocol.opening = Opening.between(began_at, resolved_at, connected_at, self._loop.time(), has_tls=has_tls)
        return protocol

    async def _hosts_for(self, proxy: Proxy, key: ConnectionKey, traces: Sequence[Trace]) -> list[str]:
        """Return the hosts to ask a proxy for, in turn: the addresses of the key's host, or just its name."""
        if not proxy.resolves_names:
            return [address["host"] for address in await self._finder.permitted(key, traces)]
        if (known := known_address(key.host, key.port)) is not None:
            self._finder.permit(key, [known])
        return [key.host]

    async def _reach(self, hop: ConnectionKey, traces: Sequence[Trace]) -> Wire:
        """Connect to a proxy. The address guard is not checked, since the user named the proxy."""
        literal = literal_address(hop.host, hop.port)
        return await self._open_wire(hop, [literal] if literal else await self._finder.resolve(hop, traces))

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

    async def _start_http(self, req: ClientRequest, wire: Wire, verification: Verification) -> Carrier:
        """Start HTTP on a connection to a request's origin, in the version agreed on."""
        key = req.connection_key
        if self._sharing is None or not self._sharing.may_offer(req):
            return await self._start(key, wire, verification, self._factory)
        from client.alpn import ByAlpn
        from client.http2 import Http2Protocol

        choice = await self._start(key, wire, verification, lambda: ByAlpn(self._factory, Http2Protocol), http2=True)
        assert choice.chosen is not None
        return self._sharing.take_in(key, choice.chosen)

    async def _start(
        self,
        key: ConnectionKey,
        wire: Wire,
        verification: Verification,
        factory: Callable[[], P],
        *,
        http2: bool = False,
    ) -> P:
        """Hand a connection to a new protocol, inside TLS if the key says so."""
        tls = self._tls.context_for(verification, offers_http2=http2) if key.is_ssl else None
        try:
            transport, protocol = await wire.start(factory, tls, key.server_name if tls else None)
        except ssl_module.SSLError as error:
            raise handshake_error(key, error) from error
        except OSError as error:
            raise ClientConnectorError(key, explained(error)) from error
        if tls and isinstance(verification, ssl_module.SSLContext) and not http2:
            _expect_http1(transport, key)
        if tls and isinstance(verification, Fingerprint):
            verification.check(transport, key.host, key.port)
        return protocol


# Subclasses written for aiohttp 2 pass only the request. In the signature, type checkers would demand defaults of newer subclasses.
TCPConnector._create_connection.__defaults__ = ((), DEFAULT_TIMEOUT)


def _expect_http1(transport: asyncio.Transport, key: ConnectionKey) -> None:
    """Raise `ClientConnectorSSLError` if the server has chosen HTTP/2, which the caller's context offers, but the request needs
    HTTP/1.1.
    """
    if transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
        transport.abort()
        reason = "the server chose HTTP/2, which the ssl context offers, but this request needs HTTP/1.1"
        raise ClientConnectorSSLError(key, ssl_module.SSLError(errno.EPROTO, reason))
