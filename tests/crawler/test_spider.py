"""The spider contract: arguments, callbacks, and how a spider's mistakes are told."""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import pytest
from selectolax.lexbor import LexborHTMLParser

import spiders
from crawler.errors import Retry, SpiderError
from crawler.faults import explain, from_the_users_code
from crawler.request import Request
from crawler.spider import READY_MADE, Spider, arguments_of, callback_of
from crawler.testing import page_of
from spiders.feed import FeedSpider


class Shop(Spider):
    start_urls = ("http://shop.example/",)
    category: str = "all"
    pages: int = 1
    tags: list[str] = []  # noqa: RUF012 - as users write it
    version: ClassVar[str] = "1"
    _secret: int = 0

    def parse(self, page: Any) -> None:
        raise LookupError("no price")

    def detail(self, page: Any) -> None:
        json.loads("no json")

    def price(self, page: Any) -> Any:
        return {"title": "“Amber”", "price": page.css_first(".price").text(), "year": 1}

    def relative(self, page: Any) -> Any:
        return Request("/list?page=2")

    def compiled(self, page: Any) -> Any:
        return LexborHTMLParser("<p>").css("p::text")


class Order(Enum):
    RISING = "rising"
    FALLING = "falling"


class Sorted(Spider):
    order: Order = Order.RISING
    since: date = date.min
    fast: bool = False
    least: float = 0.0
    most: int | None = None
    either: int | bool = 0
    several: list[int] = []  # noqa: RUF012 - nobody changes it


def test_arguments_are_the_declared_attributes() -> None:
    assert set(arguments_of(Shop)) == {"start_urls", "category", "pages", "tags"}
    assert set(arguments_of(Spider)) == {"start_urls"}


def test_arguments_are_converted_to_their_type() -> None:
    spider = Shop(category="books", pages="12")
    assert (spider.category, spider.pages) == ("books", 12)
    assert Shop().pages == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"page": 1}, "Shop takes no argument 'page'; it takes: category, pages, start_urls, tags"),
        ({"pages": "many"}, "argument pages='many' of Shop: it takes a whole number"),
        ({"_secret": 1}, "takes no argument"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpiderError, match=complaint):
        Shop(**arguments)


@pytest.mark.parametrize(
    ("argument", "value", "wanted"),
    [
        ("order", "up", "it takes rising or falling"),
        ("since", "1/2/2026", "it takes a date, such as 2026-01-31"),
        ("fast", "yes", "it takes true or false"),
        ("least", "many", "it takes a number"),
        ("most", "many", "it takes a whole number"),
        ("either", "many", "Expected `bool | int`"),
        ("several", "many", "Expected `int`"),
    ],
)
def test_what_an_argument_takes_is_said_in_words(argument: str, value: str, wanted: str) -> None:
    with pytest.raises(SpiderError) as caught:
        Sorted(**{argument: value})
    assert wanted in str(caught.value)


def test_the_name_is_the_class_name_unless_given() -> None:
    class Named(Spider):
        name = "given"

    assert Shop.crawl_name() == "shop"
    assert Named.crawl_name() == "given"


def test_spiders_of_one_base_are_crawls_of_their_own() -> None:
    class Arrivals(FeedSpider): ...

    assert FeedSpider.crawl_name() == "feed"
    assert Arrivals.crawl_name() == "arrivals", "two feeds in one folder would share a crawl file"


def test_the_seeds_are_the_start_urls() -> None:
    assert [seed.url for seed in Shop().start()] == ["http://shop.example/"]  # type: ignore[union-attr]


def test_one_text_is_no_list_of_start_urls() -> None:
    class Single(Spider):
        start_urls = "http://shop.example/"

    with pytest.raises(SpiderError, match=r"it must be a list: \['http://shop\.example/'\]"):
        Single().start()


def test_callbacks_are_found_by_name() -> None:
    spider = Shop()
    assert callback_of(spider, None) == spider.parse
    assert callback_of(spider, "detail") == spider.detail
    for wrong in ("missing", "category"):
        with pytest.raises(SpiderError, match="has no method"):
            callback_of(spider, wrong)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("detial", r"has no method 'detial', which a request names as its callback; did you mean 'detail'\?$"),
        ("<lambda>", "write a method, since the crawl file keeps callbacks by their names$"),
        ("nothing_like_it", "which a request names as its callback$"),
    ],
)
def test_what_may_be_meant_by_an_unknown_callback_is_told(wrong: str, told: str) -> None:
    with pytest.raises(SpiderError, match=told):
        callback_of(Shop(), wrong)


def test_a_spider_without_parse_is_told_to_write_one() -> None:
    with pytest.raises(SpiderError, match="has no parse method"):
        Spider().parse(None)  # type: ignore[arg-type]


def raised_by(call: Any) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any
        call(None)
    return caught.value


