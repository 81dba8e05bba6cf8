"""From the name of a host to the addresses that may be connected to: resolving, caching and guarding.

The guard is the crawl's sixth invariant: a page must not lead the crawler into its own private network. Names are judged by
the addresses they resolve to, and the connection is then made to one of exactly those, so that a name that resolves
differently a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from client.abc import AbstractResolver, ResolveResult
from client.deprecation import deprecated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

HostPort = tuple[str, int]

_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1


class ThreadedResolver(AbstractResolver):
    """Calls the system's `getaddrinfo` in the event loop's threads. `loop` is deprecated and ignored."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        if loop is not None:
            deprecated("loop is deprecated: the running loop is used")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        return [resolved(host, port, family, proto, address) for family, _type, proto, _name, address in found]

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""


DefaultResolver = ThreadedResolver


def resolved(hostname: str, port: int, family: int, proto: int, address: tuple[Any, ...]) -> ResolveResult:
    """Return the result for a socket address."""
    host = str(address[0])
    if len(address) > 3 and address[3]:  # a link-local IPv6 address means nothing without its interface
        host = f"{host.partition('%')[0]}%{address[3]}"
    return ResolveResult(
        hostname=hostname, host=host, port=port, family=family, proto=proto, flags=int(socket.AI_NUMERICHOST)
    )


def literal_address(host: str, port: int) -> ResolveResult | None:
    """Return the result for a host that is an IP address; None for a name."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return resolved(host, port, family, 0, (host,))


def numeric_address(host: str, port: int) -> ResolveResult | None:
    """Return the result for an IP address, also in the forms that only inet_aton accepts (``127.1``, ``0x7f000001``)."""
    if (literal := literal_address(host, port)) is not None:
        return literal
    try:
        address = socket.inet_ntoa(socket.inet_aton(host.removesuffix(".")))
    except (OSError, UnicodeError):
        return None
    return resolved(host, port, socket.AF_INET, 0, (address,))


def known_address(host: str, port: int) -> ResolveResult | None:
    """Return the address of a host that has the same one for every resolver; None for others.

    These hosts are IP addresses in any form, and localhost with all names below it (RFC 6761 §6.3).
    """
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return literal_address("127.0.0.1", port)
    return numeric_address(host, port)


class DnsCache:
    """Caches addresses by host and port for `ttl` seconds (None: for ever); the least recently used are evicted."""

    def __init__(self, *, ttl: float | None, max_size: int, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._max_size = max_size
        self._clock = clock
        self._entries: OrderedDict[HostPort, tuple[float, list[ResolveResult]]] = OrderedDict()

    @property
    def addresses(self) -> Mapping[HostPort, list[ResolveResult]]:
        """The entries; expired ones are included until they are looked up."""
        return MappingProxyType({key: found for key, (_at, found) in self._entries.items()})

    def get(self, key: HostPort) -> list[ResolveResult] | None:
        """Return the addresses under a key, or None if there are none or they have expired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._ttl is not None and self._clock() >= entry[0] + self._ttl:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: HostPort, addresses: list[ResolveResult]) -> None:
        """Store the result of a look-up that has just ended."""
        self._entries[key] = (self._clock(), addresses)
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_size:
            self._entries.popitem(last=False)

    def remove(self, key: HostPort) -> None:
        self._entries.pop(key, None)

    def clear(self) -> None:
        self._entries.clear()


class SharedLookups:
    """The look-ups in progress, at most one for each host and port: further callers wait for the same one.

    A look-up is cancelled when all who wait for it have been cancelled.
    """

    def __init__(self) -> None:
        self._tasks: dict[HostPort, asyncio.Task[list[ResolveResult]]] = {}
        self._waiting: dict[HostPort, int] = {}

    async def run(self, key: HostPort, look_up: Callable[[], Awaitable[list[ResolveResult]]]) -> list[ResolveResult]:
        """Return the result of the look-up for this key, starting one if there is none."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.ensure_future(look_up())
            self._waiting[key] = 0
        self._waiting[key] += 1
        try:
            return await asyncio.shield(task)
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._tasks[key]
                task.cancel()


class AddressGuard:
    """Refuses addresses that are not globally reachable unicast (RFC 6890), unless the user works on a private network.

    `trusted_hosts`, which the user has named, may have any address. If one of them resolves to a private address, the user
    works on a private network, and the guard opens for all hosts; with `allow_private`, it is open from the start.

    Proxies are not checked, since the user names them too, nor are names that a proxy resolves (see `client.proxies`).
    """

    def __init__(self, *, allow_private: bool, trusted_hosts: Collection[str] = ()) -> None:
        self._is_open = allow_private
        self._trusted = frozenset(_canonical(host) for host in trusted_hosts)

    @property
    def is_open(self) -> bool:
        """Whether any host may have any address."""
        return self._is_open

    def open(self) -> None:
        """Allow any host any address from now on."""
        self._is_open = True

    def permit(self, host: str, addresses: list[ResolveResult]) -> list[ResolveResult]:
        """Return those of a host's addresses that may be connected to; the list may be empty."""
        if self._is_open:
            return addresses
        public = [found for found in addresses if is_public(found["host"])]
        if _canonical(host) in self._trusted:
            self._is_open = len(public) < len(addresses)
            return addresses
        return public


def _canonical(host: str) -> str:
    return host.lower().strip("[]").removesuffix(".")


def is_public(address: str) -> bool:
    """Whether an address is globally reachable unicast; if it embeds an IPv4 address, whether that one is."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        parsed = _unwrap(parsed)
    if isinstance(parsed, IPv6Address) and parsed.is_site_local:
        return False
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved)


def _unwrap(address: IPv6Address) -> IPv4Address | IPv6Address:
    """Return the embedded IPv4 address that packets may end up at (mapped, 6to4 of RFC 3056, or NAT64), else the address."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
