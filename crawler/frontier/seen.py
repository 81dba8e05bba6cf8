"""A set of marks: 16-byte fingerprints, exactly, in about 15 bytes each.

A Python set would take a hundred. Here the first two bytes of a mark name one of 65,536 buckets, and a bucket is nothing but
the other fourteen bytes of its marks, one behind the other: to look one up is a search for bytes, which C does in about a
microsecond until a bucket outgrows the processor's caches. (A match that straddles two marks would be a false one; that
needs two marks to share 112 bits, like a collision of the hash itself.)

With a million marks a bucket holds 220 bytes, and all together 17 MB. A bucket is replaced for each new mark: `bytearray` would
spare the copy, but what it reserves to grow, and the holes it leaves when it has grown, are more, and it is not faster.
Neither are more and smaller buckets, and they take more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BUCKETS = 1 << 16
_REST_BYTES = 14

PARTS = 1 << 8
"""By the first byte of a mark."""


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

    def unseen(self, marks: Sequence[bytes], places: Iterable[int]) -> list[int]:
        """Which of the marks at these places are not in the set. Most links of a page lead where others led before."""
        buckets = self._buckets
        return [at for at in places if buckets[(mark := marks[at])[0] << 8 | mark[1]].find(mark[2:]) < 0]

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

    def part(self, number: int) -> bytes:
        """The marks that begin with this byte, sorted, one behind the other."""
        marks: list[bytes] = []
        for second in range(_BUCKETS // PARTS):
            if bucket := self._buckets[number << 8 | second]:
                start = bytes((number, second))
                marks.extend(sorted(start + bucket[at : at + _REST_BYTES] for at in range(0, len(bucket), _REST_BYTES)))
        return b"".join(marks)
