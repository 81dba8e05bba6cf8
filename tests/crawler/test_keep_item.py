"""What a spider keeps of its items: `keep_item`."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pytest

from crawler import Crawl, ErrorText, Links, Page, Report, Request, Retry, Settings, Spider, Stop
from crawler.errors import SpiderError
from crawler.faults import explain
from crawler.frontier.statefile import StateFile
from crawler.replay import Replay
from crawler.testing import Taken, page_of, take
from spiders.feed import FeedSpider
from spiders.listing import ListingSpider
from spiders.rules import Rule, RulesSpider
from spiders.site import SiteSpider
from tests.crawler.readers.spiders import Choosing
from tests.nowhere import NOWHERE
from tests.sites import page, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

QUICK: dict[str, Any] = {"robots": False, "retry_wait": 0.01, "commit_interval": 0.01, "concurrency": 1}
PROCESSES = pytest.mark.parametrize("processes", [1, 2])
SITE = {
    "/": page("Home", "/kept", "/dropped", "/bad", "/missing"),
    "/kept": page("Kept"),
    "/dropped": page("Dropped"),
    "/bad": page("Bad"),
}


async def crawl(state: Path, spider: Spider, **options: Any) -> Report:
    async with asyncio.timeout(60):
        return await Crawl(spider, Settings(**{**QUICK, **options}), state=state).run()


def items(state: Path) -> list[Any]:
    with StateFile(state) as file:
        return [json.loads(item) for item in file.items()]


def errors(state: Path) -> dict[str, str]:
    with StateFile(state) as file:
        return {url.rpartition("/")[2]: error for url, error in file.query("SELECT url, error FROM errors")}


def by_path(given: list[Any]) -> list[Any]:
    return sorted(given, key=lambda item: item["path"])


async def taken(spider: Spider, callback: str = "parse") -> Taken:
    return await take(spider, page_of("http://h.example/1", "<title>One</title>"), callback)


# ---------------------------------------------------------------------- in a crawl

KEPT = [
    {"path": "/", "title": "Home", "from": "/"},
    {"path": "/kept", "title": "Kept", "from": "/kept"},
    {"path": "/missing", "title": "Not found", "from": "/missing"},
]


@PROCESSES
@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
async def test_each_item_is_kept_as_it_is_returned_or_dropped(tmp_path: Path, processes: int, kind: str) -> None:
    state = tmp_path / "a.crawl"
    async with serve(SITE) as site:
        report = await crawl(state, Choosing(start_urls=[f"{site.url}/"], kind=kind), processes=processes)
    assert (report.stats.done, report.stats.failed, report.stats.items) == (3, 2, 3)
    assert by_path(items(state)) == KEPT
    error = errors(state)["bad"]
    assert error.startswith("spider: ")
    assert "ValueError: bad item" in error
    assert error.endswith("(in _chosen)")


@PROCESSES
async def test_a_page_that_is_not_sent_again_is_sifted_again(tmp_path: Path, processes: int) -> None:
    first, second = tmp_path / "1.crawl", tmp_path / "2.crawl"
    site = {path: (status, {"ETag": f'"{path}"'}, body) for path, (status, _, body) in SITE.items()}
    async with serve(site) as served:
        for state, options in (first, {}), (second, {"revalidate": str(first)}):
            spider = Choosing(start_urls=[f"{served.url}/"])
            await crawl(state, spider, processes=processes, keep_bodies=True, **options)
    assert by_path(items(second)) == by_path(items(first)) == KEPT


async def test_a_replay_sifts_as_well(tmp_path: Path) -> None:
    state = tmp_path / "a.crawl"
    async with serve(SITE) as site:
        await crawl(state, SiteSpider(start_urls=[f"{site.url}/"]), keep_bodies=True)

    def replayed() -> tuple[list[Any], list[str]]:
        with StateFile(state) as file:
            replay = Replay(Choosing(), file)
            return [json.loads(item) for item in replay.items()], replay.errors

    given, raised = await asyncio.to_thread(replayed)
    assert by_path(given) == KEPT[:2]
    assert [error.partition(": ")[0].rpartition("/")[2] for error in raised] == ["bad"]


@PROCESSES
async def test_it_may_have_enough(tmp_path: Path, processes: int) -> None:
    """What came before is kept; the item itself is not."""
    state = tmp_path / "a.crawl"
    async with serve(SITE) as site:
        spider = Choosing(start_urls=[f"{site.url}/"], stops="/kept")
        report = await crawl(state, spider, processes=processes)
    assert (report.reason, report.why, report.stats.done) == ("stopped", "enough", 2)
    assert items(state) == KEPT[:1]


@PROCESSES
async def test_it_may_want_a_page_again(tmp_path: Path, processes: int) -> None:
    state = tmp_path / "a.crawl"
    async with serve(SITE) as site:
        spider = Choosing(start_urls=[f"{site.url}/kept"], again="/kept")
        report = await crawl(state, spider, processes=processes, max_attempts=2)
        assert site.paths == ["/kept", "/kept"]
    assert (report.stats.failed, errors(state)) == (1, {"kept": "retry: not yet"})


@PROCESSES
async def test_what_has_failed_for_good_is_not_wanted_again(tmp_path: Path, processes: int) -> None:
    state = tmp_path / "a.crawl"
    async with serve(SITE) as site:
        spider = Choosing(start_urls=[f"{site.url}/missing"], again="/missing")
        await crawl(state, spider, processes=processes)
        assert site.paths == ["/missing"]
    assert "asked for again if failed() yields it" in errors(state)["missing"]


async def test_an_item_of_a_request_that_brought_no_page_has_none(tmp_path: Path) -> None:
    class Mourning(Spider):
        def parse(self, page: Page) -> None: ...

        def failed(self, request: Request, error: ErrorText) -> Any:
            return {"url": request.url}

        def keep_item(self, item: Any, page: Page | None) -> Any:
            return {**item, "page": page and page.status}

    state = tmp_path / "a.crawl"
    async with serve({}) as site:
        missing, dead = f"{site.url}/missing", f"http://{NOWHERE}/"
        await crawl(state, Mourning(start_urls=[missing, dead]), max_attempts=1)
    assert {item["url"]: item["page"] for item in items(state)} == {missing: 404, dead: None}


# ---------------------------------------------------------------------- whatever callbacks give


class Book(NamedTuple):
    title: str


class Gives(Spider):
    """Gives the same in every way, among other things, which are not items."""

    def given(self) -> list[Any]:
        return [{"n": 1}, None, [{"n": 2}, Request("http://h.example/2")], ({"n": 3},), Links(["http://h.example/3"])]

    def plain(self, page: Page) -> list[Any]:
        return self.given()

    def generator(self, page: Page) -> Iterator[Any]:
        yield from self.given()

    async def coroutine(self, page: Page) -> list[Any]:
        return self.given()

    async def asynchronous(self, page: Page) -> AsyncIterator[Any]:
        for one in self.given():
            yield one

    def keep_item(self, item: Any, page: Page) -> Any:
        return None if item["n"] == 2 else {**item, "title": page.title}


@pytest.mark.parametrize("callback", ["plain", "generator", "coroutine", "asynchronous"])
async def test_only_items_are_sifted_and_each_once(callback: str) -> None:
    found = await taken(Gives(), callback)
    assert found.items == [{"n": 1, "title": "One"}, {"n": 3, "title": "One"}]
    assert [request.url for request in found.requests] == ["http://h.example/2", "http://h.example/3"]
    assert found.dropped == 1


async def test_an_item_is_what_the_callback_has_given_not_its_json() -> None:
    class Whole(Spider):
        def parse(self, page: Page) -> Book:
            return Book("One")

        def keep_item(self, item: Book, page: Page) -> dict[str, str]:
            return item._asdict()

    assert (await taken(Whole())).items == [{"title": "One"}], "as it is, it would have been refused"


async def test_a_callback_and_what_it_gives_take_turns() -> None:
    """So what a callback gives without end, and the spider drops, need not be held in memory, and an item may change afterwards."""

    class Turns(Spider):
        said: ClassVar[list[str]] = []

        def parse(self, page: Page) -> Iterator[Any]:
            item = {"n": 0}
            for number in range(2):
                item["n"] = number
                self.said.append(f"give {number}")
                yield item

        async def keep_item(self, item: Any, page: Page) -> Any:
            await asyncio.sleep(0)
            self.said.append(f"keep {item['n']}")
            return item

    assert (await taken(Turns())).items == [{"n": 0}, {"n": 1}]
    assert Turns.said == ["give 0", "keep 0", "give 1", "keep 1"]


async def test_what_is_dropped_without_end_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawler.items._MOST_CHARACTERS", 1 << 16)

    class Endless(Spider):
        def parse(self, page: Page) -> Iterator[Any]:
            while True:
                yield {}

        def keep_item(self, item: Any, page: Page) -> None: ...

    with pytest.raises(SpiderError, match="a page gave more than"):
        await taken(Endless())


# ---------------------------------------------------------------------- mistakes


class Mistaken(Spider):
    kind: str = ""

    def parse(self, page: Page) -> Iterator[Any]:
        yield {"n": 1}
        yield {"n": page} if self.kind == "the callback's" else {"n": 2}

    def keep_item(self, item: Any, page: Page) -> Any:
        if item["n"] == 1:
            return item
        match self.kind:
            case "request":
                return page.follow(url="/2")
            case "links":
                return page.follow_all()
            case "list":
                return [item]
            case "generator":
                return (one for one in [item])
            case "bool":
                return True
            case "value":
                return {"page": page}
            case "selector":
                return {"n": page.one("h1").text()}
            case "DropItem":
                raise DropItem("no title")  # type: ignore[name-defined]  # noqa: F821 - as in a pipeline of Scrapy's
            case "ItemAdapter":
                return ItemAdapter(item)  # type: ignore[name-defined]  # noqa: F821
        return item


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("request", "what is kept of an item is one item, or None, not Request (in keep_item)"),
        ("links", "what is kept of an item is one item, or None, not Links (in keep_item)"),
        ("list", "what is kept of an item is one item, or None, not list (in keep_item)"),
        ("generator", "None, not generator; write return in place of yield (in keep_item)"),
        ("bool", "an item must be a mapping or an object with fields, not bool: true (in keep_item)"),
        ("value", "a Page is part of a page; take its text() or one of its attributes (in keep_item)"),
        ("selector", "nothing on http://h.example/1 matches 'h1' (in keep_item)"),
        ("the callback's", "a Page is part of a page; take its text() or one of its attributes (in parse)"),
        ("DropItem", "at `DropItem`; here keep_item drops an item by returning None (in keep_item)"),
        ("ItemAdapter", "at `ItemAdapter`; here keep_item gets the item itself (in keep_item)"),
    ],
)
async def test_a_mistake_is_told_with_its_line(kind: str, message: str) -> None:
    with pytest.raises((SpiderError, NameError)) as caught:
        await taken(Mistaken(kind=kind))
    text = explain(caught.value).removesuffix(" (in taken)")  # which called it, and is no spider's either
    assert text.startswith(f"{__file__}:")
    assert text.endswith(message)


# ---------------------------------------------------------------------- ready-made spiders


class Titled:
    def keep_item(self, item: Any, page: Page) -> Any:
        return {"at": page.url.rpartition("/")[2], **item} if item["title"] != "Dropped" else None


class ByRules(Titled, RulesSpider):
    rules = (Rule(callback="told", follow=True),)

    def told(self, page: Page) -> Iterator[Any]:
        yield {"title": page.title}
        if page.title == "Kept":
            raise Stop("enough")


class Site(Titled, SiteSpider): ...


class Listed(Titled, ListingSpider):
    entries = "li"
    fields: ClassVar[dict[str, Any]] = {"title": "b"}
    details = "a"


class Fed(Titled, FeedSpider):
    def keep_item(self, item: Any, page: Page) -> Any:
        return super().keep_item({"title": item["title"]}, page)


FEED = "<rss><channel><item><title>Kept</title></item><item><title>Dropped</title></item></channel></rss>"
LIST = "<li><b>Kept</b><li><b>Dropped</b><li><b>Later</b><a href=/later>"


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (Site, "<title>Kept</title>", [{"title": "Kept", "url": "http://h.example/1", "status": 200, "depth": 0}]),
        (Site, "<title>Dropped</title>", []),
        (Listed, LIST, [{"title": "Kept"}]),
        (Fed, FEED, [{"title": "Kept"}]),
    ],
)
async def test_items_of_ready_made_spiders_are_sifted(kind: type[Spider], body: str, expected: list[Any]) -> None:
    found = await take(kind(start_urls=["http://h.example/1"]), page_of("http://h.example/1", body))
    assert found.items == [{"at": "1", **item} for item in expected]


async def test_an_entry_is_sifted_once_its_own_page_has_added_to_it() -> None:
    url = "http://h.example/later"
    found = await take(Listed(), page_of(url, context={"item": {"title": "Later"}}), "detail")
    assert found.items == [{"at": "later", "title": "Later"}]


async def test_what_a_callback_of_a_rule_gives_is_sifted_as_it_was_given() -> None:
    for title, kept, stop in ("Dropped", [], None), ("Kept", [{"at": "1", "title": "Kept"}], "enough"):
        page = page_of("http://h.example/1", f"<title>{title}</title><a href=/2>", context={"callback": "told"})
        found = await take(ByRules(), page)
        assert (found.items, found.stop, found.dropped) == (kept, stop, 1 - len(kept))
        assert [request.url for request in found.requests] == ["http://h.example/2"]


def test_it_costs_nothing_where_it_is_not_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it is called")

    class Plain(Spider):
        def parse(self, page: Page) -> Any:
            return {"n": 1}

    monkeypatch.setattr("crawler.items._sift_all", never)
    assert asyncio.run(taken(Plain())).items == [{"n": 1}]


def test_a_page_may_be_wanted_again_only_where_one_is_read() -> None:
    class Again(Spider):
        def parse(self, page: Page) -> Any:
            return {"n": 1}

        def keep_item(self, item: Any, page: Page) -> Any:
            raise Retry("not yet")

    with pytest.raises(Retry, match="not yet"):
        asyncio.run(taken(Again()))
