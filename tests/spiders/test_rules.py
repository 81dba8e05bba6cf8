"""The rules spider: the first rule that means a link decides what becomes of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from crawler import Request, Settings
from crawler.errors import SpiderError
from spiders.rules import Rule, RulesSpider
from tests.sites import page, serve
from tests.spiders.crawling import crawled, crawled_in_steps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from crawler import Page

SHOP = {
    "/": page("Home", "/list?page=1", "/about", "/item/1"),
    "/list?page=1": page("List 1", "/item/1", "/item/2", "/list?page=2", "/private/1"),
    "/list?page=2": page("List 2", "/item/3", "/item/1?print=1", "/list?page=1"),
    "/item/1": page("Item 1", "/item/2", "/similar/9"),
    "/item/2": page("Item 2", "/item/4"),
    "/item/3": page("Item 3"),
    "/item/4": page("Item 4", "/about"),
    "/similar/9": page("Similar"),
    "/about": page("About", "/"),
}


class Shop(RulesSpider):
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(deny=[r"[?&]print=", "/private/"], allow=["/item/"], callback="item", follow=True, priority=1),
        Rule(["/list"]),
        Rule([re.compile("ABOUT", re.IGNORECASE)], callback="about"),
    )

    async def item(self, page: Page) -> AsyncIterator[dict[str, Any]]:
        yield {"item": page.title, "context": dict(page.context)}

    def about(self, page: Page) -> dict[str, Any]:
        return {"about": page.title}


TAKEN = [
    {"about": "About"},
    *({"item": f"Item {number}", "context": {"callback": "item"}} for number in range(1, 5)),
]


async def test_each_link_goes_where_the_first_rule_says_that_means_it(tmp_path: Path) -> None:
    async with serve(SHOP) as site:
        assert await crawled(Shop(start_urls=[f"{site.url}/"]), tmp_path) == TAKEN
    assert sorted(site.paths) == sorted(set(SHOP) - {"/similar/9"})


async def test_a_crawl_that_is_stopped_at_every_page_takes_the_same(tmp_path: Path) -> None:
    async with serve(SHOP) as site:
        assert await crawled_in_steps(lambda: Shop(start_urls=[f"{site.url}/"]), tmp_path) == TAKEN
    assert len(site.paths) == len(set(site.paths))


async def test_rules_decide_on_what_sitemaps_list_as_on_links(tmp_path: Path) -> None:
    """Else a page would be taken or not by which came first, the sitemap or a link to it. Where a page may only be linked from a
    certain place, its sitemap does not count."""

    class Mapped(Shop):
        rules = (*Shop.rules, Rule(within="nav", callback="item"))

    robots = (200, {"Content-Type": "text/plain"}, "Sitemap: /map.xml")
    index = "<sitemapindex><sitemap><loc>{}/map.txt</loc></sitemap></sitemapindex>"
    listed = "/", "/item/2", "/item/5", "/item/2?print=1", "/list?page=2", "/similar/9"
    pages = {**SHOP, "/robots.txt": robots, "/item/5": page("Item 5")}
    async with serve(pages) as site:
        pages["/map.xml"] = 200, {"Content-Type": "application/xml"}, index.format(site.url)
        pages["/map.txt"] = 200, {"Content-Type": "text/plain"}, "\n".join(f"{site.url}{path}" for path in listed)
        found = await crawled(Mapped(start_urls=[f"{site.url}/"]), tmp_path, Settings(sitemaps=True))
    assert found == [*TAKEN, {"item": "Item 5", "context": {"callback": "item"}}]
    assert "/similar/9" not in site.paths


async def test_the_context_of_a_seed_comes_along(tmp_path: Path) -> None:
    class Told(RulesSpider):
        rules = (Rule(["/1"], callback="taken", follow=True), Rule(["/2"], callback="taken"), Rule())

        def start(self) -> list[Request]:
            return [Request(url, context={"shop": "north"}) for url in self.start_urls]

        def taken(self, page: Page) -> dict[str, Any]:
            return {"title": page.title, **page.context}

    pages = {"/": page("Home", "/plain"), "/plain": page("", "/1"), "/1": page("1", "/2"), "/2": page("2")}
    async with serve(pages) as site:
        found = await crawled(Told(start_urls=[f"{site.url}/"]), tmp_path)
    told = {"title": "1", "shop": "north", "callback": "taken"}, {"title": "2", "shop": "north"}
    assert sorted(found, key=lambda item: str(item["title"])) == list(told)


async def test_regions_of_a_page(tmp_path: Path) -> None:
    """The same link may stand in several; `nofollow` counts in each."""

    class Regions(RulesSpider):
        rules: ClassVar = [
            Rule(within="nav", follow=False),
            Rule(within="a.book", callback="book"),
            Rule(within="ul, map area", callback="other"),
        ]

        def book(self, page: Page) -> dict[str, Any]:
            return {"book": page.title}

        def other(self, page: Page) -> list[dict[str, Any]]:
            return [{"other": page.title}]

    body = """<nav><a href=/left>l</a></nav><a class=book href=/1>1</a><a href=/nowhere>n</a>
    <ul><li><a href=/1>1</a><li><a href=/2>2</a><li><a href=/left>l</a><li><a rel=nofollow href=/no>n</a></ul>
    <map><area href=/3></map>"""
    pages = {"/": page("Home", body=body)} | {f"/{number}": page(str(number)) for number in range(1, 4)}
    async with serve(pages) as site:
        found = await crawled(Regions(start_urls=[f"{site.url}/"]), tmp_path, Settings())
    assert found == [{"book": "1"}, {"other": "2"}, {"other": "3"}]
    assert sorted(site.paths) == sorted(["/robots.txt", *pages])


async def test_no_tree_is_built_where_no_region_is_asked_for(tmp_path: Path) -> None:
    class Watched(Shop):
        def about(self, page: Page) -> dict[str, Any]:
            return {"trees": self.trees}

        trees = 0

        def links(self, page: Page) -> list[Any]:
            found = super().links(page)
            type(self).trees += page.dom_was_asked_for
            return found

    async with serve(SHOP) as site:
        assert {"trees": 0} in await crawled(Watched(start_urls=[f"{site.url}/"]), tmp_path)


async def test_a_callback_may_go_on_itself(tmp_path: Path) -> None:
    class OnlyFirst(RulesSpider):
        rules = (Rule(["/item/"], callback="item"),)

        def item(self, page: Page) -> Iterator[Any]:
            yield {"item": page.title}
            if page.title == "Item 1":
                yield self.links(page)

    async with serve(SHOP) as site:
        found = await crawled(OnlyFirst(start_urls=[f"{site.url}/item/1"]), tmp_path)
    assert found == [{"item": "Item 2"}]


async def test_what_is_no_page_leads_nowhere(tmp_path: Path) -> None:
    class All(RulesSpider):
        rules = (Rule(), Rule(within="a"))

    async with serve({"/": (200, {"Content-Type": "text/plain"}, "<a href=/x>x</a>")}) as site:
        assert await crawled(All(start_urls=[f"{site.url}/"]), tmp_path) == []
    assert site.paths == ["/"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"allow": ["("]}, r"Rule\(allow=\['\('\], .*: allow: '\(' is not a regular expression: "),
        ({"deny": "/x"}, r"deny = '/x': write a list"),
        ({"allow": [7]}, r"Rule\(allow=\[7\], .*'int' object"),
        ({"within": "a["}, r"within = 'a\[' is not a CSS selector"),
        ({"within": 7}, "within = 7 is not a CSS selector, but int"),
        ({"callback": "parse"}, "callback = 'parse': name a method other than parse"),
        ({"callback": print}, "name a method"),
        ({"priority": "high"}, "a priority must be a whole number, not 'high'"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_where_it_is_written(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SpiderError, match=message):
        Rule(**arguments)


def test_what_would_not_work_is_refused_before_anything_is_asked_for() -> None:
    with pytest.raises(SpiderError, match=r"Own\.parse would take the place of the rules"):

        class Own(RulesSpider):
            async def parse(self, page: Page) -> AsyncIterator[Any]:
                yield None

    with pytest.raises(SpiderError, match="the rules of Bare are not a list of Rule: Rule"):

        class Bare(RulesSpider):
            rules = Rule()  # type: ignore[assignment]

    class Lacking(RulesSpider):
        rules = (Rule(callback="missing"),)

    with pytest.raises(SpiderError, match="Lacking has no method 'missing'"):
        Lacking()
    with pytest.raises(SpiderError, match="RulesSpider has no rules"):
        RulesSpider()


def test_a_rule_cannot_change() -> None:
    patterns = ["/a"]
    rule = Rule(patterns, within="ul")
    patterns.append("/b")
    assert {rule} == {Rule(["/a"], within="ul")}
    with pytest.raises(AttributeError):
        rule.within = "ol"  # type: ignore[misc]
