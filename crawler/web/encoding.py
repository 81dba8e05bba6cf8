"""From bytes to text as browsers do it (WHATWG Encoding and HTML Standards).

The strongest evidence comes first: a byte order mark, then the charset of the Content-Type, then a `<meta>` or XML declaration in the
first 1024 bytes. Without any of these, valid UTF-8 is UTF-8; anything else is guessed from where the text leaves ASCII, and windows-1252,
the web's legacy default, is preferred to guesses that are no better.

Encodings are named by the Python codec that comes closest to the standard's decoder. The departures: bytes that windows-125x leaves
undefined become U+FFFD, not C1 controls; ISO-2022-KR and HZ are decoded, though browsers refuse to, because of scripts, which we do not
run; ISO-2022-CN, for which there is no codec, is ignored, as is x-user-defined in a header (in a `<meta>`, the standard has it mean
windows-1252).
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from crawler.web.jis import character_at
from crawler.web.media_type import charset, essence, is_unknown

if TYPE_CHECKING:
    from charset_normalizer import CharsetMatches

UTF_8 = "utf-8"
DEFAULT = "windows-1252"

UTF_16 = frozenset({"utf-16-le", "utf-16-be"})
_UTF_16_STARTS = ((b"<\0?\0x\0", "utf-16-le"), (b"\0<\0?\0x", "utf-16-be"))
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, UTF_8), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF16_LE, "utf-16-le"))

_LABELS = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
    "utf-16-be": "unicodefffe utf-16be",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
    "windows-1250": "cp1250 windows-1250 x-cp1250",
    "windows-1251": "cp1251 windows-1251 x-cp1251",
    "windows-1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 "
    "iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252",
    "windows-1253": "cp1253 windows-1253 x-cp1253",
    "windows-1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 "
    "windows-1254 x-cp1254",
    "windows-1255": "cp1255 windows-1255 x-cp1255",
    "windows-1256": "cp1256 windows-1256 x-cp1256",
    "windows-1257": "cp1257 windows-1257 x-cp1257",
    "windows-1258": "cp1258 windows-1258 x-cp1258",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso-8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso-8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso-8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso-8859-5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
    "iso-8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e iso-8859-6-i "
    "iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso-8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7 "
    "iso_8859-7:1987 sun_eu_greek",
    "iso-8859-8": "csiso88598e csiso88598i csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-8859-8-i iso-ir-138 iso8859-8 "
    "iso88598 iso_8859-8 iso_8859-8:1988 logical visual",
    "iso-8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso-8859-13": "iso-8859-13 iso8859-13 iso885913",
    "iso-8859-14": "iso-8859-14 iso8859-14 iso885914",
    "iso-8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
    "iso-8859-16": "iso-8859-16",
    "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8-u": "koi8-ru koi8-u",
    "mac-roman": "csmacintosh mac macintosh x-mac-roman",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb18030 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk",
    "hz": "hz-gb-2312",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc-jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
    "iso2022_jp_ext": "csiso2022jp iso-2022-jp",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949",
    "iso-2022-kr": "csiso2022kr iso-2022-kr",
}
"""Codec: the labels of the Encoding Standard §4.2 that mean it."""

_NAMES = {
    "cp874": "windows-874",
    "cp866": "IBM866",
    "cp932": "Shift_JIS",
    "cp949": "EUC-KR",
    "big5hkscs": "Big5",
    "iso2022-jp-ext": "ISO-2022-JP",
    "mac-roman": "macintosh",
    "mac-cyrillic": "x-mac-cyrillic",
}
"""Codec: the standard's name for it, where that is more than another spelling."""

_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}

_GUESSES = (
    *("big5hkscs", "cp932", "cp949", "euc_jp", "gb18030", "koi8_r", "cp866", "cp874"),
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
)
"""The encodings worth guessing: those in which pages without any declaration are written. A guess costs up to 1.5 ms."""

