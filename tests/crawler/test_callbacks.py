"""How a spider's callbacks are called."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from crawler import Crawl, ErrorText, Page, Request, Settings, Spider
from crawler.callbacks import Callbacks
from crawler.errors import TooCostly
from crawler.frontier.statefile import StateFile
from crawler.web import scan
from crawler.web.links import look_through
from tests.crawler.test_page import page as page_of
from tests.sites import page, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler import Links

LARGE = "<p>text</p>" * 100


class Looks(Spider):
    """One callback that looks at what it gets, one that follows links alone, and one that begins to look."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.start_urls = [f"{url}/"]
        self.parsed: dict[str, list[bool]] = defaultdict(list)
        """Of each callback's pages, whether they were parsed before it was called."""

    def parse(self, page: Page) -> Iterator[Links]:
        for priority, name in enumerate(("looking", "walking", "changing")):
            yield page.follow_all(f"a[href^='/{name}']", callback=name, priority=priority)

    def _note(self, name: str, page: Page) -> int:
        self.parsed[name].append(page._dom is not None)
        return len(self.parsed[name])

    def looking(self, page: Page) -> None:
        self._note("looking", page)
        assert page.css_first("p") is not None

    def walking(self, page: Page) -> None:
        self._note("walking", page)
        page.links()

    def changing(self, page: Page) -> None:
        if self._note("changing", page) == 2:
            assert page.css("p")


async def crawl(path: Path, body: str) -> dict[str, list[bool]]:
    """One page after the other, four for each callback."""
    paths = [f"/{name}/{number}" for name in ("looking", "walking", "changing") for number in range(4)]
    async with serve({"/": page("Home", *paths), **{path: page(path, body=body) for path in paths}}) as site:
        settings = Settings(robots=False, concurrency=1, parse_thread_bytes=len(LARGE))
        spider = Looks(site.url)
        async with asyncio.timeout(60):
            report = await Crawl(spider, settings, state=path / "test.crawl").run()
    assert report.finished
    assert report.stats.failed == 0
    return spider.parsed


def threads_of(monkeypatch: pytest.MonkeyPatch, method: str) -> list[int]:
    """The threads in which a method of pages will be called."""
    threads: list[int] = []
    called = getattr(Page, method)

    def noted(page: Page) -> None:
        threads.append(threading.get_ident())
        called(page)

    monkeypatch.setattr(Page, method, noted)
    return threads


