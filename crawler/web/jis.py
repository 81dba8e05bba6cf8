"""JIS X 0208 as the web uses it (Encoding Standard, index jis0208)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def character_at(row: int, cell: int) -> str:
    """The character at a row and cell of JIS X 0208, with the vendors' additions. By the Encoding Standard these are the characters of
    Shift_JIS, in another order."""
    lead = (row + 1) // 2 + (0x80 if row <= 62 else 0xC0)
    trail = cell + 0x3F + (cell > 63) if row % 2 else cell + 0x9E
    return bytes([lead, trail]).decode("cp932", "replace")[:1]


@cache
def pairs() -> Mapping[str, bytes]:
    """Index jis0208: the first pair of each character, in 7 bits."""
    found: dict[str, bytes] = {}
    for row in range(1, 95):
        for cell in range(1, 95):
            found.setdefault(character_at(row, cell), bytes([row + 0x20, cell + 0x20]))
    del found["\ufffd"]
    return found
