"""Header fields: checking and serializing them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from client.grammar import TOKEN

if TYPE_CHECKING:
    from multidict import CIMultiDict

_BREAK: Final = re.compile(r"[\r\n\0]")
_LENGTH: Final = re.compile("[0-9]+")

FRAMING_NAMES: Final = ("Content-Length", "Transfer-Encoding", "Expect")
"""Fields that say how a body is sent. If they were sent without a body, the server would wait for one."""


def check_value(name: str, value: str) -> None:
    """Raise `ValueError` for a value that would break its line (RFC 9112 §5), `TypeError` for one that is not text."""
    try:
        is_broken = _BREAK.search(value)
    except TypeError:
        raise TypeError(f"header {name} must be text, not {value!r}") from None
    if is_broken:
        raise ValueError(f"a line break or NUL in header {name}: {value!r}")


def write_headers(headers: CIMultiDict[str]) -> str:
    """Return the lines of headers, each with its CRLF.

    Raises `ValueError` for names and values that would break a line (RFC 9112 §5), `TypeError` for values that are not text.
    """
    lines = []
    for name, value in headers.items():
        if not TOKEN.fullmatch(name):
            raise ValueError(f"not a header name: {name!r}")
        try:
            is_fit = not _BREAK.search(value)
        except TypeError:
            is_fit = False
        if not is_fit:
            check_value(name, value)  # raises, with the reason; calling it for every header would cost time
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines)


def is_chunked(headers: CIMultiDict[str]) -> bool:
    """Whether headers say that the body is sent in chunks.

    Raises `ValueError` if another coding is the last one: then nothing would mark the end of the body (RFC 9112 §6.1).
    """
    if "Transfer-Encoding" not in headers:
        return False
    values = headers.getall("Transfer-Encoding")
    for value in values:
        check_value("Transfer-Encoding", value)
    codings = [coding.strip().lower() for coding in ",".join(values).split(",")]
    if codings[-1] != "chunked" or codings.count("chunked") > 1:
        raise ValueError(f"a Transfer-Encoding must end in chunked, and have it only once: {', '.join(values)!r}")
    return True


def check_framing(headers: CIMultiDict[str], size: int | None, *, in_chunks: bool) -> None:
    """Check that headers frame the body as it is sent: in chunks or not, and with `size` bytes (None: not known).

    Raises `ValueError` if they do not. A recipient would take a part of the body for another request, or another request
    for a part of the body (RFC 9112 §11.2).
    """
    lengths = headers.getall("Content-Length", ())
    if not in_chunks and lengths == [str(size)] and "Transfer-Encoding" not in headers:
        return  # the usual case
    if is_chunked(headers) is not in_chunks:
        raise ValueError("Transfer-Encoding contradicts whether the body is sent in chunks: leave that header out")
    if in_chunks and lengths:
        raise ValueError("a Content-Length together with a Transfer-Encoding: leave one of them out")
    if len(lengths) > 1:
        raise ValueError(f"more than one Content-Length: {', '.join(map(str, lengths))}")
    for length in lengths:
        check_value("Content-Length", length)
        if not _LENGTH.fullmatch(length):
            raise ValueError(f"Content-Length must be a number of bytes, not {length!r}")
        if size is not None and int(length) != size:
            what = f"a body of {size} bytes" if size else "no body"
            raise ValueError(f"Content-Length says {length} bytes, but there is {what}: leave it out")
    if not (lengths or in_chunks) and size != 0:
        raise ValueError("neither Content-Length nor Transfer-Encoding says where the body ends: set one of them")
