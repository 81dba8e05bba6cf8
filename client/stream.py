"""The body of a response, read as it arrives.

Pieces go in as they arrive and come out decoded. They are decoded when they are read, not when they arrive, so only bytes as
they came over the wire are buffered, and these are bounded: above `high_water` the transport is paused, and it is resumed
when no more than half of that is left. Only `read_all`, which needs everything anyway, does not pause it; there `max_bytes`
is the bound.

An empty piece marks the end of an HTTP chunk: it costs nothing to join, and tells `iter_chunks` where chunks ended.
"""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Generic, Protocol, Self, TypeVar

from yarl import URL

from client.decoding import Decoder, decode_whole, make_decoder
from client.errors import BodyTooLarge, ClientPayloadError

T = TypeVar("T")

_UNBOUNDED: Final = sys.maxsize // 2
_STEP_BYTES: Final = 64 * 1024
"""How many decoded bytes are asked for at a time if the reader names no number."""


class Flow(Protocol):
    """The source of a stream's data, which can be paused."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def fail(self, error: Exception) -> None:
        """Give up the connection; the stream fails with `error`."""


class _Iteration(Generic[T]):
    """Iterates over what a reading method returns, until that is `end`. If a step is cancelled, the next one goes on there: a
    generator would have ended, as if the body were complete.
    """

    __slots__ = ("_end", "_read")

    def __init__(self, read: Callable[[], Awaitable[T]], end: T) -> None:
        self._read = read
        self._end = end

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if (part := await self._read()) == self._end:
            raise StopAsyncIteration
        return part


class StreamReader:
    """A response body: `await content.read()`, `async for line in content`, `async for part in content.iter_any()`.

    Every reading method raises `ClientPayloadError` if the body is truncated or malformed, `ContentEncodingError` if it does
    not decompress, `BodyTooLarge` beyond `max_bytes`, and `ServerTimeoutError` when a deadline passes. After an error, bytes
    that arrived before it are not returned either. If a reading method is cancelled, as by `asyncio.timeout`, no bytes are
    lost: the next one, or the next step of an iteration, starts where it did.
    """

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
        self._gathering = False
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

    async def wait_eof(self) -> None:
        """Wait until the whole body has arrived."""
        while not self._eof:
            await self._wait()

    def take_whole(self) -> bytes | None:
        """Return the whole body if it has arrived and none of it has been read; else None."""
        if not self._eof or self._decoder is not None or self._rest:
            return None
        if len(self._pieces) == 1 and not self._content_encoding and self._error is None:
            self._buffered = 0
            return self._pieces.pop()
        return self._take_all()

    async def read_all(self) -> bytes:
        """Return the whole body, or the rest of it. If none of it has been read, the transport is not paused meanwhile."""
        if self._decoder is None and not self._rest:
            if not self._eof:
                await self._gather()
            return self._take_all()
        chunks: list[bytes] = []
        try:
            while chunk := await self.readany():
                chunks.append(chunk)
        except asyncio.CancelledError:
            self._give_back(b"".join(chunks))
            raise
        return b"".join(chunks)

    async def read(self, n: int = -1) -> bytes:
        """Return up to `n` bytes, at least one unless the body has ended; the whole rest if `n` is negative."""
        if n < 0:
            return await self.read_all()
        return await self._read_some(n) if n else b""

    async def readany(self) -> bytes:
        """Return bytes that have arrived, waiting only if there are none; empty when the body has ended."""
        return await self._read_some(_STEP_BYTES)

    def read_nowait(self, n: int = -1) -> bytes:
        """Return up to `n` bytes that have arrived, or all if `n` is negative, without waiting."""
        if n >= 0:
            return self._take(n)
        chunks = []
        while chunk := self._take(_STEP_BYTES):
            chunks.append(chunk)
        return b"".join(chunks)

    async def readexactly(self, n: int) -> bytes:
        """Return `n` bytes. Raises `asyncio.IncompleteReadError` if the body ends before."""
        chunks: list[bytes] = []
        missing = n
        try:
            while missing > 0:
                chunk = await self.read(missing)
                if not chunk:
                    raise asyncio.IncompleteReadError(b"".join(chunks), n)
                chunks.append(chunk)
                missing -= len(chunk)
        except asyncio.CancelledError:
            self._give_back(b"".join(chunks))
            raise
        return b"".join(chunks)

    async def readline(self) -> bytes:
        """Return the next line with its line feed, which the last one may lack; empty when the body has ended."""
        return await self.readuntil(b"\n")

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        """Return the bytes up to and including `separator`, or the rest if the body ends before.

        Raises `ValueError` if these are more than the high-water mark of the stream.
        """
        if not separator:
            raise ValueError("the separator must not be empty")
        line = bytearray()
        try:
            while chunk := await self._read_some(self._distance_past(separator)):
                start = max(0, len(line) - len(separator) + 1)
                line += chunk
                found = line.find(separator, start)
                end = len(line) if found < 0 else found + len(separator)
                if end > self._high_water:
                    raise ValueError(f"no {separator!r} within {self._high_water} bytes")
                if found >= 0:
                    if end < len(line):
                        self._give_back(bytes(line[end:]))
                    return bytes(line[:end])
        except asyncio.CancelledError:
            self._give_back(bytes(line))
            raise
        return bytes(line)

    async def readchunk(self) -> tuple[bytes, bool]:
        """Return bytes of an HTTP chunk that have arrived, and whether the chunk ended there.

        The end may be reported later, as `(b"", True)`. `(b"", False)` means that the body has ended.
        """
        while True:
            if self._drop_chunk_end():
                return b"", True
            if data := self._take(_STEP_BYTES):
                return data, self._drop_chunk_end()
            if self._eof:
                return b"", False
            await self._wait()

    def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """Iterate over the body in parts of at most `n` bytes."""
        return _Iteration(partial(self.read, n), b"")

    def iter_any(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it arrives."""
        return _Iteration(partial(self._read_some, _STEP_BYTES), b"")

    def iter_chunks(self) -> AsyncIterator[tuple[bytes, bool]]:
        """Iterate over the body as it arrives: pairs of a part and whether an HTTP chunk ended there."""
        return _Iteration(self.readchunk, (b"", False))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Iteration(self.readline, b"")

    # -- internals ------------------------------------------------------------------------------------------------

    async def _read_some(self, limit: int) -> bytes:
        while not (chunk := self._take(limit)) and not self._eof:
            await self._wait()
        return chunk

    async def _gather(self) -> None:
        self._gathering = True
        self._resume()
        try:
            while not self._eof and self._error is None:
                await self._wait()
        finally:
            self._gathering = False

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        if self._waiter is not None:
            raise RuntimeError("another coroutine is already reading this body")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

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

    def _distance_past(self, separator: bytes) -> int:
        """How many bytes to take next: up to the end of a separator that is already decoded, if there is one."""
        found = self._rest.find(separator, self._at)
        return _STEP_BYTES if found < 0 else found + len(separator) - self._at

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
