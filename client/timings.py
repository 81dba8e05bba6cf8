"""How long the parts of a request took, in seconds."""

from __future__ import annotations

from typing import NamedTuple


class Opening(NamedTuple):
    """How long it took to open a connection."""

    dns: float = 0.0
    connect: float = 0.0
    tls: float = 0.0

    @classmethod
    def between(
        cls, began_at: float, resolved_at: float, connected_at: float, ready_at: float, *, has_tls: bool
    ) -> Opening:
        """Return the times between these instants. Without TLS, all after the look-up is connecting."""
        secured_from = connected_at if has_tls else ready_at
        return cls(resolved_at - began_at, secured_from - resolved_at, ready_at - secured_from)


class ResponseTimings(NamedTuple):
    """The parts of one request, in chronological order; `dns` to `tls` are 0 on a reused connection.

    Redirects before it, earlier attempts, and the time that middlewares took, are only included in `total`. The clock is the
    event loop's; that of uvloop counts whole milliseconds.
    """

    queued: float
    """Waiting for the host's slot, and, with HTTP/2, for a connection that another request opens."""
    dns: float
    """Resolving the host's name; 0 if a proxy does that."""
    connect: float
    """Connecting, including all that it takes to be connected by a proxy."""
    tls: float
    """The TLS handshake with the host, or with a proxy that forwards the request; 0 without TLS."""
    waiting: float
    """From the first byte sent to the first byte received."""
    receiving: float | None
    """From the first byte received to the last; None until that has arrived."""
    total: float | None
    """From the call to the last byte received; None until that has arrived."""
