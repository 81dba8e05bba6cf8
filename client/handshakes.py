"""Handshakes with proxies that open a tunnel to a target: bytes in and out, without I/O.

A `Handshake` is a generator. It yields an `Ask` whenever it needs bytes, is sent those that arrived, and returns when the
next bytes come from the target. It raises one of three errors, depending on whose fault it is:

- `ProxyFault`: the proxy's, or ours: it does not speak the protocol, or refuses us. If it is an `UnclearFault`, it may also
  be the target's.
- `TargetFault`: the target's: the proxy says that it cannot be reached.
- `ConnectDeclined`: either's: an HTTP proxy answered CONNECT with a status other than 2xx.
"""

from __future__ import annotations

import errno
from collections.abc import Generator
from typing import Any, NamedTuple, TypeAlias


class Ask(NamedTuple):
    """A request to send `data`, if there is any, and then to receive at most `limit` bytes."""

    limit: int
    data: bytes = b""


Handshake: TypeAlias = Generator[Ask, bytes, None]


class _Fault(OSError):
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.strerror, self.errno)  # the arguments of these classes, not those of OSError


class ProxyFault(_Fault):
    """The proxy broke the protocol or refused our credentials."""

    def __init__(self, reason: str, code: int = errno.EPROTO) -> None:
        super().__init__(code, reason)


class UnclearFault(ProxyFault):
    """The proxy failed, perhaps because of the target: proxies differ in how they report that, and some hang up."""


class TargetFault(_Fault):
    """The proxy could not connect to the target; `errno` is that of a failed direct connection."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(code, reason)


class ConnectDeclined(Exception):
    """The proxy's answer to CONNECT, if its status is not 2xx."""

    def __init__(self, status: int, reason: str, headers: list[tuple[str, str]]) -> None:
        super().__init__(status, reason, headers)
        self.status = status
        self.reason = reason
        self.headers = headers


def exactly(count: int, data: bytes = b"") -> Generator[Ask, bytes, bytes]:
    """Send `data` and return the next `count` bytes, as a part of a handshake (``yield from``)."""
    received = b""
    while len(received) < count:
        received += yield Ask(count - len(received), data)
        data = b""
    return received
