"""Sitemaps that robots.txt names lead to pages that no link does: as requests like any other."""

from __future__ import annotations

import asyncio
import gzip
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from crawler import Crawl, Page, Report, Settings, Spider
from spiders.site import SiteSpider
from tests.sites import Reply, Visit, page, redirect, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from tests.sites import Handler

MAPPED = Settings(sitemaps=True, commit_interval=0.01, retry_wait=0.01)

XML = {"Content-Type": "application/xml"}
TEXT = {"Content-Type": "text/plain"}


async def crawl(folder: Path, spider: Spider, settings: Settings = MAPPED) -> Report:
    async with asyncio.timeout(30):
        return await Crawl(spider, settings, state=folder / "test.crawl").run()


def ask(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "test.crawl")) as db:
        return db.execute(sql).fetchall()


def handler(pages: dict[str, Reply], sitemaps: str) -> Handler:
    """A site; `{site}` in its sitemaps stands for where it is."""

    async def answer(visit: Visit) -> Reply:
        if visit.path == "/robots.txt":
            return 200, TEXT, sitemaps.format(site=f"http://{visit.host}")
        status, headers, body = pages.get(visit.path, (404, {}, ""))
        if isinstance(body, str):
            body = body.replace("{site}", f"http://{visit.host}").encode()
            body = gzip.compress(body) if ".gz" in visit.path else body
            body = gzip.compress(body) if "Content-Encoding" in headers else body
            body = gzip.compress(body) if "twice" in visit.path else body
        return status, headers, body

    return answer


def urlset(*paths: str) -> Reply:
    return 200, XML, f"<urlset>{''.join(f'<url><loc>{{site}}{path}</loc></url>' for path in paths)}</urlset>"


def index(*paths: str) -> Reply:
    listed = "".join(f"<sitemap><loc>{{site}}{path}</loc></sitemap>" for path in paths)
    return 200, XML, f"<sitemapindex>{listed}</sitemapindex>"


KINDS: dict[str, Reply] = {
    "/": page("Home"),
    "/index.xml": index(
        "/urls.xml",
        "/packed.xml.gz",
        "/coded.xml",
        "/coded.xml.gz",
        "/twice.xml.gz",
        "/list.txt",
        "/rss.xml",
        "/atom.xml",
    ),
    "/urls.xml": urlset("/1", "/2"),
    "/packed.xml.gz": (200, {"Content-Type": "application/gzip"}, urlset("/3")[2]),
    "/coded.xml": (200, {**XML, "Content-Encoding": "gzip"}, urlset("/4")[2]),
    "/coded.xml.gz": (200, {**XML, "Content-Encoding": "gzip"}, urlset("/9")[2]),
    "/twice.xml.gz": (200, {**XML, "Content-Encoding": "gzip"}, urlset("/10")[2]),
    "/list.txt": (200, TEXT, "{site}/5\n{site}/6\n"),
    "/rss.xml": (200, XML, "<rss><channel><item><link>{site}/7</link></item></channel></rss>"),
    "/atom.xml": (200, XML, '<feed><entry><link href="/8"/></entry></feed>'),
    **{f"/{number}": page(f"Page {number}") for number in range(1, 11)},
}


async def test_every_kind_of_sitemap(tmp_path: Path) -> None:
    async with serve(handler(KINDS, "Sitemap: {site}/index.xml\nSitemap: index.xml")) as site:
        report = await crawl(tmp_path, SiteSpider(start_urls=[f"{site.url}/"]), replace(MAPPED, max_depth=1))
        assert report.finished
        assert sorted(site.paths) == sorted([*KINDS, "/robots.txt"])
        assert report.stats.items == 11
    assert ask(tmp_path, "SELECT DISTINCT depth FROM request WHERE depth > 0") == [(1,)]


async def test_a_sitemap_may_be_longer_than_a_page(tmp_path: Path) -> None:
    """50 MiB, as sitemaps.org has it, whatever `max_body_bytes` says."""
    long = urlset(*(f"/{number}?{'x' * 100}" for number in range(100)), "/last")
    pages = {"/": page("Home"), "/map.xml": long, "/last": page("Last")}
    async with serve(handler(pages, "Sitemap: {site}/map.xml")) as site:
        settings = replace(MAPPED, max_body_bytes=1000)
        assert (await crawl(tmp_path, SiteSpider(start_urls=[f"{site.url}/"]), settings)).finished
        assert "/last" in site.paths


