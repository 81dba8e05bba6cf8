"""Request bodies: the value of `data=`, as bytes to send.

A body knows its media type and, if possible, its size: with a size it is sent with Content-Length, without one in chunks
(RFC 9112 §6). A small body in memory is sent together with the head of the request; all others are sent part by part.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
from abc import ABC, abstractmethod
from codecs import getincrementalencoder
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from functools import partial
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Any, Final

from client.decoding import make_compressor

if TYPE_CHECKING:
    from collections.abc import Mapping

PART_BYTES: Final = 256 * 1024
"""How much of a body is read and sent at a time: each read of a file has to go through a thread."""

_reads: dict[int, asyncio.Future[Any]] = {}
"""The reads under way in threads, by the `id` of their files: several bodies of one file may be parts of a form."""

_LEAST_FOR_THREAD: Final = 4096
_MOST_AT_ONCE: Final = 1024 * 1024
"""How much is compressed in one go, while all other tasks wait: about 20 ms."""


class BodyConsumedError(Exception):
    """The body has been read, and cannot be read again for a redirect or a retry."""


class Body(ABC):
    """The body of a request, or of a part of a multipart one."""

    content_type: str | None = None
    """The media type, for the Content-Type header unless the caller sets that; None if there is none."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Further headers for the body; none by default."""
        return {}

    @property
    @abstractmethod
    def size(self) -> int | None:
        """The number of bytes, or None if that is not known before they are sent."""

    async def measure(self) -> None:  # noqa: B027  for most bodies, there is nothing to do
        """Make the size known if that only takes compressing what is in memory, in a thread. HTTP/1.0 needs the size."""

    @abstractmethod
    def parts(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes from the beginning. Raises `BodyConsumedError` if that is not possible again."""

    @property
    def can_replay(self) -> bool:
        """Whether `parts` can begin again, for a redirect or a retry."""
        return True

    def in_memory(self) -> bytes | None:
        """Return the whole body if it is in memory anyway, so that it can be sent with the head; else None."""
        return None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return a body that is in memory as text. Raises `TypeError` for others: await `as_bytes` for those."""
        if (data := self.in_memory()) is None:
            raise TypeError("the body is not in memory: await as_bytes()")
        return data.decode(encoding, errors)

    async def as_bytes(self) -> bytes:
        """Return the whole body; files are read for it. A body that can be read only once cannot be sent after that."""
        return b"".join([part async for part in self.parts()])


class BytesBody(Body):
    """Bytes in memory."""

    def __init__(
        self, data: bytes | bytearray | memoryview, content_type: str | None = "application/octet-stream"
    ) -> None:
        self._data = bytes(data)
        self.content_type = content_type

    @property
    def size(self) -> int:
        return len(self._data)

    def in_memory(self) -> bytes:
        return self._data

    async def parts(self) -> AsyncIterator[bytes]:
        if len(self._data) <= PART_BYTES:
            yield self._data
            return
        for start in range(0, len(self._data), PART_BYTES):
            yield self._data[start : start + PART_BYTES]


class TextBody(BytesBody):
    """Text, sent in UTF-8 or another charset."""

    def __init__(self, text: str, content_type: str | None = None, charset: str = "utf-8") -> None:
        super().__init__(text.encode(charset), content_type or f"text/plain; charset={charset}")


class FileBody(Body):
    """An open file, sent from its current position. Text files are sent in UTF-8 or another charset, whatever their own.

    Files on disk are read in a thread. If sending is cancelled, a read goes on in its thread. The next iteration over `parts`
    waits for it, since both would move the position of the file.
    """

    def __init__(self, file: IO[Any], content_type: str | None = None, charset: str = "utf-8") -> None:
        self._file = file
        self._charset = charset
        self.content_type = content_type or _guess_type(file, charset)
        self._start = _position(file)
        self._has_begun = False
        self._reading: asyncio.Future[Any] | None = None

    @property
    def size(self) -> int | None:
        if self._start is None or isinstance(self._file, io.TextIOBase):
            return None
        if isinstance(self._file, io.BytesIO):  # `getbuffer` would copy it all, if it was made from bytes
            return max(0, _size_by_seeking(self._file) - self._start)
        if isinstance(getattr(self._file, "raw", self._file), io.FileIO):  # but not, for example, a decompressing file
            return max(0, os.fstat(self._file.fileno()).st_size - self._start)
        return max(0, _size_by_seeking(self._file) - self._start) if _is_spooled(self._file) else None

    @property
    def can_replay(self) -> bool:
        return self._start is not None

    async def parts(self) -> AsyncIterator[bytes]:
        reading = _reads.get(id(self._file))
        if reading is not None and reading.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([reading])
        if self._start is not None:
            self._file.seek(self._start)  # also the first time: the file may have been sent as another part of the form
        elif self._has_begun:
            raise BodyConsumedError("the file has been sent once and cannot seek back")
        self._has_begun = True
        left, encoder = self.size, None
        while left is None or left > 0:
            part = await self._read(PART_BYTES if left is None else min(left, PART_BYTES))
            if not part:
                break
            left = None if left is None else left - len(part)
            if isinstance(part, str):
                encoder = encoder or getincrementalencoder(self._charset)()
                part = encoder.encode(part)
            yield part
        if encoder is not None and (rest := encoder.encode("", final=True)):
            yield rest

    async def _read(self, size: int) -> bytes | str:
        if isinstance(self._file, io.BytesIO):
            return self._file.read(size)
        key = id(self._file)  # which the read keeps alive
        self._reading = _reads[key] = asyncio.ensure_future(asyncio.to_thread(self._file.read, size))
        self._reading.add_done_callback(partial(_note, key))
        part: bytes | str = await asyncio.shield(self._reading)
        return part


def _note(key: int, reading: asyncio.Future[Any]) -> None:
    """Forget a read, and retrieve its exception, so that asyncio does not log that of one that was given up and whose file was closed."""
    if _reads.get(key) is reading:
        del _reads[key]
    if not reading.cancelled():
        reading.exception()


async def close(parts: AsyncIterator[bytes]) -> None:
    """Close the iterator over a body, if it can be closed, which may not be at its end when sending is cancelled. Otherwise it would be
    closed when it is garbage-collected, in a task of which nobody knows.
    """
    if isinstance(parts, AsyncGenerator):
        await parts.aclose()


class IterableBody(Body):
    """An asynchronous iterable of bytes; an iterator can be sent only once."""

    def __init__(self, source: AsyncIterable[bytes], content_type: str | None = "application/octet-stream") -> None:
        self._source = source
        self._has_begun = False
        self.content_type = content_type

    @property
    def size(self) -> None:
        return None

    @property
    def can_replay(self) -> bool:
        return not isinstance(self._source, AsyncIterator)

    async def parts(self) -> AsyncIterator[bytes]:
        if self._has_begun and not self.can_replay:
            raise BodyConsumedError("the iterator has been sent once and cannot begin again")
        self._has_begun = True
        iterator = aiter(self._source)
        try:
            async for part in iterator:
                yield part
        finally:
            await close(iterator)


class CompressedBody(Body):
    """Another body in a content coding, compressed as it is sent: in a thread, except parts that cost less than using one."""

    def __init__(self, body: Body, coding: str) -> None:
        self._body = body
        self._coding = coding
        self.content_type = body.content_type

    @property
    def size(self) -> None:
        return None

    @property
    def can_replay(self) -> bool:
        return self._body.can_replay

    async def parts(self) -> AsyncIterator[bytes]:
        compressor = make_compressor(self._coding)
        parts = self._body.parts()
        try:
            async for part in parts:
                if len(part) < _LEAST_FOR_THREAD:
                    data = compressor.compress(part)
                else:
                    data = await asyncio.to_thread(compressor.compress, part)
                if data:
                    yield data
        finally:
            await close(parts)
        yield compressor.flush()


def compress_body(body: Body, coding: str, *, keeps_size: bool = False) -> Body:
    """Return `body` in the content coding ``gzip`` or ``deflate``.

    A body in memory is compressed at once, so that its size is known. A large one is not, since that takes long, unless
    `keeps_size` demands it.
    """
    data = body.in_memory()
    if data is None or (len(data) > _MOST_AT_ONCE and not keeps_size):
        return CompressedBody(body, coding)
    compressor = make_compressor(coding)
    return BytesBody(compressor.compress(data) + compressor.flush(), body.content_type)


def _guess_type(file: IO[Any], charset: str) -> str:
    if isinstance(file, io.TextIOBase):
        return f"text/plain; charset={charset}"
    from mimetypes import guess_type

    name = name_of(file)
    guessed = guess_type(name)[0] if name else None
    return guessed or "application/octet-stream"


def name_of(file: Any) -> str | None:
    """Return the name of a file, without folders; None if it has none."""
    name = getattr(file, "name", None)
    return PurePath(name).name or None if isinstance(name, str) and not name.startswith("<") else None


def _position(file: IO[Any]) -> int | None:
    """Return the position of a file, to which it can seek back; None if it cannot, for example while it is read line by line."""
    if not _can_seek(file):
        return None
    try:
        return file.tell()
    except OSError:
        return None


def _can_seek(file: IO[Any]) -> bool:
    """Whether a file can seek. Objects with only `read` need not have `seekable`, and mmap has it since Python 3.13. For a
    member of a tar archive that is read as a stream, it raises AttributeError in older versions.
    """
    if not callable(seekable := getattr(file, "seekable", None)):
        return hasattr(file, "seek") and hasattr(file, "tell")
    try:
        return bool(seekable())
    except AttributeError:  # from the underlying stream
        return False


def _is_spooled(file: IO[Any]) -> bool:
    """Whether a file is a binary `SpooledTemporaryFile`, which is in memory at first; its `fileno` would write it to disk."""
    tempfile = sys.modules.get("tempfile")  # if there is such a file, the module has been loaded
    return tempfile is not None and isinstance(file, tempfile.SpooledTemporaryFile) and file.read(0) == b""


def _size_by_seeking(file: IO[bytes]) -> int:
    at = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(at)
    return end


async def _pieces(stream: Any) -> AsyncIterator[bytes]:
    """Iterate over the rest of a stream in pieces, not in lines, whose length is bounded."""
    read = getattr(stream, "read_chunk", stream.read)
    while piece := await read(PART_BYTES):
        yield piece


def make_body(data: Any, charset: str = "utf-8") -> Body:
    """Return a body for `data`: bytes, text, an open file, an asynchronous iterable, or a `Body`.

    Text is encoded in `charset`. Raises `TypeError` for anything else. Forms are made by `client.forms`.
    """
    match data:
        case Body():
            return data
        case bytes() | bytearray() | memoryview():
            return BytesBody(data)
        case str():
            return TextBody(data, charset=charset)
        case io.StringIO():
            return TextBody(data.read(), charset=charset)
        case AsyncIterable():
            is_stream = hasattr(data, "at_eof") and hasattr(data, "read")  # a stream can be read only once
            return IterableBody(_pieces(data) if is_stream else data)
    if callable(getattr(data, "read", None)):  # not io.IOBase: what tempfile returns wraps a file without being one
        return FileBody(data, charset=charset)
    raise TypeError(f"cannot send data of type {type(data).__name__}")
