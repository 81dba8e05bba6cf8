"""Connections that receive into one buffer, for the event loop of asyncio itself.

Whenever a socket has something, that loop has room for 256 KiB made, and cut down to what there was. So much is asked of the
kernel by itself: for most reads it maps memory, shrinks it, takes it back, and clears what was touched, which costs as much as
the rest of a request. A protocol may bring room of its own. uvloop has such a buffer anyway, and goes without ours.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from client.http1 import Http1Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_BUFFER_BYTES: Final = 256 * 1024


class BufferedHttp1Protocol(Http1Protocol, asyncio.BufferedProtocol):
    """A connection that others share a buffer with: whatever is left in it between two reads is lost."""

    __slots__ = ("_buffer",)

    def __init__(self, buffer: memoryview) -> None:
        super().__init__()
        self._buffer = buffer

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(self._buffer[:nbytes])


def protocol_factory(loop: asyncio.AbstractEventLoop) -> Callable[[], Http1Protocol]:
    """Return what makes the protocols of one connector, the way the loop can do with least."""
    if isinstance(loop, asyncio.SelectorEventLoop):
        return partial(BufferedHttp1Protocol, memoryview(bytearray(_BUFFER_BYTES)))
    return Http1Protocol
