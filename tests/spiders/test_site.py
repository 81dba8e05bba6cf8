"""The site spider follows everything in scope, and notes each HTML page once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crawler import Crawl, Settings
from crawler.exports import open_export
from crawler.loader import load
from tests.sites import page, redirect, serve

if TYPE_CHECKING:
    from pathlib import Path


async def crawled(url: str, folder: Path) -> list[dict[str, Any]]:
    out = folder / "out.jsonl"
    report = await Crawl(
        load(url), Settings(robots=False), state=folder / "s.crawl", exports=[open_export(str(out))]
    ).run()
    assert report.finished
    return sorted((json.loads(line) for line in out.read_text().splitlines()), key=lambda row: str(row["url"]))


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
            rows = await crawled(f"{site.url}/", tmp_path)
            assert sorted(site.paths) == ["/", "/a", "/deep", "/old", "/text"]
        assert other.log == []
    assert rows == [
        {"url": f"{site.url}/", "status": 200, "title": "Home of all", "depth": 0},
        {"url": f"{site.url}/a", "status": 200, "title": "A", "depth": 1},
        {"url": f"{site.url}/deep", "status": 200, "title": None, "depth": 2},
    ]
