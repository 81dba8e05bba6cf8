"""Documents whose trees cost far more than expected, recognised before a tree is built.

Parsers of HTML follow a standard under which some documents take time, or memory, that grows with the square of their length.
Lexbor, ours, bounds none of it (https://github.com/lexbor/lexbor/issues/340; html5ever and Gumbo have the same,
https://github.com/whatwg/html/issues/3732), and cannot be stopped. With lexbor as of selectolax 1.0.2:

* Formatting elements that are open where a paragraph ends are made again in the next (HTML Standard §13.2.4.3): 2,000 `<p><font id=N>`,
  30 KB, make two million elements, in 700 MB. Such documents are refused: `multiplies`.
* Of elements within each other, each looks through all that are open: 80,000 nested `<div>`, 400 KB, take 18 s. So do attributes of
  one tag, and options of one choice. These only take time, and are parsed where nobody waits for them: `is_slow`.

Both only skim the bytes, so that they cost next to nothing. They are meant for documents as people write them, valid or not; one that is
made to deceive them, with end tags that the parser ignores, can do so.
"""

from __future__ import annotations

import re
from typing import Final

_SHORT: Final = 32_768
"""Bytes. A shorter document takes half a second and 800 MB at worst. Most are shorter, and not examined."""

MAX_COPIES: Final = 4_000_000
"""The most elements that have no tag of their own, at 360 bytes each."""
_EQUAL_ONES = 3
"""How many elements with the same name and attributes are made again (§13.2.4.3, the "Noah's Ark clause")."""
_FORMATTING = re.compile(
    rb"<(/?)(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)(?=[ \t\n\f\r/>])([^>]*)", re.IGNORECASE
)
"""Formatting elements of which many may be open at once; `<a>` and `<nobr>` close themselves."""

_DEEP = 500
_SLICE_BYTES = 4096
_GAPS = 3
"""So many slices in a row without a tag may be one very long tag."""


def multiplies(document: bytes) -> bool:
    """Whether so much formatting is left open, and so much follows, that the tree would hold more than `MAX_COPIES` of it. The document
    is in an encoding that has ASCII as it is.
    """
    if len(document) < _SHORT:
        return False
    left_open = most = 0
    kinds = set()
    for tag in _FORMATTING.finditer(document):
        if tag[1]:
            left_open = max(0, left_open - 1)
        elif tag[2]:
            left_open += 1
            kinds.add(tag[2])
            most = max(most, left_open)
    return min(most, _EQUAL_ONES * len(kinds)) * document.count(b"<") > MAX_COPIES


def is_slow(document: bytes) -> bool:
    """Whether many more elements have begun somewhere than have ended, or a tag is very long."""
    surplus = gaps = 0
    for start in range(0, len(document) if len(document) >= _SHORT else 0, _SLICE_BYTES):
        end = start + _SLICE_BYTES
        ends = document.count(b"</", start, end)
        begins = document.count(b"<", start, end) - ends
        surplus += begins
        gaps = 0 if begins or ends else gaps + 1
        if surplus > _DEEP or gaps == _GAPS:
            return True
        surplus = max(0, surplus - ends)
    return False
