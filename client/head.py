"""The head of a response, read from the bytes it came in.

llhttp, set to be strict, has checked the head when this module sees it: lines end in CRLF and have a token before their
colon, no value holds a control character. So reading is plain searching, and is done only for what somebody asks for;
most requests ask for three headers of ten.

What the parser refuses is put in order by `tidy_head`, as browsers would have read it, and offered to it once more. Parser
and `Head` thus always see the same bytes, and cannot differ about them.
"""

from __future__ import annotations

import re
from typing import Final

from client.version import HttpVersion, HttpVersion10, HttpVersion11

RawHeaders = list[tuple[bytes, bytes]]

_LINE_END: Final = re.compile(rb"\r?\n")
_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
_FOLD: Final = re.compile(rb"\r\n[ \t]+")
_HARMLESS_LINE: Final = re.compile(rb"(?im)^(?!connection|content-length|transfer-encoding).+$")
_CONTROL: Final = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LENGTH: Final = re.compile(rb"(?i)(?<=\r\n)content-length:[ \t]*([0-9]+)[ \t]*\r\n")
_VERSIONS: Final = {b"1.1": HttpVersion11, b"1.0": HttpVersion10}


class Head:
    """A status line and headers, as they came.

    Headers are looked for by a *marker*: the name in lower case, with a line feed before and a colon after.
    """

    __slots__ = ("data", "end", "lowered", "protocol")

    def __init__(self, received: bytes, start: int = 0) -> None:
        """Take the head that begins at `start`, after any line ends (RFC 9112 §2.2). The parser has seen it."""
        while received[start] in b"\r\n":
            start += 1
        self.end = received.index(b"\r\n\r\n", start) + 4
        """Where it ends in what was received."""
        self.data = data = received[start : self.end]
        self.lowered = (data.decode() if data.isascii() else data.decode("latin-1")).lower()
        """For `marker in head.lowered`: as long as `data`, since no letter of Latin-1 changes its width."""
        self.protocol = self.lowered[:8]
        """Such as ``http/1.1``."""

    @property
    def version(self) -> HttpVersion:
        digits = self.data[5:8]
        return _VERSIONS.get(digits) or HttpVersion(int(digits[:1]), int(digits[2:]))

    @property
    def reason(self) -> bytes:
        """The reason phrase, which may be empty."""
        return self.data[13 : self.data.index(b"\r\n")]

    @property
    def headers(self) -> RawHeaders:
        """Names and values in order, values without the blanks around them."""
        parts = [line.partition(b":") for line in self.data.split(b"\r\n")[1:-2]]
        return [(name, value.strip(b" \t")) for name, _, value in parts]

    @property
    def text_headers(self) -> list[tuple[str, str]]:
        """Names and values as UTF-8; bytes that are not are kept as surrogates."""
        lines = self.data.decode("utf-8", "surrogateescape").split("\r\n")[1:-2]
        parts = [line.partition(":") for line in lines]
        return [(name, value.strip(" \t")) for name, _, value in parts]

    def values(self, marker: str) -> list[bytes]:
        """Return the values of a header, by its marker."""
        values = []
        at = self.lowered.find(marker)
        while at >= 0:
            start = at + len(marker)
            at = self.data.index(b"\r\n", start)
            values.append(self.data[start:at].strip(b" \t"))
            at = self.lowered.find(marker, at)
        return values

    def text_values(self, marker: str) -> list[str]:
        """Return the values of a header as UTF-8; bytes that are not are kept as surrogates."""
        return [value.decode("utf-8", "surrogateescape") for value in self.values(marker)]


def has_blank_line(data: bytes) -> bool:
    """Whether a head may end here, with bare LFs or without."""
    return _BLANK_LINE.search(data) is not None


def tidy_head(data: bytes) -> bytes | None:
    """Return data that begins with a head, with the head in the form that RFC 9112 asks senders for; None while it is not whole.

    A bare LF becomes CRLF (§2.2), folded lines are joined (§5.2), a Content-Length that is repeated is given once (§6.3),
    and control characters other than NUL become blanks (RFC 9110 §5.5), except where framing is at stake. What follows the
    head is left as it is.
    """
    blank = _BLANK_LINE.search(data, len(data) - len(data.lstrip(b"\r\n")))
    if blank is None:
        return None
    status_line, *lines = _LINE_END.split(data[: blank.start()].strip(b"\r\n"))
    headers = _FOLD.sub(b" ", b"".join(line + b"\r\n" for line in lines))
    headers = _HARMLESS_LINE.sub(lambda line: _CONTROL.sub(b" ", line[0]), headers)
    return b"%s\r\n%s\r\n%s" % (status_line, _without_repeated_length(headers), data[blank.end() :])


def _without_repeated_length(headers: bytes) -> bytes:
    found = list(_LENGTH.finditer(b"\r\n" + headers))
    if len({match[1] for match in found}) != 1:
        return headers
    _first, *others = found
    for match in reversed(others):
        headers = headers[: match.start() - 2] + headers[match.end() - 2 :]
    return headers
