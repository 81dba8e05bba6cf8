"""What pace each host was kept at is told: at the end of a run, and by `crawl status`."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tests.sites import Reply, page, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawler.cli.conftest import Crawl

SITE: dict[str, Reply] = {
    "/robots.txt": (200, {"Content-Type": "text/plain"}, "User-agent: *\nCrawl-delay: 120\n"),
    "/": page("Home", "/a", "/b"),
    "/a": page("A"),
    "/b": page("B"),
}


async def test_a_crawl_delay_that_was_cut_is_told_of(crawl: Crawl) -> None:
    async with serve(SITE) as site:
        host = f"127.0.0.1:{site.port}"
        ended = await crawl("run", site.url, "--state", "s.crawl", "-s", "max_crawl_delay=0.05", "--json")
    assert ended.code == 0
    title, head, row = ended.err[ended.err.index("the hosts with the most requests") :].splitlines()
    assert title == "the hosts with the most requests, and their pace:"
    assert head.split("  ")[-1] == "latency"
    assert row.split()[:2] == [host, "4"], "robots.txt is a request too"
    assert row.endswith("Crawl-delay 120 s, cut to 0.05 s by max_crawl_delay")
    (pace,) = json.loads(ended.out)["paces"]
    assert (pace["host"], pace["requests"], pace["crawl_delay"], pace["crawl_delay_cut"]) == (host, 4, 120.0, True)
    assert "Crawl-delay 120 s, cut short by max_crawl_delay" in (await crawl("status", "s.crawl")).out
    (kept,) = json.loads((await crawl("status", "s.crawl", "--json")).out)["paces"]
    assert (kept["host"], kept["crawl_delay"], kept["crawl_delay_cut"]) == (host, 120.0, True)


async def test_what_pace_each_host_kept_is_told(crawl: Crawl, tmp_path: Path) -> None:
    """In the table of those asked most; of the others, too, to who asks for JSON."""
    async with AsyncExitStack() as stack:
        sites = [await stack.enter_async_context(serve({"/": page("Home"), "/a": page("A")})) for _ in range(7)]
        seeds = [f"{site.url}/{path}" for site in sites for path in ("", "a")]
        spider = f"from crawler import Spider\n\nclass Wide(Spider):\n    start_urls = {seeds!r}\n    def parse(self, page): ...\n"
        (tmp_path / "wide.py").write_text(spider, encoding="utf-8")
        ended = await crawl("run", "wide.py", "--no-robots", "--delay", "0.05", "--json")
    paces = json.loads(ended.out)["paces"]
    assert {pace["host"] for pace in paces} == {f"127.0.0.1:{site.port}" for site in sites}
    assert all(pace["requests"] == 2 and pace["mean_gap"] > 0.0 and pace["spacing"] == 0.05 for pace in paces)
    table = ended.err[ended.err.index("the hosts with the most requests") :].splitlines()
    assert len(table) == 2 + 5 + 1
    assert table[-1] == "  and 2 more hosts, listed by --json"


async def test_a_quiet_run_tells_nothing(crawl: Crawl) -> None:
    async with serve({"/": page("Home")}) as site:
        ended = await crawl("run", site.url, "--no-robots", "--quiet")
    assert (ended.code, ended.err) == (0, "")