@pytest.mark.skipif(not scan.IS_COMPILED, reason="crawler/web/scan.py is not compiled here, so that links take a tree")
async def test_large_pages_are_parsed_in_a_thread_for_callbacks_that_ask_for_the_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the page before was asked for says what the next one will be."""
    threads = threads_of(monkeypatch, "parse_now")
    assert await crawl(tmp_path, LARGE) == {
        "looking": [False, True, True, True],
        "walking": [False] * 4,
        "changing": [False, False, True, False],
    }
    assert len(threads) == 4
    assert threading.get_ident() not in threads


async def test_small_pages_are_not(tmp_path: Path) -> None:
    parsed = await crawl(tmp_path, "<p>")
    assert parsed == {"looking": [False] * 4, "walking": [False] * 4, "changing": [False] * 4}


async def test_large_pages_whose_links_take_a_tree_are_parsed_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = threads_of(monkeypatch, "look_now")
    parsed = await crawl(tmp_path, f"<template></template>{LARGE}")
    assert parsed["walking"] == [True] * 4
    assert len(threads) >= 4
    assert threading.get_ident() not in threads


@pytest.mark.skipif(not scan.IS_COMPILED, reason="crawler/web/scan.py is not compiled here: all is looked for in trees")
async def test_what_is_in_a_tree_that_will_be_asked_for_is_not_looked_for_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def noted(document: bytes) -> scan.Scan | None:
        looks.append(document)
        return look_through(document)

    monkeypatch.setattr("crawler.web.document.look_through", noted)

    class Titles(Spider):
        def parse(self, page: Page) -> Iterator[Any]:
            yield {"title": page.title, "list": len(page.css("li"))}
            yield page.follow_all()

    paths = [f"/{number}" for number in range(4)]
    async with serve({"/": page("Home", *paths), **{path: page(path) for path in paths}}) as site, asyncio.timeout(60):
        settings = Settings(robots=False, concurrency=1)
        report = await Crawl(Titles(start_urls=[f"{site.url}/"]), settings, state=tmp_path / "test.crawl").run()
    assert (report.stats.done, report.stats.failed) == (5, 0)
    assert len(looks) == 1, "of the first page nothing was known"


COSTLY = {
    "formatting": "".join(f"<p><font id={number}>" for number in range(20_000)),
    "doubtful": "<template></template>" + "".join(f"<p><b id={number}>" for number in range(20_000)),
}
DEEP = {"small": "<div>" * 8_000, "attributes": f"<p {' '.join(f'a{number}' for number in range(9_000))}>"}


@pytest.mark.parametrize("is_wanted", [True, False], ids=["looked at", "walked"])
async def test_pages_that_are_costly_to_parse_cost_only_themselves(tmp_path: Path, is_wanted: bool) -> None:
    """What would fill all memory fails where the tree is asked for, or alone can tell the links; everything around is fetched."""

    class Both(Spider):
        def parse(self, page: Page) -> Iterator[Links]:
            if is_wanted:
                page.css_first("p")
            yield page.follow_all()

    bodies = {**COSTLY, **DEEP}
    site = {f"/{name}": page(name, f"/from-{name}", body=body) for name, body in bodies.items()}
    others = {f"/{number}": page(str(number)) for number in range(10)} | {f"/from-{name}": page("x") for name in bodies}
    async with serve({"/": page("Home", *site, *list(others)[:10]), **site, **others}) as served, asyncio.timeout(60):
        settings = Settings(robots=False, parse_thread_bytes=1 << 16)
        report = await Crawl(Both(start_urls=[f"{served.url}/"]), settings, state=tmp_path / "test.crawl").run()
    with StateFile(tmp_path / "test.crawl") as file:
        errors: dict[str, str] = dict(file.query("SELECT url, error FROM errors"))
    failing = set(COSTLY) if is_wanted or not scan.IS_COMPILED else {"doubtful"}
    assert set(errors) == {f"{served.url}/{name}" for name in failing}
    assert all(error.startswith("size: no tree is built of ") for error in errors.values())
    assert report.stats.done == 11 + 2 * (len(bodies) - len(failing))


@pytest.mark.parametrize("name", DEEP)
async def test_a_page_that_may_take_long_is_parsed_in_a_thread_however_small(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    threads = threads_of(monkeypatch, "parse_now")

    class Looking(Spider):
        def parse(self, page: Page) -> dict[str, int]:
            return {"paragraphs": len(page.css("p"))}

    callbacks = Callbacks(Looking(), parse_thread_bytes=1 << 20)
    for body in ("<p>", DEEP[name], "<p>"):
        one = page_of(body)
        await callbacks.take(one._lease, one)
    (thread,) = threads
    assert thread != threading.get_ident()


async def test_a_page_that_comes_with_an_error_is_parsed_in_a_thread_if_the_one_before_was_looked_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = threads_of(monkeypatch, "parse_now")

    class Mourning(Spider):
        def failed(self, request: Request, error: ErrorText) -> None:
            if error.page and error == "http: 404 Not Found":
                error.page.css("p")

    callbacks = Callbacks(Mourning(), parse_thread_bytes=len(LARGE))
    for error in ("404 Not Found", "410 Gone", "410 Gone", "404 Not Found", "404 Not Found"):
        one = page_of(LARGE)
        await callbacks.take_failure(one._lease, f"http: {error}", one)
        await callbacks.take_failure(one._lease, "dns: no such host", None)
    assert len(threads) == 2
    assert threading.get_ident() not in threads


class Stuck(Page):
    """A page whose parser does not come back before it is let go."""

    let_go: threading.Event

    def look_now(self) -> None:
        self.let_go.wait()


def stuck_page() -> Stuck:
    usual = page_of("<p>")
    stuck = Stuck(
        usual._lease, url=usual.url, status=200, headers=usual.headers, body=b"<p>", fetched_at=0.0, elapsed=0.0
    )
    stuck.let_go = threading.Event()
    return stuck


async def test_who_waits_for_a_page_that_is_never_parsed_waits_only_so_long() -> None:
    """Nor does the process wait for its thread at the end."""
    callbacks = Callbacks(Walks(), parse_thread_bytes=1, parse_seconds=0.01)
    usual, stuck = page_of("<p>"), stuck_page()
    try:
        async with asyncio.timeout(60):
            took = asyncio.gather(
                callbacks.take(stuck._lease, stuck), callbacks.take(usual._lease, usual), return_exceptions=True
            )
            failed, harvest = await took
        assert isinstance(failed, TooCostly)
        assert not isinstance(harvest, BaseException)
        assert {thread.daemon for thread in threading.enumerate() if thread.name == "parsing"} == {True}
    finally:
        stuck.let_go.set()


async def test_nobody_hears_of_a_page_that_is_parsed_too_late() -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
    stuck = stuck_page()
    with pytest.raises(TooCostly):
        await Callbacks(Walks(), parse_thread_bytes=1, parse_seconds=0.01).take(stuck._lease, stuck)
    threads = [thread for thread in threading.enumerate() if thread.name == "parsing"]
    stuck.let_go.set()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert not faults


class Walks(Spider):
    def parse(self, page: Page) -> Links:
        return page.follow_all()