def test_a_spiders_exception_is_told_with_its_place() -> None:
    text = explain(raised_by(Shop().parse))
    assert text.startswith(__file__)
    assert text.endswith("LookupError: no price (in parse)")


def test_an_exception_below_the_spider_is_told_with_the_place_in_the_spider() -> None:
    text = explain(raised_by(Shop().detail))
    assert text.startswith(__file__)
    assert "JSONDecodeError" in text
    assert text.endswith("(in detail)")


def test_a_traceback_without_the_users_code_stays_whole() -> None:
    traceback = raised_by(Shop().detail).__traceback__
    assert from_the_users_code(traceback) is traceback, "which begins in this file"
    while traceback and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    assert traceback
    assert from_the_users_code(traceback) is traceback, "which is in the standard library all along"


def test_of_a_line_with_several_expressions_the_one_that_raised_is_shown() -> None:
    text = explain(raised_by(Shop().price))
    assert text.endswith("'NoneType' object has no attribute 'css_first', at `page.css_first` (in price)")


@pytest.mark.parametrize(
    ("asked", "ours"),
    [
        (lambda page: page.meta, "at `page.meta`; here it is page.context (in <lambda>)"),
        (lambda page: page.css("h1").getall(), "here it is text(), of each node (in <lambda>)"),
        (lambda page: page.one("h1").attrib, "here it is attributes (in <lambda>)"),
        (lambda _: Shop().logger, "here it is logging.getLogger(__name__) (in <lambda>)"),  # type: ignore[attr-defined]
        (lambda _: argparse.Namespace().meta, "at `argparse.Namespace().meta` (in <lambda>)"),
    ],
)
def test_what_scrapy_calls_otherwise_is_told_in_our_words(asked: Any, ours: str) -> None:
    with pytest.raises(AttributeError) as caught:
        asked(page_of("https://shop.example/", "<h1>Lamps</h1>"))
    assert explain(caught.value).endswith(ours)


def test_a_node_that_is_not_there_is_told() -> None:
    """Python says only that None has no such attribute."""
    with pytest.raises(AttributeError) as caught:
        page_of("https://shop.example/", "").css_first("h1").text()  # type: ignore[union-attr]
    assert "at `page_of(" in explain(caught.value)
    assert "; the selector matches nothing here (in " in explain(caught.value)


def test_an_argument_without_a_value_is_told() -> None:
    class Member(Spider):
        password: str

        def parse(self, page: Any) -> object:
            return {"password": self.password}

    text = explain(raised_by(Member().parse))
    assert text.endswith("at `self.password`; give it a value: -a password=… (in parse)")


def test_what_says_itself_what_is_wrong_is_told_with_its_place_too() -> None:
    text = explain(raised_by(Shop().relative))
    assert text.startswith(__file__)
    assert (
        "'/list?page=2' is not a URL that can be fetched: it does not start with http:// or https://; page.follow"
        in text
    )
    assert text.endswith("(in relative)")


def test_ready_made_spiders_are_not_the_users() -> None:
    """Others may lie beside them."""
    folder = Path(spiders.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} == {"__init__", *READY_MADE}


def test_compiled_code_is_not_the_users() -> None:
    text = explain(raised_by(Shop().compiled))
    assert text.startswith(__file__)
    assert """Can't parse CSS selector, at `LexborHTMLParser("<p>").css("p::text")`; CSS selects elements""" in text


def test_what_an_exception_says_is_told_in_short() -> None:
    """It may quote all of a page that could not be read."""
    told = explain(ValueError("x" * 1_000_000))
    assert told.startswith("ValueError: xxx")
    assert len(told) < 2000
    assert len(explain(SpiderError("x" * 1_000_000))) < 2000


def test_an_exception_that_cannot_be_told_is_told_as_such() -> None:
    class Mute(Exception):
        raised: type[BaseException] = LookupError

        def __str__(self) -> str:
            raise self.raised

    class Leaving(Mute):
        raised = SystemExit

    class MuteRetry(Mute, Retry):
        raised = asyncio.CancelledError

    assert explain(Mute()) == "Mute, which cannot be told: its text raises LookupError"
    assert explain(Leaving()) == "Leaving, which cannot be told: its text raises SystemExit"
    assert explain(MuteRetry("x")) == "MuteRetry, which cannot be told: its text raises CancelledError"


def test_texts_stand_for_lists_and_paths() -> None:
    class Reader(Spider):
        folder: Path = Path()
        words: tuple[str, ...] = ()
        numbers: set[int] = set()  # noqa: RUF012

    spider = Reader(folder="/x/y", words="a,b", numbers="1,2", start_urls="http://a/,http://b/")
    assert (spider.folder, spider.words, spider.numbers) == (Path("/x/y"), ("a", "b"), {1, 2})
    assert spider.start_urls == ["http://a/", "http://b/"]
    with pytest.raises(SpiderError, match="Expected `int`"):
        Reader(numbers="1,x")
