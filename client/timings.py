"""Where the time of a request went. All in seconds."""

from __future__ import annotations

from typing import NamedTuple


class Opening(NamedTuple):
    """What it took to open a connection."""

    dns: float = 0.0
    connect: float = 0.0
    tls: float = 0.0


class ResponseTimings(NamedTuple):
    """The parts of one request, in the order in which they follow each other; `dns` to `tls` are 0 on a kept connection.

    Redirects before it, and time that middlewares took, are in `total` only.
    """

    queued: float
    """Waiting for the host's slot."""
    dns: float
    """Looking the host up."""
    connect: float
    """Connecting, with what a proxy took."""
    tls: float
    """The TLS handshake."""
    waiting: float
    """From the request's first byte out to the response's first byte in."""
    receiving: float | None
    """From there to the last byte; None while that has not come."""
    total: float | None
    """From the call to the last byte; None while that has not come."""
