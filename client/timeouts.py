"""How long a request may take, and each of its parts."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from client.errors import ServerTimeoutError


@dataclass(frozen=True, slots=True)
class ClientTimeout:
    """Limits in seconds; None or 0 means no limit."""

    total: float | None = None
    """The whole request: waiting for a connection, redirects, and reading the body. `ServerTimeoutError`."""
    connect: float | None = None
    """A connection: waiting for one of the pool's, or opening one. `ConnectionTimeoutError`."""
    sock_read: float | None = None
    """Silence while waiting for the response or the rest of it. `SocketTimeoutError`."""
    sock_connect: float | None = None
    """Opening a connection to a peer: TCP and TLS, without waiting for the pool. `ConnectionTimeoutError`."""
    ceil_threshold: float = 5
    """Deadlines further away than this are put off to a whole second, so that many of them fall due together."""

    def __post_init__(self) -> None:
        _check_seconds(self)

    def deadline_at(self, now: float, seconds: float | None) -> float:
        """Return the instant `seconds` after `now`, on the same clock; infinity when there is no limit."""
        if not seconds:
            return math.inf
        at = now + seconds
        return math.ceil(at) if seconds > self.ceil_threshold else at


@dataclass(frozen=True, slots=True)
class ClientWSTimeout:
    """Limits of a WebSocket in seconds; None or 0 means no limit."""

    ws_receive: float | None = None
    """Waiting for a message in `receive`. `TimeoutError`; the WebSocket stays open."""
    ws_close: float | None = None
    """The closing handshake. The connection is closed without it then."""

    def __post_init__(self) -> None:
        _check_seconds(self)


def _check_seconds(limits: ClientTimeout | ClientWSTimeout) -> None:
    for field in fields(limits):
        value = getattr(limits, field.name)
        if value is not None and not (isinstance(value, int | float) and 0 <= value < math.inf):
            raise ValueError(f"{field.name} must be a number of seconds, 0 or None, not {value!r}")


DEFAULT_TIMEOUT: Final = ClientTimeout(total=5 * 60, sock_connect=30)
DEFAULT_WS_TIMEOUT: Final = ClientWSTimeout(ws_close=10.0)


@asynccontextmanager
async def fail_at(at: float, error: ServerTimeoutError) -> AsyncIterator[None]:
    """Cancel what runs inside at an instant of the loop's clock, and raise `error`; at infinity, never."""
    timer = asyncio.timeout_at(None if at == math.inf else at)
    try:
        async with timer:
            yield
    except TimeoutError as cause:
        if not timer.expired():
            raise
        raise error from cause
