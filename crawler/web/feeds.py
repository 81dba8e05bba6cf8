"""Feeds, read into entries of one kind: RSS 0.9 to 2.0, Atom (RFC 4287, and 0.3) and JSON Feed (1.1, and 1.0).

A feed is recognised by its content, whatever its media type says. Elements are recognised by their namespaces: those of the feed's own
format, and the modules that feeds use (Dublin Core, `content:encoded`, Atom in RSS). All others are ignored, so that `media:title` is
not taken for a title. Frequent mistakes that make a feed invalid as XML are mended first: characters that XML forbids, `&` alone,
`&nbsp;` and the like.

Memory is bounded by the text that is given. Reading stops at 50,000 entries, at 50 MiB of their URLs, each of which may repeat a long
base, and for the reasons given in `crawler.web.elements`; entries that were complete are kept. Of one entry, 100 elements of a kind are
read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from html import escape, unescape
from html.entities import html5
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec.structs import replace

from crawler.web.elements import Elements, Refused
from crawler.web.feed_dates import iso_8601
from crawler.web.urls import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_BYTES = 50 * 1024 * 1024
"""Of a document that is compressed (crawler/web/gzipped.py); one that is not is as long as it came."""
MAX_ENTRIES = 50_000
_MAX_URLS = 50 * 1024 * 1024
"""Characters, of the URLs of all entries."""
_MAX_OF_A_KIND = 100
_MAX_PARTS = 100_000
"""Tags within one element, and the texts between them."""
_MAX_MENDED = 500_000
"""Places in a document that are mended; a CDATA section counts as one."""
_MAX_DEPTH = 256
"""Atom may contain XHTML, which is nested as deep as pages are."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. What the feed does not say is None, or an empty list."""

    id: str | None = None
    url: str | None = None
    """The canonical URL of its page."""
    title: str | None = None
    """Plain text, as are `author` and `categories`."""
    author: str | None = None
    """The names of all authors, separated by commas; if the entry names none, those of the feed."""
    published: str | None = None
    """ISO 8601, as `updated` is: see `crawler.web.feed_dates`."""
    updated: str | None = None
    summary: str | None = None
    """As it is in the feed, so usually HTML; `content` likewise."""
    content: str | None = None
    categories: list[str] = []
    enclosures: list[str] = []
    """The URLs of files that come with it."""


class Feed(NamedTuple):
    """One document of a feed. `following` is the URL of the next one (RFC 5005: a further page, or an older archive), None if there is
    none; `problem` says why the document was not read to its end, None if it was."""

    title: str | None
    entries: list[Entry]
    following: str | None
    problem: str | None


def read(url: str, text: str) -> Feed | None:
    """The feed at `url`, which is canonical; None for what is not a feed."""
    text = text.lstrip("\ufeff \t\r\n")
    return _read_json(url, text) if text.startswith("{") else _read_xml(url, text)


_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)


def _plain(markup: str) -> str:
    return unescape(_TAG.sub("", markup))


def _in_line(text: str) -> str | None:
    """A text with white space collapsed; None if nothing is left."""
    return " ".join(text.split()) or None


def _listed(texts: Iterable[str | None]) -> list[str]:
    """Each text once, stripped; empty ones are left out."""
    return list(dict.fromkeys(filter(None, (text.strip() for text in texts if text))))


def _urls(references: Iterable[tuple[str, str]]) -> list[str]:
    """The URLs of pairs of a reference and its base."""
    return _listed(url for reference, base in references if reference.strip() for url in resolve(base, [reference]))


class _Entries:
    """Entries, up to a bound."""

    def __init__(self) -> None:
        self.kept: list[Entry] = []
        self._characters = 0

    def add(self, entry: Entry) -> None:
        """Raises Refused when there are too many."""
        self._characters += len(entry.url or "") + sum(map(len, entry.enclosures))
        if self._characters > _MAX_URLS:
            raise Refused(f"its URLs are longer than {_MAX_URLS} characters together")
        if len(self.kept) == MAX_ENTRIES:
            raise Refused(f"it has more than {MAX_ENTRIES} entries")
        self.kept.append(entry)


