"""The content codings that we decode: gzip, deflate, br and zstd, each as a `Stream`.

The decompressors' own interfaces differ in how output is bounded, how they report output that they still hold, and whether
they say where their stream ended. Here they get one interface, on which `decoding` builds bodies.

brotli and zstd are imported with their first stream: gzip, which most servers send, does not need them.
"""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from client.errors import ContentEncodingError

if TYPE_CHECKING:
    from collections.abc import Callable

_BROTLI_BLOCK_BYTES: Final = 32_752
"""The first block of the brotli binding's output. It fills whole blocks and doubles their size, so we ask for one at a time."""

_ZSTD_WINDOW_LOG: Final = 23
"""Windows of up to 8 MiB, the most that a zstd content coding may demand of its recipient (RFC 9659 §3)."""


class Stream(Protocol):
    """One compressed stream, from its first byte to its end."""

    @property
    def error(self) -> type[Exception]:
        """The exception that `decode` raises for invalid data."""

    @property
    def has_more(self) -> bool:
        """Whether there may be output that needs no more input."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended, and all its output has been returned."""

    @property
    def unused(self) -> bytes:
        """Input past the end of the stream."""

    def decode(self, data: bytes, limit: int) -> bytes:
        """Return at most about `limit` bytes of output. While `has_more`, `data` must be empty."""


class _ZlibStream:
    """gzip, zlib or raw deflate, chosen by `wbits`."""

    __slots__ = ("_zlib", "has_more")

    error = zlib.error

    def __init__(self, wbits: int) -> None:
        self._zlib = zlib.decompressobj(wbits)
        self.has_more = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused(self) -> bytes:
        return self._zlib.unused_data

    def decode(self, data: bytes, limit: int) -> bytes:
        output = self._zlib.decompress(data or self._zlib.unconsumed_tail, limit)
        # If the output is full, zlib may hold more, even when it has consumed all input.
        self.has_more = not self._zlib.eof and (len(output) >= limit or bool(self._zlib.unconsumed_tail))
        return output


class _DeflateStream:
    """zlib or raw deflate, told apart by the first two bytes.

    A zlib header has method 8 and window ≤ 7, and is divisible by 31 (RFC 1950 §2.2). A raw stream that began with such
    a byte would start with a stored block whose padding bits are not zero, which no encoder writes.
    """

    __slots__ = ("_head", "_stream")

    error = zlib.error

    def __init__(self) -> None:
        self._head = b""
        self._stream: _ZlibStream | None = None

    @property
    def has_more(self) -> bool:
        return self._stream is not None and self._stream.has_more

    @property
    def eof(self) -> bool:
        return self._stream is not None and self._stream.eof

    @property
    def unused(self) -> bytes:
        return self._stream.unused if self._stream else b""

    def decode(self, data: bytes, limit: int) -> bytes:
        if self._stream is None:
            data = self._head + data
            if len(data) < 2:
                self._head = data
                return b""
            is_zlib = data[0] & 0x8F == 0x08 and int.from_bytes(data[:2]) % 31 == 0
            self._stream = _ZlibStream(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        return self._stream.decode(data, limit)


class _BrotliStream:
    """br (RFC 7932). Output may exceed the limit by up to a block."""

    __slots__ = ("_brotli", "error", "has_more", "unused")

    def __init__(self) -> None:
        import brotli

        self._brotli = brotli.Decompressor()
        self.error: type[Exception] = brotli.error
        self.has_more = False
        self.unused = b""

    @property
    def eof(self) -> bool:
        return bool(self._brotli.is_finished())

    def decode(self, data: bytes, limit: int) -> bytes:
        limit = min(limit, _BROTLI_BLOCK_BYTES)
        output: bytes = self._brotli.process(data, output_buffer_limit=limit)
        # As with zlib, if the output is full there may be more, even when all input was consumed.
        self.has_more = not self.eof and (len(output) >= limit or not self._brotli.can_accept_more_data())
        return output


class _ZstdStream:
    """One zstd frame, which may be a skippable one (RFC 8878)."""

    __slots__ = ("_zstd", "error")

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd

        self.error: type[Exception] = zstd.ZstdError
        self._zstd = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})

    @property
    def has_more(self) -> bool:
        return not self._zstd.needs_input and not self._zstd.eof

    @property
    def eof(self) -> bool:
        return self._zstd.eof

    @property
    def unused(self) -> bytes:
        return self._zstd.unused_data

    def decode(self, data: bytes, limit: int) -> bytes:
        return self._zstd.decompress(data, limit)


def _begins_gzip(head: bytes) -> bool:
    return head.startswith(b"\x1f\x8b\x08")


def _begins_zstd(head: bytes) -> bool:
    """Whether this is the start of a frame or a skippable frame (RFC 8878 §3.1)."""
    return head == b"\x28\xb5\x2f\xfd" or (head[1:] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50)


def _begins_nothing(_head: bytes) -> bool:
    return False


def _refuse_more(_head: bytes) -> bool:
    raise ContentEncodingError("br: data after the end of the stream")


class Coding(NamedTuple):
    name: str
    open: Callable[[], Stream]
    head_bytes: int
    """How many bytes show whether another stream follows one that has ended."""
    begins: Callable[[bytes], bool]
    """Whether so many bytes begin another stream."""
    min_stream_bytes: int = 1
    """The size that streams must have on average if there are very many. In files with one stream for each record, such as WARC,
    it is a few hundred bytes."""


CODINGS: Final = {
    coding.name: coding
    for coding in (
        Coding("gzip", lambda: _ZlibStream(16 + zlib.MAX_WBITS), 3, _begins_gzip, 16),
        Coding("deflate", _DeflateStream, 1, _begins_nothing),
        Coding("br", _BrotliStream, 1, _refuse_more),
        Coding("zstd", _ZstdStream, 4, _begins_zstd, 128),  # a frame costs ten times as much as a gzip member
    )
}
