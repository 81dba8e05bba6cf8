"""`crawl fetch`, `robots` and `shell`: one page, with the manners of a crawl."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from tests.sites import Reply, page, redirect, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawler.cli.conftest import Crawl
    from tests.proof.command import Command

ROBOTS = """\
User-agent: *
Disallow: /

User-agent: nephila
Disallow: /private
Allow: /private/open
Crawl-delay: 0.01
Sitemap: https://example.org/sitemap.xml
"""

SITE: dict[str, Reply] = {
    "/robots.txt": (200, {"Content-Type": "text/plain"}, ROBOTS),
    "/old": redirect("/new"),
    "/new": page("New", "/a", "/b"),
}


async def test_a_page_is_fetched_and_printed_as_it_came(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(SITE) as site:
        ended = await crawl("fetch", f"{site.url}/old")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out == SITE["/new"][2]
        assert site.paths == ["/robots.txt", "/old", "/new"], "robots.txt is asked for, and nothing followed"
        assert (await crawl("fetch", f"{site.url}/new", "-o", "new.html")).out == ""
    assert (tmp_path / "new.html").read_text() == SITE["/new"][2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.html"], "no crawl file is left behind"


async def test_what_is_known_of_a_page_is_told_as_json(crawl: Crawl) -> None:
    async with serve(SITE) as site:
        told = json.loads((await crawl("fetch", f"{site.url}/old", "--json", "--no-robots")).out)
        assert (told["url"], told["final_url"], told["redirects"]) == (
            f"{site.url}/old",
            f"{site.url}/new",
            [f"{site.url}/old"],
        )
        assert (told["status"], told["title"], told["links"]) == (200, "New", [f"{site.url}/a", f"{site.url}/b"])
        assert "/robots.txt" not in site.paths


async def test_a_page_that_does_not_come_is_explained(crawl: Crawl) -> None:
    async with serve(SITE) as site:
        forbidden = await crawl("fetch", f"{site.url}/private")
        assert forbidden.code == 1
        assert f"not fetched: {site.url}/robots.txt disallows it by 'Disallow: /private'" in forbidden.err
        assert forbidden.out == ""
        missing = await crawl("fetch", f"{site.url}/missing")
        assert missing.code == 1
        assert "failed: http: 404 Not Found" in missing.err
        assert (await crawl("fetch", f"{site.url}/private", "--user-agent", "other/1")).code == 1
        assert site.log[-1].headers["user-agent"] == "other/1"
        assert "/private" not in site.paths


@pytest.mark.parametrize(
    ("path", "agent", "code", "lines"),
    [
        ("/a", "nephila/1", 0, ["allowed    SITE/a", "delay      0.01 s between two requests"]),
        ("/private/x", "nephila/1", 1, ["not allowed SITE/private/x by 'Disallow: /private'"]),
        ("/private/open", "nephila/1", 0, ["allowed    SITE/private/open by 'Allow: /private/open'"]),
        ("/a", "other/1", 1, ["not allowed SITE/a by 'Disallow: /'", "agent      other"]),
        (
            "/a",
            "nephila/1",
            0,
            ["sitemap    https://example.org/sitemap.xml", "robots.txt SITE/robots.txt answered 200"],
        ),
    ],
)
async def test_what_robots_txt_says_is_told(crawl: Crawl, path: str, agent: str, code: int, lines: list[str]) -> None:
    async with serve(SITE) as site:
        ended = await crawl("robots", f"{site.url}{path}", "--user-agent", agent)
    assert ended.code == code
    for line in lines:
        assert line.replace("SITE", site.url) in ended.out.splitlines()


async def test_a_robots_txt_that_cannot_be_had_forbids_everything_and_a_missing_one_nothing(crawl: Crawl) -> None:
    async with serve({"/robots.txt": (500, {}, "")}) as site:
        broken = json.loads((await crawl("robots", site.url, "--json", "-s", "max_attempts=1")).out)
        assert (broken["is_allowed"], broken["status"]) == (False, 500)
        assert broken["error"] == "http: 500 Internal Server Error"
    async with serve({}) as site:
        missing = await crawl("robots", site.url)
        assert missing.code == 0
        assert f"allowed    {site.url}/" in missing.out.splitlines()


async def test_a_shell_has_the_page_and_fetches_more(command: Command, tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text("print(page.title, len(page.links()))\nprint(fetch(page.links()[0]))\n")
    async with serve(SITE) as site:
        process = command.start("shell", f"{site.url}/new", wrapper=("sh", "-c", 'exec "$0" "$@" < typed.py'))
        out, err = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0, err
    assert "New 2" in out
    assert "failed: http: 404 Not Found" in err
    assert "None" in out
