"""The pool of idle connections."""

from __future__ import annotations

import asyncio
from itertools import takewhile
from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from client.carrier import Carrier
    from client.connection import ConnectionKey


_EMPTY_LISTS: Final = 64
"""So many empty lists are not worth removing."""


class IdlePool:
    """Idle connections by key, each kept for at most `timeout` seconds.

    Of several with one key, the most recently used is taken first, so that the others can expire. One timer sleeps until
    the oldest expires.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self.by_key: dict[ConnectionKey, list[Carrier]] = {}
        """The lists for `take`, some of which may be empty."""
        self._by_age: dict[Carrier, ConnectionKey] = {}  # the least recently used first
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._by_age)

    def take(self, protocols: list[Carrier]) -> Carrier | None:
        """Return a connection from a key's list that is still usable, or None. Closes those that are not."""
        return self.pop(protocols) if self.has_usable(protocols) else None

    def has_usable(self, protocols: list[Carrier]) -> bool:
        """Whether the last connection in a key's list, which `pop` returns, is still usable. Closes those that are not."""
        used_since = self._loop.time() - self._timeout
        while protocols:
            protocol = protocols[-1]
            if protocol.is_idle and protocol.idle_since >= used_since and protocol.is_quiet():
                return True
            self.pop(protocols).close()
        return False

    def pop(self, protocols: list[Carrier]) -> Carrier:
        """Return the last connection in a key's list, which is not kept any longer."""
        protocol = protocols.pop()
        del self._by_age[protocol]
        return protocol

    def put(self, key: ConnectionKey, protocol: Carrier) -> None:
        """Keep an idle connection."""
        protocols = self.by_key.get(key)
        if protocols is None:
            protocols = self._new_list(key)
        protocols.append(protocol)
        self._by_age[protocol] = key
        if self._timer is None and self._timeout < inf:
            self._timer = self._loop.call_later(self._timeout, self._sweep)

    def drop(self, key: ConnectionKey) -> None:
        """Close all connections with this key."""
        for protocol in list(self.by_key.get(key, ())):
            self._drop(protocol)

    def drop_oldest(self) -> None:
        """Close the connection that has been idle longest; there must be one."""
        self._drop(next(iter(self._by_age)))

    def clear(self) -> list[Carrier]:
        """Close all connections, and return them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        protocols = list(self._by_age)
        for protocol in protocols:
            self._drop(protocol)
        return protocols

    def _drop(self, protocol: Carrier) -> None:
        key = self._by_age.pop(protocol)
        self.by_key[key].remove(protocol)
        protocol.close()

    def _new_list(self, key: ConnectionKey) -> list[Carrier]:
        """Make a list for a key. Removes the empty ones if there are many; not at once, since most are soon filled again."""
        if len(self.by_key) > 2 * len(self._by_age) + _EMPTY_LISTS:
            self.by_key = {key: protocols for key, protocols in self.by_key.items() if protocols}
        protocols = self.by_key[key] = []
        return protocols

    def _sweep(self) -> None:
        """Close the connections that have expired, and sleep until the next one does."""
        self._timer = None
        used_until = self._loop.time() - self._timeout
        for protocol in list(takewhile(lambda protocol: protocol.idle_since <= used_until, self._by_age)):
            self._drop(protocol)
        if self._by_age:
            self._timer = self._loop.call_at(next(iter(self._by_age)).idle_since + self._timeout, self._sweep)
