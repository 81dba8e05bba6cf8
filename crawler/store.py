"""Kept bodies: compressed in packs, and stored once however many URLs answer with them.

Pages of one site have much in common, but for it to be found they have to be compressed together. So the bodies of one commit
become packs: the bodies one behind the other, as one zstd frame. To read one of them, its pack is decompressed up to its end.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from itertools import accumulate
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
_encode = msgspec.json.Encoder().encode


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
        text = _encode(pairs)
    except UnicodeEncodeError:
        text = _encode([(name, value.encode("utf-8", "replace").decode()) for name, value in pairs])
    return Kept(text.decode(), body)


def headers_of(kept: str) -> CIMultiDictProxy[str]:
    """The headers again."""
    return CIMultiDictProxy(CIMultiDict(msgspec.json.decode(kept, type=list[tuple[str, str]])))


def packs(bodies: Mapping[str, bytes]) -> list[Pack]:
    """Pack bodies, given by their digests, in their order."""
    compressor = zstd.ZstdCompressor(options=_OPTIONS)
    found: list[Pack] = []
    for group in _groups(bodies):
        sizes = [len(body) for _, body in group]
        ends = list(accumulate(sizes))
        places = [(digest, end - size, size) for (digest, _), end, size in zip(group, ends, sizes, strict=True)]
        data = compressor.compress(b"".join([body for _, body in group]), compressor.FLUSH_FRAME)
        found.append(Pack(places, ends[-1], data))
    return found


def _groups(bodies: Mapping[str, bytes]) -> Iterator[list[tuple[str, bytes]]]:
    """The bodies of each pack."""
    group, size = list[tuple[str, bytes]](), 0
    for digest, body in bodies.items():
        if group and size + len(body) > PACK_BYTES:
            yield group
            group, size = [], 0
        group.append((digest, body))
        size += len(body)
    if group:
        yield group


def decompress(data: bytes) -> bytes:
    """What a frame holds; raises ValueError when it is damaged."""
    try:
        return zstd.decompress(data)
    except zstd.ZstdError as error:
        raise ValueError(str(error)) from None
