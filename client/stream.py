"""The body of a response, read as it arrives: waiting for what `BodyBuffer` does not have yet."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final, Generic, Self, TypeVar

from client.body_buffer import BodyBuffer

T = TypeVar("T")

_STEP_BYTES: Final = 64 * 1024
"""How many decoded bytes are asked for at a time if the reader names no number."""


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


class StreamReader(BodyBuffer):
    """A response body: `await content.read()`, `async for line in content`, `async for part in content.iter_any()`.

    Every reading method raises `ClientPayloadError` if the body is truncated or malformed, `ContentEncodingError` if it does
    not decompress, `BodyTooLarge` beyond `max_bytes`, and `ServerTimeoutError` when a deadline passes. After an error, bytes
    that arrived before it are not returned either. If a reading method is cancelled, as by `asyncio.timeout`, no bytes are
    lost: the next one, or the next step of an iteration, starts where it did.
    """

    __slots__ = ()

    async def wait_eof(self) -> None:
        """Wait until the whole body has arrived."""
        while not self._eof:
            await self._wait()

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

    def _distance_past(self, separator: bytes) -> int:
        """How many bytes to take next: up to the end of a separator that is already decoded, if there is one."""
        found = self._rest.find(separator, self._at)
        return _STEP_BYTES if found < 0 else found + len(separator) - self._at
