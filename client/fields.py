"""Header fields, as they go on the wire."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from multidict import CIMultiDict

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BREAK: Final = re.compile(r"[\r\n\0]")


def write_headers(headers: CIMultiDict[str]) -> str:
    """Return the lines of headers, each with its CRLF.

    `ValueError` for what would break them (RFC 9112 §5), `TypeError` for values that are no text.
    """
    lines = []
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"not a header name: {name!r}")
        try:
            is_broken = _BREAK.search(value)
        except TypeError:
            raise TypeError(f"header {name} must be text, not {value!r}") from None
        if is_broken:
            raise ValueError(f"a line break or NUL in header {name}: {value!r}")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines)
