"""What is said to a proxy before it opens the way to a target: dialogues of bytes, without the connection they travel on.

A `Handshake` is a generator. It yields an `Ask` for each thing it waits for, is sent the bytes that arrived, and returns
when whatever arrives next comes from the target. It raises one of three errors, divided by whose fault it is:

- `ProxyFault`: the proxy's, or ours with it. It does not speak the protocol, or does not let us in. Of the kind
  `UnclearFault` it may be the target's, too.
- `TargetFault`: the target's. The proxy says that it cannot be reached.
- `ConnectDeclined`: an HTTP proxy answered CONNECT with another status than 2xx, which may mean either.
"""

from __future__ import annotations

import errno
from collections.abc import Generator
from typing import Any, NamedTuple, TypeAlias


class Ask(NamedTuple):
    """Send `data`, if there is any, and wait for the next bytes, of which no more than `limit` are to be taken."""

    limit: int
    data: bytes = b""


Handshake: TypeAlias = Generator[Ask, bytes, None]


class _Fault(OSError):
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.strerror, self.errno)  # as our own are made, not as the system's


class ProxyFault(_Fault):
    """The proxy broke the protocol or refused our credentials."""

    def __init__(self, reason: str, code: int = errno.EPROTO) -> None:
        super().__init__(code, reason)


class UnclearFault(ProxyFault):
    """The proxy failed, perhaps for what the target did: proxies differ in what they say then, and some hang up."""


class TargetFault(_Fault):
    """The proxy could not connect to the target; `errno` is what connecting without it would have raised."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(code, reason)


class ConnectDeclined(Exception):
    """The proxy's answer to CONNECT, when it is not success."""

    def __init__(self, status: int, reason: str, headers: list[tuple[str, str]]) -> None:
        super().__init__(status, reason, headers)
        self.status = status
        self.reason = reason
        self.headers = headers


def exactly(count: int, data: bytes = b"") -> Generator[Ask, bytes, bytes]:
    """Send `data` and return the `count` bytes that arrive next, as the part of a handshake (``yield from``)."""
    received = b""
    while len(received) < count:
        received += yield Ask(count - len(received), data)
        data = b""
    return received
