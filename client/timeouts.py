"""Limits on the duration of a request and of its parts."""

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
    """Limits in seconds; None or 0 means no limit. Each names the error that is raised when it passes."""

    total: float | None = None
    """The whole request: waiting for a connection, redirects, and reading the body. `ServerTimeoutError`."""
    connect: float | None = None
    """Getting a connection: waiting for one from the pool, or opening one. `ConnectionTimeoutError`."""
    sock_read: float | None = None
    """Silence of the server while the response or the rest of it is awaited. `SocketTimeoutError`."""
    sock_connect: float | None = None
    """Opening a connection to a peer: TCP and TLS, without waiting for the pool. `ConnectionTimeoutError`."""
    ceil_threshold: float = 5
    """Deadlines further away than this are rounded up to a whole second, so that many of them expire together."""

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
    """Waiting for a message in `receive`. It raises `TimeoutError`; the WebSocket stays open."""
    ws_close: float | None = None
    """The closing handshake. When the limit passes, the connection is closed without it."""

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
    """Cancel the block at an instant of the loop's clock, and raise `error`; infinity means never."""
    timer = asyncio.timeout_at(None if at == math.inf else at)
    try:
        async with timer:
            yield
    except TimeoutError as cause:
        if not timer.expired():
            raise
        raise error from cause
