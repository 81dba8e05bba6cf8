"""Ports that nobody listens on, for servers that cannot be handed a socket, and for servers that are away."""

from __future__ import annotations

import socket
from random import SystemRandom

_PORTS = range(20_000, 32_000)
"""Below those that the system hands out by itself: no other test is given one of these in the meantime."""


def unused_ports(count: int) -> list[int]:
    """Return different ports of loopback on which nobody listens."""
    found: list[int] = []
    for port in SystemRandom().sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            break
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        found.append(port)
    return found


def an_unused_port() -> int:
    """Return a port of loopback on which nobody listens."""
    (port,) = unused_ports(1)
    return port
