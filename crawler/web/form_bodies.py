"""The bodies of submitted forms: application/x-www-form-urlencoded (WHATWG URL Standard §5.2), multipart/form-data and text/plain (HTML
Standard §4.10.21.7 and §4.10.21.8)."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final, TypeAlias
from urllib.parse import quote_plus

from crawler.web.encoders import encode
from crawler.web.encoding import UTF_8

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
PLAIN: Final = "text/plain"

_ONLY_READ = frozenset({"hz", "iso2022_kr"})

FormValue: TypeAlias = str | int | float
Fields: TypeAlias = Mapping[str, FormValue | Iterable[FormValue]] | Iterable[tuple[str, FormValue]]
"""A mapping of names to values, or to lists of values; or pairs."""


def pairs_of(fields: Fields) -> list[tuple[str, str]]:
    """Names and values as strings, in order. Raises TypeError for a name that is not a string, and a value that is neither a string nor a
    number."""
    if not isinstance(fields, Mapping):
        return [(_checked(name), text_of(name, value)) for name, value in fields]
    return [(_checked(name), text) for name, value in fields.items() for text in texts_of(name, value)]


def _checked(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a field of a form must be text, not {name!r:.80}")
    return name


def texts_of(name: str, value: object) -> list[str]:
    """The values of one field, which may be given one value, or several."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return [text_of(name, one) for one in value]
    return [text_of(name, value)]


def text_of(name: str, value: object) -> str:
    """One value as a string. Raises TypeError for what has no clear meaning in a form (True, None, bytes)."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise TypeError(f"the field {name!r} of a form must be text, a number or a list of these, not {value!r:.80}")
    return str(value)


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


def multipart(pairs: Iterable[tuple[str, str]], files: Iterable[str], encoding: str) -> tuple[str, bytes]:
    """The boundary and the body. `files`: the names of file fields in which no file is chosen.

    The boundary is derived from what is sent, since requests are distinguished by their bodies: the same form must make the same body.
    """
    parts = [_part(name, "", value, encoding) for name, value in pairs]
    parts += [_part(name, '; filename=""\r\nContent-Type: application/octet-stream', "", encoding) for name in files]
    boundary = f"form-{sha256(b''.join(parts)).hexdigest()}"
    line = boundary.encode()
    return boundary, b"".join(b"--%b\r\n%b\r\n" % (line, part) for part in parts) + b"--%b--\r\n" % line


def _part(name: str, more: str, value: str, encoding: str) -> bytes:
    escaped = name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
    part = f'Content-Disposition: form-data; name="{escaped}"{more}\r\n\r\n{value}'
    return encode(part, encoding, _unfit(encoding))
