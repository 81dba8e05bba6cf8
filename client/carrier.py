"""The interface of connections that carry exchanges, whatever the version of HTTP."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from client.exchange import Asked, Exchange, ReadPolicy
    from client.timings import Opening


class Carrier(Protocol):
    """An HTTP/1.1 connection, or a stream of an HTTP/2 one. It carries one exchange at a time.

    The methods are documented in `client.http1`.
    """

    opening: Opening | None
    transport: asyncio.Transport | None

    @property
    def exchanges(self) -> int: ...
    @property
    def idle_since(self) -> float: ...
    @property
    def is_idle(self) -> bool: ...
    @property
    def is_closed(self) -> bool: ...
    @property
    def is_upgraded(self) -> bool: ...
    @property
    def unread(self) -> bytes: ...
    @property
    def takes_chunks(self) -> bool:
        """Whether a body of unknown size is sent in chunks (RFC 9112 §7.1), rather than as it is."""

    def is_quiet(self) -> bool: ...

    def begin(  # noqa: PLR0917  called for every request: keywords cost
        self,
        request: Asked,
        data: bytes,
        policy: ReadPolicy,
        is_whole: bool = True,
        deadline_at: float = inf,
        sock_read: float | None = None,
        on_done: Callable[[], None] | None = None,
    ) -> Exchange: ...
    def hand_over(self) -> None:
        """Write the request that has begun to the transport now, if it would be written at the end of this loop iteration."""

    async def write(self, exchange: Exchange, data: bytes) -> None: ...
    def end(self, exchange: Exchange) -> None: ...
    def withhold(self, exchange: Exchange) -> None: ...
    def fail(self, error: Exception) -> None: ...
    def close(self) -> None: ...
    async def wait_lost(self) -> None: ...