# XML: the elements of an entry are gathered by name, then looked up by the names that the formats have for the same thing

_MODULES = {
    "http://www.w3.org/2005/Atom": "atom:",
    "http://purl.org/dc/elements/1.1/": "dc:",
    "http://purl.org/dc/terms/": "dc:",
    "http://purl.org/rss/1.0/modules/content/": "content:",
    "http://purl.org/rss/1.0/": "",
    "http://my.netscape.com/rdf/simple/0.9/": "",
    "": "",
}
"""Prefixes by namespace. The namespace of the root has none either."""

_BASE = "http://www.w3.org/XML/1998/namespace base"
_ABOUT = "http://www.w3.org/1999/02/22-rdf-syntax-ns# about"

_FEEDS = frozenset({"rss", "rdf", "feed"})
_ENTRIES = frozenset({"item", "entry"})

_LINKS = ("link", "atom:link")
_AUTHORS = (("author/name", "atom:author/atom:name"), ("author",), ("dc:creator",))
_PUBLISHED = ("pubdate", "published", "issued", "created", "dc:issued", "dc:created", "dc:date")
_UPDATED = ("updated", "modified", "atom:updated", "dc:modified")
_SUMMARIES = ("description", "summary")
_CONTENTS = ("content:encoded", "content")
_CATEGORIES = ("category", "dc:subject")
_WANTED = frozenset({"guid", "id", "title", "enclosure"}).union(
    _LINKS, *_AUTHORS, _PUBLISHED, _UPDATED, _SUMMARIES, _CONTENTS, _CATEGORIES
)
_VOID = frozenset({"area", "br", "col", "embed", "hr", "img", "input", "source", "track", "wbr"})

