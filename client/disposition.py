"""Content-Disposition: the name and kind of a response or a part (RFC 6266, RFC 8187, RFC 7578), without I/O.

Servers write this header in every way that some browser has ever accepted, so parsing never fails: it returns what it can
recognize. It is lenient where browsers are: spaces in unquoted values, unclosed quotes, empty parameters, no disposition
type. The first of several parameters with one name counts.

``form-data`` is written in two ways, which a header does not tell apart. Browsers leave a backslash as it is, and escape only
``"``, CR and LF, as ``%22``, ``%0D`` and ``%0A`` (WHATWG HTML, "multipart/form-data encoding algorithm"; RFC 7578 §2 allows
it). Others write quoted-strings (RFC 9110 §5.6.4). A header that a browser may have written is read as a browser means it
(WHATWG Fetch, "multipart/form-data parser"): ``filename="C:\\dir\\"`` is a whole value. Any other is read as quoted-strings,
and so is every header with an escaped quote in it. So headers written here are read back unchanged, with two exceptions: a
literal ``%22``, ``%0D`` or ``%0A`` is decoded; and backslashes come back doubled if quoted-strings were asked for and no value
holds a quote.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from client.grammar import QUOTED, is_token, quoted, unescaped

__all__ = ["content_disposition_filename", "format_content_disposition", "parse_content_disposition"]

_DELIMITER: Final = re.compile(r"([=;])[ \t]*")
_CONTINUATION: Final = re.compile(r"(.+)\*[0-9]+\*?")
_BROWSERS: Final = re.compile(r'(?:[ \t]*+[^\s"=;\\]++=(?:"[^"]*+"|[^\s";\\]*+)[ \t]*+(?:;|\Z))++')
"""All parameters, written as browsers do or unquoted. An escaped quote does not match: it could end a value, not begin one."""
_PERCENT_ESCAPE: Final = re.compile("%(22|0D|0A)")

_EXT_CHARSETS: Final = {"utf-8": "utf-8", "iso-8859-1": "latin-1", "us-ascii": "ascii", "windows-1252": "cp1252"}
"""RFC 8187 §3.2.1 has only UTF-8; its predecessors had ISO-8859-1 too; the others occur in practice."""

_ATTR_CHARS: Final = "!#$&+-.^_`|~"
"""The attr-char of RFC 8187 §3.2.1, without letters and digits."""


def parse_content_disposition(header: str | None) -> tuple[str | None, dict[str, str]]:
    """Return the disposition type in lower case, or None if there is none, and the parameters.

    Names of parameters are in lower case. Extended ones such as ``filename*`` are decoded, or left out if that fails; the
    pieces of a continued parameter (RFC 2231 §3) are left as they are, and `content_disposition_filename` joins them.
    """
    parameters: dict[str, str] = {}
    if not header:
        return None, parameters
    first, _, rest = header.partition(";")
    kind: str | None = first.strip().lower()
    if not kind or not is_token(kind):
        kind = None
        rest = header if "=" in first else rest
    is_browsers = kind == "form-data" and _BROWSERS.fullmatch(rest) is not None
    if is_browsers:
        rest = rest.replace("\\", "\\\\")  # as in a quoted-string
    for name, value in split_parameters(rest):
        if not is_token(name) or name in parameters:
            continue
        if name.endswith("*") and not _CONTINUATION.fullmatch(name):
            decoded = _decode_ext_value(value)
            if decoded is not None:
                parameters[name] = decoded
        else:
            parameters[name] = _readable(_PERCENT_ESCAPE.sub(_unescape, value) if is_browsers else value)
    return kind, parameters


def content_disposition_filename(parameters: Mapping[str, str], name: str = "filename") -> str | None:
    """Return a parameter's value from its best form (extended, then plain, then continued), or None if it has none.

    Folders are removed from a file name, since a recipient must not follow them, and it cannot be ``..`` (RFC 6266 §4.3).
    """
    value = parameters.get(f"{name}*")
    if value is None:
        value = parameters.get(name)
    if value is None:
        value = _join_continued(parameters, name)
    if value is None or name != "filename":
        return value
    value = re.split(r"[/\\]", value)[-1]
    return None if value in (".", "..") else value


def format_content_disposition(kind: str, parameters: Mapping[str, str], *, quote_fields: bool = True) -> str:
    """Return the value of the header.

    The values of ``form-data`` are escaped as browsers do (WHATWG HTML, "multipart/form-data encoding algorithm"), or,
    without `quote_fields`, with backslashes. Other types get quoted strings, and extended values if they are not ASCII.
    Raises ValueError for a name that is not a token, and for line breaks that cannot be escaped.
    """
    if not is_token(kind):
        raise ValueError(f"not a disposition type: {kind!r}")
    written = [kind]
    for name, value in parameters.items():
        if not is_token(name):
            raise ValueError(f"not a parameter's name: {name!r}")
        if kind == "form-data" and quote_fields:
            escaped = value.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
            written.append(f'{name}="{escaped}"')
        elif kind == "form-data" or value.isascii():
            written.append(f"{name}={_quoted_string(value)}")
        else:
            written.append(f"{name}*=utf-8''{quote(value, safe=_ATTR_CHARS)}")
    return "; ".join(written)


def _quoted_string(value: str) -> str:
    if re.search(r"[\r\n\0]", value):
        raise ValueError(f"a line break or NUL in {value!r}")
    return quoted(value)


def split_parameters(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name, in lower case, and the unquoted value of each ``;``-separated parameter. Takes linear time."""
    at = 0
    while delimiter := _DELIMITER.search(text, at):
        name = text[at : delimiter.start()].strip().lower()
        at = delimiter.end()
        if delimiter[1] == ";":
            continue  # a parameter without a value
        if found := QUOTED.match(text, at):
            at = _after_semicolon(text, found.end())
            yield name, unescaped(found[1])
        else:
            start, at = at, _after_semicolon(text, at)
            yield name, text[start:at].strip(" \t;").removeprefix('"')


def _unescape(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))


def _after_semicolon(text: str, start: int) -> int:
    index = text.find(";", start)
    return len(text) if index < 0 else index + 1


def _readable(value: str) -> str:
    """Return a value of a header, which is decoded as UTF-8 as in browsers; if it was not UTF-8, it is taken for Latin-1."""
    if value.isascii() or not re.search("[\udc80-\udcff]", value):
        return value
    try:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    except UnicodeEncodeError:  # surrogates that decoding never produces
        return value


def _decode_ext_value(value: str) -> str | None:
    """Decode ``charset'language'percent-encoded`` (RFC 8187 §3.2.1); None if the value does not have this form."""
    charset, apostrophe, rest = value.partition("'")
    _, second, encoded = rest.partition("'")
    codec = _EXT_CHARSETS.get(charset.strip().lower())
    if not apostrophe or not second or codec is None or not encoded.isascii():
        return None
    try:
        return unquote_to_bytes(encoded).decode(codec)
    except UnicodeDecodeError:
        return None


def _join_continued(parameters: Mapping[str, str], name: str) -> str | None:
    """Join ``name*0``, ``name*1*``, … (RFC 2231 §3 and §4.1). If the first piece is extended, it names the charset."""
    pieces: list[str] = []
    is_extended = f"{name}*0*" in parameters
    while True:
        key = f"{name}*{len(pieces)}"
        piece = parameters.get(f"{key}*")
        if piece is None:
            piece = parameters.get(key)
            if piece is None:
                break
            piece = quote(piece) if is_extended else piece
        pieces.append(piece)
    if not pieces:
        return None
    joined = "".join(pieces)
    return _decode_ext_value(joined) if is_extended else joined
