"""Subclasses of connectors that were written for aiohttp: what they override is called as they expect."""

from __future__ import annotations

import asyncio
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from client.deprecation import deprecated
from client.errors import ConnectionTimeoutError, ServerTimeoutError
from client.overriding import can_take, is_overridden
from client.timeouts import DEFAULT_TIMEOUT, ClientTimeout, fail_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from client.request import ClientRequest
    from client.tracing import Trace

TOO_LATE: Final = "the total time allowed has passed before there was a connection"


def adapt(kind: Any) -> None:
    """Adapt a subclass of `BaseConnector`. If it overrides `connect`, this is called for every request, and the deadline is applied
    to it. Overrides of `connect` and `_create_connection` may only take the request, as in aiohttp 2; that is deprecated.
    """
    if not can_take(kind._create_connection, "self", "req", "traces", "timeout"):
        deprecated("_create_connection takes (req, traces, timeout)")
        kind._create_connection = _in_time(kind._create_connection, attrgetter("sock_connect"))
    if is_overridden(kind, "connect", since="lend_idle"):
        kind.lend_idle = _lend_none
    if not can_take(kind.connect, "self", "req", traces="", timeout=""):
        deprecated("connect takes (req, traces, timeout)")
        kind.connect = _in_time(kind.connect, attrgetter("connect"))
    if not can_take(kind.connect, "self", "req", traces="", timeout="", deadline_at=""):
        kind.connect = _by_deadline(kind.connect)


def _in_time(method: Callable[..., Any], seconds_of: Callable[[ClientTimeout], float | None]) -> Callable[..., Any]:
    """Wrap a method that only takes the request: limit its time."""

    async def within(
        self: object, req: ClientRequest, traces: Sequence[Trace] = (), timeout: ClientTimeout = DEFAULT_TIMEOUT
    ) -> Any:
        seconds = seconds_of(timeout)
        late = ConnectionTimeoutError(f"no connection within {seconds} s")
        async with fail_at(timeout.deadline_at(asyncio.get_running_loop().time(), seconds), late):
            return await method(self, req)

    return within


def _by_deadline(connect: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a `connect` that does not take the deadline of the whole request: apply it."""

    async def within(
        self: object,
        req: ClientRequest,
        traces: Sequence[Trace] = (),
        timeout: ClientTimeout = DEFAULT_TIMEOUT,
        *,
        deadline_at: float = inf,
    ) -> Any:
        async with fail_at(deadline_at, ServerTimeoutError(TOO_LATE)):
            return await connect(self, req, traces=traces, timeout=timeout)

    return within


def _lend_none(_connector: object, _req: ClientRequest) -> None:
    """The `lend_idle` of connectors whose `connect` is called for every request."""