async def test_a_sitemap_that_is_too_long_is_read_as_far_as_it_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("crawler.web.sitemaps.MAX_BYTES", 5_000)
    long = urlset("/first", *(f"/{number}?{'x' * 10_000}" for number in range(100)), "/last")
    pages = {"/": page("Home"), "/map.xml": long, "/first": page("First"), "/last": page("Last")}
    async with serve(handler(pages, "Sitemap: {site}/map.xml")) as site:
        assert (await crawl(tmp_path, SiteSpider(start_urls=[f"{site.url}/"]))).finished
        assert sorted(site.paths) == ["/", "/first", "/map.xml", "/robots.txt"]
    assert "it is longer than 5000 bytes" in caplog.text
    assert ask(tmp_path, "SELECT error FROM pages WHERE url LIKE '%map.xml'") == [(None,)]


async def test_by_default_links_alone_say_what_a_site_is(tmp_path: Path) -> None:
    async with serve(handler(KINDS, "Sitemap: {site}/index.xml")) as site:
        await crawl(tmp_path, SiteSpider(start_urls=[f"{site.url}/"]), replace(MAPPED, sitemaps=False))
        assert sorted(site.paths) == ["/", "/robots.txt"]


async def test_scope_holds_for_sitemaps_and_what_they_list(tmp_path: Path) -> None:
    pages = {"/": page("Home"), "/map.txt": (200, TEXT, "{site}/in\nhttp://elsewhere.invalid/out"), "/in": page("In")}
    async with serve(handler(pages, "Sitemap: {site}/map.txt\nSitemap: http://away.invalid/map.xml")) as site:
        assert (await crawl(tmp_path, SiteSpider(start_urls=[f"{site.url}/"]))).finished
        assert sorted(site.paths) == ["/", "/in", "/map.txt", "/robots.txt"]
    assert sorted(ask(tmp_path, "SELECT url, skipped FROM links WHERE state = 'skipped'")) == [
        ("http://away.invalid/map.xml", "scope"),
        ("http://elsewhere.invalid/out", "scope"),
    ]


async def test_a_sitemap_waits_is_tried_again_and_may_move(tmp_path: Path) -> None:
    pages = {"/": page("Home"), "/old.xml": redirect("/new.xml"), "/new.xml": urlset("/found"), "/found": page("Found")}
    working = handler(pages, "Sitemap: {site}/old.xml")
    failures = iter([(503, {"Retry-After": "0"}, "")])

    async def answer(visit: Visit) -> Reply:
        return next(failures, await working(visit)) if visit.path == "/new.xml" else await working(visit)

    async with serve(answer) as site:
        assert (await crawl(tmp_path, SiteSpider(start_urls=[f"{site.url}/"]))).finished
        assert site.paths.count("/new.xml") == 2
        assert "/found" in site.paths


async def test_a_stop_loses_no_sitemap(tmp_path: Path) -> None:
    async with serve(handler(KINDS, "Sitemap: {site}/index.xml")) as site:
        spider = SiteSpider(start_urls=[f"{site.url}/"])
        for most in range(1, 6):
            assert (await crawl(tmp_path, spider, replace(MAPPED, max_pages=most))).reason == "max_pages"
        assert (await crawl(tmp_path, spider)).finished
        assert sorted(path for path in site.paths if path != "/robots.txt") == sorted(KINDS)


async def test_sitemaps_one_in_another_come_to_an_end(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> Reply:
        pages = {"/": page("Home"), visit.path: index(f"{visit.path}x")} if visit.path != "/" else {"/": page("Home")}
        return await handler(pages, "Sitemap: {site}/map")(visit)

    async with serve(answer) as site:
        assert (await crawl(tmp_path, SiteSpider(start_urls=[f"{site.url}/"]))).finished
        assert sorted(site.paths) == ["/", "/map", "/mapx", "/mapxx", "/robots.txt"]


class Choosy(Spider):
    """Takes of a sitemap what it likes, with a callback of its own."""

    def parse(self, page: Page) -> None:
        """Nothing of the home page."""

    async def sitemap(self, page: Page) -> Any:
        listed, *_ = await super().sitemap(page)
        return [page.follow(url=url, callback=self.even) for url in listed.urls if int(url[-1]) % 2 == 0]

    def even(self, page: Page) -> Iterator[dict[str, str]]:
        yield {"url": page.url}


async def test_a_spider_may_read_sitemaps_its_own_way(tmp_path: Path) -> None:
    pages = {"/": page("Home"), "/map.xml": urlset("/1", "/2", "/3", "/4"), "/2": page("2"), "/4": page("4")}
    async with serve(handler(pages, "Sitemap: {site}/map.xml")) as site:
        report = await crawl(tmp_path, Choosy(start_urls=[f"{site.url}/"]))
        assert sorted(site.paths) == ["/", "/2", "/4", "/map.xml", "/robots.txt"]
        assert report.stats.items == 2
