"""The head of a response, read lazily from its bytes.

llhttp, in its strict mode, has checked the head before: lines end in CRLF and have a token before their colon, and no value
holds a control character. So reading it is plain searching, and only the headers that are asked for are read; for most
requests, these are three of ten.

A head that the parser refuses is normalized by `tidy_head`, as browsers would read it, and parsed once more. So the parser
and `Head` always see the same bytes, and cannot disagree about them.
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
    """A status line and headers, as received.

    Headers are searched for by a *marker*: the name in lower case, with a line feed before and a colon after it.
    """

    __slots__ = ("data", "end", "lowered", "protocol")

    def __init__(self, received: bytes, start: int = 0) -> None:
        """Take the head that begins at `start`, after any line ends (RFC 9112 §2.2). The parser must have accepted it."""
        while received[start] in b"\r\n":
            start += 1
        self.end = received.index(b"\r\n\r\n", start) + 4
        """Where the head ends in `received`."""
        self.data = data = received[start : self.end]
        self.lowered = (data.decode() if data.isascii() else data.decode("latin-1")).lower()
        """For `marker in head.lowered`. As long as `data`, since no lower-case letter of Latin-1 has another length."""
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
        """Names and values in order, without the white space around values."""
        parts = [line.partition(b":") for line in self.data.split(b"\r\n")[1:-2]]
        return [(name, value.strip(b" \t")) for name, _, value in parts]

    @property
    def text_headers(self) -> list[tuple[str, str]]:
        """Names and values decoded as UTF-8; invalid bytes become surrogate escapes."""
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
        """Return the values of a header decoded as UTF-8; invalid bytes become surrogate escapes."""
        return [value.decode("utf-8", "surrogateescape") for value in self.values(marker)]


def has_blank_line(data: bytes) -> bool:
    """Whether `data` holds the end of a head, with CRLFs or bare LFs."""
    return _BLANK_LINE.search(data) is not None


def tidy_head(data: bytes) -> bytes | None:
    """Return `data` with the head that it begins with in the form that RFC 9112 demands of senders; None if it is incomplete.

    A bare LF becomes CRLF (§2.2), folded lines are joined (§5.2), a repeated Content-Length is kept once (§6.3), and control
    characters other than NUL become spaces (RFC 9110 §5.5), except in headers that affect framing. The bytes after the head
    stay as they are.
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
