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
from crawler.request import Request
from crawler.spider import Spider, explain
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
    """What a field of an item is taken from: the first element that `selector` matches, which may be the entry itself. Its text, white
    space collapsed, or an `attribute`, of which `href` and `src` become URLs. None where nothing is.

    Raises SpiderError for what is no selector.
    """

    selector: str | None = None
    """None: the entry itself, or the page."""
    _: KW_ONLY
    attribute: str | None = None
    many: bool = False
    """A list, of all that match."""
    convert: Callable[[str], Any] | None = None
    """What makes something else of the text, `int` for instance."""

    def __post_init__(self) -> None:
        if self.selector is not None:
            check_selector(self.selector, "selector")

    @classmethod
    def of(cls, text: str) -> Field:
        """`selector`, `selector@attribute`, or `@attribute` of the entry itself."""
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
"""A `Field`, a text that `Field.of` takes, or a function that is given the entry's node (of a page: its root) and returns the value."""

_Reader: TypeAlias = "Callable[[LexborNode, str], Any]"


class ListingSpider(Spider, ABC):
    """Takes an item from each of the `entries` on a page, and goes on to the next page; with `details`, the entry's own page adds to its
    item.

    A list ends where there is no next page, where a page has no entries or those of the first or the last page again, and at
    `max_listing_pages`. How far it has been read is kept with its requests.
    """

    entries: ClassVar[str] = ""
    """A CSS selector of the entries."""
    fields: ClassVar[Mapping[str, FieldSource]] = {}
    """What each field of an item is taken from in the entry."""
    next_page: ClassVar[str | None] = None
    """A CSS selector of the link to the next page, or of the links to several; or, with `{page}` for the number, the reference of a
    page, relative to the one before. If that begins with `&`, it is so many parameters of the query, and the others stay."""
    first_page: ClassVar[int] = 1
    """The number of the pages that are seeds."""
    details: ClassVar[str | None] = None
    """A CSS selector of the link, in the entry, to the entry's own page."""
    detail_fields: ClassVar[Mapping[str, FieldSource]] = {}
    """What each further field of an item is taken from on that page."""
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
        """The item that an entry on a page makes; None for one that is not wanted."""
        return _values(self._fields, entry, page)

    def detail(self, page: Page) -> Any:
        """The callback of the pages of entries: the item, which is `page.context["item"]`, with what the page adds."""
        root = page.dom.root
        assert root, "the parser makes a tree of anything"
        return {**page.context["item"], **_values(self._detail_fields, root, page)}

    def _taken(self, entry: LexborNode, page: Page) -> Request | dict[str, Any] | None:
        item = self.item(entry, page)
        link = entry.css_first(self.details) if self.details and item is not None else None
        return page.follow(link, callback="detail", context={**own_context(page), "item": item}) or item

    def _next_pages(self, page: Page) -> Sequence[str]:
        """The URLs of the pages that follow one."""
        if self.next_page is None:
            return ()
        if _PAGE not in self.next_page:
            return page.follow_all(page.css(self.next_page)).urls
        reference = self.next_page.replace(_PAGE, str(self.first_page + number_of(page)))
        return resolve(page.url, [_with_parameters(page.url, reference) if reference.startswith("&") else reference])


def _with_parameters(url: str, parameters: str) -> str:
    """The reference of the page with these parameters, and what its query has besides."""
    names = {pair.partition("=")[0] for pair in parameters[1:].split("&")}
    kept = [pair for pair in url.partition("?")[2].split("&") if pair and pair.partition("=")[0] not in names]
    return f"?{'&'.join([*kept, parameters[1:]])}"


def _digest(entries: Sequence[LexborNode]) -> int:
    """What tells the entries of one page from those of another."""
    digest = xxh3_64()
    for entry in _outermost(entries):
        digest.update((entry.html or "").encode())
    return digest.intdigest()


def _outermost(entries: Sequence[LexborNode]) -> Iterator[LexborNode]:
    """The entries that stand in no other one. A page may be nothing but nested entries, each with all the others inside, or have
    thousands far down, so no node is climbed past twice."""
    are_inside = {entry.mem_id: True for entry in entries}  # of nodes, whether they are entries or stand in one
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
    """What reads each field. Raises SpiderError, which calls them `what`, for what reads none."""
    if not isinstance(sources, Mapping):
        raise SpiderError(f"{what} are no mapping of names to sources: {sources!r}")
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
