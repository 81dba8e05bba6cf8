"""Content codings: gzip, deflate, br and zstd, alone or stacked, decoded incrementally and within bounds.

Theory. A body passes through a chain of sources. At one end, `_Wire` holds the bytes from the network; each coding is a
`_Stage` that reads from the source before it, and the caller reads from the last stage. Everything is pulled: a stage takes
a window of input only when its decompressor has no output left, and asks the decompressor for no more output than its
reader wants. So a chain never holds more than what the caller fed, plus one window and one decompressor for each coding,
whatever the body would expand to, nested bombs included.

Three more bounds limit the sum of these steps. The output of *every* stage is limited in proportion to the bytes from the
network (`MAX_RATIO`, and `MAX_INNER_RATIO` for output that another stage has still to decode), and so is the number of
streams that it opens (`FREE_STREAMS`, `MAX_EMPTY_STREAMS`). A chain has at most `MAX_CODINGS` stages. So the work for a body
is proportional to its bytes on the wire, even if it has no output.

Lenient where browsers are:

- ``x-gzip`` is gzip, ``x-deflate`` is deflate, and ``deflate`` may be a zlib stream (RFC 9110 §8.4.1.2) or raw deflate.
- Data after a complete gzip, deflate or zstd stream is ignored unless it begins another one. (Data after a complete br
  stream is an error, as in curl: the decoder does not say where its stream ended.)
- An empty body is accepted under any coding: servers send one with HEAD, 304 and careless redirects.
- If the header names an unknown coding, the body is passed on as received, as in browsers and aiohttp. Refusing it would
  lose pages labelled ``utf-8`` or ``none``.

A truncated body is an error, unlike in browsers: a crawler must not store half a page as a whole one.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Protocol

from client.codings import CODINGS
from client.errors import BodyTooLarge, ContentEncodingError

if TYPE_CHECKING:
    from client.codings import Coding

MAX_RATIO: Final = 500.0
"""The ratio of output to input above which a body counts as a bomb.

