"""Sitemaps (sitemaps.org 0.9) and feeds that serve as such, read as a stream: bytes in, URLs out.

XML sitemaps and sitemap indexes, RSS and Atom are recognised by their elements, whatever the namespace and whether or not it is declared,
since many sites get that wrong; a file that does not start with a tag is text, with one URL a line. `read` takes a whole file, compressed
or not, or more than once (crawler/web/gzipped.py).

Other common mistakes, at which an XML parser would stop, are mended: a `&` that is not a reference stands for itself; control characters
are ignored, and so are bytes that do not fit the encoding, which may be any that pages have, by any label.

With `since`, what has not changed since that day, according to `lastmod`, is left out; in an index, these are whole sitemaps. A date counts
as it is written, whatever its time zone, and until the end of what it may mean: `2026-01` to the end of the month.

Memory is bounded in any case. Reading stops, and what was read remains valid, at the protocol's limits of 50 MiB and 50,000 URLs (the URLs
of relative references come to at most 50 MiB, too), at XML that is not well formed, is nested absurdly deep, or has a tag without end,
and at the first entity declaration: entities are never expanded.
"""

from __future__ import annotations

import codecs
import re
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from crawler.web.elements import Elements, Refused
from crawler.web.encoding import declared_by_xml
from crawler.web.gzipped import Unreadable, unpacked
from crawler.web.urls import resolve

if TYPE_CHECKING:
    from datetime import date

MAX_BYTES = 50 * 1024 * 1024
MAX_URLS = 50_000

_MAX_DEPTH = 32
_MAX_LINE = 64 * 1024

_LOOKED_AT = 1024
"""How many bytes at the start are searched for a declaration of the encoding."""
_BLANK = b" \t\r\n"
_LINE_BREAK = re.compile("[\r\n]+")
_ABSOLUTE = re.compile(r"\s*https?://", re.IGNORECASE)

