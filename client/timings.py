"""How long the parts of a request took, in seconds."""

from __future__ import annotations

from typing import NamedTuple


class Opening(NamedTuple):
    """How long it took to open a connection."""

    dns: float = 0.0
    connect: float = 0.0
    tls: float = 0.0


class ResponseTimings(NamedTuple):
    """The parts of one request, in chronological order; `dns` to `tls` are 0 on a reused connection.

    Redirects before it, and the time that middlewares took, are only included in `total`.
    """

    queued: float
    """Waiting for the host's slot."""
    dns: float
    """Resolving the host's name."""
    connect: float
    """Connecting, including the handshake with a proxy."""
    tls: float
    """The TLS handshake."""
    waiting: float
    """From the first byte sent to the first byte received."""
    receiving: float | None
    """From the first byte received to the last; None until that has arrived."""
    total: float | None
    """From the call to the last byte received; None until that has arrived."""
