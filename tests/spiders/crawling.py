"""Ready-made spiders, run: what they have taken, in an order of its own; at once, or stopped again and again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from crawler import Crawl, Settings
from crawler.exports import open_export

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crawler import Report, Spider

QUICK = Settings(robots=False, retry_wait=0.01)


async def run(spider: Spider, folder: Path, settings: Settings = QUICK) -> Report:
    exports = [open_export(str(folder / "out.jsonl"))]
    return await Crawl(spider, settings, state=folder / "s.crawl", exports=exports).run()


def taken(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


async def crawled(spider: Spider, folder: Path, settings: Settings = QUICK) -> list[dict[str, Any]]:
    """What a spider takes, none of whose callbacks may raise."""
    report = await run(spider, folder, settings)
    assert report.finished
    assert report.stats.spider_errors == []
    return taken(folder)


async def crawled_in_steps(make: Callable[[], Spider], folder: Path) -> list[dict[str, Any]]:
    """The same of a crawl that is stopped at each page, and gone on with by another spider, which knows nothing of the first."""
    for most in range(1, 100):
        report = await run(make(), folder, replace(QUICK, max_pages=most))
        assert report.stats.spider_errors == []
        if report.finished:
            return taken(folder)
    raise AssertionError("it never ends")
