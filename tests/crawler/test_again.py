"""Requests that are made although the same was asked for before: `Request(…, again=True)`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from crawler import Crawl, Report, Request, Settings, Spider
from crawler.frontier.statefile import StateFile
from crawler.reports.why import in_words, why
from tests.crawler.readers.spiders import Returning
from tests.sites import page, redirect, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler import Links, Page
    from tests.sites import Reply, Visit

QUICK: dict[str, Any] = {"robots": False, "retry_wait": 0.01, "commit_interval": 0.01}
PROCESSES = pytest.mark.parametrize("processes", [1, 2])


async def crawl(state: Path, spider: Spider, **options: Any) -> Report:
    return await Crawl(spider, Settings(**{**QUICK, **options}), state=state).run()


def ways(state: Path) -> list[tuple[str, str]]:
    """Which way each page was come to, sorted."""
    with StateFile(state) as file:
        return sorted((item["asked"], item["came"]) for item in map(json.loads, file.items()))


def ends(state: Path) -> list[tuple[Any, ...]]:
    with StateFile(state) as file:
        return list(file.query("SELECT error, skipped FROM pages ORDER BY url"))


@PROCESSES
async def test_what_a_request_made_again_redirects_to_is_fetched_though_it_is_known(
    tmp_path: Path, processes: int
) -> None:
    pages = {"/a": page("A"), "/moved": redirect("/further"), "/further": redirect("/a", 301)}
    state = tmp_path / "a.crawl"
    async with serve(pages) as site:
        seeds = [f"{site.url}/a", f"{site.url}/moved"]
        for _ in range(2):
            assert (await crawl(state, Returning(start_urls=seeds), processes=processes)).finished
        assert sorted(site.paths) == [*4 * ["/a"], *2 * ["/further"], *2 * ["/moved"]]
    assert ways(state) == [*2 * [("/a", "/a")], *2 * [("/moved", "/a")]]


@PROCESSES
async def test_it_is_made_again_still_when_a_stop_comes_between(tmp_path: Path, processes: int) -> None:
    """It waits at its first target, which redirects to what is known."""
    state = tmp_path / "a.crawl"
    going: list[Crawl] = []

    async def reply(visit: Visit) -> Reply:
        if visit.path == "/moved":
            going[-1].stop()
            return redirect("/further")
        return redirect("/a") if visit.path == "/further" else page("A")

    async with serve(reply) as site:
        await crawl(state, Returning(start_urls=[f"{site.url}/a"]))
        for reason in "interrupted", "finished":
            spider = Returning(start_urls=[f"{site.url}/moved"] if reason == "interrupted" else [])
            going.append(Crawl(spider, Settings(processes=processes, **QUICK), state=state))
            assert (await going[-1].run()).reason == reason
        assert site.paths == ["/a", "/moved", "/further", "/a"]
    assert ways(state) == [("/a", "/a"), ("/moved", "/a")]


@PROCESSES
async def test_redirects_in_a_circle_end(tmp_path: Path, processes: int) -> None:
    pages = {"/x": redirect("/y"), "/y": redirect("/x"), "/self": redirect("/self")}
    state = tmp_path / "a.crawl"
    async with serve(pages) as site:
        seeds = [f"{site.url}{path}" for path in pages]
        report = await crawl(state, Returning(start_urls=seeds), processes=processes, max_redirects=4)
        assert report.finished
        assert len(site.paths) == 3 * 5
    assert [(error.partition(" in a row")[0], skipped) for error, skipped in ends(state)] == [
        ("redirect: more than 4", None)
    ] * 3


async def test_a_login_is_followed_to_a_page_that_is_known(tmp_path: Path) -> None:
    """Each run logs in anew, and its callback is called."""
    state = tmp_path / "a.crawl"
    pages = {"/session": redirect("/", 303), "/": page("Home")}

    class Member(Spider):
        def start(self) -> Iterator[Request | Links]:
            yield Request(self.start_urls[0])
            yield Request.form(f"{self.start_urls[0]}session", {"user": "reader"}, callback=self.logged_in, again=True)

        def parse(self, page: Page) -> None:
            return None

        def logged_in(self, page: Page) -> dict[str, str]:
            return {"asked": "session", "came": page.title or ""}

    async with serve(pages) as site:
        for _ in range(2):
            await crawl(state, Member(start_urls=[f"{site.url}/"]))
        assert [visit.method for visit in site.log if visit.path == "/session"] == ["POST"] * 2
    assert ways(state) == [("session", "Home")] * 2


async def test_a_page_fetched_again_is_handed_over_whatever_it_is_called(tmp_path: Path) -> None:
    """Its canonical URL is known, since it named it the first time."""
    state = tmp_path / "a.crawl"
    named = page("A", body='<link rel="canonical" href="/a">')
    async with serve({"/": page("Home", "/a?x"), "/a?x": named}) as site:
        for _ in range(2):
            await crawl(state, Returning(start_urls=[f"{site.url}/"]))
    assert ways(state) == [*2 * [("/", "/")], *2 * [("/a", "/a")]]


async def test_why_tells_of_each(tmp_path: Path) -> None:
    state = tmp_path / "a.crawl"
    async with serve({"/": page("Home"), "/moved": redirect("/")}) as site:
        for _ in range(2):
            await crawl(state, Returning(start_urls=[f"{site.url}/moved"]))
    with StateFile(state) as file:
        told = list(in_words(why(file, f"{site.url}/moved"), "a.crawl"))
    assert [line for line in told if "redirects" in line] == 2 * [f"  redirects  {site.url}/moved → {site.url}/"]
