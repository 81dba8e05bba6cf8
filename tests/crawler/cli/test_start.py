"""What `crawl run` loads before its first request goes out, and what it leaves for later: a crawl is to start at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.proof.command import Command
from tests.sites import Reply, Visit, page, serve

if TYPE_CHECKING:
    from pathlib import Path

SPIDER = """
import sys
from pathlib import Path

from crawler import Spider


class Watching(Spider):
    start_urls = [{url!r}]

    async def opened(self):
        Path("loaded").write_text("\\n".join(sys.modules))

    async def parse(self, page):
        yield {{"url": page.url}}
"""

LATER = {
    "crawler.cli": {"demo", "repair", "replay", "spiders", "state", "steer", "visit", "why"},
    "crawler.exports": {"csv"},
    "crawler.web": {"sitemaps"},
    "": {
        "csv",
        "email",
        "importlib.resources",
        "mimetypes",
        "netrc",
        "protego",
        "publicsuffixlist",
        "rich",
        "shutil",
        "sysconfig",
        "tempfile",
        "tenacity",
        "tomllib",
        "websockets",
        "xml",
        "zipfile",
    },
}
"""Modules by their packages."""


async def home(visit: Visit) -> Reply:
    return page(visit.path)


async def test_what_the_first_request_does_not_need_is_loaded_later(tmp_path: Path) -> None:
    command = Command(tmp_path, is_measured=False)  # what measures coverage loads much itself
    async with serve(home) as site:
        (tmp_path / "watching.py").write_text(SPIDER.format(url=site.url))
        ended = await asyncio.to_thread(command.run, "run", "watching.py", "-o", "out.jsonl", "--quiet")
    assert ended.code == 0, ended.err
    loaded = set((tmp_path / "loaded").read_text().splitlines())
    assert {"client.session", "crawler.engine"} <= loaded
    later = {f"{package}.{name}".lstrip(".") for package, names in LATER.items() for name in names}
    assert not sorted(later & loaded)
