"""The types of middlewares, which see each request of a call and may change or answer it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from client.request import ClientRequest
from client.response import ClientResponse

Handler = Callable[[ClientRequest], Awaitable[ClientResponse]]
"""Sends a request and returns its response."""
Middleware = Callable[[ClientRequest, Handler], Awaitable[ClientResponse]]
"""Called with a request and the handler that sends it; returns that response or another, and may send more than once."""
StatusCheck = bool | Callable[[ClientResponse], Awaitable[None]]
"""Whether statuses of 400 and above raise an error, or a coroutine function that decides and raises it."""


def chain(middlewares: Sequence[Middleware], send: Handler) -> Handler:
    """Wrap a handler in middlewares, the first one outermost."""
    for middleware in reversed(middlewares):
        send = _around(middleware, send)
    return send


def _around(middleware: Middleware, send: Handler) -> Handler:
    return lambda request: middleware(request, send)
