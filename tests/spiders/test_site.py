"""The site spider follows everything in scope, and notes each HTML page once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.loader import load
from tests.sites import page, redirect, serve
from tests.spiders.crawling import crawled

if TYPE_CHECKING:
    from pathlib import Path


async def test_each_html_page_within_the_site_is_one_item(tmp_path: Path) -> None:
    plain = {"Content-Type": "text/plain"}
    async with serve({"/b": page("B")}) as other:
        pages = {
            "/": page("Home  of\n all", "/a", "/a#part", "/old", "/text", f"{other.url}/b", "mailto:a@b.example"),
            "/a": page("A", "/", "/deep", "/old"),
            "/deep": (200, {}, "no title, no links"),
            "/old": redirect("/a"),
            "/text": (200, plain, '<a href="/hidden">no HTML, no link</a>'),
        }
        async with serve(pages) as site:
            rows = await crawled(load(f"{site.url}/"), tmp_path)
            assert sorted(site.paths) == ["/", "/a", "/deep", "/old", "/text"]
        assert other.log == []
    assert rows == [
        {"url": f"{site.url}/", "status": 200, "title": "Home of all", "depth": 0},
        {"url": f"{site.url}/a", "status": 200, "title": "A", "depth": 1},
        {"url": f"{site.url}/deep", "status": 200, "title": None, "depth": 2},
    ]