Deflate cannot exceed 1032:1, and bombs come close to that on purpose. Markup reaches 20:1, generated tables and sitemaps
100:1, the emptiest real pages a few hundred; half of deflate's maximum leaves room on both sides.
"""

MAX_INNER_RATIO: Final = 20.0
"""The same for output that is still encoded: hardly anything compresses twice. A blank page does, but stays below the floor."""

RATIO_FLOOR_BYTES: Final = 1024 * 1024
"""The output size below which the ratio is not checked: small bodies are harmless, and may well be blank."""

FREE_STREAMS: Final = 1000
"""How many gzip members or zstd frames a stage decodes whatever their size; for each one more, `Coding.min_stream_bytes` must
have come from the network. Opening one costs as much as decoding kilobytes, yet it may be a few bytes long and have no
output; within another coding it takes next to no bytes."""

MAX_EMPTY_STREAMS: Final = 1000
"""How many of them may have no output, such as skippable zstd frames and the last block of BGZF. Honest servers send few."""

MAX_CODINGS: Final = 5
"""Codings in one Content-Encoding header. Honest servers stack two at most; curl and urllib3 also stop at five."""

_WINDOW_BYTES: Final = 32 * 1024
"""How much input a decompressor gets at a time. It copies what it does not use, so this also bounds the copying."""

_NAMES: Final = {"x-gzip": "gzip", "x-deflate": "deflate"}


class _Wire:
    """Bytes from the network that have not been decoded yet."""

    __slots__ = ("_at", "_data", "received_bytes")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self.received_bytes = 0

    @property
    def pending(self) -> bool:
        return self._at < len(self._data)

    def put(self, data: bytes) -> None:
        self._data = self._data[self._at :] + data
        self._at = 0
        self.received_bytes += len(data)

    def read(self, limit: int) -> bytes:
        chunk = self._data[self._at : self._at + limit]
        self._at += len(chunk)
        if not self.pending:
            self.clear()
        return chunk

    def clear(self) -> None:
        self._data = b""
        self._at = 0


class _Stage:
    """One coding of the chain: a sequence of streams, read from `source`."""

    __slots__ = (
        "_begun",
        "_coding",
        "_empty_streams",
        "_is_empty",
        "_max_ratio",
        "_produced_bytes",
        "_source",
        "_stream",
        "_streams",
        "_surplus",
        "_wire",
        "is_over",
    )

    def __init__(self, coding: Coding, source: _Stage | _Wire, wire: _Wire, max_ratio: float) -> None:
        self._coding = coding
        self._source = source
        self._wire = wire
        self._max_ratio = max_ratio
        self._stream = coding.open()
        self._streams = 1
        self._is_empty = True  # the stream, so far
        self._empty_streams = 0
        self._begun = False
        self._surplus = b""  # read past the end of a stream, too short to tell whether another one begins
        self.is_over = False  # the data after the last stream is not another one: nothing more is read
        self._produced_bytes = 0

    @property
    def name(self) -> str:
        return self._coding.name

    @property
    def pending(self) -> bool:
        """Whether `read` can go on without more from the network."""
        return not self.is_over and (
            self._stream.has_more or self._source.pending or len(self._surplus) >= self._coding.head_bytes
        )

    @property
    def is_whole(self) -> bool:
        """Whether the body may end here: between streams, or before the first."""
        return self._stream.eof or not self._begun

    def read(self, limit: int) -> bytes:
        """Return at most about `limit` bytes, fewer only if nothing more is pending."""
        chunks: list[bytes] = []
        while limit > 0 and self.pending:
            chunk = self._step(limit)
            chunks.append(chunk)
            limit -= len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _step(self, limit: int) -> bytes:
        data = b"" if self._stream.has_more else self._next_input()
        if not data and not self._stream.has_more:
            return b""
        self._begun = True
        allowed_bytes = max(RATIO_FLOOR_BYTES, int(self._max_ratio * self._wire.received_bytes)) - self._produced_bytes
        try:
            chunk = self._stream.decode(data, min(limit, allowed_bytes + 1))
        except self._stream.error as error:
            raise ContentEncodingError(f"{self._coding.name}: invalid data ({error})") from error
        if chunk:
            self._is_empty = False
        if self._stream.eof:
            self._surplus = self._stream.unused
            self._empty_streams += self._is_empty
        self._produced_bytes += len(chunk)
        if len(chunk) > allowed_bytes:
            raise BodyTooLarge(f"{self._coding.name}: the body expands beyond {self._max_ratio:g}:1")
        return chunk

    def _next_input(self) -> bytes:
        """Return input for the current stream, which may be a new one; empty if there is none yet, or there will be no more."""
        if not self._stream.eof:
            return self._source.read(_WINDOW_BYTES)
        head_bytes = self._coding.head_bytes
        data = self._surplus
        if len(data) < head_bytes:
            data += self._source.read(_WINDOW_BYTES)
        if len(data) < head_bytes:
            self._surplus = data
            return b""
        self._surplus = b""
        if not self._coding.begins(data[:head_bytes]):
            self.is_over = True
            return b""
        self._streams += 1
        if self._empty_streams > MAX_EMPTY_STREAMS:
            raise ContentEncodingError(f"{self._coding.name}: more than {MAX_EMPTY_STREAMS} empty streams")
        if self._streams > FREE_STREAMS + self._wire.received_bytes // self._coding.min_stream_bytes:
            raise ContentEncodingError(f"{self._coding.name}: more than {self._streams - 1} streams in so small a body")
        self._stream = self._coding.open()
        self._is_empty = True
        return data


class Decoder:
    """Decodes one body as its parts arrive. Made by `make_decoder`; not to be used after an error."""

    __slots__ = ("_last", "_stages", "_wire")

    def __init__(self, codings: list[Coding], max_ratio: float) -> None:
        self._wire = _Wire()
        self._stages: list[_Stage] = []
        inner_ratio = min(max_ratio, MAX_INNER_RATIO)
        for coding in reversed(codings):  # the header lists them in the order in which they were applied
            source = self._stages[-1] if self._stages else self._wire
            ratio = inner_ratio if len(self._stages) + 1 < len(codings) else max_ratio
            self._stages.append(_Stage(coding, source, self._wire, ratio))
        self._last = self._stages[-1]

    @property
    def pending(self) -> bool:
        """Whether ``feed(b"", n)`` may return more output; it may also return none."""
        return self._last.pending

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        """Take `data`, and return at most about `max_bytes` of output (br may exceed that by 32 KiB).

        The rest is kept compressed: while `pending`, get it with empty `data` before feeding more.
        Raises `ContentEncodingError` for invalid data, and `BodyTooLarge` if the body expands beyond the allowed ratio.
        """
        self._wire.put(data)
        output = self._last.read(max_bytes)
        if not self._last.pending:
            self._wire.clear()  # trailing data, which is ignored
        return output

    def finish(self) -> bytes:
        """Return the output that is still pending. Raises as `feed` does, and `ContentEncodingError` if the body is truncated.

        To bound the size, call `feed` until nothing is pending; then this returns nothing.
        """
        chunks = []
        while self.pending:
            chunks.append(self.feed(b"", RATIO_FLOOR_BYTES))
        for stage in reversed(self._stages):
            if stage.is_over:
                break  # the stages before it were not read to their ends
            if not stage.is_whole:
                raise ContentEncodingError(f"{stage.name}: the body ends in the middle of the stream")
        return b"".join(chunks)


def make_decoder(content_encoding: str, *, max_ratio: float = MAX_RATIO) -> Decoder | None:
    """Return a decoder for the value of a Content-Encoding header (RFC 9110 §8.4), or None to take the body as it is.

    That is the case if the header is empty, names only ``identity``, or names an unknown coding.
    Raises `ContentEncodingError` for more than `MAX_CODINGS` codings.
    """
    codings = []
    for token in content_encoding.lower().split(","):
        name = token.strip()
        if name in ("", "identity"):
            continue
        coding = CODINGS.get(_NAMES.get(name, name))
        if coding is None:
            return None
        codings.append(coding)
    if len(codings) > MAX_CODINGS:
        raise ContentEncodingError(f"{len(codings)} content codings, more than the {MAX_CODINGS} allowed")
    return Decoder(codings, max_ratio) if codings else None


def decode_whole(content_encoding: str, body: bytes, max_bytes: int, max_ratio: float = MAX_RATIO) -> bytes:
    """Decode a complete body at once.

    Raises what a `Decoder` raises, and `BodyTooLarge` if the result would exceed `max_bytes`.
    """
    if content_encoding == "gzip":  # most pages; this saves some 3 µs over the general way
        output = _decode_plain_gzip(body, min(max_bytes, max(RATIO_FLOOR_BYTES, int(max_ratio * len(body)))))
        if output is not None:
            return output
    decoder = make_decoder(content_encoding, max_ratio=max_ratio)
    if decoder is None:
        output = body
    else:
        output = decoder.feed(body, max_bytes + 1)
        if len(output) <= max_bytes:
            decoder.finish()
    if len(output) > max_bytes:
        raise BodyTooLarge(f"the decoded body exceeds {max_bytes} bytes")
    return output


def _decode_plain_gzip(body: bytes, max_bytes: int) -> bytes | None:
    """Decode a body of one valid gzip member that fits into `max_bytes`; None for anything else."""
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        output = stream.decompress(body, max_bytes)
    except zlib.error:
        return None
    return output if stream.eof and not stream.unused_data else None


class Compressor(Protocol):
    """Encodes a request body as it is sent."""

    def compress(self, data: bytes, /) -> bytes:
        """Return the output that is ready, often none."""

    def flush(self) -> bytes:
        """Return the rest and end the stream."""


def make_compressor(coding: str) -> Compressor:
    """Return a compressor for ``deflate`` (a zlib stream, RFC 9110 §8.4.1.2) or ``gzip``. Raises ValueError for others."""
    match coding:
        case "deflate":
            return zlib.compressobj(wbits=zlib.MAX_WBITS)
        case "gzip":
            return zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    raise ValueError(f"cannot compress with {coding!r}: only deflate and gzip are supported")