_JIS = frozenset({"euc-jp", "euc_jp", "iso2022_jp_ext"})
_JIS_PAIRS = {"euc_jp": re.compile(rb"[\xa1-\xfe]{2}"), "iso2022_jp_ext": re.compile(rb"[!-~]{2}")}
_VENDORS = "crawler.web.encoding: jis"
_AS_VENDORS_HAVE_IT = str.maketrans("\u301c\u2016\u2212\xa2\xa3\xac", "\uff5e\u2225\uff0d\uffe0\uffe1\uffe2")
"""Python's codecs follow JIS, but the web follows Windows: in these symbols, and in circled and Roman numerals (`_of_vendors`)."""

_PRESCAN_BYTES = 1024
_GUESS_BYTES = 4096

_ATTRIBUTE = rb"""
    [\t\n\f\r\x20/]*+
    (?P<name>[^\t\n\f\r\x20/>][^\t\n\f\r\x20/>=]*+)
    (?: (?=[/>])
      | [\t\n\f\r\x20]*+
        (?: = [\t\n\f\r\x20]*+
            (?: "(?P<quoted>[^"]*+)" | '(?P<apart>[^']*+)' | (?=>) | (?P<plain>[^\t\n\f\r\x20>"'][^\t\n\f\r\x20>]*+)(?=[\t\n\f\r\x20>]) )
          | (?=[^=])
        )
    )
"""
_TAG_END = rb"[\t\n\f\r\x20/]*+>"
_ANY_ATTRIBUTE = re.sub(rb"\?P<\w+>", b"?:", _ATTRIBUTE)
_attribute = re.compile(_ATTRIBUTE, re.VERBOSE).match
_rest_of_tag = re.compile(rb"(?:%b)*+%b" % (_ANY_ATTRIBUTE, _TAG_END), re.VERBOSE).match
_to_meta = re.compile(
    rb"""
    (?: [^<]++
      | <!(?=--).*?-->
      | <(?!meta[\t\n\f\r\x20/])/?[A-Za-z][^\t\n\f\r\x20>]*+(?:%b)*+%b
      | <(?:!(?!--)|/(?![A-Za-z])|\?)[^>]*+>
      | <(?![A-Za-z!/?])
    )*+
    <meta(?=[\t\n\f\r\x20/])
    """
    % (_ANY_ATTRIBUTE, _TAG_END),
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
).match
"""Skips comments, other tags with their attributes, and whatever begins like a tag, but nothing that is cut off."""

_CHARSET = re.compile(
    rb"""charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^\t\n\f\r ;"'][^\t\n\f\r ;]*))?""", re.IGNORECASE
)
_XML = re.compile(rb"""<\?xml(?:(?!encoding)[^>])*+encoding[\0-\x20]*=[\0-\x20]*(["'])([^\0-\x20>]*?)\1[^>]*>""")

_NOT_ASCII = re.compile(rb"[\x80-\xff]")


def encoding_of(body: bytes, content_type: str | None) -> str:
    """The encoding of a body that came with this Content-Type, as a name for `bytes.decode`."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return encoding
    return codec_of(charset(content_type or "")) or _declared(body, content_type or "") or _guessed(body)


def declared_by_xml(start: bytes) -> str:
    """The encoding of an XML document that starts with these bytes: by its byte order mark or its declaration, otherwise UTF-8."""
    for mark, encoding in (*_BYTE_ORDER_MARKS, *_UTF_16_STARTS):
        if start.startswith(mark):
            return encoding
    return (start.startswith(b"<?xml") and _in_xml(start)) or UTF_8


def decode(body: bytes, encoding: str) -> str:
    """The text of a body, without byte order mark. Never fails: bytes that do not fit become U+FFFD."""
    if encoding in _JIS:
        return body.decode(encoding, _VENDORS).translate(_AS_VENDORS_HAVE_IT)
    return without_mark(body, encoding).decode(encoding, "replace")


def without_mark(body: bytes, encoding: str) -> bytes:
    """The body after the byte order mark of its encoding, if it has one."""
    for mark, marked in _BYTE_ORDER_MARKS:
        if encoding == marked:
            return body.removeprefix(mark)
    return body


def _of_vendors(error: UnicodeError) -> tuple[str, int]:
    """The vendors' character where JIS X 0208 has none. An error handler for `bytes.decode`."""
    assert isinstance(error, UnicodeDecodeError), "it is named in `decode` alone"
    pair = error.object[error.start : error.start + 2]
    if not _JIS_PAIRS[error.encoding].fullmatch(pair):
        return "\ufffd", error.end
    row, cell = ((byte & 0x7F) - 0x20 for byte in pair)
    return character_at(row, cell), error.start + 2


