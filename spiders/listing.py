"""A spider for lists: catalogues, search results, archives."""

from __future__ import annotations

import logging
import re
from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from xxhash import xxh3_64

from crawler.errors import SpiderError
from crawler.faults import explain
from crawler.request import Request
from crawler.spider import Spider
from crawler.web.urls import resolve
from spiders._paging import context_of_next, number_of, own_context, seen_before
from spiders._selectors import check_selector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from selectolax.lexbor import LexborNode

    from crawler.page import Page

_log = logging.getLogger(__name__)

_ATTRIBUTE = re.compile(r"(.*)@([\w:-]+)\s*", re.DOTALL)
_REFERENCES = frozenset({"href", "src"})
_PAGE = "{page}"


@dataclass(frozen=True, slots=True)
class Field:
    """Where a field of an item is found: in the first element that `selector` matches, which may be the entry itself. Its value is the
    element's text, with white space collapsed, or an `attribute`; `href` and `src` become URLs. It is None if nothing matches.

    Raises SpiderError for an invalid selector.
    """

    selector: str | None = None
    """None: the entry itself, or the page."""
    _: KW_ONLY
    attribute: str | None = None
    many: bool = False
    """Take all matches, as a list."""
    convert: Callable[[str], Any] | None = None
    """A function applied to the text, such as `int`."""

    def __post_init__(self) -> None:
        if self.selector is not None:
            check_selector(self.selector, "selector")

    @classmethod
    def of(cls, text: str) -> Field:
        """A field from `selector`, `selector@attribute`, or `@attribute`, which is one of the entry itself."""
        found = _ATTRIBUTE.fullmatch(text)
        return cls(found[1].strip() or None, attribute=found[2]) if found else cls(text)

    def read(self, node: LexborNode, base: str) -> Any:
        """The value in an entry, on a page whose references are relative to `base`."""
        nodes = [node] if self.selector is None else self._found_in(node, self.selector)
        texts = filter(None, (self._text(one, base) for one in nodes))
        values = [self.convert(text) if self.convert else text for text in texts]
        return values if self.many else next(iter(values), None)

    def _found_in(self, node: LexborNode, selector: str) -> Iterable[LexborNode]:
        return node.css(selector) if self.many else filter(None, [node.css_first(selector)])

    def _text(self, node: LexborNode, base: str) -> str:
        if self.attribute is None:
            return " ".join(node.text().split())
        value = (node.attributes.get(self.attribute) or "").strip()
        return next(iter(resolve(base, [value])), value) if value and self.attribute in _REFERENCES else value


FieldSource: TypeAlias = "Field | str | Callable[[LexborNode], Any]"
"""A `Field`, a string for `Field.of`, or a function that gets the entry's node (of a page: its root) and returns the value."""

_Reader: TypeAlias = "Callable[[LexborNode, str], Any]"


