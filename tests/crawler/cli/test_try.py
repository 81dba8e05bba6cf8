"""`crawl try`: what a spider takes from one page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.sites import Reply, Visit, page, redirect, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawler.cli.conftest import Crawl

SITE: dict[str, Reply] = {
    "/": page("Shelves", *(f"/{number}" for number in range(8))),
    "/1": page("One"),
}

SPIDER = """
from crawler import Page, Request, Retry, Spider, Stop


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

    def satisfied(self, page: Page):
        yield {"title": page.title}
        raise Stop("that is enough")

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
    assert first == f"<Page 200 {site.url}/> to parse: 0 items, 9 requests"
    assert told[0] == f"  to book: GET {site.url}/0"
    assert told[-2:] == ["  to book: 3 more", f"  to parse: POST {site.url}/search"]
    assert [path.suffix for path in tmp_path.iterdir() if path.is_file()] == [".py"], "no crawl file is left behind"


async def test_items_are_printed_and_any_method_takes_any_context(crawl: Crawl) -> None:
    async with serve(SITE) as site:
        options = ("--callback", "book", "--context", '{"shelf": "amber"}', "-a", "sign=?")
        ended = await crawl("try", "books.py", f"{site.url}/1", *options)
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == {"title": "One?", "shelf": "amber"}
    assert ended.err == f"<Page 200 {site.url}/1> to book: 1 item, 0 requests\n"


async def test_a_spider_that_raises_is_shown_line_by_line(crawl: Crawl) -> None:
    async with serve(SITE) as site:
        ended = await crawl("try", "books.py", site.url, "--callback", "broken")
    assert ended.code == 2
    first, where, *_ = ended.err.splitlines()
    assert first.startswith("Traceback")
    assert 'books.py", line' in where, "what calls the spider is of no interest"
    assert ended.err.endswith(
        "has no attribute 'text', at `page.css_first(\".price\").text`; the selector matches nothing here (in broken)\n"
    )


async def test_a_page_that_would_be_asked_for_again_is_told(crawl: Crawl) -> None:
    async with serve(SITE) as site:
        ended = await crawl("try", "books.py", f"{site.url}/1", "--callback", "picky")
        assert site.paths == ["/robots.txt", "/1"]
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"<Page 200 {site.url}/1>: a crawl would request it again, after 90 s: not yet\n"


async def test_where_a_crawl_would_stop_is_told(crawl: Crawl) -> None:
    async with serve(SITE) as site:
        ended = await crawl("try", "books.py", f"{site.url}/1", "--callback", "satisfied")
    assert (ended.code, ended.out) == (0, '{"title":"One"}\n')
    assert (
        ended.err
        == f"<Page 200 {site.url}/1> to satisfied: 1 item, 0 requests\n  a crawl would stop here: that is enough\n"
    )


async def test_items_that_would_be_dropped_are_counted(crawl: Crawl, tmp_path: Path) -> None:
    (tmp_path / "books.py").write_text(f"{SPIDER}\n    def keep_item(self, item, page): ...\n")
    async with serve(SITE) as site:
        ended = await crawl("try", "books.py", f"{site.url}/1", "--callback", "book")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == f"<Page 200 {site.url}/1> to book: 0 items, 1 dropped by keep_item, 0 requests\n"


