"""What came in the stead of a page, with another status: the spider is given it when it hears of the failure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from crawler import Crawl, ErrorText, Page, Report, Request, Settings, Spider
from crawler.frontier.statefile import StateFile
from crawler.testing import page_of
from tests.crawler.readers.spiders import Mourner
from tests.sites import page, redirect, serve

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.fetcher import Fetch, Unfit
    from crawler.frontier.protocol import Lease
    from tests.sites import Reply

QUICK: dict[str, Any] = {"robots": False, "retry_wait": 0.01, "commit_interval": 0.01}
PROCESSES = pytest.mark.parametrize("processes", [1, 2])


async def crawl(state: Path, spider: Spider, **options: Any) -> Report:
    return await Crawl(spider, Settings(**{**QUICK, **options}), state=state).run()


def told(state: Path) -> dict[str, Any]:
    """What was told of each page."""
    with StateFile(state) as file:
        return {item.pop("asked"): item for item in map(json.loads, file.items())}


GONE = "<title>Gone</title><h1>Not here: \xe9</h1><a href=/instead>There</a>"
SITE: dict[str, Reply] = {
    "/": page("Home", "/missing", "/moved", "/broken", "/large", "/round", "/nowhere", "/raises", "/again"),
    "/missing": (404, {"Content-Type": "text/html; charset=latin-1", "X-Odd": "caf\xe9"}, GONE.encode("latin-1")),
    "/moved": redirect("/removed"),
    "/removed": (410, {"Content-Type": "text/plain"}, "removed"),
    "/broken": (500, {}, "<h1>Broken"),
    "/large": (404, {}, "x" * 9000),
    "/round": redirect("/round"),
    "/nowhere": (301, {}, "<h1>No Location"),
    "/raises": page("Raises"),
    "/again": page("Again"),
    "/instead": page("Instead"),
}


@PROCESSES
@pytest.mark.parametrize("has_middleware", [False, True])
async def test_the_page_of_another_status_comes_with_the_error(
    tmp_path: Path, processes: int, has_middleware: bool
) -> None:
    async def around(lease: Lease, fetch: Fetch) -> Page | Unfit:
        return await fetch(lease)

    async with serve(SITE) as site:
        spider = Mourner(start_urls=[f"{site.url}/"])
        settings = Settings(processes=processes, max_body_bytes=8000, max_attempts=2, **QUICK)
        middlewares = [around] if has_middleware else []
        report = await Crawl(spider, settings, state=tmp_path / "a.crawl", middlewares=middlewares).run()
        assert site.paths.count("/broken") == 2
    assert report.stats.failed == 8
    found = told(tmp_path / "a.crawl")
    shared = {"odd": "", "context": ["on", "é"], "depth": 1, "title": None}
    assert found["/missing"] == {
        "error": "http: 404 Not Found",
        "page": {
            **shared,
            "status": 404,
            "path": ["/missing", "/missing"],
            "type": "text/html",
            "odd": b"caf\xe9".hex(),
            "text": GONE,
            "title": "Gone",
            "heading": ["Not here: é"],
        },
    }
    gone = {"status": 410, "path": ["/moved", "/moved", "/removed"], "type": "text/plain", "text": "removed"}
    assert found["/moved"] == {"error": "http: 410 Gone", "page": {**shared, **gone, "heading": []}}
    assert found["/broken"]["page"]["heading"] == ["Broken"]
    assert found["/nowhere"]["page"]["heading"] == ["No Location"]
    assert found["/instead"] == {"error": None, "page": None}, "what an error page links to can be followed"
    for path, kind in ("/large", "size"), ("/round", "redirect"), ("/raises", "spider"), ("/again", "retry"):
        assert found[path]["error"].partition(":")[0] == kind
        assert found[path]["page"] is None
    assert set(found) == set(SITE) - {"/", "/removed"}


@PROCESSES
async def test_an_error_page_may_be_as_large_as_any(tmp_path: Path, processes: int) -> None:
    large = "x" * (5 << 20)
    async with serve({"/": (404, {}, large)}) as site:
        await crawl(tmp_path / "a.crawl", Mourner(start_urls=[f"{site.url}/"]), processes=processes)
    assert told(tmp_path / "a.crawl")["/"]["page"]["text"] == large


async def test_who_hears_of_no_failures_is_sent_no_pages(tmp_path: Path) -> None:
    """Nor does it cost anything; that it ends as it does otherwise is enough."""

    class Deaf(Spider):
        def parse(self, page: Page) -> Any:
            return page.follow_all()

    async with serve({"/": page("Home", *"abc")}) as site:
        report = await crawl(tmp_path / "a.crawl", Deaf(start_urls=[f"{site.url}/"]))
    assert report.stats.failed == 3


def test_an_error_is_a_text() -> None:
    """Made by hand, for a test of a spider."""
    spider = Mourner()
    there = page_of("https://library.example/a", "<title>Gone", status=404)
    request = Request("https://library.example/a")
    _, item = spider.failed(request, ErrorText("http: 404 Not Found", there))
    assert (item["error"], item["page"]["title"]) == ("http: 404 Not Found", "Gone")
    assert ErrorText("dns: no such host").page is None
    assert f"{ErrorText('a: b')!r} {ErrorText('a: b')}" == "'a: b' a: b"
