"""A document: what is read from a body and its headers, on demand. What it means to a crawl is in `crawler.page`.

Its links, its base and its title are found without a tree, unless that has been asked for, or only a tree can tell: see
`crawler.web.scan`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import msgspec

from crawler.errors import InvalidUrl, SpiderError, TooCostly
from crawler.web import encoding, media_type
from crawler.web.costs import multiplies
from crawler.web.directives import (
    OBEDIENT,
    Directives,
    Obedience,
    directives_of,
    head_of,
    may_forbid_links,
    may_speak,
)
from crawler.web.links import base_by, base_of, by_rel, hrefs, hrefs_by_rel, look_through, may_have_base
from crawler.web.urls import join_all, resolve
from crawler.web.xhtml import as_html

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from multidict import CIMultiDictProxy
    from selectolax.lexbor import LexborHTMLParser, LexborNode

    from crawler.web.scan import Scan

Default = TypeVar("Default")


class Document:
    """One document. Nothing is decoded or parsed before it is needed, and then only once."""

    __slots__ = (
        "_base_url",
        "_directives",
        "_dom",
        "_encoding",
        "_is_html",
        "_links",
        "_nofollow",
        "_obedience",
        "_scan",
        "_text",
        "body",
        "dom_was_asked_for",
        "headers",
        "url",
    )

    def __init__(self, url: str, headers: CIMultiDictProxy[str], body: bytes, obedience: Obedience = OBEDIENT) -> None:
        self.url = url
        """The canonical URL of the document, after all redirects."""
        self.headers = headers
        self.body = body
        """The body without its content coding, otherwise as it came."""
        self.dom_was_asked_for = False
        """Whether a spider has used `dom`, directly or through `css` and the like."""
        self._obedience = obedience
        self._encoding: str | None = None
        self._is_html: bool | None = None
        self._text: str | None = None
        self._dom: LexborHTMLParser | None = None
        self._scan: Scan | Literal[False] | None = False  # not made yet
        self._base_url: str | None = None
        self._directives: Directives | None = None
        self._links: list[str] | None = None
        self._nofollow: Sequence[str] = ()

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; empty if the response names none."""
        return media_type.essence(self.headers.get("Content-Type", ""))

    @property
    def is_html(self) -> bool:
        """Whether it is HTML or XHTML, by its header or, if that names no type, by how it starts."""
        if self._is_html is None:
            self._is_html = media_type.is_html(self.headers.get("Content-Type", ""), self.body)
        return self._is_html

    @property
    def encoding(self) -> str:
        """The encoding of the body, found as browsers do, by the name of Python's codec."""
        if self._encoding is None:
            self._encoding = encoding.encoding_of(self.body, self.headers.get("Content-Type"))
        return self._encoding

    @property
    def text(self) -> str:
        """The decoded body; bytes that do not fit the encoding are U+FFFD."""
        if self._text is None:
            self._text = encoding.decode(self.body, self.encoding)
        return self._text

    def json(self) -> Any:
        """The body parsed as JSON. Raises ValueError, naming the URL, if it is not JSON, or is nested too deep to be read."""
        try:
            return msgspec.json.decode(self._utf_8())
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise ValueError(f"{self.url} holds no JSON: {error}") from error

    @property
    def dom(self) -> LexborHTMLParser:
        """The parsed document, whatever the media type says; XHTML is parsed by the rules of HTML, except that its empty-element tags
        close themselves. Raises TooCostly if the tree would fill all memory (crawler/web/costs.py)."""
        self.dom_was_asked_for = True
        return self._tree()

    def _tree(self) -> LexborHTMLParser:
        if self._dom is None:
            self._dom = self._tree_of(self._utf_8())
            self.expect_dom()
        return self._dom

    def parse_now(self) -> None:
        """Build `dom` now. This may be done in a thread, which runs beside the event loop because the parser releases the interpreter's
        lock; nothing else may use the page meanwhile.
        """
        self._tree()

    def expect_dom(self) -> None:
        """Say that the tree will be needed: then title and links are found in it, and not searched for without it first."""
        self._scan = self._scan or None

    def look_now(self) -> None:
        """Find what can be found without a tree now, under the same conditions; build the tree if only that can tell."""
        if not self._scanned():
            self._tree()

    def css(self, selector: str) -> list[LexborNode]:
        """The nodes that a CSS selector matches, in document order. Raises SpiderError, which names it, for an invalid selector."""
        try:
            return self.dom.css(selector)
        except _selector_error() as error:
            raise self._no_selector(selector) from error

    @overload
    def css_first(self, selector: str) -> LexborNode | None: ...
    @overload
    def css_first(self, selector: str, default: Default) -> LexborNode | Default: ...
    def css_first(self, selector: str, default: Any = None) -> Any:
        """The first node that a CSS selector matches, or `default`. Raises SpiderError for an invalid selector."""
        try:
            return self.dom.css_first(selector, default)
        except _selector_error() as error:
            raise self._no_selector(selector) from error

    def one(self, selector: str) -> LexborNode:
        """The first node that a CSS selector matches, which must exist: otherwise raises SpiderError, which names selector and URL."""
        node = self.css_first(selector)
        if node is None:
            raise SpiderError(f"nothing on {self.url} matches {selector!r}")
        return node

    @property
    def title(self) -> str | None:
        """The text of the document's `<title>`, white space collapsed; None if it has none or is not HTML."""
        if not self.is_html:
            return None
        if scan := self._scanned():
            title = scan.title
        else:
            node = _title_of(self._tree())
            title = node.text() if node else None
        return None if title is None else " ".join(title.split())

    @property
    def base_url(self) -> str:
        """What references on the page are relative to: its `<base href>`, otherwise its `url`."""
        if self._base_url is None:
            if not self.is_html:
                self._base_url = self.url
            elif scan := self._scanned():
                self._base_url = base_by(scan.base, self.url)
            else:
                self._base_url = base_of(self._tree(), self.url) if self._may_have_base() else self.url
        return self._base_url

    def _may_have_base(self) -> bool:
        return self._hides_ascii() or may_have_base(self.body)

    def _hides_ascii(self) -> bool:
        """Whether ASCII has to be decoded before it can be found in the body."""
        return self.encoding.startswith("utf-16")

    @property
    def directives(self) -> Directives:
        """What the page says to robots, in its headers and its head: `noindex`, `nofollow`, `canonical`."""
        if self._directives is None:
            agent = self._obedience.agent
            head = self._head(agent) if self.is_html else None
            base = self.base_url if head else ""
            self._directives = directives_of(
                self.url, self.headers, head, base=base, encoding=self.encoding if head else "", agent=agent
            )
        return self._directives

    def _head(self, agent: str) -> LexborNode | None:
        """The document's head, if it may say something to robots; parsed by itself, if the whole document has not been."""
        if self._hides_ascii() or self.content_type == media_type.XHTML:
            return self._tree().head
        head = head_of(self.body)
        if not may_speak(head, agent):
            return None
        if self._dom:
            return self._dom.head
        return self._tree_of(head if self.encoding == encoding.UTF_8 else encoding.decode(head, self.encoding)).head

    def urljoin(self, href: str) -> str:
        """The canonical URL that a reference on this page leads to; raises InvalidUrl unless that is an http or https URL."""
        for url in self._resolved([href]):
            return url
        raise InvalidUrl(f"{href!r}, on {self.url}, leads to nothing that can be fetched")

    def links(self) -> list[str]:
        """The canonical URLs that the page's `<a href>` lead to, each once, in document order; empty if it is not HTML.

        Those that are not to be followed are left out: they are in `nofollow`.
        """
        return list(self._found_links())

    @property
    def nofollow(self) -> list[str]:
        """The URLs that `links` leaves out, because the page, or every link to them, says `nofollow`, and the crawl obeys."""
        self._found_links()
        return list(self._nofollow)

    def _found_links(self) -> list[str]:
        if self._links is None:
            scan = self._scanned() if self.is_html else None
            if not self.is_html:
                self._links = []
            elif self._obedience.nofollow and self._may_forbid_links(scan):
                self._links, self._nofollow = self._links_by_rel(scan)
            elif scan:
                self._links = join_all(self.base_url, self._as_meant(scan.references))
            else:
                self._links = self._resolved(hrefs(self._tree()))
        return self._links

    def _may_forbid_links(self, scan: Scan | None) -> bool:
        """Whether some links may be marked as not to be followed; without a scan, the bytes are searched first, which is cheap."""
        if self.directives.nofollow:
            return True
        return not all(scan.references.values()) if scan else may_forbid_links(self.body) or self._hides_ascii()

    def _links_by_rel(self, scan: Scan | None) -> tuple[list[str], list[str]]:
        """The links to follow, and those not to. A URL is followed if any link to it may be."""
        followed, forbidden = by_rel(scan) if scan else hrefs_by_rel(self._tree())
        if self.directives.nofollow:
            return [], self._resolved(followed + forbidden)
        links = self._resolved(followed)
        known = set(links)
        return links, [url for url in self._resolved(forbidden) if url not in known]

    def _resolved(self, references: Iterable[str]) -> list[str]:
        """The canonical URLs that references on this page lead to."""
        return resolve(self.base_url, self._as_meant(references))

    def _as_meant(self, references: Iterable[str]) -> list[str]:
        meant = list(references)
        if self.encoding == encoding.UTF_8 or "".join(meant).isascii():
            return meant
        from crawler.web.encoders import in_query  # most pages are in UTF-8

        return [in_query(reference, self.encoding) for reference in meant]

    def _scanned(self) -> Scan | None:
        """What was found in the bytes; None if that takes the tree, or the tree exists already."""
        if self._scan is False:
            document = self._utf_8()
            self._scan = look_through(document if isinstance(document, bytes) else document.encode())
        return self._scan

    def _utf_8(self) -> bytes | str:
        """The body for parsers of UTF-8; decoded only if it is in another encoding. Most bodies that are said to be in Latin 1 are ASCII,
        and so also UTF-8."""
        if self.content_type == media_type.XHTML:
            return as_html(self.text)
        if self.encoding == encoding.UTF_8:
            return encoding.without_mark(self.body, self.encoding)
        return self.body if self.encoding == encoding.DEFAULT and self.body.isascii() else self.text

    def _tree_of(self, document: bytes | str) -> LexborHTMLParser:
        """The tree of a document. One that would fill all memory is refused as a whole, like a body that is too large: read in part, it
        would give incomplete items, and nobody would know."""
        from selectolax.lexbor import LexborHTMLParser  # 2 MB, and many crawls need only links and titles

        if multiplies(document if isinstance(document, bytes) else document.encode("utf-8", "replace")):
            raise TooCostly(
                f"size: no tree is built of {self.url}: its formatting, never closed, would be repeated without end"
            )
        return LexborHTMLParser(document)

    def _no_selector(self, selector: str) -> SpiderError:
        if "::" in selector:
            hint = "CSS selects elements: node.text() and node.attributes say what is in them"
        elif selector.startswith("//"):
            hint = "there is no XPath"
        else:
            hint = f"to follow a reference, write url={selector!r}"
        return SpiderError(f"{selector!r}, asked of {self.url}, is not a CSS selector; {hint}")


def _selector_error() -> type[Exception]:
    from selectolax.lexbor import SelectolaxError

    return SelectolaxError


def _title_of(dom: LexborHTMLParser) -> LexborNode | None:
    """The first HTML `<title>`: nearly always a child of the head, where finding it costs a fraction of what a selector does."""
    head = dom.head
    for node in head.iter() if head else ():
        if node.tag == "title":
            return node
    return dom.css_first("title:not(svg title)")
