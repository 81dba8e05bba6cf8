"""Finding the addresses that a connector may connect to: a resolver is asked once, its answer kept, and a guard decides."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from client.errors import AddressRefused, ClientConnectorDNSError
from client.resolver import SharedLookups, literal_address
from client.tracing import (
    Trace,
    TraceDnsCacheHitParams,
    TraceDnsCacheMissParams,
    TraceDnsResolveHostEndParams,
    TraceDnsResolveHostStartParams,
    emit,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from client.abc import AbstractResolver, ResolveResult
    from client.connection import ConnectionKey
    from client.resolver import AddressGuard, DnsCache


class AddressFinder:
    """Finds the addresses of hosts, in `family` (0: any). Without `uses_cache`, `cache` stays empty."""

    def __init__(
        self,
        resolver: AbstractResolver,
        *,
        family: socket.AddressFamily,
        cache: DnsCache,
        uses_cache: bool,
        guard: AddressGuard | None,
    ) -> None:
        self._resolver = resolver
        self._lookups = SharedLookups()
        self._guard = guard
        self.family = family
        self.cache = cache
        self.uses_cache = uses_cache

    async def find(self, host: str, port: int) -> list[ResolveResult]:
        """Return the addresses of a host, whatever the guard says. Raises OSError if there are none."""
        if (literal := literal_address(host, port)) is not None:
            return [literal]
        return self._remembered(host, port) or await self._look_up(host, port)

    async def permitted(self, key: ConnectionKey, traces: Sequence[Trace]) -> list[ResolveResult]:
        """Return the addresses that may be connected to. Raises what `resolve` and `permit` do."""
        literal = literal_address(key.host, key.port)
        return self.permit(key, [literal] if literal else await self.resolve(key, traces))

    def permit(self, key: ConnectionKey, addresses: list[ResolveResult]) -> list[ResolveResult]:
        """Return those of the addresses that the guard permits. Raises `AddressRefused` if there are none."""
        if self._guard is None:
            return addresses
        permitted = self._guard.permit(key.host, addresses)
        if not permitted:
            found = ", ".join(address["host"] for address in addresses)
            raise AddressRefused(key, OSError(errno.EACCES, f"not a public address: {found}"))
        return permitted

    async def resolve(self, key: ConnectionKey, traces: Sequence[Trace]) -> list[ResolveResult]:
        """Return the addresses of a name, and send the signals. Raises `ClientConnectorDNSError` if there are none."""
        host, port = key.host, key.port
        if self.uses_cache:
            if (remembered := self._remembered(host, port)) is not None:
                await emit(traces, TraceDnsCacheHitParams(host))
                return remembered
            await emit(traces, TraceDnsCacheMissParams(host))
        await emit(traces, TraceDnsResolveHostStartParams(host))
        try:
            addresses = await self._look_up(host, port)
        except OSError as error:
            raise ClientConnectorDNSError(key, error) from error
        await emit(traces, TraceDnsResolveHostEndParams(host))
        return addresses

    def _remembered(self, host: str, port: int) -> list[ResolveResult] | None:
        return self.cache.get((host, port)) if self.uses_cache else None

    async def _look_up(self, host: str, port: int) -> list[ResolveResult]:
        """Look a name up, or wait for a look-up in progress. Raises OSError if it has no addresses."""
        try:
            return await self._lookups.run((host, port), lambda: self._ask(host, port))
        except UnicodeError as error:  # a label of more than 63 characters
            raise OSError(str(error)) from error

    async def _ask(self, host: str, port: int) -> list[ResolveResult]:
        addresses = await self._resolver.resolve(host, port, family=self.family)
        if not addresses:
            raise OSError(None, "the name has no address")
        if self.uses_cache:
            self.cache.put((host, port), addresses)
        return addresses
