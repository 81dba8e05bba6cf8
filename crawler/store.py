"""Kept bodies: compressed in packs, and stored only once or twice even if many URLs return them.

Pages of one site have much in common, but only compressing them together makes use of that. So the bodies of one commit become packs: the
bodies are concatenated, and compressed as one zstd frame. To read one of them, its pack is decompressed up to the body's end.

Most bodies occur once, and are stored under a number. Only a body that may have occurred before, according to a hash that is fast but not
secure, is stored under its SHA-256, which takes half as long as compressing it. So equal bodies are stored at most twice in a run, and
nobody can make a body that replaces another (docs/decisions/0014-bodies-in-packs.md).
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
"""The largest total size of the bodies in a pack; a larger body is a pack of its own. This is zstd's window at this level: it does not look
back further."""

_OPTIONS: Final[dict[int, int]] = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.checksum_flag: 1,
}
DIGEST_LETTERS: Final = 32
"""A digest of this length is the first 128 bits of the body's SHA-256, in hexadecimal; a shorter one is a number."""

_MARKS: Final = 1 << 24
"""How many bits record which bodies have occurred, one for each body: 2 MiB. Of a million bodies, three percent are hashed by SHA-256 for
nothing, because another body has set their bit; of ten million, a quarter."""


class Kept(NamedTuple):
    """A response as it is kept: its headers as a JSON list of pairs, its decoded body, and the digest under which that is stored."""

    headers: str
    body: bytes
    digest: str


class Keeper:
    """Prepares the responses of one run to be kept. It takes 2 MiB to recognise bodies."""

    def __init__(self) -> None:
        # Consecutive numbers are appended to an index. They begin at random, so that no other run uses them.
        self._number = int.from_bytes(os.urandom(7), "big")
        self._met = bytearray(_MARKS >> 3)

    def keep(self, headers: str, body: bytes, mark: int) -> Kept:
        """A response from its headers (see crawler/headers.py), its body, and the digest of that by crawler/selection/traps.py."""
        place, bit = mark % _MARKS >> 3, 1 << (mark & 7)
        met = self._met[place]
        if met & bit:
            from hashlib import sha256  # and with it OpenSSL: many crawls meet no body twice

            return Kept(headers, body, sha256(body).hexdigest()[:DIGEST_LETTERS])
        self._met[place] = met | bit
        self._number += 1
        return Kept(headers, body, f"{self._number:016x}")


class Pack(NamedTuple):
    """Several bodies together. `places`: the digest, start and size of each; `size`: the total; `data`: one zstd frame, with a checksum
    (RFC 8878)."""

    places: list[tuple[str, int, int]]
    size: int
    data: bytes


class Packer:
    """Makes packs, in a buffer that it reuses: the system provides the memory of a new one page by page, which takes time."""

    def __init__(self) -> None:
        self._compressor = zstd.ZstdCompressor(options=_OPTIONS)
        self._room = memoryview(bytearray(PACK_BYTES))  # copies bytes once; a bytearray copies them twice

    def pack(self, bodies: Mapping[str, bytes]) -> list[Pack]:
        """Pack bodies, given by digest, in order."""
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
    """The content of a frame. Raises ValueError if it is damaged; it may then be a number or a text."""
    try:
        return zstd.decompress(data)
    except (zstd.ZstdError, TypeError) as error:
        raise ValueError(str(error)) from None
