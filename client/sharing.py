"""Connections that serve many requests at a time: which requests share one, and which wait for one that is being opened.

An HTTP/2 connection is kept here by its key while streams of it are lent. When the last one is given back, the connection is
idle and moves to the pool of idle connections, as a stream without an exchange, which the next request may take.

Whether an origin uses HTTP/2 is only known once there is a connection. Until then, requests to it wait briefly for the first
one's connection. If that uses HTTP/1.1, or cannot be opened, each opens its own, and so do all later ones.

If a connection takes too few requests, others are opened, and as many requests wait for each of these as are expected to find
room on it. A server's settings say how many streams it allows; its refusals show how many it takes. What a refusal has shown
counts until one of the server's connections becomes idle: the server may have been busy, or about to end that connection.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from client.http2 import MAX_STREAMS, Http2Protocol
from client.version import HttpVersion11

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from client.carrier import Carrier
    from client.connection import ConnectionKey
    from client.http1 import Http1Protocol
    from client.http2_stream import Http2Stream
    from client.request import ClientRequest

_ORIGINS_KNOWN: Final = 4096
_HEAD_START_SECONDS: Final = 1.0
"""How long other requests wait for a connection and its server's settings: most have arrived by then, and requests to a dead host
wait no longer than that for another's attempt.
"""


@dataclass(slots=True, eq=False)
class _Opening:
    """A connection that is being opened."""

    done: asyncio.Future[bool]
    """Its result is whether the connection could be opened; also true if the attempt was cancelled."""
    places: int
    """How many more requests can expect room on it."""


class Sharing:
    """The shared connections of one connector. `keep` is called with a stream of a connection that has become idle, `take` returns
    an idle stream of a key: no other stream of that connection is lent while it is idle.
    """

    def __init__(
        self, keep: Callable[[ConnectionKey, Http2Stream], None], take: Callable[[ConnectionKey], Carrier | None]
    ) -> None:
        self._keep = keep
        self._take = take
        self._shared: dict[ConnectionKey, list[Http2Protocol]] = {}
        self._opening: dict[ConnectionKey, list[_Opening]] = {}
        self._most: dict[ConnectionKey, int] = {}  # how many streams servers take, if they have refused more
        self._plain: dict[ConnectionKey, bool] = {}  # servers of HTTP/1.1, and whether HTTP/2 must not be offered again

    def may_offer(self, req: ClientRequest) -> bool:
        """Whether HTTP/2 may be offered to the server for a request, or used if there is such a connection."""
        if req.url.scheme != "https" or req.is_forwarded or req.asks_upgrade():
            return False
        if req.version != HttpVersion11 or req.method == "CONNECT":
            return False
        return not self._plain.get(req.connection_key)

    async def find(self, key: ConnectionKey) -> Carrier | None:
        """Take an idle connection, or lend a stream of a shared one. If one may be about to become available, wait for it for at
        most a second; None if there is none after that.
        """
        loop = asyncio.get_running_loop()
        end_at = loop.time() + _HEAD_START_SECONDS
        while (stream := self._lend(key)) is None:
            coming = self._coming(key)
            if coming is None:
                return None
            await asyncio.wait((coming,), timeout=end_at - loop.time())
            if not (coming.done() and coming.result()):
                return self._lend(key)
        return stream

    def _coming(self, key: ConnectionKey) -> asyncio.Future[bool] | None:
        """Take a place on a connection that is being opened, or whose server's settings are awaited; return a future for that."""
        if key not in self._plain:
            for opening in self._opening.get(key, ()):
                if opening.places > 0:
                    opening.places -= 1
                    return opening.done
        greetings = (connection.greeting() for connection in self._shared.get(key, ()))
        return next(filter(None, greetings), None)

    @contextmanager
    def opening(self, key: ConnectionKey) -> Iterator[None]:
        """Let other requests wait while a connection is being opened: as many as are likely to find room on it."""
        known = [connection.most for connection in self._shared.get(key, ())]
        most = min([self._most.get(key, MAX_STREAMS), *known])
        opening = _Opening(asyncio.get_running_loop().create_future(), most - 1)
        self._opening.setdefault(key, []).append(opening)
        has_failed = False
        try:
            yield
        except Exception:
            has_failed = True
            raise
        finally:  # if it was cancelled, the next of those who wait opens one, not all of them at once
            self._opening[key].remove(opening)
            if not self._opening[key]:
                del self._opening[key]
            opening.done.set_result(not has_failed)

    def take_in(self, key: ConnectionKey, protocol: Http1Protocol | Http2Protocol) -> Carrier:
        """Register a new connection of either version; return the carrier of its first exchange."""
        if not isinstance(protocol, Http2Protocol):
            self._note_plain(key, is_final=self._plain.get(key, False))
            return protocol
        if not self._plain.get(key):
            self._plain.pop(key, None)
        self._shared.setdefault(key, []).append(protocol)
        protocol.on_free = lambda connection: self._free(key, connection)
        protocol.on_http1_required = lambda: self._note_plain(key, is_final=True)
        protocol.on_refusal = lambda taken: self._note_most(key, taken)
        protocol.most_shown = self._most.get(key, MAX_STREAMS)
        return protocol.lend()

    def _note_plain(self, key: ConnectionKey, *, is_final: bool) -> None:
        """Remember a server of HTTP/1.1. If there are too many, all are forgotten: they are only offered HTTP/2 once more."""
        if len(self._plain) >= _ORIGINS_KNOWN:
            self._plain.clear()
        self._plain[key] = is_final

    def _note_most(self, key: ConnectionKey, most: int) -> None:
        """Remember how many streams a server takes, for as many servers at most."""
        if len(self._most) >= _ORIGINS_KNOWN:
            self._most.clear()
        self._most[key] = min(most, MAX_STREAMS)
        for connection in self._shared[key]:
            connection.most_shown = min(connection.most_shown, most)

    def _lend(self, key: ConnectionKey) -> Carrier | None:
        if (idle := self._take(key)) is not None:
            return idle
        for connection in self._shared.get(key, ()):
            if connection.has_room:
                return connection.lend()
        return None

    def _free(self, key: ConnectionKey, connection: Http2Protocol) -> None:
        """Keep a connection that has become idle, or remove one that is closed."""
        if connection.is_usable:
            connection.most_shown = MAX_STREAMS
            self._most.pop(key, None)
            self._keep(key, connection.lend())
        elif connection in (shared := self._shared.get(key, [])):
            shared.remove(connection)
            if not shared:
                del self._shared[key]
