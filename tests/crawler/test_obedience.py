"""What pages ask of robots, obeyed in a whole crawl: links not followed, pages known by another name."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from crawler import Crawl, Page, Report, Settings, Spider
from crawler.frontier.statefile import StateFile
from crawler.replay import Replay
from spiders.site import SiteSpider
from tests.sites import Reply, page, redirect, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.sites import Site

POLITE = Settings(commit_interval=0.01, per_host=1)


async def crawl(folder: Path, site: Site, settings: Settings = POLITE, spider: Spider | None = None) -> Report:
    async with asyncio.timeout(30):
        spider = spider or SiteSpider(start_urls=[f"{site.url}/"])
        return await Crawl(spider, settings, state=folder / "test.crawl").run()


def ask(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "test.crawl")) as db:
        return db.execute(sql).fetchall()


def items(folder: Path, site: Site) -> list[str]:
    return [
        json.loads(data)["url"].removeprefix(site.url) for (data,) in ask(folder, "SELECT data FROM item ORDER BY id")
    ]


def skipped(folder: Path, site: Site) -> dict[str, str]:
    rows = ask(folder, "SELECT url, detail FROM links WHERE skipped = 'duplicate'")
    return {url.removeprefix(site.url): detail.replace(site.url, "") for url, detail in rows}


def named(canonical: str, *links: str) -> Reply:
    return page("Named", *links, body=f'<link rel="canonical" href="{canonical}">')


LINKS = {
    "/": page("Home", "/quiet", "/plain", body='<a rel="nofollow" href="/hidden">x</a>'),
    "/quiet": (200, {"X-Robots-Tag": "nephila: nofollow"}, '<a href="/behind">x</a>'),
    "/plain": (200, {"X-Robots-Tag": "other: none"}, '<a href="/open">x</a>'),
    "/hidden": page("Hidden"),
    "/behind": page("Behind"),
    "/open": page("Open"),
}


@pytest.mark.parametrize(
    ("settings", "left_out"),
    [
        (POLITE, {"/hidden", "/behind"}),
        (replace(POLITE, nofollow=False), set()),
        (replace(POLITE, robots=False), set()),
    ],
)
async def test_links_not_to_be_followed(tmp_path: Path, settings: Settings, left_out: set[str]) -> None:
    async with serve(LINKS) as site:
        assert (await crawl(tmp_path, site, settings)).finished
        assert set(site.paths) - {"/robots.txt"} == set(LINKS) - left_out


VARIANTS = {
    "/": page("Home", "/lamp", "/lamp?ref=home", "/chair?ref=home", "/list?page=2", "/astray"),
    "/lamp": named("/lamp"),
    "/lamp?ref=home": named("/lamp", "/only-here"),
    "/chair?ref=home": named("/chair", "/chair"),
    "/chair": named("/chair"),
    "/list?page=2": named("/list", "/list"),
    "/list": named("/list"),
    "/astray": named("/"),
    "/only-here": page("Found on a duplicate", "/chair"),
}


async def test_a_page_with_two_names_is_one_page(tmp_path: Path) -> None:
    """Links of a duplicate count; and canonical URLs that cannot be the page are not believed."""
    async with serve(VARIANTS) as site:
        report = await crawl(tmp_path, site)
        assert report.finished
        assert sorted(set(VARIANTS) - set(site.paths)) == ["/chair"]
        assert sorted(items(tmp_path, site)) == sorted(set(VARIANTS) - {"/chair", "/lamp?ref=home"})
        assert skipped(tmp_path, site) == {
            "/lamp?ref=home": "names /lamp as its canonical URL",
            "/chair": "is the canonical URL of /chair?ref=home",
        }
    assert (report.stats.done, report.stats.skipped) == (7, 2)


async def test_canonical_urls_can_be_left_alone(tmp_path: Path) -> None:
    async with serve(VARIANTS) as site:
        await crawl(tmp_path, site, replace(POLITE, canonical=False))
        assert sorted(items(tmp_path, site)) == sorted(VARIANTS)


MOVED = {
    "/": page("Home", "/new", "/old", "/older", "/today"),
    "/new": page("New"),
    "/old": redirect("/new", 301),
    "/older": redirect("/old", 308),
    "/today": redirect("/new", 302),
}


async def test_what_redirects_to_a_known_page_is_another_name_of_it(tmp_path: Path) -> None:
    async with serve(MOVED) as site:
        assert (await crawl(tmp_path, site)).finished
        assert sorted(items(tmp_path, site)) == ["/", "/new"]
        assert skipped(tmp_path, site) == {
            "/old": "redirected (301) to /new",
            "/older": "redirected (308) to /old",
            "/today": "redirected (302) to /new",
        }
        assert site.paths.count("/new") == 1


async def test_redirects_can_be_taken_for_no_names(tmp_path: Path) -> None:
    async with serve(MOVED) as site:
        report = await crawl(tmp_path, site, replace(POLITE, redirect_aliases=False))
        assert (report.finished, report.stats.done, report.stats.skipped) == (True, 5, 0)
        assert sorted(items(tmp_path, site)) == ["/", *["/new"] * 4]


async def test_an_alias_is_known_to_the_next_run(tmp_path: Path) -> None:
    pages = {
        "/": page("Home", "/chair?ref=home", "/later"),
        "/chair?ref=home": named("/chair"),
        "/later": page("Later", "/chair", "/chair?ref=later"),
        "/chair": named("/chair"),
        "/chair?ref=later": named("/chair"),
    }
    async with serve(pages) as site:
        report = await crawl(tmp_path, site, replace(POLITE, max_pages=2))
        assert report.reason == "max_pages"
        assert (await crawl(tmp_path, site)).finished
        assert "/chair" not in site.paths
        assert items(tmp_path, site) == ["/", "/chair?ref=home", "/later"]


async def test_seeds_are_handed_over_whatever_they_are_called(tmp_path: Path) -> None:
    pages = {path: named("/a", "/a?y") for path in ("/a", "/a?x", "/a?y")}
    async with serve(pages) as site:
        spider = SiteSpider(start_urls=[f"{site.url}{path}" for path in ("/a", "/a?x")])
        await crawl(tmp_path, site, spider=spider)
        assert sorted(items(tmp_path, site)) == ["/a", "/a?x"]
        assert skipped(tmp_path, site) == {"/a?y": "names /a as its canonical URL"}


async def test_a_page_that_its_canonical_url_redirects_to_is_no_duplicate(tmp_path: Path) -> None:
    """Sites that remember where a visitor came from do that."""
    pages: dict[str, Reply] = {
        "/": page("Home", "/a"),
        "/a": (302, {"Location": "/a?welcome"}, ""),
        "/a?welcome": named("/a"),
    }
    async with serve(pages) as site:
        await crawl(tmp_path, site)
        assert items(tmp_path, site) == ["/", "/a?welcome"]


@pytest.mark.parametrize("links", [["/a", "/a?welcome"], ["/a?welcome", "/a"]])
async def test_a_page_whose_canonical_url_redirects_to_it_is_read_though_both_were_found(
    tmp_path: Path, links: list[str]
) -> None:
    """Each might be left out for the other."""
    pages: dict[str, Reply] = {
        "/": page("Home", *links),
        "/a": (302, {"Location": "/a?welcome"}, ""),
        "/a?welcome": named("/a"),
    }
    async with serve(pages) as site:
        await crawl(tmp_path, site)
        assert items(tmp_path, site) == ["/", "/a?welcome"]


class Callbacks(Spider):
    """Takes lamps with a callback of its own, and follows what it chooses."""

    def parse(self, page: Page) -> Iterator[Any]:
        yield page.follow_all("a", callback=self.lamp)

    def lamp(self, page: Page) -> Iterator[Any]:
        yield {"url": page.url}
        yield page.follow("a.more", callback=self.lamp)


async def test_the_links_of_a_duplicate_are_the_spiders_choice(tmp_path: Path) -> None:
    more = '<link rel="canonical" href="/lamp"><a href="/not-chosen">x</a><a class="more" href="/more">x</a>'
    pages = {
        "/": page("Home", "/lamp", "/lamp?ref"),
        "/lamp": page("Lamp"),
        "/lamp?ref": page("Lamp", body=more),
        "/more": page("More"),
    }
    async with serve(pages) as site:
        await crawl(tmp_path, site, spider=Callbacks(start_urls=[f"{site.url}/"]))
        assert items(tmp_path, site) == ["/lamp", "/more"]


async def test_a_duplicate_is_not_kept_for_replay(tmp_path: Path) -> None:
    pages = {"/": page("Home", "/a", "/a?x"), "/a": named("/a"), "/a?x": named("/a")}
    async with serve(pages) as site:
        await crawl(tmp_path, site, replace(POLITE, keep_bodies=True))
    assert ask(tmp_path, "SELECT count(*) FROM response") == [(2,)]


async def test_a_session_of_an_earlier_run_is_remembered(tmp_path: Path) -> None:
    session = "PHPSESSID=0123456789abcdef"
    pages = {
        "/": page("Home", f"/a?{session}0", "/b"),
        f"/a?{session}0": page("A"),
        "/b": page("B", f"/a?{session}1"),
    }
    async with serve(pages) as site:
        assert (await crawl(tmp_path, site, replace(POLITE, max_pages=2))).reason == "max_pages"
        assert (await crawl(tmp_path, site)).finished
        assert f"/a?{session}1" not in site.paths
    rows = ask(tmp_path, "SELECT reason, detail FROM aside")
    assert rows == [("trap", "found before, with another session id")]


class Linked(Spider):
    """Notes where pages lead to."""

    def parse(self, page: Page) -> Iterator[Any]:
        yield {"links": [*page.links(), "but not", *page.nofollow]}


@pytest.mark.parametrize("settings", [POLITE, replace(POLITE, robots=False), replace(POLITE, nofollow=False)])
async def test_a_replay_obeys_as_the_crawl_did(tmp_path: Path, settings: Settings) -> None:
    async with serve(LINKS) as site:
        seeds = [f"{site.url}{path}" for path in ("/", "/quiet")]
        await crawl(tmp_path, site, replace(settings, keep_bodies=True), Linked(start_urls=seeds))

    def replayed() -> list[str]:
        with StateFile(tmp_path / "test.crawl") as file:
            return list(Replay(Linked(), file).items())

    assert await asyncio.to_thread(replayed) == [
        data for (data,) in ask(tmp_path, "SELECT data FROM item ORDER BY request")
    ]
