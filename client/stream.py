"""The body of a response, read as it arrives.

Pieces go in as the wire delivers them and come out decoded. Decoding happens when the reader asks, never when bytes
arrive, so what is held is what came over the wire, and that is bounded: above `high_water` the transport is told to
pause, and is resumed when half of it has been read. Only `read_all`, which wants everything anyway, lets the wire run;
there `max_bytes` is the bound.

An empty piece marks the end of an HTTP chunk: it costs nothing to join and tells `iter_chunks` where chunks ended.
"""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Protocol

from yarl import URL

from client.decoding import Decoder, decode_whole, make_decoder
from client.errors import BodyTooLarge, ClientPayloadError

_UNBOUNDED: Final = sys.maxsize // 2
_STEP_BYTES: Final = 64 * 1024
"""Decoded bytes asked for at a time where the reader names no number."""


class Flow(Protocol):
    """What feeds a stream, and can be held back."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def fail(self, error: Exception) -> None:
        """Give the connection up; the stream fails with `error`."""


class StreamReader:
    """A response body: `await content.read()`, `async for line in content`, `async for part in content.iter_any()`.

    Every reading method raises `ClientPayloadError` when the body is cut short or malformed, `ContentEncodingError` when
    it does not decompress, `BodyTooLarge` beyond `max_bytes`, and `ServerTimeoutError` when a deadline passes. Bytes
    received before an error are not delivered: half a body is none. One that is cancelled, as by `asyncio.timeout`, loses
    nothing: the next goes on where it began.
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
        self._pieces: list[bytes] | deque[bytes] = []  # a queue as soon as the body is not taken as a whole
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
        """How many bytes came over the wire."""

    # -- the side of the wire -------------------------------------------------------------------------------------

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
        """Mark the end of an HTTP chunk; that of an empty one, the last, goes unmarked."""
        if not self._in_chunk:
            return
        self._in_chunk = False
        self._pieces.append(b"")
        if not self._gathering:
            self._wake()

    def feed_eof(self) -> None:
        """The body is complete."""
        self._eof = True
        if self._waiter is not None or self._paused:
            self._let_go()
        self._flow = None
        if self._eof_callbacks:
            callbacks, self._eof_callbacks = self._eof_callbacks, ()
            for callback in callbacks:
                try:
                    callback()
                except Exception as error:  # of somebody else's: it must not end the connection
                    context = {"message": f"{callback!r}, called at the end of a body, failed", "exception": error}
                    asyncio.get_running_loop().call_exception_handler(context)

    def set_exception(self, error: Exception) -> None:
        """The body will not be complete: every reading method raises `error` from now on, or what was wrong with it before."""
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

    # -- the side of the reader -----------------------------------------------------------------------------------

    @property
    def content_encoding(self) -> str:
        """The Content-Encoding that is undone on the way; empty when there is none."""
        return self._content_encoding

    def exception(self) -> Exception | None:
        """The error that ended the body, if one did."""
        return self._error

    def is_eof(self) -> bool:
        """Whether the body has arrived completely, read or not."""
        return self._eof

    def at_eof(self) -> bool:
        """Whether the body has arrived and been read completely."""
        return self._eof and not self._has_more()

    def on_eof(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the body has arrived completely; at once if it has."""
        if self._eof:
            callback()
        else:
            self._eof_callbacks = [*self._eof_callbacks, callback]

    async def wait_eof(self) -> None:
        """Wait until the body has arrived completely."""
        while not self._eof:
            await self._wait()

    def take_whole(self) -> bytes | None:
        """Return the whole body if it has arrived and nothing of it has been taken; else None."""
        if not self._eof or self._decoder is not None or self._rest:
            return None
        if len(self._pieces) == 1 and not self._content_encoding and self._error is None:
            self._buffered = 0
            return self._pieces.pop()
        return self._take_all()

    async def read_all(self) -> bytes:
        """Return the whole body, or what is left of it. The wire is not held back meanwhile."""
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
        """Return up to `n` bytes, at least one unless the body has ended; all that is left when `n` is negative."""
        if n < 0:
            return await self.read_all()
        return await self._read_some(n) if n else b""

    async def readany(self) -> bytes:
        """Return what can be had without waiting, or the next of it; empty when the body has ended."""
        return await self._read_some(_STEP_BYTES)

    def read_nowait(self, n: int = -1) -> bytes:
        """Return what has arrived, up to `n` bytes, without waiting."""
        if n >= 0:
            return self._take(n)
        chunks = []
        while chunk := self._take(_STEP_BYTES):
            chunks.append(chunk)
        return b"".join(chunks)

    async def readexactly(self, n: int) -> bytes:
        """Return `n` bytes; `asyncio.IncompleteReadError` when the body ends before."""
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
        """Return the next line with its line feed; the last one may lack it; empty when the body has ended."""
        return await self.readuntil(b"\n")

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        """Return what comes up to `separator`, with it; what is left when the body ends before.

        Raises `ValueError` when that is more than the high-water mark of the stream.
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
        """Return what has arrived of an HTTP chunk, and whether the chunk ended there.

        The end may be told later, as `(b"", True)`. `(b"", False)` when the body has ended.
        """
        while True:
            if self._drop_chunk_end():
                return b"", True
            if data := self._take(_STEP_BYTES):
                return data, self._drop_chunk_end()
            if self._eof:
                return b"", False
            await self._wait()

    async def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """Iterate over the body in parts of at most `n` bytes."""
        while chunk := await self.read(n):
            yield chunk

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it arrives."""
        while chunk := await self.readany():
            yield chunk

    async def iter_chunks(self) -> AsyncIterator[tuple[bytes, bool]]:
        """Iterate over the body as it arrives, with whether each part ended an HTTP chunk."""
        while (part := await self.readchunk()) != (b"", False):
            yield part

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while line := await self.readline():
            yield line

    # -- between the two ------------------------------------------------------------------------------------------

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
        """Return up to `limit` bytes that need no waiting; empty when there are none yet, or no more."""
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
        """How much to take at a time: no more than up to the end of a separator that is in sight."""
        found = self._rest.find(separator, self._at)
        return _STEP_BYTES if found < 0 else found + len(separator) - self._at

    def _give_back(self, data: bytes) -> None:
        """Put in front what was taken too much."""
        self._rest, self._at = data + self._rest[self._at :], 0

    def _queue(self) -> deque[bytes]:
        """The pieces, to be taken one by one."""
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
        """Whether the reader stands at the end of a chunk, which is then passed."""
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
