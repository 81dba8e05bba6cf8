"""The seen-set: every request that was ever queued, as 16-byte fingerprints, exactly, in about 15 bytes each.

A Python set would take a hundred. Here the first two bytes of a mark name one of 65,536 buckets, and a bucket is nothing but
the other fourteen bytes of its marks, one behind the other: to look one up is a search for bytes, which C does in about a
microsecond until a bucket outgrows the processor's caches. (A match that straddles two marks would be a false one; that
needs two marks to share 112 bits, like a collision of the hash itself.)

With ten million marks a bucket holds 2 KB, and all together 157 MB. A bucket is replaced for each new mark: `bytearray` would
spare the copy, but what it reserves to grow, and the holes it leaves when it has grown, are 35 MB more at that size, and it
is not faster. Neither are more and smaller buckets, and they take more.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BUCKETS = 1 << 16
SHELVES = 1 << 8
"""A shelf is what is stored as one row: 256 buckets, the lengths of which come first."""

_LENGTHS = struct.Struct(f"<{_BUCKETS // SHELVES}I")
_MARK_BYTES = 14


class SeenSet:
    """An exact set of 16-byte marks that only grows."""

    __slots__ = ("_buckets", "_size")

    def __init__(self) -> None:
        self._buckets = [b""] * _BUCKETS
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, mark: bytes) -> bool:
        return self._buckets[mark[0] << 8 | mark[1]].find(mark[2:]) >= 0

    def add(self, mark: bytes) -> bool:
        """Whether `mark` is new; from now on it is not."""
        number = mark[0] << 8 | mark[1]
        bucket, rest = self._buckets[number], mark[2:]
        if bucket.find(rest) >= 0:
            return False
        self._buckets[number] = bucket + rest
        self._size += 1
        return True

    def unseen(self, marks: Sequence[bytes]) -> list[int]:
        """Which of these marks, by their places, are not in the set. Most links of a page lead where others led before."""
        buckets = self._buckets
        return [at for at, mark in enumerate(marks) if buckets[mark[0] << 8 | mark[1]].find(mark[2:]) < 0]

    def update(self, marks: Iterable[bytes]) -> None:
        """Add marks, new or not."""
        for mark in marks:
            self.add(mark)

    def extend(self, marks: Iterable[bytes]) -> None:
        """Add marks of which it is known that they are new. One that is not does no harm but to take room."""
        buckets = self._buckets
        for mark in marks:
            buckets[mark[0] << 8 | mark[1]] += mark[2:]
            self._size += 1

    def shelf(self, number: int) -> bytes:
        """One of `SHELVES` parts, from which `restore` makes it again."""
        width = _BUCKETS // SHELVES
        buckets = self._buckets[number * width : (number + 1) * width]
        return b"".join((_LENGTHS.pack(*map(len, buckets)), *buckets))

    def restore(self, number: int, shelf: bytes) -> None:
        """Put back one part; raises ValueError when it is none."""
        lengths = _LENGTHS.unpack_from(shelf) if len(shelf) >= _LENGTHS.size else ()
        if not lengths or _LENGTHS.size + sum(lengths) != len(shelf) or any(n % _MARK_BYTES for n in lengths):
            raise ValueError(f"part {number} of the seen-set is damaged")
        position = _LENGTHS.size
        for index, length in enumerate(lengths, number * len(lengths)):
            self._buckets[index] = shelf[position : position + length]
            position += length
        self._size += sum(lengths) // _MARK_BYTES
