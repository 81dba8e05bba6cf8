"""The bodies of submitted forms: application/x-www-form-urlencoded (WHATWG URL Standard §5.2), multipart/form-data (HTML Standard, the
multipart/form-data encoding algorithm; RFC 7578) and text/plain (likewise, the text/plain encoding algorithm)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final, TypeAlias
from urllib.parse import quote_plus

from msgspec import Struct

from crawler.web.encoders import encode
from crawler.web.encoding import UTF_8

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
PLAIN: Final = "text/plain"

_ONLY_READ = frozenset({"hz", "iso2022_kr"})

_MOST_BYTES = 128 << 20
"""Of all files in a form: as much as all that a page may give (crawler/items.py)."""

_is_printable = re.compile(r"[ -~]*").fullmatch
"""Of a media type (File API §4.1): anything else could not be sent in the head of a part."""


class File(Struct, frozen=True):
    """A file in a form: the name that the server is told, its bytes, and their media type.

    Raises TypeError and ValueError for what could not be sent.
    """

    name: str
    data: bytes
    content_type: str = "application/octet-stream"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"the name of a file in a form must be text, not {self.name!r:.80}")
        if not isinstance(self.data, bytes):
            raise TypeError(
                f"the data of a file in a form must be bytes, not {type(self.data).__name__}; path.read_bytes() reads them"
            )
        if not isinstance(self.content_type, str) or not _is_printable(self.content_type):
            raise ValueError(f"this is not the media type of a file: {self.content_type!r:.80}")

    def __repr__(self) -> str:
        return f"File({self.name!r}, {len(self.data)} bytes, {self.content_type!r})"


FormValue: TypeAlias = str | int | float | File
Fields: TypeAlias = Mapping[str, FormValue | Iterable[FormValue]] | Iterable[tuple[str, FormValue]]
"""A mapping of names to values, or to lists of values; or pairs."""

Entry: TypeAlias = tuple[str, str | File]
"""The name of a field, and its value."""


def entries_of(fields: Fields) -> list[Entry]:
    """Names and values, numbers as strings, in order. Raises TypeError for a name that is not a string, and a value that is not a string, a
    number or a file."""
    if not isinstance(fields, Mapping):
        return [(_checked(name), value_of(name, value)) for name, value in fields]
    return [(_checked(name), one) for name, value in fields.items() for one in values_of(name, value)]


def _checked(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a field of a form must be text, not {name!r:.80}")
    return name


def values_of(name: str, value: object) -> list[str | File]:
    """The values of one field, which may be given one value, or several."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return [value_of(name, one) for one in value]
    return [value_of(name, value)]


def value_of(name: str, value: object) -> str | File:
    """One value. Raises TypeError for what has no clear meaning in a form (True, None, bytes)."""
    if isinstance(value, File):
        return value
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        hint = "; bytes are sent as File(name, data)" if isinstance(value, bytes) else ""
        raise TypeError(
            f"the field {name!r} of a form must be text, a number, a File or a list of these, not {value!r:.80}{hint}"
        )
    return str(value)


def has_file(entries: Iterable[Entry]) -> bool:
    return any(isinstance(value, File) for _, value in entries)


def pairs_of(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """The entries for a form that is not sent as multipart/form-data: of files, only the names (HTML Standard, convert to a list of
    name-value pairs)."""
    return [(name, value.name if isinstance(value, File) else value) for name, value in entries]


def urlencoded(pairs: Iterable[tuple[str, str]], encoding: str = UTF_8) -> str:
    """Names and values as in a query. A character that the encoding lacks becomes a reference, `&#1046;`.

    Raises ValueError for what is not an encoding of text.
    """
    encoding = output_encoding(encoding)
    return "&".join(f"{_escaped(name, encoding)}={_escaped(value, encoding)}" for name, value in pairs)


def output_encoding(encoding: str) -> str:
    """The encoding to send in for that of a document (Encoding Standard §4.3, get an output encoding): UTF-8 for UTF-16, for two others
    that are only read, and for any other UTF, which the standard does not know; otherwise the same."""
    try:
        "".encode(encoding)  # some of Python's codecs are not for text
    except LookupError:
        raise ValueError(f"{encoding!r} is not a text encoding") from None
    name = codecs.lookup(encoding).name
    return UTF_8 if name.startswith("utf") or name in _ONLY_READ else encoding


def _escaped(text: str, encoding: str) -> str:
    return quote_plus(encode(text, encoding, _unfit(encoding)), safe="*").replace("~", "%7E")


def _unfit(encoding: str) -> str:
    """The error handler for characters that an encoding lacks. UTF-8 lacks none, only lone surrogates, which are not characters."""
    return "strict" if encoding == UTF_8 else "xmlcharrefreplace"


def plain(pairs: Iterable[tuple[str, str]], encoding: str) -> bytes:
    """A line for each field, for people to read."""
    return encode("".join(f"{name}={value}\r\n" for name, value in pairs), encoding, _unfit(encoding))


def multipart(entries: Iterable[Entry], encoding: str = UTF_8) -> tuple[str, bytes]:
    """The boundary and the body.

    The boundary is derived from what is sent, since requests are distinguished by their bodies: the same form must make the same body,
    whenever it is made.

    Raises ValueError for what is not an encoding of text, and for files of more than 128 MiB.
    """
    encoding = output_encoding(encoding)
    entries = list(entries)
    size = sum(len(value.data) for _, value in entries if isinstance(value, File))
    if size > _MOST_BYTES:
        raise ValueError(f"the files of a form come to {size:,} bytes; at most {_MOST_BYTES >> 20} MiB are sent")
    digest = sha256()
    parts = [_part(name, value, encoding) for name, value in entries]
    for head, content in parts:
        digest.update(head)
        digest.update(content)
    boundary = f"form-{digest.hexdigest()}"
    line = boundary.encode()
    pieces = [piece for head, content in parts for piece in (b"--%b\r\n%b" % (line, head), content, b"\r\n")]
    return boundary, b"".join((*pieces, b"--%b--\r\n" % line))


def _part(name: str, value: str | File, encoding: str) -> tuple[bytes, bytes]:
    """The head of a part, and its content."""
    head = b'Content-Disposition: form-data; name="%b"' % _quoted(name, encoding)
    if not isinstance(value, File):
        return head + b"\r\n\r\n", encode(value, encoding, _unfit(encoding))
    kind = value.content_type or "application/octet-stream"
    more = b'; filename="%b"\r\nContent-Type: %b\r\n\r\n' % (_quoted(value.name, encoding), kind.encode())
    return head + more, value.data


def _quoted(name: str, encoding: str) -> bytes:
    """A name as it stands between quotes: only these three bytes are escaped, as in browsers, and not by a backslash."""
    octets = encode(name, encoding, _unfit(encoding))
    return octets.replace(b"\n", b"%0A").replace(b"\r", b"%0D").replace(b'"', b"%22")