codecs.register_error(_VENDORS, _of_vendors)


def codec_of(label: str | None) -> str | None:
    """The codec for a label (§4.2); None for an unknown label."""
    return _CODECS.get(label.strip().lower()) if label else None


def name_of(codec: str) -> str:
    """The standard's name for the encoding of a codec."""
    codec = codec.replace("_", "-")
    if name := _NAMES.get(codec):
        return name
    if codec.startswith("cp125"):
        return f"windows-{codec[2:]}"
    return codec if codec.startswith(("windows-", "gb")) else codec.upper()


def _declared(body: bytes, content_type: str) -> str | None:
    """The encoding that a markup document declares (HTML Standard §13.2.3.2, prescan): HTML in a `<meta>` or, without one, in an XML
    declaration; XML the other way round.
    """
    kind = essence(content_type)
    if not kind.endswith(("html", "xml")) and not is_unknown(kind):
        return None
    head = body[:_PRESCAN_BYTES]
    for start, encoding in _UTF_16_STARTS:
        if head.startswith(start):
            return encoding
    in_xml = _in_xml(head) if head.startswith(b"<?xml") else None
    return (in_xml if kind.endswith("xml") else None) or _in_meta(head) or in_xml


def _in_meta(head: bytes) -> str | None:
    """The encoding in the first `<meta>` that names one, unless that is in a comment or in another tag's attribute."""
    at = 0
    while (found := _to_meta(head, at)) and (tag := _rest_of_tag(head, found.end())):
        if encoding := _of_meta(tag[0]):
            return encoding
        at = tag.end()
    return None


@lru_cache(64)  # pages of a site say it alike
def _of_meta(tag: bytes) -> str | None:
    """The encoding in a `<meta>`, given without its name. `charset` counts in any case; a charset in `content` only if `http-equiv` says
    that this is a Content-Type.
    """
    attributes: dict[bytes, bytes] = {}
    at = 0
    while attribute := _attribute(tag, at):
        name, *values = attribute.groups()
        attributes.setdefault(name.lower(), next(filter(None, values), b""))
        at = attribute.end()
    label = attributes.get(b"charset")
    if label is None and attributes.get(b"http-equiv", b"").lower() == b"content-type":
        found = _CHARSET.search(attributes.get(b"content", b""))
        label = found and next(filter(None, found.groups()), None)
    return _of_ascii(label) if label else None


def _in_xml(head: bytes) -> str | None:
    found = _XML.match(head)
    return _of_ascii(found[2]) if found else None


def _of_ascii(label: bytes) -> str | None:
    """The encoding that a document declares in ASCII. That cannot be UTF-16, whatever it says."""
    encoding = codec_of(label.decode("latin-1"))
    if encoding is None and label.strip().lower() == b"x-user-defined":
        return DEFAULT
    return UTF_8 if encoding in UTF_16 else encoding


def _guessed(body: bytes) -> str:
    try:
        body.decode(UTF_8)
    except UnicodeDecodeError:
        return _guessed_legacy(body)
    return UTF_8


def _guessed_legacy(body: bytes) -> str:
    from charset_normalizer import from_bytes  # 30 ms to import, and few crawls need it

    found = _NOT_ASCII.search(body)
    assert found, "what is not UTF-8 is not ASCII"
    sample = body[found.start() : found.start() + _GUESS_BYTES]
    if len(sample) == _GUESS_BYTES:  # cut it where no character of several bytes is split
        sample = sample[: max(sample.rfind(b) for b in (b"<", b"\n", b" ")) + 1 or None]
    return _best(from_bytes(sample, cp_isolation=list(_GUESSES)))


def _best(matches: CharsetMatches) -> str:
    best = matches.best()
    if best is None:
        return DEFAULT
    for match in matches:
        if "cp1252" in match.could_be_from_charset and match.coherence >= best.coherence:
            return DEFAULT
    return best.encoding
