"""Kept bodies: compressed in packs, and stored once however many URLs answer with them.

Pages of one site have much in common, but for it to be found they have to be compressed together. So the bodies of one commit
become packs: the bodies one behind the other, as one zstd frame. To read one of them, its pack is decompressed up to its end.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACK_BYTES: Final = 512 << 10
"""What the bodies of a pack come to at most; a larger one is a pack of its own. That is zstd's window at this level: what is
further behind it does not see."""

_OPTIONS: Final[dict[int, int]] = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.checksum_flag: 1,
}
_DIGEST_LETTERS = 32


class Kept(NamedTuple):
    """A response as it is kept: its headers as a JSON list of pairs, and its decoded body."""

    headers: str
    body: bytes

    @property
    def digest(self) -> str:
        """What the body is stored under: the first 128 bits of its SHA-256, in hexadecimal."""
        return sha256(self.body).hexdigest()[:_DIGEST_LETTERS]


class Pack(NamedTuple):
    """Bodies one behind the other. `places`: of each its digest, where it begins and its size; `size`: of all; `data`: one zstd
    frame, with a checksum (RFC 8878)."""

    places: list[tuple[str, int, int]]
    size: int
    data: bytes


def keep(headers: CIMultiDictProxy[str], body: bytes) -> Kept:
    """Make a response ready to be kept; header bytes that are no text become question marks."""
    pairs = [(str(name), value) for name, value in headers.items()]
    try:
        text = msgspec.json.encode(pairs)
    except UnicodeEncodeError:
        text = msgspec.json.encode([(name, value.encode("utf-8", "replace").decode()) for name, value in pairs])
    return Kept(text.decode(), body)


def headers_of(kept: str) -> CIMultiDictProxy[str]:
    """The headers again."""
    return CIMultiDictProxy(CIMultiDict(msgspec.json.decode(kept, type=list[tuple[str, str]])))


def packs(bodies: Mapping[str, bytes]) -> Iterator[Pack]:
    """Pack bodies, given by their digests, in their order."""
    compressor = zstd.ZstdCompressor(options=_OPTIONS)
    for places, parts in _groups(bodies):
        size = sum(map(len, parts))
        data = compressor.compress(parts[0] if len(parts) == 1 else b"".join(parts), compressor.FLUSH_FRAME)
        yield Pack(places, size, data)


def _groups(bodies: Mapping[str, bytes]) -> Iterator[tuple[list[tuple[str, int, int]], list[bytes]]]:
    """The bodies of each pack, with their places."""
    places, parts, end = list[tuple[str, int, int]](), list[bytes](), 0
    for digest, body in bodies.items():
        if parts and end + len(body) > PACK_BYTES:
            yield places, parts
            places, parts, end = [], [], 0
        places.append((digest, end, len(body)))
        parts.append(body)
        end += len(body)
    if parts:
        yield places, parts


def decompress(data: bytes) -> bytes:
    """What a frame holds; raises ValueError when it is damaged."""
    try:
        return zstd.decompress(data)
    except zstd.ZstdError as error:
        raise ValueError(str(error)) from None