class ListingSpider(Spider, ABC):
    """Takes an item from each of the `entries` on a page, and goes on to the next page; with `details`, the entry's own page adds to its
    item.

    A list ends where there is no next page, at a page without entries or with those of the first or the previous page again, and at
    `max_listing_pages`. How far it has been read is kept with its requests.
    """

    entries: ClassVar[str] = ""
    """A CSS selector of the entries."""
    fields: ClassVar[Mapping[str, FieldSource]] = {}
    """Where each field of an item is found in the entry."""
    next_page: ClassVar[str | None] = None
    """A CSS selector of the link to the next page, or of the links to several; or a reference with `{page}` for the number, relative to
    the page before. One that begins with `&` sets parameters of the query, and keeps the others."""
    first_page: ClassVar[int] = 1
    """The number of the seeds, if pages are numbered."""
    details: ClassVar[str | None] = None
    """A CSS selector of the link in an entry to the entry's own page."""
    detail_fields: ClassVar[Mapping[str, FieldSource]] = {}
    """Where each additional field of an item is found on that page."""
    max_listing_pages: int = 1000

    _fields: ClassVar[Mapping[str, _Reader]] = {}
    _detail_fields: ClassVar[Mapping[str, _Reader]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in ("entries", "details", "next_page"):
            selector = getattr(cls, name)
            if selector and not (name == "next_page" and _PAGE in selector):
                check_selector(selector, f"{cls.__name__}.{name}")
        cls._fields = _readers(cls.fields, f"{cls.__name__}.fields")
        cls._detail_fields = _readers(cls.detail_fields, f"{cls.__name__}.detail_fields")

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        kind = type(self)
        if not self.entries:
            raise SpiderError(
                f"{kind.__name__} has no entries: write a class that derives from it, and says where they are"
            )
        if not self.fields and kind.item is ListingSpider.item:
            raise SpiderError(f"{kind.__name__} takes nothing from its entries: give it fields")
        if self.detail_fields and not self.details:
            raise SpiderError(
                f"{kind.__name__} has detail_fields, but no details: a selector of the links to these pages"
            )

    def parse(self, page: Page) -> Iterator[Any]:
        entries = page.css(self.entries)
        digests = [_digest(entries)]
        if not entries and number_of(page) == 1:
            _log.warning("nothing on %s matches entries = %r", page.url, self.entries)
        if not entries or digests in seen_before(page):
            return
        for entry in entries:
            yield self._taken(entry, page)
        following = self._next_pages(page)
        if following and (context := context_of_next(page, digests, most=self.max_listing_pages)):
            yield [Request(url, context=context) for url in following]

    def item(self, entry: LexborNode, page: Page) -> dict[str, Any] | None:
        """The item for an entry on a page; None for an entry that is not wanted."""
        return _values(self._fields, entry, page)

    def detail(self, page: Page) -> Any:
        """The callback of entries' pages: the item so far, `page.context["item"]`, with what the page adds."""
        root = page.dom.root
        assert root, "the parser makes a tree of anything"
        return {**page.context["item"], **_values(self._detail_fields, root, page)}

    def _taken(self, entry: LexborNode, page: Page) -> Request | dict[str, Any] | None:
        item = self.item(entry, page)
        link = entry.css_first(self.details) if self.details and item is not None else None
        return page.follow(link, callback="detail", context={**own_context(page), "item": item}) or item

    def _next_pages(self, page: Page) -> Sequence[str]:
        """The URLs of the pages that follow this one."""
        if self.next_page is None:
            return ()
        if _PAGE not in self.next_page:
            return page.follow_all(page.css(self.next_page)).urls
        reference = self.next_page.replace(_PAGE, str(self.first_page + number_of(page)))
        return resolve(page.url, [_with_parameters(page.url, reference) if reference.startswith("&") else reference])


def _with_parameters(url: str, parameters: str) -> str:
    """The reference to a page with these parameters, and the others of its query."""
    names = {pair.partition("=")[0] for pair in parameters[1:].split("&")}
    kept = [pair for pair in url.partition("?")[2].split("&") if pair and pair.partition("=")[0] not in names]
    return f"?{'&'.join([*kept, parameters[1:]])}"


def _digest(entries: Sequence[LexborNode]) -> int:
    """A digest of the entries of a page."""
    digest = xxh3_64()
    for entry in _outermost(entries):
        digest.update((entry.html or "").encode())
    return digest.intdigest()


def _outermost(entries: Sequence[LexborNode]) -> Iterator[LexborNode]:
    """The entries that are in no other entry. A page may consist of nested entries, each with all further ones inside, or have
    thousands of them deep down, so no node is passed twice on the way up."""
    are_inside = {entry.mem_id: True for entry in entries}  # by node: whether it is an entry, or in one
    for entry in entries:
        passed = []
        node = entry.parent
        while node is not None and node.mem_id not in are_inside:
            passed.append(node.mem_id)
            node = node.parent
        is_inside = node is not None and are_inside[node.mem_id]
        are_inside.update(dict.fromkeys(passed, is_inside))
        if not is_inside:
            yield entry


def _readers(sources: object, what: str) -> dict[str, _Reader]:
    """The functions that read each field. Raises SpiderError, which calls them `what`, for an invalid source."""
    if not isinstance(sources, Mapping):
        raise SpiderError(f"{what} are not a mapping of names to sources: {sources!r}")
    return {name: _reader(source, f"{what}[{name!r}]") for name, source in sources.items()}


def _reader(source: object, what: str) -> _Reader:
    try:
        field = Field.of(source) if isinstance(source, str) else source
    except SpiderError as error:
        raise SpiderError(f"{what}: {error}") from None
    if isinstance(field, Field):
        return field.read
    if not callable(field):
        raise SpiderError(f"{what} = {field!r} is no Field, selector or function")
    return lambda node, _base: field(node)


def _values(readers: Mapping[str, _Reader], node: LexborNode, page: Page) -> dict[str, Any]:
    values = {}
    for name, read in readers.items():
        try:
            values[name] = read(node, page.base_url)
        except Exception as error:
            raise SpiderError(f"the field {name!r} on {page.url}: {explain(error)}") from error
    return values
