"""A document: what is read out of a body and its headers, on demand. What it is to a crawl is `crawler.page`'s.

Its links, its base and its title are found without a tree, unless that has been asked for, or alone can tell: see
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
    """One document. Nothing is decoded or parsed before it is asked for, and then only once."""

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
        """Where it was found at last, past all redirects; canonical."""
        self.headers = headers
        self.body = body
        """The body without its content coding, otherwise as it came."""
        self.dom_was_asked_for = False
        """Whether a spider has looked at `dom`, or through it by `css` and its like."""
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
        """The encoding of the body, as browsers find it, by the name of Python's codec."""
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
        """The body read as JSON; ValueError, naming the URL, if it is none, or nests deeper than can be read."""
        try:
            return msgspec.json.decode(self._utf_8())
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise ValueError(f"{self.url} holds no JSON: {error}") from error

    @property
    def dom(self) -> LexborHTMLParser:
        """The parsed document, whatever the media type says; XHTML is parsed by the rules of HTML, but with an end to what
        closes itself. TooCostly if that would fill all memory (crawler/web/costs.py)."""
        self.dom_was_asked_for = True
        return self._tree()

    def _tree(self) -> LexborHTMLParser:
        if self._dom is None:
            self._dom = self._tree_of(self._utf_8())
            self.expect_dom()
        return self._dom

    def parse_now(self) -> None:
        """Build `dom`, so that it is there when asked for. This may be done in a thread, which runs beside the event loop as
        the parser lets go of the interpreter lock; nothing else may use the page meanwhile.
        """
        self._tree()

    def expect_dom(self) -> None:
        """Say that the tree will be asked for: then title and links are found in it, and not looked for without it before."""
        self._scan = self._scan or None

    def look_now(self) -> None:
        """Find what is found without a tree, likewise; build the tree if that alone can tell."""
        if not self._scanned():
            self._tree()

    def css(self, selector: str) -> list[LexborNode]:
        """The nodes a CSS selector matches, in document order. SpiderError names a selector that is none."""
        try:
            return self.dom.css(selector)
        except _selector_error() as error:
            raise self._no_selector(selector) from error

    @overload
    def css_first(self, selector: str) -> LexborNode | None: ...
    @overload
    def css_first(self, selector: str, default: Default) -> LexborNode | Default: ...
    def css_first(self, selector: str, default: Any = None) -> Any:
        """The first node a CSS selector matches, or `default`. SpiderError names a selector that is none."""
        try:
            return self.dom.css_first(selector, default)
        except _selector_error() as error:
            raise self._no_selector(selector) from error

    def one(self, selector: str) -> LexborNode:
        """The first node a CSS selector matches, which has to be there: SpiderError names selector and URL if nothing does."""
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
        """What references on the page are relative to: its `<base href>`, else its `url`."""
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
        """The document's head, if it may say something to robots; parsed alone, if nobody has asked for the rest."""
        if self._hides_ascii() or self.content_type == media_type.XHTML:
            return self._tree().head
        head = head_of(self.body)
        if not may_speak(head, agent):
            return None
        if self._dom:
            return self._dom.head
        return self._tree_of(head if self.encoding == encoding.UTF_8 else encoding.decode(head, self.encoding)).head

    def urljoin(self, href: str) -> str:
        """The canonical URL that a reference on this page leads to; InvalidUrl if it is not to be had by http or https."""
        for url in self._resolved([href]):
            return url
        raise InvalidUrl(f"{href!r}, on {self.url}, leads to nothing that can be fetched")

    def links(self) -> list[str]:
        """The canonical URLs that the page's `<a href>` lead to, each once, in document order; none if it is not HTML.

        Those that are not to be followed are left out, and are in `nofollow`.
        """
        return list(self._found_links())

    @property
    def nofollow(self) -> list[str]:
        """The URLs that `links` leaves out, since the page or each link that leads there says `nofollow` and the crawl obeys."""
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
        """Whether some of them may not be to be followed; without a scan it is cheap to ask the bytes before the tree."""
        if self.directives.nofollow:
            return True
        return not all(scan.references.values()) if scan else may_forbid_links(self.body) or self._hides_ascii()

    def _links_by_rel(self, scan: Scan | None) -> tuple[list[str], list[str]]:
        """The links to follow, and those not to follow. One link that may be followed is enough for a URL."""
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
        """What a look at the bytes tells; None where it takes the tree, or the tree is there already."""
        if self._scan is False:
            document = self._utf_8()
            self._scan = look_through(document if isinstance(document, bytes) else document.encode())
        return self._scan

    def _utf_8(self) -> bytes | str:
        """The body for those who read UTF-8, and decoded only if it is anything else: most of what says that it is in Latin 1
        or ASCII is in both."""
        if self.content_type == media_type.XHTML:
            return as_html(self.text)
        if self.encoding == encoding.UTF_8:
            return encoding.without_mark(self.body, self.encoding)
        return self.body if self.encoding == encoding.DEFAULT and self.body.isascii() else self.text

    def _tree_of(self, document: bytes | str) -> LexborHTMLParser:
        """The tree of a document. One that would fill all memory is refused as a whole, like a body that is too large: read in part,
        it would give items that lack something, and nobody would know."""
        from selectolax.lexbor import (
            LexborHTMLParser,
        )  # takes 2 MB, and many a crawl asks for nothing but links and titles

        if multiplies(document if isinstance(document, bytes) else document.encode("utf-8", "replace")):
            raise TooCostly(
                f"size: no tree is built of {self.url}: its formatting, never closed, would be repeated without end"
            )
        return LexborHTMLParser(document)

    def _no_selector(self, selector: str) -> SpiderError:
        if "::" in selector:
            hint = "CSS selects elements: node.text() and node.attributes say what is in them"
        else:
            hint = f"to follow a reference, write url={selector!r}"
        return SpiderError(f"{selector!r}, asked of {self.url}, is no CSS selector; {hint}")


def _selector_error() -> type[Exception]:
    from selectolax.lexbor import SelectolaxError

    return SelectolaxError


def _title_of(dom: LexborHTMLParser) -> LexborNode | None:
    """The first HTML `<title>`: nearly always a child of the head, where it is found at a fraction of a selector's cost."""
    head = dom.head
    for node in head.iter() if head else ():
        if node.tag == "title":
            return node
    return dom.css_first("title:not(svg title)")
