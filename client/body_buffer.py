"""The buffer of a response's body: pieces go in as they arrive and come out decoded, without waiting.

They are decoded when they are read, not when they arrive, so only bytes as they came over the wire are buffered, and these are
bounded: above `high_water` the transport is paused, and it is resumed when no more than half of that is left. Only a reader who
needs everything anyway does not pause it; there `max_bytes` is the bound.

An empty piece marks the end of an HTTP chunk: it costs nothing to join, and tells `iter_chunks` where chunks ended.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from yarl import URL

from client.decoding import Decoder, decode_whole, make_decoder
from client.errors import BodyTooLarge, ClientPayloadError

_UNBOUNDED: Final = sys.maxsize // 2


class Flow(Protocol):
    """The source of a stream's data, which can be paused."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def fail(self, error: Exception) -> None:
        """Give up the connection; the stream fails with `error`."""


class BodyBuffer:
    """What has arrived of a body and has not been read. `client.stream.StreamReader` adds how to wait for more of it."""

    __slots__ = (
        "_at",
        "_buffered",
        "_content_encoding",
        "_decoded_bytes",
        "_decoder",
        "_eof",
        "_eof_callbacks",
        "_error",
        "_flow",
        "_gathering",
        "_high_water",
        "_in_chunk",
        "_max_bytes",
        "_method",
        "_paused",
        "_pieces",
        "_rest",
        "_url",
        "_waiter",
        "total_bytes",
    )

    def __init__(  # noqa: PLR0917  made for every response: keywords cost
        self,
        flow: Flow | None,
        method: str,
        url: URL,
        high_water: int,
        max_bytes: int | None = None,
        content_encoding: str = "",
    ) -> None:
        self._flow = flow
        self._method = method
        self._url = url
        self._high_water = high_water
        self._max_bytes = _UNBOUNDED if max_bytes is None else max_bytes
        self._content_encoding = content_encoding
        self._pieces: list[bytes] | deque[bytes] = []  # a deque once pieces are taken one by one
        self._buffered = 0  # bytes in _pieces
        self._decoder: Decoder | None = None
        self._decoded_bytes = 0
        self._rest = b""  # decoded, and read up to _at
        self._at = 0
        self._in_chunk = False
        self._eof = False
        self._error: Exception | None = None
        self._paused = False
        self._gathering = False  # whether the reader waits for all of it
        self._waiter: asyncio.Future[None] | None = None
        self._eof_callbacks: Sequence[Callable[[], None]] = ()
        self.total_bytes = 0
        """How many bytes of the body came over the wire."""

    # -- for the connection ---------------------------------------------------------------------------------------

    def feed_data(self, data: bytes) -> None:
        """Append a piece of the body."""
        size = len(data)
        self._in_chunk = True
        self._pieces.append(data)
        self._buffered += size
        self.total_bytes += size
        if self.total_bytes > self._max_bytes:
            self._error = self._named(BodyTooLarge(f"the body exceeds {self._max_bytes} bytes"))
        if self._gathering:
            return
        if self._waiter is not None:
            self._wake()
        if self._buffered > self._high_water and not self._paused and self._flow is not None:
            self._paused = True
            self._flow.pause_reading()

    def feed_chunk_end(self) -> None:
        """Mark the end of an HTTP chunk, except of the last, empty one."""
        if not self._in_chunk:
            return
        self._in_chunk = False
        self._pieces.append(b"")
        if not self._gathering:
            self._wake()

    def feed_eof(self) -> None:
        """Mark the body as complete."""
        self._eof = True
        if self._waiter is not None or self._paused:
            self._let_go()
        self._flow = None
        if self._eof_callbacks:
            callbacks, self._eof_callbacks = self._eof_callbacks, ()
            for callback in callbacks:
                try:
                    callback()
                except Exception as error:  # a bug in the user's callback must not end the connection
                    context = {"message": f"{callback!r}, called at the end of a body, failed", "exception": error}
                    asyncio.get_running_loop().call_exception_handler(context)

    def set_exception(self, error: Exception) -> None:
        """End the body incomplete: every reading method raises `error` from now on, or the first error if there was one."""
        if not self._eof:
            self._error = self._error or error
            self._let_go()

    def _let_go(self) -> None:
        self._resume()
        self._flow = None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- for the reader -------------------------------------------------------------------------------------------

    @property
    def content_encoding(self) -> str:
        """The Content-Encoding that is decoded; empty if there is none."""
        return self._content_encoding

    def exception(self) -> Exception | None:
        """The error that ended the body; None if there is none."""
        return self._error

    def is_eof(self) -> bool:
        """Whether the whole body has arrived, read or not."""
        return self._eof

    def at_eof(self) -> bool:
        """Whether the whole body has arrived and been read."""
        return self._eof and not self._has_more()

    def on_eof(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the whole body has arrived; at once if it already has."""
        if self._eof:
            callback()
        else:
            self._eof_callbacks = [*self._eof_callbacks, callback]

    # -- taking it ------------------------------------------------------------------------------------------------

    def take_whole(self) -> bytes | None:
        """Return the whole body if it has arrived and none of it has been read; else None."""
        if not self._eof or self._decoder is not None or self._rest:
            return None
        if len(self._pieces) == 1 and not self._content_encoding and self._error is None:
            self._buffered = 0
            return self._pieces.pop()
        return self._take_all()

    def _take_all(self) -> bytes:
        if self._error is not None:
            raise self._error
        pieces = self._pieces
        raw = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._buffered = 0
        if not self._content_encoding:
            return raw
        try:
            return decode_whole(self._content_encoding, raw, self._max_bytes)
        except ClientPayloadError as error:
            self._fail(error)
            raise

    def _take(self, limit: int) -> bytes:
        """Return up to `limit` bytes without waiting; empty if there are none yet, or no more."""
        if self._error is not None:
            raise self._error
        if not self._rest:
            self._rest = self._next_decoded(limit) if self._content_encoding else self._next_piece()
        start, end = self._at, self._at + limit
        chunk = self._rest[start:end]
        if end >= len(self._rest):
            self._rest, self._at = b"", 0
        else:
            self._at = end
        return chunk

    def _give_back(self, data: bytes) -> None:
        """Put back bytes that were taken, to be read again."""
        self._rest, self._at = data + self._rest[self._at :], 0

    def _queue(self) -> deque[bytes]:
        """Return the pieces in a deque, from which they can be taken one by one."""
        if not isinstance(self._pieces, deque):
            self._pieces = deque(self._pieces)
        return self._pieces

    def _next_piece(self) -> bytes:
        pieces = self._queue()
        while pieces:
            piece = pieces.popleft()
            self._buffered -= len(piece)
            if self._paused and self._buffered <= self._high_water // 2:
                self._resume()
            if piece:
                return piece
        return b""

    def _next_decoded(self, limit: int) -> bytes:
        try:
            return self._decode_some(limit)
        except ClientPayloadError as error:
            self._fail(error)
            raise

    def _decode_some(self, limit: int) -> bytes:
        if self._decoder is None:
            self._decoder = make_decoder(self._content_encoding)
            if self._decoder is None:
                self._content_encoding = ""
                return self._next_piece()
        output = b""
        while not output and (self._decoder.pending or self._pieces):
            piece = b"" if self._decoder.pending else self._next_piece()
            output = self._decoder.feed(piece, limit)
        if not output and self._eof:
            self._decoder.finish()
        self._decoded_bytes += len(output)
        if self._decoded_bytes > self._max_bytes:
            raise BodyTooLarge(f"the decoded body exceeds {self._max_bytes} bytes")
        return output

    def _drop_chunk_end(self) -> bool:
        """Return whether the reader is at the end of a chunk, and if so, go past it."""
        at_end = bool(self._pieces) and not self._pieces[0] and not self._rest
        if not at_end or (self._decoder is not None and self._decoder.pending):
            return False
        self._queue().popleft()
        return True

    def _has_more(self) -> bool:
        return bool(self._rest or self._buffered or (self._decoder is not None and self._decoder.pending))

    def _resume(self) -> None:
        if self._paused and self._flow is not None:
            self._flow.resume_reading()
        self._paused = False

    def _fail(self, error: ClientPayloadError) -> None:
        self._error = self._named(error)
        if self._flow is not None:
            self._flow.fail(error)

    def _named(self, error: ClientPayloadError) -> ClientPayloadError:
        error.method, error.url = self._method, self._url
        return error
