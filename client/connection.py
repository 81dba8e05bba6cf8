"""A connection in use by a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol
from warnings import warn

if TYPE_CHECKING:
    import asyncio

    from client.carrier import Carrier
    from client.limits import Slot
    from client.origin import Origin
    from client.proxies import Proxy
    from client.tls import Verification


class ConnectionKey(NamedTuple):
    """What a request must have in common with the last one on a connection to reuse it."""

    origin: Origin
    ssl: Verification
    server_hostname: str | None
    proxy: Proxy | None = None
    is_forwarded: bool = False
    """Whether the connection ends at the proxy, which makes the request to the origin itself."""

    @property
    def host(self) -> str:
        return self.origin.host

    @property
    def port(self) -> int:
        return self.origin.port

    @property
    def is_ssl(self) -> bool:
        """Whether the connection is inside TLS."""
        return self.origin.scheme in ("https", "wss")

    @property
    def server_name(self) -> str:
        """The name to send in SNI and to verify the certificate against (RFC 6066 §3: no trailing dot)."""
        return self.server_hostname or self.host.removesuffix(".")


class Pool(Protocol):
    """Where connections come from and return to."""

    def give_back(self, key: ConnectionKey, protocol: Carrier) -> None: ...


class Connection:
    """A connection lent for one exchange, with the host's slot for it.

    It is given back automatically when the response is complete, else by `release` or `close`; both may be called again.
    """

    __slots__ = ("_pool", "key", "protocol", "queued", "slot", "upload", "was_used")

    def __init__(self, pool: Pool, key: ConnectionKey, protocol: Carrier, slot: Slot) -> None:
        self._pool: Pool | None = pool
        self.key = key
        self.protocol = protocol
        self.slot = slot
        """The permission to make the request; it is given back with the connection."""
        self.was_used = protocol.exchanges > 0
        """Whether a request has used the connection before."""
        self.queued = 0.0
        """How long the request waited for its slot, in seconds."""
        self.upload: asyncio.Task[None] | None = None
        """The task that sends the request's body; it is cancelled when the connection is given back."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport; None if the connection has been given back or lost."""
        return None if self.closed else self.protocol.transport

    @property
    def closed(self) -> bool:
        """Whether the connection has been given back, or lost."""
        return self._pool is None or self.protocol.is_closed

    @property
    def is_given_back(self) -> bool:
        """Whether the connection has been given back, so that others may be using it."""
        return self._pool is None

    def release(self) -> None:
        """Give the connection back; it is kept for another request if possible, else closed."""
        pool, self._pool = self._pool, None
        if pool is not None:
            if self.upload is not None:
                self.upload.cancel()
            pool.give_back(self.key, self.protocol)
            self.slot.release()

    def close(self) -> None:
        """Close the connection and give the slot back."""
        if self._pool is not None:
            self.protocol.close()
            self.release()

    def __del__(self) -> None:
        if self._pool is not None:
            warn(f"unclosed connection to {self.key.host}:{self.key.port}", ResourceWarning, stacklevel=2, source=self)
            self.close()
