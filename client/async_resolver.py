"""Resolving names without blocking threads: c-ares speaks DNS itself, driven by the event loop.

It does everything expected of a resolver: it reads the hosts file and resolv.conf, tries search domains and further
servers, queries both address families at once, follows aliases, falls back to TCP for truncated answers, sorts addresses
by RFC 6724, and caches answers for their TTL, an hour at most.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

from client.abc import AbstractResolver
from client.deprecation import deprecated
from client.errors import MissingPackage
from client.resolver import numeric_address, resolved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.abc import ResolveResult

_CLOSED: Final = "the resolver is closed"


class AsyncResolver(AbstractResolver):
    """Queries DNS servers through the package aiodns, which `nephila[dns]` installs; raises `MissingPackage` without it.

    `nameservers` are the addresses of the servers, each with an optional port (``"192.0.2.1:5353"``); the default is `udp_port`
    and `tcp_port`. A server has `timeout` seconds to answer, and more on each further of the `tries`; in any case, a look-up
    ends when nobody waits for it any more. With `rotate`, the servers take turns. Names with fewer than `ndots` dots are looked
    up in the search `domains` first. Queries are sent from `local_ip` and `local_dev`; `socket_send_buffer_size` and
    `socket_receive_buffer_size` are in bytes. `flags` are those of c-ares (`pycares.ARES_FLAG_…`). None means the setting of
    resolv.conf, or the default of c-ares.

    The resolver belongs to the running event loop, and has to be closed by the code that made it. `loop` is deprecated and
    ignored.
    """

    def __init__(
        self,
        nameservers: Sequence[str] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        timeout: float | None = None,
        tries: int | None = None,
        rotate: bool = False,
        ndots: int | None = None,
        domains: Sequence[str] | None = None,
        udp_port: int | None = None,
        tcp_port: int | None = None,
        local_ip: str | None = None,
        local_dev: str | None = None,
        socket_send_buffer_size: int | None = None,
        socket_receive_buffer_size: int | None = None,
        flags: int | None = None,
    ) -> None:
        if loop is not None:
            deprecated("loop is deprecated: the running loop is used")
        try:
            import aiodns
        except ImportError as error:
            raise MissingPackage("AsyncResolver", "aiodns", "dns") from error
        # lookups and resolvconf_path are not supported: pycares 5.2 passes c-ares text that it has already freed.
        self._error = aiodns.error.DNSError
        self._is_closed = False
        self._resolver = aiodns.DNSResolver(
            nameservers,
            asyncio.get_running_loop(),
            timeout=timeout,
            tries=tries,
            rotate=rotate,
            ndots=ndots,
            domains=domains,
            udp_port=udp_port,
            tcp_port=tcp_port,
            local_ip=local_ip,
            local_dev=local_dev,
            socket_send_buffer_size=socket_send_buffer_size,
            socket_receive_buffer_size=socket_receive_buffer_size,
            flags=flags,
        )

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host, best first. Raises `socket.gaierror` with the codes of `getaddrinfo`."""
        if self._is_closed:
            raise OSError(None, _CLOSED)
        if (numeric := numeric_address(host, port)) is not None:
            if family in (numeric["family"], socket.AF_UNSPEC):
                return [numeric]
            raise socket.gaierror(socket.EAI_NONAME, "the address is of another family")
        try:
            found = await self._resolver.getaddrinfo(host, port=port, family=family, type=socket.SOCK_STREAM)
        except self._error as error:
            raise _translated(*error.args) from error
        return [
            resolved(host, port, node.family, node.protocol, (node.addr[0].decode(), *node.addr[1:]))
            for node in found.nodes
        ]

    async def close(self) -> None:
        """Cancel the look-ups in progress and close the sockets. Closing again does nothing."""
        if not self._is_closed:
            self._is_closed = True
            await self._resolver.close()


def _translated(code: int, reason: str) -> OSError:
    """Return the error of `getaddrinfo` for one of c-ares: no such name, a temporary failure, or a permanent one."""
    from aiodns import error

    match code:
        case error.ARES_ENOTFOUND | error.ARES_ENODATA | error.ARES_EBADNAME:
            return socket.gaierror(socket.EAI_NONAME, reason)
        case error.ARES_ETIMEOUT | error.ARES_ESERVFAIL | error.ARES_ECONNREFUSED | error.ARES_EREFUSED:
            return socket.gaierror(socket.EAI_AGAIN, reason)
        case error.ARES_ECANCELLED | error.ARES_EDESTRUCTION:
            return OSError(None, _CLOSED)
    return socket.gaierror(socket.EAI_FAIL, reason)
