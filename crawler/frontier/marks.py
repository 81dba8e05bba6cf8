"""Marks by the thousand: a table in memory, a Bloom filter, and comparison with sorted runs.

Marks are fingerprints of 16 bytes. Here they come in arrays of unsigned 64-bit words, two for each mark (`words_of`), and are
referred to by their places there. This module is compiled, with the C types in `marks.pxd`. It also works without that, but
several times slower.
"""

from __future__ import annotations

import sys
from array import array
from typing import Final

IS_COMPILED: Final = not __file__.endswith(".py")

PARTS = 256
"""By the first byte of a mark."""

_LEAST_BITS = 10

BLOCK_BYTES = 64
"""A block of the filter is a cache line."""
_PROBES = 6


def words_of(marks: bytes) -> array[int]:
    """Consecutive marks as words, which compare like the bytes."""
    words = array("Q", marks)
    if sys.byteorder == "little":
        words.byteswap()
    return words


def bytes_of(words: array[int]) -> bytes:
    """The reverse of `words_of`."""
    if sys.byteorder == "little":
        words = words[:]
        words.byteswap()
    return words.tobytes()


class Table:
    """An exact set of marks, each with a tag from 1 to 255. A slot takes 17 bytes, and up to three of four slots are taken.

    A mark is in the slot that its first bits name, or in the next free one after that, so the marks are nearly sorted. An empty
    slot has the tag 0.
    """

    def __init__(self) -> None:
        self._set_up(_LEAST_BITS)

    def _set_up(self, bits: int) -> None:
        self._bits = bits
        self._slots = 1 << bits
        self._taken = 0
        self._words = array("Q", [0]) * (2 << bits)
        self._tags = bytearray(1 << bits)

    def _find(self, high: int, low: int) -> int:
        """The slot of a mark, or the empty one where it belongs."""
        slot = high >> (64 - self._bits)
        while self._tags[slot] and not (self._words[2 * slot] == high and self._words[2 * slot + 1] == low):
            slot += 1
            if slot == self._slots:
                slot = 0
        return slot

    def tag(self, words: array[int], place: int) -> int:
        """The tag of a mark; 0 if it is not there."""
        return self._tags[self._find(words[2 * place], words[2 * place + 1])]

    def put(self, words: array[int], place: int, tag: int) -> None:
        """Add a mark with this tag, or give it this tag."""
        self._put(words[2 * place], words[2 * place + 1], tag)

    def _put(self, high: int, low: int, tag: int) -> None:
        slot = self._find(high, low)
        if not self._tags[slot]:
            if 4 * (self._taken + 1) > 3 * self._slots:
                self._grow()
                slot = self._find(high, low)
            self._taken += 1
            self._words[2 * slot] = high
            self._words[2 * slot + 1] = low
        self._tags[slot] = tag

    def put_new(self, words: array[int], places: list[int], tag: int) -> list[int]:
        """Add the marks at these places, with this tag, except for those in the table already; returns the places of the new ones."""
        added: list[int] = []
        for place in places:
            if not self._tags[self._find(words[2 * place], words[2 * place + 1])]:
                self._put(words[2 * place], words[2 * place + 1], tag)
                added.append(place)
        return added

    def lacking(self, words: array[int]) -> list[int]:
        """The places of the marks that are not in the table."""
        absent: list[int] = []
        place = 0
        end = len(words) // 2
        while place < end:
            if not self._tags[self._find(words[2 * place], words[2 * place + 1])]:
                absent.append(place)
            place += 1
        return absent

    def drop(self, tag: int) -> None:
        """Remove the marks with this tag. This is done in place, starting after an empty slot: each mark that stays is put again,
        when all before it are in their places."""
        first = 0
        while self._tags[first]:
            first += 1
        slot = first + 1
        while slot < first + self._slots:
            at = slot % self._slots
            own = self._tags[at]
            if own:
                self._tags[at] = 0
                self._taken -= 1
                if own != tag:
                    self._put(self._words[2 * at], self._words[2 * at + 1], own)
            slot += 1

    def _grow(self) -> None:
        words, tags, slots = self._words, self._tags, self._slots
        self._set_up(self._bits + 1)
        slot = 0
        while slot < slots:
            if tags[slot]:
                self._put(words[2 * slot], words[2 * slot + 1], tags[slot])
            slot += 1

    def part(self, number: int, tag: int) -> array[int]:
        """The marks with this tag that begin with this byte, sorted."""
        found = array("Q")
        slot = number * (self._slots // PARTS)
        end = slot + self._slots // PARTS
        while slot < end or self._tags[slot % self._slots]:
            at = slot % self._slots
            if self._tags[at] == tag and self._words[2 * at] >> 56 == number:
                found.append(self._words[2 * at])
                found.append(self._words[2 * at + 1])
            slot += 1
        _sort(found)
        return found


def _sort(words: array[int]) -> None:
    """Sort marks that are nearly sorted (insertion sort)."""
    at = 2
    while at < len(words):
        high, low = words[at], words[at + 1]
        to = at
        while to and (words[to - 2] > high or (words[to - 2] == high and words[to - 1] > low)):
            words[to], words[to + 1] = words[to - 2], words[to - 1]
            to -= 2
        words[to], words[to + 1] = high, low
        at += 2


# ---------------------------------------------------------------------- the filter

# It consists of blocks as long as a cache line, so that a mark costs one miss (Putze, Sanders and Singler: Cache-, Hash- and
# Space-Efficient Bloom Filters, 2007); their number is a power of two. With 13 bits for each mark, one unknown mark in 150 is
# taken for a known one.


def note(bits: bytearray, words: array[int]) -> None:
    """Add these marks to a filter."""
    mask = len(bits) // BLOCK_BYTES - 1
    at = 0
    end = len(words)
    while at < end:
        block = (words[at] & mask) * BLOCK_BYTES
        rest = words[at + 1]
        for _ in range(_PROBES):
            bits[block + ((rest >> 3) & 63)] |= 1 << (rest & 7)
            rest >>= 9
        at += 2


def sort_out(bits: bytearray, words: array[int], places: list[int]) -> tuple[list[int], list[int]]:
    """Of the marks at these places, those that a filter certainly does not know, and those that it may know."""
    mask = len(bits) // BLOCK_BYTES - 1
    absent: list[int] = []
    doubtful: list[int] = []
    for place in places:
        block = (words[2 * place] & mask) * BLOCK_BYTES
        rest = words[2 * place + 1]
        probes = _PROBES
        while probes and bits[block + ((rest >> 3) & 63)] & (1 << (rest & 7)):
            rest >>= 9
            probes -= 1
        if probes:
            absent.append(place)
        else:
            doubtful.append(place)
    return absent, doubtful


# ---------------------------------------------------------------------- runs


def strike_out(wanted: array[int], is_found: bytearray, run: array[int]) -> None:
    """Note which of the `wanted` marks are in a run; both are sorted."""
    here, there = 0, 0
    end, end_of_run = len(wanted), len(run)
    while here < end and there < end_of_run:
        high, low = wanted[here], wanted[here + 1]
        while there < end_of_run and (run[there] < high or (run[there] == high and run[there + 1] < low)):
            there += 2
        if there < end_of_run and run[there] == high and run[there + 1] == low:
            is_found[here >> 1] = 1
        here += 2