_CANNOT_BE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]").search
_LEAVE_OUT = dict.fromkeys([*range(9), 0xB, 0xC, *range(0xE, 0x20), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)])
_AMPERSAND = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z) | &(?!(?:amp|lt|gt|quot|apos|\#\d+|\#x[0-9a-fA-F]+);)(\w{1,40};)?",
    re.DOTALL | re.VERBOSE | re.ASCII,
)
_ABSOLUTE = re.compile(r"\s*https?://", re.IGNORECASE).match
_MAILBOX = re.compile(r"[^\s@]+@[^\s@]+\s+\((.+)\)")
"""An author in RSS 2.0: `lawyer@boyer.net (Lawyer Boyer)`."""


class _Element(NamedTuple):
    """An element that was read: its text, its attributes, and what its references are relative to."""

    text: str
    attributes: dict[str, str]
    base: str


class _Parts(defaultdict[str, list[_Element]]):
    """The elements of one entry, or of the feed itself, by name."""

    def __init__(self) -> None:
        super().__init__(list)

    def all(self, names: Iterable[str]) -> Iterator[_Element]:
        return (element for name in names for element in self.get(name, ()))

    def first(self, *names: str) -> str | None:
        return next(iter(_listed(element.text for element in self.all(names))), None)

    def date(self, names: Iterable[str]) -> str | None:
        return next(filter(None, (iso_8601(element.text) for element in self.all(names))), None)

    def title(self, text_type: str) -> str | None:
        for element in self["title"]:
            is_text = element.attributes.get("type", text_type) == "text"
            return _in_line(element.text if is_text else _plain(element.text))
        return None

    def author(self) -> str | None:
        for names in _AUTHORS:
            if found := _listed(_name_in(_plain(element.text)) for element in self.all(names)):
                return ", ".join(found)
        return None

    def linked(self, relation: str) -> list[str]:
        """The URLs of links with this relation, those to HTML first."""
        links = [link for link in self.all(_LINKS) if link.attributes.get("rel", "alternate").lower() == relation]
        links.sort(key=lambda link: "html" not in link.attributes.get("type", "html"))
        return _urls((link.attributes.get("href") or link.text, link.base) for link in links)

    def permalinks(self) -> list[str]:
        """The identifiers of an RSS 2.0 entry that are URLs of its page."""
        return _urls(
            (guid.text, guid.base)
            for guid in self["guid"]
            if guid.attributes.get("isPermaLink") != "false" and _ABSOLUTE(guid.text)
        )


def _name_in(author: str) -> str:
    found = _MAILBOX.fullmatch(author.strip())
    return found[1] if found else author


class _Reading(NamedTuple):
    """The element that is being read: its path below the entry or the feed, its depth, its attributes, and its text so far."""

    place: str
    depth: int
    attributes: dict[str, str]
    text: list[str]


class _Xml(Elements):
    """Collects the complete entries of a feed, and what it says about itself."""

    def __init__(self, url: str) -> None:
        super().__init__(max_depth=_MAX_DEPTH, encoding="utf-8")
        self.kind = ""
        """The name of the root; empty if it is not that of a feed."""
        self.feed = _Parts()
        self.entries = _Entries()
        self._prefixes: dict[str, str] = {}
        self._bases = [url]
        self._parts = self.feed  # what elements are parts of now, and its depth
        self._depth = 1
        self._reading: _Reading | None = None

    @property
    def text_type(self) -> str:
        """The type of a text that does not declare one."""
        return "text" if self.kind == "feed" else "html"

    def named(self, name: str) -> str:
        namespace, _, name = name.rpartition(" ")
        self._prefixes = self._prefixes or {**_MODULES, namespace: ""}
        return self._prefixes.get(namespace, "other:") + name.lower()

    def began(self, name: str, attributes: dict[str, str]) -> None:
        depth = len(self.path)
        if depth == 1 and name not in _FEEDS:
            raise Refused("it is not a feed")
        self.kind = self.path[0]
        self._bases.append(_joined(self._bases[-1], attributes.get(_BASE)))
        if self._reading and self.path[-2] != "author":
            if len(self._reading.text) > _MAX_PARTS:
                raise Refused(f"an element of it has more than {_MAX_PARTS} parts")
            self._reading.text.append(_start_tag(name, attributes))
        elif name in _ENTRIES and depth <= 3:
            self._parts, self._depth = _Parts(), depth
            self._parts["id"].append(_Element(attributes.get(_ABOUT, ""), attributes, self._bases[-1]))
        elif name == "channel" and depth == 2:
            self._depth = depth
        elif (place := "/".join(self.path[self._depth :])) in _WANTED:
            self._reading = _Reading(place, depth, attributes, [])

    def text(self, text: str) -> None:
        if reading := self._reading:
            is_markup = reading.attributes.get("type") == "xhtml"
            reading.text.append(escape(text, quote=False) if is_markup else text)

    def ended(self, name: str) -> None:
        depth, base = len(self.path) + 1, self._bases.pop()
        if reading := self._reading:
            if depth > reading.depth:
                reading.text.append(_end_tag(name))
                return
            alike = self._parts[reading.place]
            if len(alike) < _MAX_OF_A_KIND:
                alike.append(_Element("".join(reading.text), reading.attributes, base))
            self._reading = None
        elif depth == self._depth and name in _ENTRIES:
            self.entries.add(_entry(self._parts, self.text_type))
            self._parts, self._depth = self.feed, depth - 1


def _joined(base: str, reference: str | None) -> str:
    return next(iter(resolve(base, [reference])), base) if reference else base


def _start_tag(name: str, attributes: dict[str, str]) -> str:
    pairs = "".join(f' {key.rpartition(" ")[2]}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name.rpartition(':')[2]}{pairs}>"


def _end_tag(name: str) -> str:
    name = name.rpartition(":")[2]
    return "" if name in _VOID else f"</{name}>"


def _read_xml(url: str, text: str) -> Feed | None:
    xml, problem = _Xml(url), None
    try:
        xml.parse(_mended(text).encode(), is_last=True)
    except Refused as refusal:
        problem = str(refusal)
    if not xml.kind:
        return None
    entries = xml.entries.kept
    if xml.kind == "feed" and (author := xml.feed.author()):
        entries = [entry if entry.author else replace(entry, author=author) for entry in entries]
    following = xml.feed.linked("next") or xml.feed.linked("prev-archive")
    return Feed(xml.feed.title(xml.text_type), entries, next(iter(following), None), problem)


def _entry(parts: _Parts, text_type: str) -> Entry:
    return Entry(
        id=parts.first("guid", "id"),
        url=next(iter(parts.linked("alternate") or parts.permalinks()), None),
        title=parts.title(text_type),
        author=parts.author(),
        published=parts.date(_PUBLISHED),
        updated=parts.date(_UPDATED),
        summary=parts.first(*_SUMMARIES),
        content=parts.first(*_CONTENTS),
        categories=_listed(category.attributes.get("term", category.text) for category in parts.all(_CATEGORIES)),
        enclosures=_urls((file.attributes.get("url", ""), file.base) for file in parts["enclosure"])
        + parts.linked("enclosure"),
    )


def _mended(text: str) -> str:
    if _CANNOT_BE(text):
        text = text.translate(_LEAVE_OUT)
    return _AMPERSAND.sub(_escaped, text, count=_MAX_MENDED)


def _escaped(found: re.Match[str]) -> str:
    """The XML for a lone ampersand, or for a character named as in HTML."""
    if found[0].startswith("<"):
        return found[0]
    name = found[1] or ""
    return escape(html5[name]) if name in html5 else f"&amp;{name}"


# JSON


def _read_json(url: str, text: str) -> Feed | None:
    try:
        feed = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not (
        isinstance(feed, dict) and isinstance(feed.get("items"), list) and "jsonfeed.org/" in str(feed.get("version"))
    ):
        return None
    entries, problem = _Entries(), None
    author = _json_author(feed)
    try:
        for item in feed["items"]:
            if isinstance(item, dict):
                entries.add(_json_entry(url, item, author))
    except Refused as refusal:
        problem = str(refusal)
    return Feed(
        _in_line(_text(feed, "title")), entries.kept, next(iter(_json_urls(url, feed, "next_url")), None), problem
    )


def _json_entry(url: str, item: dict[str, Any], author: str | None) -> Entry:
    return Entry(
        id=_text(item, "id") or None,
        url=next(iter(_json_urls(url, item, "url") or _json_urls(url, item, "external_url")), None),
        title=_in_line(_text(item, "title")),
        author=_json_author(item) or author,
        published=iso_8601(_text(item, "date_published")),
        updated=iso_8601(_text(item, "date_modified")),
        summary=_text(item, "summary") or None,
        content=_text(item, "content_html") or _text(item, "content_text") or None,
        categories=_listed(tag for tag in _list(item, "tags") if isinstance(tag, str)),
        enclosures=_listed(found for file in _list(item, "attachments") for found in _json_urls(url, file, "url")),
    )


def _json_author(source: dict[str, Any]) -> str | None:
    """`authors`, or the `author` of version 1.0."""
    return ", ".join(_listed(_text(one, "name") for one in (*_list(source, "authors"), source.get("author")))) or None


def _json_urls(base: str, source: Any, key: str) -> list[str]:
    return _urls([(_text(source, key), base)])


def _text(source: Any, key: str) -> str:
    """A string, or a number, which some feeds use as ids, as a string; empty for anything else."""
    value = source.get(key) if isinstance(source, dict) else None
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _list(source: dict[str, Any], key: str) -> list[Any]:
    value = source.get(key)
    return value[:_MAX_OF_A_KIND] if isinstance(value, list) else []
