"""The head of a response, read from the bytes it came in.

llhttp has checked the head when this module sees it: names are tokens, every line has its colon, a line ends in CRLF or
a bare LF, and what begins with a blank continues the line before (RFC 9112 §5.2). So reading is plain searching, and is done
only for what somebody asks for; most requests ask for three headers of ten.
"""

from __future__ import annotations

import re
from typing import Final

from client.version import HttpVersion, HttpVersion10, HttpVersion11

RawHeaders = list[tuple[bytes, bytes]]

_BLANKS: Final = b" \t"
_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
_LINE_END: Final = re.compile(rb"\r?\n(?![ \t])")
_FOLD: Final = re.compile(rb"[ \t]*\r?\n[ \t]+")
_VERSIONS: Final = {b"1.1": HttpVersion11, b"1.0": HttpVersion10}


def find_head(data: bytes, start: int) -> tuple[int, int] | None:
    """Return where the head that begins at `start` does begin and end; line ends before it are passed over (§2.2)."""
    while data[start : start + 1] in (b"\r", b"\n"):
        start += 1
    blank = _BLANK_LINE.search(data, start)
    return (start, blank.end()) if blank else None


class Head:
    """A status line and headers, as they came.

    Headers are looked for by a *marker*: the name in lower case, with a line feed before and a colon after.
    """

    __slots__ = ("data", "lowered")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.lowered = data.decode("latin-1").lower()
        """For `marker in head.lowered`: as long as `data`, since no letter of Latin-1 changes its width."""

    @property
    def version(self) -> HttpVersion:
        digits = self.data[5:8]
        return _VERSIONS.get(digits) or HttpVersion(int(digits[:1]), int(digits[2:]))

    @property
    def reason(self) -> bytes:
        """The reason phrase, which may be empty."""
        return self.data[13 : self.data.index(b"\n")].rstrip(b"\r")

    @property
    def headers(self) -> RawHeaders:
        """Names and values in order, values without surrounding blanks and line folds."""
        headers = []
        for line in _LINE_END.split(self.data)[1:-2]:
            name, _, value = line.partition(b":")
            headers.append((name, _unfold(value)))
        return headers

    def values(self, marker: str) -> list[bytes]:
        """Return the values of a header, by its marker."""
        data = self.data
        values = []
        end = self.lowered.find(marker)
        while end >= 0:
            start = end + len(marker)
            end = data.index(b"\n", start)
            while data[end + 1] in _BLANKS:
                end = data.index(b"\n", end + 1)
            values.append(_unfold(data[start:end]))
            end = self.lowered.find(marker, end)
        return values

    def text_values(self, marker: str) -> list[str]:
        """Return the values of a header as UTF-8; bytes that are not are kept as surrogates."""
        return [value.decode("utf-8", "surrogateescape") for value in self.values(marker)]


def _unfold(value: bytes) -> bytes:
    return (_FOLD.sub(b" ", value) if value.count(b"\n") else value).strip()
