"""Splitting a multipart body into its parts (RFC 2046 §5.1.1).

A delimiter is a line of its own: two hyphens, the boundary, two more hyphens after the last part, and padding. The line
break before it belongs to it, not to the part. A bare LF is accepted as a line break, since mail and some servers use it.

The rest of the line matters: the boundary of a nested body often begins with that of the outer one, so a line that
continues after the boundary is content.
"""

import re
from typing import Final, NamedTuple, Protocol

from client.errors import ClientPayloadError

PIECE_BYTES: Final = 64 * 1024
"""How much is read from the source at a time."""

_MAX_PADDING_BYTES: Final = 1024
"""The longest white space after a boundary whose end we wait for."""

_REST_OF_LINE: Final = re.compile(rb"(--)?[ \t]*\r?(?:\n|\Z)")


class ByteSource(Protocol):
    """The source of a multipart body: `resp.content`, the content of a part, or an `asyncio.StreamReader`."""

    async def read(self, n: int, /) -> bytes:
        """Return up to `n` bytes, at least one unless the source has ended."""


class Delimiter(NamedTuple):
    end: int
    """Where the next part begins."""
    is_last: bool
    """Whether it is the closing delimiter."""


class Delimiters:
    """Finds the delimiters with one boundary."""

    __slots__ = ("_needle",)

    def __init__(self, boundary: bytes) -> None:
        self._needle = b"\n--" + boundary

    def find(self, buffer: bytearray, *, at_end: bool) -> tuple[int, Delimiter | None]:
        """Return how many bytes at the start of `buffer` are certainly content, and the delimiter right after them.

        That is None if there is none, or if more bytes are needed to tell. `at_end` says that no more will come.
        """
        start = 0
        while (found := buffer.find(self._needle, start)) >= 0:
            content = found - 1 if found and buffer[found - 1] == 0x0D else found
            after = found + len(self._needle)
            rest = buffer[after : after + _MAX_PADDING_BYTES]
            match = _REST_OF_LINE.match(rest)
            if match and (match.end() < len(rest) or rest.endswith(b"\n") or at_end):
                return content, Delimiter(after + match.end(), match[1] is not None)
            if not at_end and len(rest) < _MAX_PADDING_BYTES and not rest.strip(b"- \t\r"):
                return content, None
            start = after
        if at_end:
            return len(buffer), None
        return max(0, len(buffer) - len(self._needle)), None


class Scanner:
    """The bytes of a multipart body, split at its delimiters."""

    def __init__(self, source: ByteSource, boundary: bytes) -> None:
        self._source = source
        self._delimiters = Delimiters(boundary)
        self._buffer = bytearray(b"\n")  # so that a delimiter may come first
        self._content_bytes = 0  # at the start of the buffer, known to hold no delimiter
        self._source_has_ended = False

    async def read(self, n: int) -> bytes:
        """Return up to `n` bytes of content, none at a delimiter. Raises `ClientPayloadError` if the body ends before one."""
        if not self._content_bytes and await self._reach_delimiter() is not None:
            return b""
        size = min(n, self._content_bytes)
        chunk = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._content_bytes -= size
        return chunk

    async def skip(self) -> bool:
        """Skip the rest of the content and the delimiter; return whether that was the last one."""
        while (delimiter := await self._reach_delimiter()) is None:
            del self._buffer[: self._content_bytes]
            self._content_bytes = 0
        del self._buffer[: delimiter.end]
        return delimiter.is_last

    async def drain(self) -> None:
        """Skip everything that is left."""
        while not self._source_has_ended:
            self._buffer.clear()
            await self._fill()

    async def _reach_delimiter(self) -> Delimiter | None:
        """Return the next delimiter, or None if there is content before it."""
        while not self._content_bytes:
            self._content_bytes, delimiter = self._delimiters.find(self._buffer, at_end=self._source_has_ended)
            if self._content_bytes:
                return None
            if delimiter is not None:
                return delimiter
            if self._source_has_ended:
                raise ClientPayloadError("the multipart body ends without its closing delimiter")
            await self._fill()
        return None

    async def _fill(self) -> None:
        piece = await self._source.read(PIECE_BYTES)
        self._buffer += piece
        self._source_has_ended = not piece


class Content:
    """The bytes between two delimiters."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._unread = bytearray()
        self._is_scanned = False

    @property
    def has_ended(self) -> bool:
        return self._is_scanned and not self._unread

    def abandon(self) -> None:
        """Stop reading: the scanner goes on to the next part."""
        self._unread.clear()
        self._is_scanned = True

    async def read(self, n: int) -> bytes:
        """Return up to `n` bytes, none at the end."""
        if n < 1:
            raise ValueError(f"cannot read {n} bytes")
        if not self._unread:
            return await self._scan(n)
        chunk = bytes(self._unread[:n])
        del self._unread[:n]
        return chunk

    async def readline(self, limit: int) -> bytes:
        """Return a line with its line end, or its first `limit` bytes, or the rest if no line end follows."""
        while (newline := self._unread.find(b"\n")) < 0 and len(self._unread) < limit:
            chunk = await self._scan(PIECE_BYTES)
            if not chunk:
                break
            self._unread += chunk
        return await self.read(min(newline + 1 or limit, limit)) if self._unread else b""

    def give_back(self, data: bytes | bytearray) -> None:
        """Put back bytes that were read, to be read again."""
        self._unread[:0] = data

    async def _scan(self, n: int) -> bytes:
        if self._is_scanned:
            return b""
        chunk = await self._scanner.read(n)
        self._is_scanned = not chunk
        return chunk
