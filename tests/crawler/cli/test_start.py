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


def dataclasses_of_ours():
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("crawler", "spiders"):
            for value in vars(module).values():
                if hasattr(value, "__dataclass_fields__") and getattr(value, "__module__", "") == name:
                    yield value.__qualname__


class Watching(Spider):
    start_urls = [{url!r}]

    async def opened(self):
        Path("loaded").write_text("\\n".join(sys.modules))
        Path("dataclasses").write_text("\\n".join(dataclasses_of_ours()))

    async def parse(self, page):
        yield {{"url": page.url}}
"""

LATER_BY_PACKAGE = {
    "crawler.cli": {"demo", "probe", "repair", "replay", "spiders", "state", "steer", "why"},
    "crawler.exports": {"csv"},
    "crawler.frontier": {"kept", "repair", "salvage", "statefile", "trace"},
    "crawler.reports": {"diff", "pace_table", "why"},
    "crawler.web": {"characters", "encoding", "http_date", "links", "media_type", "robots", "scan", "sitemaps"},
    "crawler": {"page", "store"},
    "": {
        "backports.zstd",
        "brotli",
        "calendar",
        "compression.zstd",
        "csv",
        "email",
        "hashlib",
        "importlib.resources",
        "mimetypes",
        "html.entities",
        "netrc",
        "protego",
        "publicsuffixlist",
        "random",
        "rich",
        "selectolax",
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

LATER = {f"{package}.{name}".lstrip(".") for package, names in LATER_BY_PACKAGE.items() for name in names}


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
    assert not sorted(LATER & loaded)
    assert (tmp_path / "dataclasses").read_text().split() == ["Links"], "structs are defined in a fortieth of the time"


SITE_SPIDER = """
import atexit
import sys
from pathlib import Path

from spiders.site import SiteSpider

atexit.register(lambda: Path("loaded").write_text(" ".join(sys.modules)))


class Watching(SiteSpider):
    start_urls = [{url!r}]
"""

NEVER = {
    *("selectolax", "brotli", "backports.zstd", "compression.zstd", "hashlib", "html.entities", "encodings.idna"),
    *("charset_normalizer", "rich", "tenacity", "client.forms", "client.multipart_writer", "crawler.web.sitemaps"),
    *("random", "crawler.frontier.statefile", "crawler.web.http_date"),
}


async def site(visit: Visit) -> Reply:
    return page(visit.path, "/one?a=1&b=2", "/two", body="<p>Fish &amp; chips &mdash; to go</p>")


async def test_a_crawl_for_links_and_titles_never_loads_what_it_does_not_need(tmp_path: Path) -> None:
    """It is memory that each crawl would pay for: some 4 MB of 40."""
    command = Command(tmp_path, is_measured=False)
    async with serve(site) as server:
        (tmp_path / "watching.py").write_text(SITE_SPIDER.format(url=server.url))
        ended = await asyncio.to_thread(command.run, "run", "watching.py:Watching", "-o", "out.jsonl")
    assert ended.code == 0, ended.err
    loaded = set((tmp_path / "loaded").read_text().split())
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3
    assert {"crawler.page", "uvloop"} <= loaded
    assert not sorted(NEVER & loaded)
