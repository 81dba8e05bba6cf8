"""Connections that serve many requests at a time: who may share one, and who waits for one that is being opened.

A connection of HTTP/2 is kept here by its key for as long as streams of it are lent. With the last one back it is idle, and
goes where idle connections are kept: as a stream that has begun nothing, which the next request may take.

Whether an origin speaks HTTP/2 is known once a connection is there. Until then the requests to it wait for the first one's
connection, for a moment; if that turns out to speak HTTP/1.1, or is not to be had, each opens its own, and so do all who come later.

Where a connection takes few requests, those beyond have others opened, and as many wait for each of these as are expected to
find room on it. How many a server allows is what it says in its settings; how many it takes, what it shows by refusing the rest.
What it shows counts until one of its connections has become idle: it may have been busy, or about to end that connection.
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
"""How long others wait for a connection, and for its server to say what it allows: most are there by then, and from a host that is
dead nobody is kept longer than that by what somebody else tries.
"""


@dataclass(slots=True, eq=False)
class _Opening:
    """A connection that is being opened."""

    done: asyncio.Future[bool]
    """Tells whether it was to be had."""
    places: int
    """How many more may expect to find room on it."""


class Sharing:
    """The shared connections of one connector. `keep` takes a stream of one that has become idle, `take` gives an idle one back:
    none is lent while there is such a stream of it.
    """

    def __init__(
        self, keep: Callable[[ConnectionKey, Http2Stream], None], take: Callable[[ConnectionKey], Carrier | None]
    ) -> None:
        self._keep = keep
        self._take = take
        self._shared: dict[ConnectionKey, list[Http2Protocol]] = {}
        self._opening: dict[ConnectionKey, list[_Opening]] = {}
        self._most: dict[ConnectionKey, int] = {}  # how many streams servers take, where that was seen
        self._plain: dict[ConnectionKey, bool] = {}  # who speaks HTTP/1.1, and whether they are not to be asked again

    def may_offer(self, req: ClientRequest) -> bool:
        """Whether HTTP/2 may be offered to the server for a request, or used if it is spoken already."""
        if req.url.scheme != "https" or req.is_forwarded or req.asks_upgrade():
            return False
        if req.version != HttpVersion11 or req.method == "CONNECT":
            return False
        return not self._plain.get(req.connection_key)

    async def find(self, key: ConnectionKey) -> Carrier | None:
        """Take an idle connection, or lend a stream of a shared one. If one may be in the making, wait a moment; None when there is
        none after that.
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
        """Take a place on a connection that is being opened, or has not said yet what it allows; return what tells of that."""
        if key not in self._plain:
            for opening in self._opening.get(key, ()):
                if opening.places > 0:
                    opening.places -= 1
                    return opening.done
        greetings = (connection.greeting() for connection in self._shared.get(key, ()))
        return next(filter(None, greetings), None)

    @contextmanager
    def opening(self, key: ConnectionKey) -> Iterator[None]:
        """Have others wait while a connection is being opened, as many as are likely to find room on it."""
        known = [connection.most for connection in self._shared.get(key, ())]
        most = min([self._most.get(key, MAX_STREAMS), *known])
        opening = _Opening(asyncio.get_running_loop().create_future(), most - 1)
        self._opening.setdefault(key, []).append(opening)
        is_open = False
        try:
            yield
            is_open = True
        finally:
            self._opening[key].remove(opening)
            if not self._opening[key]:
                del self._opening[key]
            opening.done.set_result(is_open)

    def take_in(self, key: ConnectionKey, protocol: Http1Protocol | Http2Protocol) -> Carrier:
        """Take note of a new connection, whatever it speaks; return what carries the first exchange."""
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
        """Remember who speaks HTTP/1.1. Where there are too many, all are forgotten: they are only asked once more."""
        if len(self._plain) >= _ORIGINS_KNOWN:
            self._plain.clear()
        self._plain[key] = is_final

    def _note_most(self, key: ConnectionKey, most: int) -> None:
        """Remember how many requests a server takes, within the same bounds."""
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
        """Keep a connection that is idle, forget one that is closed."""
        if connection.is_usable:
            connection.most_shown = MAX_STREAMS
            self._most.pop(key, None)
            self._keep(key, connection.lend())
        elif connection in (shared := self._shared.get(key, [])):
            shared.remove(connection)
            if not shared:
                del self._shared[key]
