"""The sitemap spider takes what sitemaps list, and follows no links."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from crawler import Crawl
from crawler.exports import open_export
from spiders.sitemap import SitemapSpider
from tests.sites import page, serve

if TYPE_CHECKING:
    from pathlib import Path

TEXT = {"Content-Type": "text/plain"}

PAGES = {
    "/": page("Home", "/linked", "/listed"),
    "/robots.txt": (200, TEXT, "Sitemap: /map.txt"),
    "/map.txt": (200, TEXT, ""),
    "/feed": (200, {"Content-Type": "application/rss+xml"}, "<rss><item><link>/listed</link></item></rss>"),
    "/listed": page("Listed", "/linked"),
    "/linked": page("Linked"),
    "/data": (200, TEXT, "http://127.0.0.1/ is no reason to go there"),
}


@pytest.mark.parametrize(
    ("seed", "taken"), [("/", ["/", "/listed"]), ("/map.txt", ["/", "/listed"]), ("/feed", ["/", "/listed"])]
)
async def test_what_is_listed_is_taken(tmp_path: Path, seed: str, taken: list[str]) -> None:
    """Whether a seed is a page of the site or a sitemap itself; a file that is listed is fetched, and read as no sitemap."""
    pages = dict(PAGES)
    async with serve(pages) as site:
        pages["/map.txt"] = (200, TEXT, "".join(f"{site.url}{path}\n" for path in ("/listed", "/data", "/")))
        out = tmp_path / "out.jsonl"
        spider = SitemapSpider(start_urls=[f"{site.url}{seed}"])
        report = await Crawl(spider, state=tmp_path / "s.crawl", exports=[open_export(str(out))]).run()
        assert report.finished
        assert set(site.paths) == {"/robots.txt", seed, "/map.txt", *taken, "/data"}
        rows = sorted((json.loads(line) for line in out.read_text().splitlines()), key=lambda row: str(row["url"]))
        assert rows == [
            {"url": f"{site.url}{path}", "status": 200, "title": "Home" if path == "/" else "Listed"} for path in taken
        ]


async def test_only_what_has_changed_since_a_day_is_taken(tmp_path: Path) -> None:
    dated = "".join(f"<url><loc>/{day}</loc><lastmod>2026-05-{day}</lastmod></url>" for day in (30, 31))
    pages = {"/map.xml": (200, {"Content-Type": "application/xml"}, f"<urlset>{dated}</urlset>"), "/31": page("New")}
    async with serve(pages) as site:
        spider = SitemapSpider(start_urls=[f"{site.url}/map.xml"], since="2026-05-31")
        await Crawl(spider, state=tmp_path / "s.crawl").run()
        assert site.paths == ["/robots.txt", "/map.xml", "/31"]
