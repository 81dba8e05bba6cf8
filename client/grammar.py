"""Tokens and quoted strings, of which the values of many headers consist (RFC 9110 §5.6)."""

from __future__ import annotations

import re
from typing import Final

TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A method, or the name of a field or of a parameter (§5.6.2)."""

QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
"""A quoted string (§5.6.4). Its group is what `unescaped` takes."""

_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)


def is_token(text: str) -> bool:
    """Whether `text` is a token as a whole."""
    return TOKEN.fullmatch(text) is not None


def quoted(text: str) -> str:
    """Return a quoted string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unescaped(content: str) -> str:
    """Return the text of a quoted string, from what is between its quotes."""
    return _QUOTED_PAIR.sub(r"\1", content)
