"""Connections that receive into one shared buffer, for asyncio's own event loop.

That loop allocates 256 KiB for every read from a socket, then shrinks it to what was received. An allocation of that size
goes to the kernel: most reads map memory, shrink it, unmap it, and have the touched pages zeroed, which costs as much as the
rest of a request. A protocol may supply the buffer instead. uvloop has one of its own and does not need ours.
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
    """A connection that shares its buffer with others: the contents are overwritten by the next read of any of them."""

    __slots__ = ("_buffer",)

    def __init__(self, buffer: memoryview) -> None:
        super().__init__()
        self._buffer = buffer

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(self._buffer[:nbytes])


def protocol_factory(loop: asyncio.AbstractEventLoop) -> Callable[[], Http1Protocol]:
    """Return the factory of one connector's protocols: the kind that costs least on this loop."""
    if isinstance(loop, asyncio.SelectorEventLoop):
        return partial(BufferedHttp1Protocol, memoryview(bytearray(_BUFFER_BYTES)))
    return Http1Protocol
