"""The listing spider: entries become items, pages follow one another, and it all ends."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace
from selectolax.lexbor import LexborHTMLParser

from crawler import Request, Settings
from crawler.errors import SpiderError
from crawler.faults import explain
from crawler.testing import page_of
from spiders.listing import Field, ListingSpider, _outermost
from tests.sites import page, serve
from tests.spiders.crawling import crawled, crawled_in_steps, run, taken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selectolax.lexbor import LexborNode

    from crawler import Page
    from tests.sites import Reply, Visit


def book(number: int, *, rest: str = "") -> str:
    return f"""<li class=book data-id=" {number} "><a href="/book/{number}"> Book
        <b>{number}</b></a><img src="{number}.png"><i>new</i><i> </i><i>cheap</i>{rest}</li>"""


def shelf(*numbers: int, below: str = "") -> Reply:
    return page("Shelf", body=f"<ul>{''.join(map(book, numbers))}</ul>{below}")


class Books(ListingSpider):
    entries = "li.book"
    fields: ClassVar[Any] = {"title": "a", "id": Field(attribute="data-id", convert=int)}
    next_page = "a.next"


SHELVES = {
    "/": shelf(1, 2, below="<a class=next href=/2>further</a>"),
    "/2": shelf(3, 4, below="<a class=next href=/3>further</a>"),
    "/3": shelf(5),
}
BOOKS = [{"title": f"Book {number}", "id": number} for number in range(1, 6)]
BOOKS.sort(key=lambda book: str(book["id"]))


async def test_page_follows_page(tmp_path: Path) -> None:
    async with serve(SHELVES) as site:
        assert await crawled(Books(start_urls=[f"{site.url}/"]), tmp_path) == BOOKS
    assert site.paths == ["/", "/2", "/3"]


async def test_what_fields_are_taken_from(tmp_path: Path) -> None:
    class Fields(ListingSpider):
        entries = ".book"
        fields: ClassVar[Any] = {
            "text": "a",
            "url": "a@href",
            "picture": "img @src",
            "id": "@data-id",
            "whole": Field(),
            "labels": Field("i", many=True, convert=str.upper),
            "none": Field("b.none", convert=int),
            "no_attribute": "a@title",
            "no_list": Field("b.none", many=True),
            "size": lambda node: len(node.css("i")),
        }

    async with serve({"/": shelf(1)}) as site:
        (item,) = await crawled(Fields(start_urls=[f"{site.url}/"]), tmp_path)
    assert item == {
        "text": "Book 1",
        "url": f"{site.url}/book/1",
        "picture": f"{site.url}/1.png",
        "id": "1",
        "whole": "Book 1new cheap",
        "labels": ["NEW", "CHEAP"],
        "none": None,
        "no_attribute": None,
        "no_list": [],
        "size": 3,
    }


class Detailed(Books):
    details = "a"
    detail_fields: ClassVar[Any] = {"pages": Field(".pages", convert=int), "title": "h1"}


DETAILED = SHELVES | {
    f"/book/{number}": page("Book", body=f"<h1>Title {number}</h1><p class=pages>{number}00</p>")
    for number in range(1, 6)
}
DETAILS = [{"title": f"Title {number}", "id": number, "pages": 100 * number} for number in range(1, 6)]


async def test_the_page_of_an_entry_adds_to_its_item(tmp_path: Path) -> None:
    async with serve(DETAILED) as site:
        assert await crawled(Detailed(start_urls=[f"{site.url}/"]), tmp_path) == DETAILS


@pytest.mark.parametrize(("kind", "expected"), [(Books, BOOKS), (Detailed, DETAILS)])
async def test_a_crawl_that_is_stopped_at_every_page_takes_the_same(
    tmp_path: Path, kind: type[Books], expected: list[dict[str, Any]]
) -> None:
    async with serve(DETAILED) as site:
        assert await crawled_in_steps(lambda: kind(start_urls=[f"{site.url}/"]), tmp_path) == expected
    assert len(site.paths) == len(set(site.paths))


async def test_the_context_of_a_seed_comes_along_whatever_is_in_it(tmp_path: Path) -> None:
    own_data = {"number": "a text", "first": 1, "last": None}

    class Told(Detailed):
        def start(self) -> list[Request]:
            return [Request(url, context=own_data) for url in self.start_urls]

        def item(self, entry: LexborNode, page: Page) -> dict[str, Any] | None:
            return {"on_list": {name: page.context[name] for name in own_data}}

        def detail(self, page: Page) -> dict[str, Any]:
            own = dict(page.context)
            return {**own.pop("item"), "on_page": own}

    async with serve(DETAILED) as site:
        found = await crawled(Told(start_urls=[f"{site.url}/"]), tmp_path)
    assert found == [{"on_list": own_data, "on_page": own_data}] * 5


async def test_an_entry_without_a_page_is_an_item_still_and_one_that_is_not_wanted_is_none(tmp_path: Path) -> None:
    class Own(Detailed):
        def item(self, entry: LexborNode, page: Page) -> dict[str, Any] | None:
            item = super().item(entry, page)
            return item if item and item["id"] != 2 else None

    entry = "<li class=book data-id=7>No link</li>"
    async with serve({"/": shelf(2, below=f"<ul>{entry}</ul>")}) as site:
        assert await crawled(Own(start_urls=[f"{site.url}/"]), tmp_path) == [{"title": None, "id": 7}]
    assert site.paths == ["/"]


class Numbered(Books):
    next_page = "&page={page}"


@pytest.mark.parametrize("beyond", ["nothing", "the first", "the last", "missing"])
async def test_numbered_pages_end(tmp_path: Path, beyond: str) -> None:
    """At a page that is empty, or missing, or the first or the last one once more, as sites have it."""

    async def answer(visit: Visit) -> Reply:
        query = parse_qs(urlsplit(visit.path).query)
        assert query["q"] == ["a b"]
        number = int(query.get("page", ["1"])[0])
        if number > 3 and beyond == "missing":
            return 404, {}, ""
        number = {"nothing": number, "the first": 1, "the last": 3}.get(beyond, number) if number > 3 else number
        return shelf(*range(2 * number - 1, min(2 * number, 5) + 1), below=f"<p>Page {visit.path}</p>")

    async with serve(answer) as site:
        assert await crawled(Numbered(start_urls=[f"{site.url}/?page=1&q=a+b"]), tmp_path) == BOOKS
    assert site.paths == ["/?page=1&q=a+b", *(f"/?q=a+b&page={number}" for number in (2, 3, 4))]


@pytest.mark.parametrize(
    ("template", "first", "seed", "second"),
    [
        ("?p={page}", 0, "/list?q=x", "/list?p=1"),
        ("/list/{page}.html", 1, "/list", "/list/2.html"),
        ("&page={page}&size=9", 1, "/list", "/list?page=2&size=9"),
        ("&page={page}&size=9", 1, "/list?size=5", "/list?page=2&size=9"),
    ],
)
async def test_templates(tmp_path: Path, template: str, first: int, seed: str, second: str) -> None:
    class Templated(Books):
        next_page = template
        first_page = first

    async with serve({seed: shelf(1), second: shelf(2)}) as site:
        found = await crawled(Templated(start_urls=[f"{site.url}{seed}"]), tmp_path)
    assert [item["id"] for item in found] == [1, 2]
    assert site.paths[:2] == [seed, second]


async def test_links_to_several_pages(tmp_path: Path) -> None:
    """The first page has two URLs, as where its number is in the links to it."""

    class Paged(Books):
        next_page = ".pages a"

    pages = "".join(f"<a href=/list?page={number}>{number}</a>" for number in range(1, 6))
    below = f"<p class=pages>{pages}</p>"
    site_pages = {f"/list?page={number}": shelf(number, below=below) for number in range(1, 6)}
    async with serve(site_pages | {"/": shelf(1, below=below)}) as site:
        assert await crawled(Paged(start_urls=[f"{site.url}/"]), tmp_path) == BOOKS
    assert len(site.paths) == 6


async def test_a_list_without_end_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def answer(visit: Visit) -> Reply:
        number = int(visit.path.rpartition("=")[2] or 1)
        return shelf(number)

    async with serve(answer) as site:
        spider = Numbered(start_urls=[f"{site.url}/?page=1"], max_listing_pages="7")
        assert len(await crawled(spider, tmp_path)) == 7
    assert "is page 7 of its list" in caplog.text


async def test_the_last_page_may_be_the_last_that_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(SHELVES) as site:
        assert await crawled(Books(start_urls=[f"{site.url}/"], max_listing_pages=3), tmp_path) == BOOKS
    assert caplog.text == ""


async def test_a_page_that_is_no_list_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serve({"/": page("Home")}) as site:
        assert await crawled(Numbered(start_urls=[f"{site.url}/"]), tmp_path) == []
    assert "matches entries = 'li.book'" in caplog.text


async def test_a_field_that_cannot_be_read_is_told_by_its_name(tmp_path: Path) -> None:
    """Its page fails, so that `crawl retry` can have it taken once the spider is mended."""

    class Wrong(Books):
        fields: ClassVar[Any] = {"number": Field("a", convert=int)}

    async with serve({"/": shelf(1)}) as site:
        report = await run(Wrong(start_urls=[f"{site.url}/"]), tmp_path)
    (error,) = report.stats.spider_errors
    told = "invalid literal for int() with base 10: 'Book 1'"
    assert str(error) == f"the field 'number' on {site.url}/: ValueError: {told}", "none of it is the user's code"
    assert report.stats.failed == 1
    assert taken(tmp_path) == []


def test_what_a_field_cannot_be_taken_from_is_told_with_its_place() -> None:
    with pytest.raises(SpiderError) as caught:
        Field(".price::text")
    told = explain(caught.value)
    assert told.startswith(__file__)
    assert "selector = '.price::text' is not a CSS selector; CSS selects elements" in told


async def test_nofollow_of_a_pager_does_not_count(tmp_path: Path) -> None:
    """Whoever names a link wants it."""
    pages = {"/": shelf(1, below="<a class=next rel=nofollow href=/2>further</a>"), "/2": shelf(2)}
    async with serve(pages) as site:
        found = await crawled(Books(start_urls=[f"{site.url}/"]), tmp_path, replace(Settings(), retry_wait=0.01))
    assert [item["id"] for item in found] == [1, 2]


def test_entries_in_entries_take_no_more_memory_than_their_page() -> None:
    """Each written out for itself, they would take five hundred times as much."""
    body = "<ul><li class=book>" * 1000
    nested = page_of("https://library.example/", body)
    nested.parse_now()
    given = Books(start_urls=[]).parse(nested)
    tracemalloc.start()
    try:
        next(given)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50 * len(body)


class Climbed:
    """A node that counts how often anybody climbs to a parent."""

    steps = 0

    def __init__(self, node: LexborNode) -> None:
        self.node = node
        self.mem_id = node.mem_id

    @property
    def parent(self) -> Climbed | None:
        Climbed.steps += 1
        return Climbed(self.node.parent) if self.node.parent else None


@pytest.mark.parametrize(
    ("html", "outermost"),
    [
        ("<ul>1</ul><div>2<ul>3<div><ul>4</ul></div></ul></div><ul>5<ul>6", ["1", "34", "56"]),
        ("<ul>" * 1000, [""]),
        ("<div>" * 1000 + "<ul>1</ul>" * 1000, ["1"] * 1000),
        ("<ul>" + "<div>" * 1000 + "<ul>1</ul>" * 1000, ["1" * 1000]),
    ],
)
def test_entries_that_stand_in_no_other_are_found_in_one_pass(
    monkeypatch: pytest.MonkeyPatch, html: str, outermost: list[str]
) -> None:
    monkeypatch.setattr(Climbed, "steps", 0)
    tree = LexborHTMLParser(html)
    entries: list[Any] = [Climbed(node) for node in tree.css("ul")]
    found: Iterator[Any] = _outermost(entries)
    assert [one.node.text() for one in found] == outermost
    assert Climbed.steps <= len(tree.css("*")) + len(entries)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"entries": "li["}, r"Wrong\.entries = 'li\[' is not a CSS selector"),
        ({"details": "a::text"}, r"Wrong\.details = 'a::text' is not a CSS selector"),
        ({"next_page": "?page="}, r"Wrong\.next_page = '\?page=' is not a CSS selector"),
        ({"fields": {"title": "a["}}, r"Wrong\.fields\['title'\]: selector = 'a\[' is not a CSS selector"),
        ({"fields": {"title": 7}}, r"Wrong\.fields\['title'\] = 7 is no Field, selector or function"),
        ({"detail_fields": ["h1"]}, r"Wrong\.detail_fields are not a mapping of names to sources: \['h1'\]"),
    ],
)
def test_what_means_nothing_is_refused_where_it_is_written(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpiderError, match=message):
        type("Wrong", (Books,), attributes)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "Lacking has no entries"),
        ({"entries": "li"}, "Lacking takes nothing from its entries: give it fields"),
        (
            {"entries": "li", "fields": {"a": "a"}, "detail_fields": {"b": "b"}},
            "Lacking has detail_fields, but no details",
        ),
    ],
)
def test_what_is_lacking_is_told_before_anything_is_asked_for(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpiderError, match=message):
        type("Lacking", (ListingSpider,), attributes)()


def test_an_at_sign_in_a_selector_is_no_attribute() -> None:
    assert Field.of('a[href="mailto:a@b.example"]') == Field('a[href="mailto:a@b.example"]')
    assert Field.of("a @href") == Field("a", attribute="href")
    assert Field.of("@xlink:href") == Field(attribute="xlink:href")