async def test_a_replay_tells_what_would_be_asked_for_again(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(SITE) as site:
        ended = await crawl("run", "books.py", "-a", f"start_urls={site.url}/1", "--keep-bodies", "--quiet")
        assert ended.code == 0, ended.err
    picky = SPIDER.replace("yield page.follow_all(callback=self.book)", 'raise Retry("not yet")')
    (tmp_path / "books.py").write_text(picky)
    ended = await crawl("replay", "books.crawl", "books.py")
    assert (ended.code, ended.out) == (0, "")
    told = f"would be requested again: {site.url}/1: not yet\nreplayed 1 page; it would request 1 of them again\n"
    assert ended.err == told


LOOKER = """
import asyncio

from crawler import Page, Spider


async def keyed(lease, fetch):
    assert asyncio.get_running_loop() is Looker.loop
    lease.headers = {"X-Key": "1234", "X-For": f"{lease.callback} {lease.context['shelf']}"}
    return await fetch(lease)


class Looker(Spider):
    middlewares = [keyed]
    settings = {"user_agent": "looker/1"}

    async def opened(self):
        Looker.loop = asyncio.get_running_loop()

    def look(self, page: Page):
        yield {
            "tags": page.headers.getall("X-Robots-Tag", []),
            "links": [link.rpartition("/")[2] for link in page.links()],
            "redirects": [url.rpartition("/")[2] for url in page.redirects],
            "asked_for": page.requested_url.rpartition("/")[2],
            "took_time": page.elapsed > 0,
            "shelf": page.context["shelf"],
        }
"""


@pytest.mark.parametrize(
    ("tags", "options", "is_followed"),
    [
        (("noindex", "nofollow"), (), False),
        (("noindex", "nofollow"), ("--no-robots",), True),
        (("noindex", "nofollow"), ("-s", "nofollow=false"), True),
        (("noindex", "looker: nofollow"), (), False),
        (("noindex", "looker: nofollow"), ("--user-agent", "other/1"), True),
    ],
)
async def test_the_page_is_the_one_that_a_crawl_would_bring(
    crawl: Crawl, tmp_path: Path, tags: tuple[str, ...], options: tuple[str, ...], is_followed: bool
) -> None:
    """With all lines of its headers, what the settings have it obey, and the way to it; through the spider's middlewares."""
    (tmp_path / "looker.py").write_text(LOOKER)

    async def answer(visit: Visit) -> Reply:
        if visit.path == "/robots.txt":
            return 404, {}, ""
        if visit.headers.get("x-key") != "1234":
            return 403, {}, ""
        if visit.path == "/old":
            return redirect("/new")
        return 200, {"X-Robots-Tag": "\r\nX-Robots-Tag: ".join(tags)}, page("New", "/a")[2]

    async with serve(answer) as site:
        context = ("--callback", "look", "--context", '{"shelf": "amber"}')
        ended = await crawl("try", "looker.py", f"{site.url}/old", *context, *options)
        assert {visit.headers["x-for"] for visit in site.log if visit.path != "/robots.txt"} == {"look amber"}
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == {
        "tags": list(tags),
        "links": ["a"] if is_followed else [],
        "redirects": ["old"],
        "asked_for": "old",
        "took_time": True,
        "shelf": "amber",
    }
    assert ended.err.splitlines() == [
        f"<Page 200 {site.url}/new> to look: 1 item, 0 requests",
        f"  redirected from {site.url}/old",
    ]


async def test_a_sitemap_may_be_as_long_as_in_a_crawl(crawl: Crawl) -> None:
    locations = "".join(f"<url><loc>http://h.example/{number}</loc></url>" for number in range(50))
    async with serve({"/sitemap.xml": (200, {}, f"<urlset>{locations}</urlset>")}) as site:
        tried = ("try", "books.py", f"{site.url}/sitemap.xml", "-s", "max_body_bytes=1000", "--callback")
        assert (await crawl(*tried, "parse")).code == 1
        ended = await crawl(*tried, "sitemap")
    assert ended.code == 0, ended.err
    assert "0 items, 50 requests" in ended.err


ENDING = """
import asyncio
import os
import signal
import sys

from crawler import Spider


async def faulty(lease, fetch):
    raise RuntimeError("no way")


class Ending(Spider):
    how: str
    middlewares = ()

    def __init__(self, **arguments):
        super().__init__(**arguments)
        if self.how == "faulty":
            self.middlewares = [faulty]

    async def opened(self):
        if self.how == "opened":
            sys.exit(0)

    async def closed(self):
        print("closed", file=sys.stderr)
        if self.how == "closed":
            sys.exit(0)

    async def parse(self, page):
        if self.how == "exit":
            sys.exit(0)
        if self.how == "cancel":
            asyncio.current_task().cancel()
            await asyncio.sleep(0)
        if self.how == "cancel late":
            asyncio.current_task().cancel()
        if self.how == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        return {"title": page.title}
"""


@pytest.mark.parametrize(
    ("how", "code", "told"),
    [
        ("opened", 2, "SystemExit: 0, at `sys.exit(0)` (in opened)"),
        ("closed", 2, "SystemExit: 0, at `sys.exit(0)` (in closed)"),
        ("exit", 2, "SystemExit: 0, at `sys.exit(0)` (in parse)"),
        ("cancel", 2, "CancelledError, at `await asyncio.sleep(0)` (in parse)"),
        ("cancel late", 0, "1 item, 0 requests"),
        ("interrupt", 3, "stopped"),
        ("faulty", 1, "failed: internal: RuntimeError: no way"),
    ],
)
async def test_a_spider_that_leaves_is_told_from_one_that_is_to_stop(
    crawl: Crawl, tmp_path: Path, how: str, code: int, told: str
) -> None:
    (tmp_path / "ending.py").write_text(ENDING)
    async with serve(SITE) as site:
        ended = await crawl("try", "ending.py", f"{site.url}/1", "-a", f"how={how}")
    assert ended.code == code, ended.err
    assert (ended.out != "") == (code == 0)
    assert told in ended.err
    assert ("Traceback" in ended.err) == (code in (1, 2))
    assert ("closed" in ended.err.splitlines()) == (how != "opened"), "as in a crawl"


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
