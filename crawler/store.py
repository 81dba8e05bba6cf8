"""Kept bodies: compressed in packs, and not stored again and again when many URLs answer with them.

Pages of one site have much in common, but for it to be found they have to be compressed together. So the bodies of one commit
become packs: the bodies one behind the other, as one zstd frame. To read one of them, its pack is decompressed up to its end.

Most bodies come once: those are numbered. Only one that may have come before, by a hash that is fast and can be deceived, is
stored under its SHA-256, which takes half as long as compressing it. So equal bodies are stored twice at most in a run, and nobody
can make a body that stands for another (docs/decisions/0014-bodies-in-packs.md).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PACK_BYTES: Final = 512 << 10
"""What the bodies of a pack come to at most; a larger one is a pack of its own. That is zstd's window at this level: what is
further behind it does not see."""

_OPTIONS: Final[dict[int, int]] = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.checksum_flag: 1,
}
DIGEST_LETTERS: Final = 32
"""What a body is stored under is its SHA-256, the first 128 bits of it in hexadecimal, if it has so many letters; else a number."""

_MARKS: Final = 1 << 24
"""Of so many bits, 2 MiB, one is set for each body that has come. Of a million bodies three in a hundred are hashed by SHA-256 for
nothing, because another one has set their bit; of ten million, a quarter."""


class Kept(NamedTuple):
    """A response as it is kept: its headers as a JSON list of pairs, its decoded body, and what that is stored under."""

    headers: str
    body: bytes
    digest: str


class Keeper:
    """Makes the responses of one run ready to be kept. It has 2 MiB to know what has come."""

    def __init__(self) -> None:
        # Numbers that follow one another are put at one end of an index; and no other run has these.
        self._number = int.from_bytes(os.urandom(7), "big")
        self._met = bytearray(_MARKS >> 3)

    def keep(self, headers: str, body: bytes, mark: int) -> Kept:
        """By its headers as crawler/headers.py has them, its body, and what tells that from most others (crawler/selection/traps.py)."""
        place, bit = mark % _MARKS >> 3, 1 << (mark & 7)
        met = self._met[place]
        if met & bit:
            from hashlib import sha256  # and with it OpenSSL: many crawls meet no body twice

            return Kept(headers, body, sha256(body).hexdigest()[:DIGEST_LETTERS])
        self._met[place] = met | bit
        self._number += 1
        return Kept(headers, body, f"{self._number:016x}")


class Pack(NamedTuple):
    """Bodies one behind the other. `places`: of each its digest, where it begins and its size; `size`: of all; `data`: one zstd
    frame, with a checksum (RFC 8878)."""

    places: list[tuple[str, int, int]]
    size: int
    data: bytes


class Packer:
    """Makes packs, in memory that it keeps: what is asked of the system for each is paid for page by page."""

    def __init__(self) -> None:
        self._compressor = zstd.ZstdCompressor(options=_OPTIONS)
        self._room = memoryview(
            bytearray(PACK_BYTES)
        )  # into which bytes are copied once; a bytearray copies them twice

    def pack(self, bodies: Mapping[str, bytes]) -> list[Pack]:
        """Pack bodies, given by their digests, in their order."""
        return [self._pack(group) for group in _groups(bodies)]

    def _pack(self, group: Sequence[tuple[str, bytes]]) -> Pack:
        if len(group) == 1:  # it may be of any size
            ((digest, body),) = group
            return Pack([(digest, 0, len(body))], len(body), self._compress(body))
        places: list[tuple[str, int, int]] = []
        end = 0
        for digest, body in group:
            start, end = end, end + len(body)
            self._room[start:end] = body
            places.append((digest, start, len(body)))
        return Pack(places, end, self._compress(self._room[:end]))

    def _compress(self, data: bytes | memoryview) -> bytes:
        return self._compressor.compress(data, self._compressor.FLUSH_FRAME)


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
