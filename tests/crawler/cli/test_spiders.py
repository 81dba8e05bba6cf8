"""`crawl new`, `check` and `list`: spiders as files, before they crawl."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.sites import page, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawler.cli.conftest import Crawl

SPIDER = """\
from crawler import Spider

class Books(Spider):
    name = "library"
    start_urls = [f"http://h.example/{number}" for number in range(5)]
    scope = ["h.example"]
    settings = {"delay": 1.5}
    shelf: str = "a"
    most: int

    def parse(self, page): ...
"""


async def test_a_new_spider_crawls_as_it_stands(crawl: Crawl, tmp_path: Path) -> None:
    async with serve({"/": page("Home", "/a"), "/a": page("A")}) as site:
        made = await crawl("new", "my_books", site.url)
        assert made.code == 0
        assert (await crawl("check", "my_books.py")).out.startswith("spider     mybooks (class MyBooks)\n")
        command = made.err.partition("try it with: crawl ")[2].split()
        assert (await crawl(*command)).code == 0
    rows = [json.loads(line) for line in (tmp_path / "my_books.jsonl").read_text().splitlines()]
    assert [row["title"] for row in rows] == ["Home", "A"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("kept",), "error: kept.py exists; name another, or delete it first"),
        (("kept.py",), "error: kept.py exists"),
        (("my-books",), "error: 'my-books' cannot name a Python file"),
        (("../up",), "error: '../up' cannot name a Python file"),
        (("books", "mailto:a@b.example"), "mailto:a@b.example"),
        (
            ("queue",),
            "error: 'queue' means something to Python, or to the spider itself; choose another name, such as my_queue",
        ),
        (("class",), "error: 'class' means something to Python"),
        (("none",), "error: 'none' means something to Python"),
        (("page",), "error: 'page' means something to Python, or to the spider itself"),
    ],
)
async def test_what_cannot_become_a_spider_is_refused(
    crawl: Crawl, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "kept.py").write_text("mine")
    ended = await crawl("new", *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["kept.py"]
    assert (tmp_path / "kept.py").read_text() == "mine"


async def test_a_check_says_what_a_spider_is(crawl: Crawl, tmp_path: Path) -> None:
    (tmp_path / "books.py").write_text(SPIDER)
    ended = await crawl("check", "books.py", "-a", "shelf=b")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == [
        "spider     library (class Books)",
        "starts at  http://h.example/0, http://h.example/1, http://h.example/2 and 2 more",
        "follows    ['h.example']",
        "argument   shelf: str = 'b'",
        "argument   most: int (no value; set it with -a most=…)",
        "setting    delay = 1.5",
    ]


async def test_a_check_says_what_has_no_effect_here(crawl: Crawl, tmp_path: Path) -> None:
    (tmp_path / "books.py").write_text(f"{SPIDER}\n    allowed_domains = ['h.example']\n")
    ended = await crawl("check", "books.py")
    assert ended.out.splitlines()[-1] == "no effect  allowed_domains, which is Scrapy's; here it is scope"
    (tmp_path / "films.py").write_text(f"{SPIDER}\n    def process_item(self, item, spider): ...\n")
    ended = await crawl("check", "films.py")
    assert ended.out.splitlines()[-1].endswith("process_item, which is Scrapy's; here it is keep_item(item, page)")


async def test_a_run_warns_of_what_has_no_effect_here(crawl: Crawl, tmp_path: Path) -> None:
    """A delay that is ignored in silence would be missed by the site first."""
    (tmp_path / "slow.py").write_text(
        "from crawler import Spider\n"
        "class Slow(Spider):\n"
        "    custom_settings = {'DOWNLOAD_DELAY': 1}\n"
        "    def parse(self, page): pass\n"
    )
    async with serve({"/": page("Home")}) as site:
        ended = await crawl("run", "slow.py", "-a", f"start_urls={site.url}/")
    assert ended.code == 0
    assert "custom_settings of Slow, which is Scrapy's, has no effect; here it is settings" in ended.err


async def test_what_a_ready_made_spider_calls_as_scrapy_does_has_an_effect(crawl: Crawl, tmp_path: Path) -> None:
    (tmp_path / "ruled.py").write_text(
        "from spiders.rules import Rule, RulesSpider\n"
        "class Ruled(RulesSpider):\n"
        "    start_urls = ['http://h.example/']\n"
        "    rules = [Rule(['/shelf-'])]\n"
    )
    ended = await crawl("check", "ruled.py")
    assert ended.code == 0
    assert "no effect" not in ended.out


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            SPIDER.replace('"delay"', '"dely"'),
            "the settings of Books: there is no setting 'dely'; did you mean 'delay'?",
        ),
        (SPIDER.replace("range(5)", "[]"), "Books has no seeds"),
        (SPIDER.replace("parse", "read"), "Books takes nothing from its pages: write a method parse(self, page)"),
        (SPIDER.replace('["h.example"]', '"h.example"'), "error: scope = 'h.example': write None"),
        (SPIDER.replace('["h.example"]', '["h.example/a"]'), "error: domains: 'h.example/a' is more than a name"),
        (SPIDER.replace('"delay"', '"ITEM_PIPELINES"'), "items is said by the spider's method keep_item(item, page)"),
        ("import missing_thing", "No module named 'missing_thing'; install it, or put it beside the spider"),
    ],
)
async def test_a_check_finds_what_a_crawl_would_stumble_over(
    crawl: Crawl, tmp_path: Path, source: str, message: str
) -> None:
    (tmp_path / "books.py").write_text(source)
    ended = await crawl("check", "books.py")
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err


async def test_the_list_has_spiders_that_come_along_and_those_of_the_folder(crawl: Crawl, tmp_path: Path) -> None:
    (tmp_path / "books.py").write_text(
        f"{SPIDER}\nclass Own(crawler.Spider): ...\nclass Page(Base): ...\nclass Half(Spider, ABC): ...\n"
    )
    (tmp_path / "danger.py").write_text("raise SystemExit('it was run')\n")
    (tmp_path / "broken.py").write_text("class (Spider):\n")
    ended = await crawl("list")
    assert ended.code == 0
    assert ended.out.splitlines() == ["feed", "site", "sitemap", "books.py:Books", "books.py:Own"]
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "films.py").write_text(SPIDER)
    assert (await crawl("list", "more")).out.splitlines() == ["feed", "site", "sitemap", "more/films.py:Books"]
    for name in ("feed", "site", "sitemap"):
        assert (await crawl("check", name, "-a", "start_urls=http://h.example/")).code == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [("rules", "RulesSpider has no rules: write a class"), ("listing", "ListingSpider has no entries")],
)
async def test_a_spider_that_is_there_to_be_derived_from_says_so(crawl: Crawl, name: str, message: str) -> None:
    ended = await crawl("run", name, "-a", "start_urls=http://h.example/")
    assert ended.code == 2
    assert message in ended.err
