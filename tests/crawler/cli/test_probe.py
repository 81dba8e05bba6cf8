"""`crawl fetch`, `robots` and `shell`: one page, with the manners of a crawl."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.proof.command import complains
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


@pytest.mark.parametrize("hops", [5, 6, 20])
async def test_rules_behind_too_many_redirects_are_none_as_in_a_crawl(crawl: Crawl, hops: int) -> None:
    """RFC 9309 §2.3.1.2: five are followed."""
    chain = {f"/{hop}": redirect(f"/{hop + 1}") for hop in range(1, hops)}
    closed: Reply = (200, {}, "User-agent: *\nDisallow: /")
    async with serve({**SITE, "/robots.txt": redirect("/1"), **chain, f"/{hops}": closed}) as site:
        code = (await crawl("robots", f"{site.url}/new")).code
        assert code == (0 if hops > 5 else 1)
        assert (await crawl("fetch", f"{site.url}/new")).code == code


@pytest.mark.parametrize("target", ["/robots.txt", "/there", "mailto:x@y.z", "http://", ""])
async def test_rules_that_redirects_do_not_lead_to_are_none_as_in_a_crawl(crawl: Crawl, target: str) -> None:
    async with serve({**SITE, "/robots.txt": redirect(target), "/there": redirect("/robots.txt")}) as site:
        told = json.loads((await crawl("robots", f"{site.url}/new", "--json")).out)
        assert (told["is_allowed"], told["status"], told["error"]) == (True, 302, None)
        assert (await crawl("fetch", f"{site.url}/new")).code == 0


async def test_a_file_may_be_in_the_home_folder(command: Command, tmp_path: Path) -> None:
    wrapper = ("env", f"HOME={tmp_path}")
    async with serve(SITE) as site:
        ended = await asyncio.to_thread(command.run, "fetch", f"{site.url}/new", "-o", "~/new.html", wrapper=wrapper)
    assert ended.code == 0
    assert (tmp_path / "new.html").read_text() == SITE["/new"][2]


@pytest.mark.parametrize(("output", "remedy"), [("nowhere/x", "create it first"), (".", "name a file in it")])
async def test_nothing_is_fetched_that_cannot_be_written(crawl: Crawl, output: str, remedy: str) -> None:
    async with serve(SITE) as site:
        complains(await crawl("fetch", f"{site.url}/new", "-o", output), 2, remedy)
        assert site.paths == []


async def test_a_page_takes_the_place_of_a_file_as_a_whole(crawl: Crawl, tmp_path: Path) -> None:
    """Whoever has the old one open, or under another name, keeps it."""
    (tmp_path / "new.html").write_text("old")
    (tmp_path / "kept.html").hardlink_to(tmp_path / "new.html")
    async with serve(SITE) as site:
        assert (await crawl("fetch", f"{site.url}/new", "-o", "new.html")).code == 0
        assert (await crawl("fetch", f"{site.url}/missing", "-o", "kept.html")).code == 1
        assert (await crawl("fetch", f"{site.url}/new", "-o", "-")).out == SITE["/new"][2]
    assert (tmp_path / "new.html").read_text() == SITE["/new"][2]
    assert (tmp_path / "kept.html").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2


async def test_a_shell_keeps_the_manners_of_one_crawl(command: Command, tmp_path: Path) -> None:
    """However often a page is asked for: its host's robots.txt is asked for once, and the delay lies between all requests."""
    (tmp_path / "typed.py").write_text(
        "print(fetch('SITE/old').url)\nprint(fetch('SITE/old').url)\nfetch('SITE/no')\nfetch('SITE/no')\n"
    )
    async with serve(SITE) as site:
        (tmp_path / "typed.py").write_text((tmp_path / "typed.py").read_text().replace("SITE", site.url))
        wrapper = ("sh", "-c", 'exec "$0" "$@" < typed.py')
        process = command.start("shell", f"{site.url}/new", "-s", "delay=0.2", wrapper=wrapper)
        out, err = await asyncio.to_thread(process.communicate, timeout=60)
        starts = [visit.at for visit in site.log]
    assert out.count(f"{site.url}/new") == 2
    assert err.count("failed: http: 404 Not Found") == 2
    assert site.paths == ["/robots.txt", "/new", "/old", "/new", "/old", "/new", "/no", "/no"]
    assert all(later - earlier > 0.19 for earlier, later in pairwise(starts)), starts


async def test_a_shell_has_the_page_and_fetches_more(command: Command, tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text("print(page.title, len(page.links()))\nprint(fetch(page.links()[0]))\n")
    async with serve(SITE) as site:
        process = command.start("shell", f"{site.url}/new", wrapper=("sh", "-c", 'exec "$0" "$@" < typed.py'))
        out, err = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0, err
    assert "New 2" in out
    assert "failed: http: 404 Not Found" in err
    assert "None" in out


async def test_a_shell_takes_relative_urls_and_tells_mistakes_in_a_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text("print(fetch('/new').title)\nfetch('x:y')\npage.css('p::text')\n1 / 0\n")
    async with serve(SITE) as site:
        process = command.start("shell", f"{site.url}/old", wrapper=("sh", "-c", 'exec "$0" "$@" < typed.py'))
        out, err = await asyncio.to_thread(process.communicate, timeout=60)
    assert "New" in out
    assert "error: 'x:y'" in err
    assert "error: 'p::text'" in err
    assert err.count("Traceback") == 1, "only what nobody foresaw has one"
