"""What is done to many marks at once: a Bloom filter, and comparison with sorted runs.

Marks are fingerprints of 16 bytes; here they come as arrays of unsigned 64-bit words, two a mark (`words_of`). This module is
compiled, with the C types that `marks.pxd` gives it, and works the same as it stands, many times slower. It was made for
sets that outgrow memory: smaller crawls never come here.

The filter is one of blocks as long as a cache line, so that a mark costs one miss (Putze, Sanders and Singler: Cache-, Hash-
and Space-Efficient Bloom Filters, 2007). With 13 bits a mark it takes one in 150 for known that is not.
"""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

IS_COMPILED: Final = not __file__.endswith(".py")

BLOCK_BYTES = 64
_PROBES = 6


def words_of(marks: bytes) -> array[int]:
    """Marks that lie one behind the other, as words that compare like the bytes do."""
    words = array("Q", marks)
    if sys.byteorder == "little":
        words.byteswap()
    return words


def note(bits: bytearray, words: array[int]) -> None:
    """Have a filter know these marks. Its blocks are a power of two in number."""
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


def sort_out(bits: bytearray, words: array[int], places: Sequence[int]) -> tuple[list[int], list[int]]:
    """Of the marks at these places (one place for each mark of `words`), those that a filter certainly does not know, and those
    that it may know."""
    mask = len(bits) // BLOCK_BYTES - 1
    absent: list[int] = []
    doubtful: list[int] = []
    at = 0
    end = len(words)
    while at < end:
        block = (words[at] & mask) * BLOCK_BYTES
        rest = words[at + 1]
        probes = _PROBES
        while probes and bits[block + ((rest >> 3) & 63)] & (1 << (rest & 7)):
            rest >>= 9
            probes -= 1
        if probes:
            absent.append(places[at >> 1])
        else:
            doubtful.append(places[at >> 1])
        at += 2
    return absent, doubtful


def strike_out(wanted: array[int], is_found: bytearray, run: array[int]) -> None:
    """Note which of the marks that are `wanted` are in a run; both are sorted."""
    here, there = 0, 0
    end, end_of_run = len(wanted), len(run)
    while here < end and there < end_of_run:
        high, low = wanted[here], wanted[here + 1]
        while there < end_of_run and (run[there] < high or (run[there] == high and run[there + 1] < low)):
            there += 2
        if there < end_of_run and run[there] == high and run[there + 1] == low:
            is_found[here >> 1] = 1
        here += 2
