"""Connections that wait for another request."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from client.connection import ConnectionKey
    from client.http1 import Http1Protocol


class IdlePool:
    """Idle connections by key, each for at most `timeout` seconds.

    Of several with one key, the one used last is taken first, so that the others may grow old and be closed. One timer
    sleeps until the oldest is due.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._by_key: dict[ConnectionKey, list[Http1Protocol]] = {}
        self._by_age: dict[Http1Protocol, ConnectionKey] = {}  # the one unused longest first
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._by_age)

    def has(self, key: ConnectionKey) -> bool:
        """Whether `take` may find a connection with this key."""
        return key in self._by_key

    def take(self, key: ConnectionKey) -> Http1Protocol | None:
        """Return a connection with this key that still lives, None when there is none."""
        protocols = self._by_key.get(key)
        if not protocols:
            return None
        used_since = self._loop.time() - self._timeout
        while protocols:
            protocol = protocols.pop()
            del self._by_age[protocol]
            if not protocols:
                del self._by_key[key]
            if protocol.is_idle and protocol.idle_since >= used_since:
                return protocol
            protocol.close()
        return None

    def put(self, key: ConnectionKey, protocol: Http1Protocol) -> None:
        """Keep an idle connection."""
        self._by_key.setdefault(key, []).append(protocol)
        self._by_age[protocol] = key
        if self._timer is None and self._timeout < inf:
            self._timer = self._loop.call_later(self._timeout, self._sweep)

    def drop(self, key: ConnectionKey) -> None:
        """Close all connections with this key."""
        for protocol in list(self._by_key.get(key, ())):
            self._drop(protocol)

    def drop_oldest(self) -> None:
        """Close the connection that has been idle longest; there must be one."""
        self._drop(next(iter(self._by_age)))

    def clear(self) -> list[Http1Protocol]:
        """Close all connections, and return them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        protocols = list(self._by_age)
        for protocol in protocols:
            self._drop(protocol)
        return protocols

    def _drop(self, protocol: Http1Protocol) -> None:
        key = self._by_age.pop(protocol)
        protocols = self._by_key[key]
        protocols.remove(protocol)
        if not protocols:
            del self._by_key[key]
        protocol.close()

    def _sweep(self) -> None:
        """Close what has been idle for too long, and sleep until the next one is due."""
        self._timer = None
        while self._by_age:
            due_at = next(iter(self._by_age)).idle_since + self._timeout
            if due_at > self._loop.time():
                self._timer = self._loop.call_at(due_at, self._sweep)
                return
            self.drop_oldest()