_DECLARATION = re.compile(r"<\?xml\s[^>]*>")
_STRAY = re.compile("&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_AMPERSAND = "\ufdd0"
"""Replaces a stray `&` on its way through the parser, be it in text, in CDATA, or in an attribute: a noncharacter that XML allows."""
_LONGEST_REFERENCE = len("&#1114111;")
_CONTROLS = bytes({*range(0x20)} - {*_BLANK})

_LOCATIONS = frozenset({("url", "loc"), ("sitemap", "loc"), ("item", "link")})
"""Elements, below their parents, whose text is a URL; Atom's is in an attribute."""
_DATED = ("url", "sitemap")
"""Elements that may have a date; feeds show in another way what is new."""
_CHANGES = frozenset({(parent, "lastmod") for parent in _DATED})
"""Elements, below their parents, whose text is that date (W3C Datetime)."""
_day = re.compile(r"\s*(\d{4}(?:-\d\d(?:-\d\d)?)?)").match


class Found(NamedTuple):
    """A canonical URL, of a page or of a further sitemap."""

    url: str
    is_sitemap: bool


class Listing(NamedTuple):
    """What a sitemap lists, each URL once, in order. `problem`: why it was not read to its end; None if it was."""

    pages: list[str]
    sitemaps: list[str]
    problem: str | None


def read(url: str, body: bytes, since: date | None = None) -> Listing:
    """What the sitemap at `url`, which is canonical, lists. A gzipped body is decompressed, whatever its name."""
    reader = SitemapReader(url, since)
    found: list[Found] = []
    problem = None
    try:
        for part in unpacked(body, MAX_BYTES):
            found += reader.feed(part)
            if reader.problem:
                break
    except Unreadable as error:
        problem = str(error)
    found += reader.close()
    pages, sitemaps = (dict.fromkeys(one.url for one in found if one.is_sitemap == kind) for kind in (False, True))
    return Listing(list(pages), list(sitemaps), problem or reader.problem)


class SitemapReader:
    """Reads the sitemap at `url`, which is canonical: `feed` it as it arrives, then `close`."""

    def __init__(self, url: str, since: date | None = None) -> None:
        self.problem: str | None = None
        """Why reading stopped before the end, in words; what is fed after that is ignored."""
        self._url = url
        self._since = since
        self._bytes = 0
        self._urls = 0
        self._characters = 0
        self._start = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._content: _Xml | _Text | None = None

    def feed(self, data: bytes) -> list[Found]:
        """The URLs that this part of the file completes, in order. References that lead nowhere are left out; repeated ones may be."""
        if self.problem:
            return []
        data, is_too_long = data[: MAX_BYTES - self._bytes], len(data) > MAX_BYTES - self._bytes
        self._bytes += len(data)
        found = self._absorb(data, is_last=False)
        if is_too_long and not self.problem:
            self.problem = f"it is longer than {MAX_BYTES} bytes"
        return found

    def close(self) -> list[Found]:
        """The URLs that the end of the file completes."""
        return [] if self.problem else self._absorb(b"", is_last=True)

    def _absorb(self, data: bytes, *, is_last: bool) -> list[Found]:
        if self._decoder is None:
            data = self._start = (self._start + data).removeprefix(codecs.BOM_UTF8).lstrip(_BLANK)
            if len(data) < _LOOKED_AT and not is_last:
                return []
            self._decoder = codecs.getincrementaldecoder(declared_by_xml(data))("replace")
            self._start = b""
        text = self._decoder.decode(data, is_last)
        if self._content is None:
            text = text.removeprefix("\ufeff")
            self._content = _Xml(self._since) if text.startswith("<") else _Text()
        try:
            self._content.feed(text, is_last=is_last)
        except Refused as refusal:
            self.problem = str(refusal)
        return self._resolved(self._content.take())

    def _resolved(self, references: list[tuple[str, bool]]) -> list[Found]:
        left = MAX_URLS - self._urls
        if len(references) > left:
            self.problem = f"it lists more than {MAX_URLS} URLs"
        self._urls += len(references)
        found = []
        for is_sitemap, group in groupby(references[:left], key=itemgetter(1)):
            urls = resolve(self._url, [reference for reference, _ in group if reference])
            self._characters += sum(map(len, urls))
            if self._characters > MAX_BYTES:
                self.problem = f"its URLs are longer than {MAX_BYTES} bytes together"
                break
            found += [Found(url, is_sitemap) for url in urls]
        return found


class _Text:
    """One URL a line. Lines without a scheme are ignored, since error pages are also served as sitemaps."""

    def __init__(self) -> None:
        self._rest = ""
        self._found: list[tuple[str, bool]] = []

    def feed(self, text: str, *, is_last: bool) -> None:
        *lines, self._rest = _LINE_BREAK.split(self._rest + text)
        if is_last:
            lines.append(self._rest)
        self._found += [(line, False) for line in lines if _ABSOLUTE.match(line)]
        if len(self._rest) > _MAX_LINE:
            raise Refused(f"it has a line longer than {_MAX_LINE} characters")

    def take(self) -> list[tuple[str, bool]]:
        found, self._found = self._found, []
        return found


class _Xml(Elements):
    """The references in XML sitemaps, RSS and Atom. With `since`, those of a sitemap are kept back until their entry ends, because a date
    in it may show that they are not wanted."""

    def __init__(self, since: date | None) -> None:
        super().__init__(max_depth=_MAX_DEPTH, encoding="utf-8", knows_namespaces=False)
        self._since = since.isoformat() if since else ""
        self._text: list[str] | None = None
        self._found: list[tuple[str, bool]] = []
        self._kept_back: list[tuple[str, bool]] = []
        self._is_old = False
        self._rest: str | None = None

    def feed(self, text: str, *, is_last: bool) -> None:
        text = _DECLARATION.sub("", text, count=1) if self._rest is None else self._rest + text
        end = len(text)
        if not is_last and (cut_off := text.rfind("&", max(0, end - _LONGEST_REFERENCE))) >= 0:
            end = cut_off
        text, self._rest = text[:end], text[end:]
        self.parse(_STRAY.sub(_AMPERSAND, text).encode().translate(None, _CONTROLS), is_last=is_last)

    def take(self) -> list[tuple[str, bool]]:
        found, self._found = self._found, []
        return found

    def named(self, name: str) -> str:
        return name.rpartition(":")[2]

    def began(self, name: str, attributes: dict[str, str]) -> None:
        parent = self.path[-2] if len(self.path) > 1 else ""
        if (parent, name) in _LOCATIONS or (self._since and (parent, name) in _CHANGES):
            self._text = []
        elif (parent, name) == ("entry", "link") and attributes.get("rel", "alternate") == "alternate":
            self._take(attributes.get("href", ""), parent)

    def ended(self, name: str) -> None:
        parent = self.path[-1] if self.path else ""
        if self._text is not None and (parent, name) in _LOCATIONS:
            self._take("".join(self._text), parent)
            self._text = None
        elif self._text is not None and (parent, name) in _CHANGES:
            changed = _day("".join(self._text))
            self._is_old = changed is not None and changed[1] < self._since[: len(changed[1])]
            self._text = None
        elif self._since and name in _DATED:
            self._found += [] if self._is_old else self._kept_back
            self._kept_back, self._is_old = [], False

    def _take(self, reference: str, parent: str) -> None:
        place = self._kept_back if self._since and parent in _DATED else self._found
        if len(self._kept_back) > MAX_URLS:
            raise Refused(f"it lists more than {MAX_URLS} URLs")
        place.append((reference.strip().replace(_AMPERSAND, "&"), parent == "sitemap"))

    def text(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)
