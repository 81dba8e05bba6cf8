"""Header fields, as they go on the wire."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from multidict import CIMultiDict

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BREAK: Final = re.compile(r"[\r\n\0]")
_LENGTH: Final = re.compile("[0-9]+")

FRAMING_NAMES: Final = ("Content-Length", "Transfer-Encoding", "Expect")
"""Fields that say how a body is sent. Where there is no body, a server would wait for one."""


def is_token(text: str) -> bool:
    """Whether `text` can be a method, or the name of a field (RFC 9110 §5.6.2)."""
    return _TOKEN.fullmatch(text) is not None


def check_value(name: str, value: str) -> None:
    """`ValueError` for a value that would break its line (RFC 9112 §5), `TypeError` for one that is no text."""
    try:
        is_broken = _BREAK.search(value)
    except TypeError:
        raise TypeError(f"header {name} must be text, not {value!r}") from None
    if is_broken:
        raise ValueError(f"a line break or NUL in header {name}: {value!r}")


def write_headers(headers: CIMultiDict[str]) -> str:
    """Return the lines of headers, each with its CRLF.

    `ValueError` for what would break them (RFC 9112 §5), `TypeError` for values that are no text.
    """
    lines = []
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"not a header name: {name!r}")
        try:
            is_fit = not _BREAK.search(value)
        except TypeError:
            is_fit = False
        if not is_fit:
            check_value(name, value)  # which says why; a call for each header would cost
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines)


def is_chunked(headers: CIMultiDict[str]) -> bool:
    """Whether headers say that the body comes in chunks.

    `ValueError` for another coding in the end: then nothing would say where the body does (RFC 9112 §6.1).
    """
    if "Transfer-Encoding" not in headers:
        return False
    values = headers.getall("Transfer-Encoding")
    for value in values:
        check_value("Transfer-Encoding", value)
    codings = [coding.strip().lower() for coding in ",".join(values).split(",")]
    if codings[-1] != "chunked" or codings.count("chunked") > 1:
        raise ValueError(f"a Transfer-Encoding ends in chunked, and has it once: {', '.join(values)!r}")
    return True


def check_framing(headers: CIMultiDict[str], size: int | None, *, in_chunks: bool) -> None:
    """Check that headers frame the body as it is sent: in chunks or not, and of `size` bytes, None for not known.

    `ValueError` when they do not. Whoever takes them at their word would take a part of the body for another request, or
    another request for a part of the body (RFC 9112 §11.2).
    """
    lengths = headers.getall("Content-Length", ())
    if not in_chunks and lengths == [str(size)] and "Transfer-Encoding" not in headers:
        return  # as is usual
    if is_chunked(headers) is not in_chunks:
        raise ValueError(
            "the body is sent in chunks, or not, against what Transfer-Encoding says: leave that header out"
        )
    if in_chunks and lengths:
        raise ValueError("a Content-Length together with a Transfer-Encoding: leave one of them out")
    if len(lengths) > 1:
        raise ValueError(f"more than one Content-Length: {', '.join(map(str, lengths))}")
    for length in lengths:
        check_value("Content-Length", length)
        if not _LENGTH.fullmatch(length):
            raise ValueError(f"Content-Length is a number of bytes, not {length!r}")
        if size is not None and int(length) != size:
            what = f"a body of {size} bytes" if size else "no body"
            raise ValueError(f"Content-Length says {length} bytes, but there is {what}: leave it out")
    if not (lengths or in_chunks) and size != 0:
        raise ValueError("neither Content-Length nor Transfer-Encoding tells where the body ends: set one of them")
