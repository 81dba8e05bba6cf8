"""JIS X 0208 as the web has it (Encoding Standard, index jis0208)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def character_at(row: int, cell: int) -> str:
    """What JIS X 0208 has there, with what the vendors have added: by the Encoding Standard, the same as in Shift_JIS, which has
    the pairs in another order."""
    lead = (row + 1) // 2 + (0x80 if row <= 62 else 0xC0)
    trail = cell + 0x3F + (cell > 63) if row % 2 else cell + 0x9E
    return bytes([lead, trail]).decode("cp932", "replace")[:1]


@cache
def pairs() -> Mapping[str, bytes]:
    """Index jis0208: of each character the first of its pairs, in 7 bits."""
    found: dict[str, bytes] = {}
    for row in range(1, 95):
        for cell in range(1, 95):
            found.setdefault(character_at(row, cell), bytes([row + 0x20, cell + 0x20]))
    del found["\ufffd"]
    return found
