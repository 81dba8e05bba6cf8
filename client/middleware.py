"""The shape of a middleware: what may look at each request of a call, and answer or change it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from client.request import ClientRequest
from client.response import ClientResponse

Handler = Callable[[ClientRequest], Awaitable[ClientResponse]]
"""Sends a request and returns its response."""
Middleware = Callable[[ClientRequest, Handler], Awaitable[ClientResponse]]
"""Gets a request and what would send it; returns that response or another, and may send more than once."""
StatusCheck = bool | Callable[[ClientResponse], Awaitable[None]]
"""Whether statuses of 400 and above raise, or a coroutine function that raises as it sees fit."""


def chain(middlewares: Sequence[Middleware], send: Handler) -> Handler:
    """Put middlewares around what sends a request, the first one outermost."""
    for middleware in reversed(middlewares):
        send = _around(middleware, send)
    return send


def _around(middleware: Middleware, send: Handler) -> Handler:
    return lambda request: middleware(request, send)
