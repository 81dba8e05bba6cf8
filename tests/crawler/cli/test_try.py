"""`crawl try`: what a spider takes from one page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.sites import page, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawler.cli.conftest import Crawl
    from tests.sites import Reply

SITE: dict[str, Reply] = {
    "/": page("Shelves", *(f"/{number}" for number in range(8))),
    "/1": page("One"),
}

SPIDER = """
from crawler import Page, Request, Retry, Spider


class Books(Spider):
    sign: str = "!"
    settings = {"user_agent": "books/1"}

    async def opened(self):
        self.mark = self.sign

    def parse(self, page: Page):
        yield page.follow_all(callback=self.book)
        yield Request(page.urljoin("/search"), method="POST")

    def book(self, page: Page):
        yield {"title": page.title + self.mark, "shelf": page.context.get("shelf")}

    def picky(self, page: Page):
        raise Retry("not yet", after=90)

    def broken(self, page: Page):
        return page.css_first(".price").text()
"""


@pytest.fixture(autouse=True)
def spider(tmp_path: Path) -> None:
    (tmp_path / "books.py").write_text(SPIDER)


async def test_what_would_be_followed_is_told_and_not_followed(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(SITE) as site:
        ended = await crawl("try", "books.py", site.url)
        assert site.paths == ["/robots.txt", "/"]
        assert site.log[-1].headers["user-agent"] == "books/1", "the spider's own settings hold"
    assert (ended.code, ended.out) == (0, "")
    first, *told = ended.err.splitlines()
    assert first == f"<Page 200 {site.url}/>: 0 items, 9 requests"
    assert told[0] == f"  to book: GET {site.url}/0"
    assert told[-2:] == ["  to book: 3 more", f"  to parse: POST {site.url}/search"]
    assert [path.suffix for path in tmp_path.iterdir() if path.is_file()] == [".py"], "no crawl file is left behind"


async def test_items_are_printed_and_any_method_takes_any_context(crawl: Crawl) -> None:
    async with serve(SITE) as site:
        options = ("--callback", "book", "--context", '{"shelf": "amber"}', "-a", "sign=?")
        ended = await crawl("try", "books.py", f"{site.url}/1", *options)
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == {"title": "One?", "shelf": "amber"}
    assert ended.err == f"<Page 200 {site.url}/1>: 1 item, 0 requests\n"


async def test_a_spider_that_raises_is_shown_line_by_line(crawl: Crawl) -> None:
    async with serve(SITE) as site:
        ended = await crawl("try", "books.py", site.url, "--callback", "broken")
    assert ended.code == 2
    assert ended.err.startswith("Traceback")
    assert ended.err.endswith("has no attribute 'text', at `page.css_first(\".price\").text` (in broken)\n")


async def test_a_page_that_would_be_asked_for_again_is_told(crawl: Crawl) -> None:
    async with serve(SITE) as site:
        ended = await crawl("try", "books.py", f"{site.url}/1", "--callback", "picky")
        assert site.paths == ["/robots.txt", "/1"]
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"<Page 200 {site.url}/1>: a crawl would ask for it again, after 90 s: not yet\n"


async def test_a_replay_tells_what_would_be_asked_for_again(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(SITE) as site:
        ended = await crawl("run", "books.py", "-a", f"start_urls={site.url}/1", "--keep-bodies", "--quiet")
        assert ended.code == 0, ended.err
    picky = SPIDER.replace("yield page.follow_all(callback=self.book)", 'raise Retry("not yet")')
    (tmp_path / "books.py").write_text(picky)
    ended = await crawl("replay", "books.crawl", "books.py")
    assert (ended.code, ended.out) == (0, "")
    told = f"would be asked for again: {site.url}/1: not yet\nreplayed 1 pages; it wants 1 of them again\n"
    assert ended.err == told


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("/none",), 1, "failed: http: 404 Not Found"),
        (("/", "--callback", "missing"), 2, "Books has no method 'missing'"),
        (("/", "--context", "[1]"), 2, "write a JSON object"),
        (("/", "--callback", "broken", "-a", "x=1"), 2, "Books takes no argument 'x'"),
    ],
)
async def test_what_cannot_be_tried_is_told(crawl: Crawl, arguments: tuple[str, ...], code: int, message: str) -> None:
    path, *options = arguments
    async with serve(SITE) as site:
        ended = await crawl("try", "books.py", f"{site.url}{path}", *options)
    assert (ended.code, ended.out) == (code, "")
    assert message in ended.err
    assert "Traceback" not in ended.err
