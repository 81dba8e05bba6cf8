"""From text to bytes as browsers do it (WHATWG Encoding Standard): for forms, and for the queries of links.

Python's codecs encode all that they decode; the standard's encoders do not, and replace some characters by others.
"""

from __future__ import annotations

import codecs
import re

from crawler.web.encoding import UTF_8, UTF_16
from crawler.web.jis import pairs

_NUMBERED = "crawler.web.encoders: numbered"
_NOT_ASCII = re.compile(r"[^\0-\x7f]+")
_NOT_IN_QUERY = re.compile(rb"""[^!-~]|["#'<>]""")

_LAST_OF_BIG5 = frozenset("═╞╡╪")
"""Characters that occur twice in the index, and are encoded as the last of the two (§5, index Big5 pointer)."""
_EUC_JP = frozenset({"euc-jp", "euc_jp"})
_ROMAN = {"\xa5": b"\\", "\u203e": b"~"}
"""What JIS X 0201 has in place of two ASCII characters."""
_TO_ASCII, _TO_ROMAN, _TO_JIS = b"\x1b(B", b"\x1b(J", b"\x1b$B"
_FULL_MINUS = {"\u2212": "\uff0d"}
_KATAKANA = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン゛゜"
_FOR_ISO_2022_JP = str.maketrans({**_FULL_MINUS, **dict.fromkeys("\x0e\x0f\x1b", "\ufffd")}) | {
    0xFF61 + number: full for number, full in enumerate(_KATAKANA)
}
"""Half-width katakana become full-width (index ISO-2022-JP katakana), and characters that would switch the state become U+FFFD."""


def encode(text: str, encoding: str, unfit: str) -> bytes:
    """A text as browsers write it in an encoding. `unfit` names the error handler for characters that the encoding lacks."""
    if encoding == "big5hkscs":
        return b"".join(_in_big5(one, unfit) for one in text)
    if encoding in _EUC_JP:
        return b"".join(_in_euc_jp(one, unfit) for one in text)
    return _in_iso_2022_jp(text, unfit) if encoding == "iso2022_jp_ext" else text.encode(encoding, unfit)


def _in_big5(character: str, unfit: str) -> bytes:
    """§11.1.2: Hong Kong's additions before Big5, from 0x81 to 0xA0, are decoded, but not encoded. Symbols are encoded as in Microsoft's
    code page 950, all else as in Big5-HKSCS."""
    if character < "\x80":
        return character.encode()
    octets = b"" if character in _LAST_OF_BIG5 else character.encode("cp950", "ignore")
    if not b"\xa1" <= octets < b"\xa4":
        octets = character.encode("big5hkscs", "ignore")
    return octets if octets >= b"\xa1" else _instead(character, "big5hkscs", unfit)


def _in_euc_jp(character: str, unfit: str) -> bytes:
    """§12.1.2: JIS X 0212, in three bytes, is decoded, but not encoded."""
    if character < "\x80":
        return character.encode()
    if "\uff61" <= character <= "\uff9f":
        return bytes([0x8E, ord(character) - 0xFF61 + 0xA1])
    if pair := pairs().get(_FULL_MINUS.get(character, character)):
        return bytes(byte | 0x80 for byte in pair)
    return _ROMAN.get(character) or _instead(character, "euc_jp", unfit)


def _in_iso_2022_jp(text: str, unfit: str) -> bytes:
    """§12.2.2: half-width katakana are encoded in full width. States are named by the escape sequences that lead to them."""
    octets, state = bytearray(), _TO_ASCII
    for character in text.translate(_FOR_ISO_2022_JP):
        if character in _ROMAN:
            wanted, written = _TO_ROMAN, _ROMAN[character]
        elif pair := pairs().get(character):
            wanted, written = _TO_JIS, pair
        else:
            written = character.encode() if character < "\x80" else _instead(character, "iso2022_jp_ext", unfit)
            wanted = state if state == _TO_ROMAN and written not in _ROMAN.values() else _TO_ASCII
        octets += written if wanted == state else wanted + written
        state = wanted
    return bytes(octets if state == _TO_ASCII else octets + _TO_ASCII)


def _instead(character: str, encoding: str, unfit: str) -> bytes:
    """What the error handler `unfit` puts in place of a character, in ASCII."""
    error = UnicodeEncodeError(encoding, character, 0, 1, "no such character")
    instead, _ = codecs.lookup_error(unfit)(error)
    return instead if isinstance(instead, bytes) else instead.encode()


def in_query(reference: str, encoding: str) -> str:
    """A reference from a document in this encoding, prepared for `resolve`, which knows only UTF-8: characters of its query that are not
    ASCII are percent-encoded in the document's encoding (URL Standard §4.4, query state).
    """
    if reference.isascii() or encoding == UTF_8 or encoding in UTF_16:
        return reference
    before, mark, fragment = reference.partition("#")
    path, question, query = before.partition("?")
    return path + question + _NOT_ASCII.sub(lambda found: _escaped(found[0], encoding), query) + mark + fragment


def _escaped(text: str, encoding: str) -> str:
    """Percent-encode after encoding (URL Standard §1.3), with the query percent-encode set of http."""
    octets = encode(text, encoding, _NUMBERED)
    return _NOT_IN_QUERY.sub(lambda found: b"%%%02X" % found[0][0], octets).decode("ascii")


def _numbered(error: UnicodeError) -> tuple[str, int]:
    """Replaces characters that an encoding lacks by their numbers, as in forms. An error handler for `str.encode`."""
    assert isinstance(error, UnicodeEncodeError), "it is named in `_escaped` alone"
    return "".join(f"%26%23{ord(one)}%3B" for one in error.object[error.start : error.end]), error.end


codecs.register_error(_NUMBERED, _numbered)
