"""`crawl run` as its users meet it: a process, its exit code, what it prints and what it leaves."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import shutil
import sqlite3
import ssl
import sys
from contextlib import closing
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from crawler.exports import open_export
from crawler.frontier import SqliteFrontier
from tests.nowhere import NOWHERE
from tests.proof.crawlfile import read_items
from tests.servers.proxy import http_proxy
from tests.sites import page, redirect, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawler.cli.conftest import Crawl
    from tests.sites import Reply, Visit

SITE: dict[str, Reply] = {
    "/": page("Home", "/a", "/b", "/old"),
    "/a": page("A", "/", "/c", "/private/x"),
    "/b": page("B", "/gone", "http://elsewhere.invalid/"),
    "/c": page("C"),
    "/old": redirect("/new"),
    "/new": page("New"),
    "/robots.txt": (200, {"Content-Type": "text/plain"}, "User-agent: *\nDisallow: /private/"),
}

SPIDER = """
    from crawler import Page, Request, Spider

    class Titles(Spider):
        site: str = ""
        prefix: str = ""

        def start(self):
            yield Request(self.site)

        async def parse(self, page: Page):
            yield {"title": self.prefix + page.title}
            yield page.follow_all()
"""


def write(folder: Path, name: str, source: str) -> None:
    (folder / name).write_text(dedent(source).lstrip(), encoding="utf-8")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def paths(rows: list[dict[str, Any]]) -> list[str]:
    return sorted("/" + row["url"].split("/", 3)[3] for row in rows)


async def test_a_url_crawls_its_site(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(SITE) as site:
        ended = await crawl("run", site.url, "-o", "out.jsonl", "-o", "out.csv")
        assert ended.code == 0, ended.err
        assert "/private/x" not in site.paths
    rows = lines(tmp_path / "out.jsonl")
    assert paths(rows) == ["/", "/a", "/b", "/c", "/new"]
    assert set(rows[0]) == {"url", "status", "title", "depth"}
    assert next(row for row in rows if row["title"] == "C") == {
        "url": f"{site.url}/c", "status": 200, "title": "C", "depth": 2
    }  # fmt: skip
    with (tmp_path / "out.csv").open(newline="") as file:
        assert [row["url"] for row in csv.DictReader(file)] == [row["url"] for row in rows]
    assert (tmp_path / f"127.0.0.1-{site.port}.crawl").is_file(), "the state is called after the host"
    assert ended.out == ""
    assert "finished: 5 pages, 1 failed, 2 skipped, 5 items" in ended.err


async def test_a_spider_file_takes_arguments_and_settings(crawl: Crawl, tmp_path: Path) -> None:
    write(tmp_path, "titles.py", SPIDER)
    async with serve(SITE) as site:
        ended = await crawl(
            "run", "titles.py", "-a", f"site={site.url}", "-a", "prefix=<", "-o", "-", "--max-depth", "1", "--no-robots",
            "--user-agent", "test/1", "--quiet", "-s", "per_host=1", "--delay", "0.01", "--concurrency", "3",
        )  # fmt: skip
        assert ended.code == 0
        assert ended.err == ""
        assert {visit.headers["user-agent"] for visit in site.log} == {"test/1"}
        assert "/robots.txt" not in site.paths
    titles = [json.loads(line)["title"] for line in ended.out.splitlines()]
    assert sorted(titles) == ["<A", "<B", "<Home", "<New"]
    assert (tmp_path / "titles.crawl").is_file()


async def test_settings_come_from_project_environment_spider_and_command_line(
    crawl: Crawl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each over the one before."""
    write(tmp_path, "titles.py", SPIDER + "\n        settings = {'user_agent': 'spider'}\n")
    write(tmp_path, "pyproject.toml", "[tool.crawl]\nuser_agent = 'project'\nrobots = false\n")
    async with serve(SITE) as site:
        for target, arguments, agent in [
            (site.url, (), "project"),
            ("titles.py", ("-a", f"site={site.url}"), "spider"),
            ("titles.py", ("-a", f"site={site.url}", "-s", "user-agent=set"), "set"),
            ("titles.py", ("-a", f"site={site.url}", "-s", "user_agent=set", "--user-agent", "option"), "option"),
        ]:
            site.log.clear()
            ended = await crawl("run", target, *arguments, "--state", f"{agent}.crawl", "--quiet")
            assert ended.code == 0, ended.err
            assert {visit.headers["user-agent"] for visit in site.log} == {agent}
            assert "/robots.txt" not in site.paths


async def test_a_crawl_stopped_by_a_limit_goes_on_where_it_stopped(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(SITE) as site:
        first = await crawl("run", site.url, "-o", "out.jsonl", "--state", "s.crawl", "--max-pages", "2")
        assert first.code == 3
        assert "stopped at the page limit (--max-pages): 2 pages" in first.err
        assert "with a larger --max-pages, or none, the same command resumes it" in first.err
        assert len(lines(tmp_path / "out.jsonl")) == 2
        second = await crawl("run", site.url, "-o", "out.jsonl", "--state", "s.crawl")
        assert second.code == 0, second.err
        assert "resuming s.crawl: 2 pages done" in second.err
        assert paths(lines(tmp_path / "out.jsonl")) == ["/", "/a", "/b", "/c", "/new"]
        assert len(site.paths) == len(set(site.paths)), "nothing was asked for twice, not even robots.txt"

        third = await crawl("run", site.url, "-o", "out.jsonl", "--state", "s.crawl")
        assert third.code == 0
        assert "had finished already; nothing new: 5 pages" in third.err
        assert "--fresh --yes" in third.err
        assert len(lines(tmp_path / "out.jsonl")) == 5


async def test_a_further_output_gets_everything(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(SITE) as site:
        assert (await crawl("run", site.url, "--state", "s.crawl")).code == 0
        ended = await crawl("run", site.url, "--state", "s.crawl", "-o", "late.jsonl")
    assert ended.code == 0
    assert len(lines(tmp_path / "late.jsonl")) == 5


async def test_fresh_discards_a_crawl_only_with_yes(crawl: Crawl, tmp_path: Path) -> None:
    state = tmp_path / "s.crawl"
    async with serve(SITE) as site:
        arguments = ("run", site.url, "--state", "s.crawl", "-o", "out.jsonl", "--fresh")
        assert (await crawl(*arguments)).code == 0, "there is nothing to discard yet"
        before = state.read_bytes()
        refused = await crawl(*arguments)
        assert refused.code == 2
        assert refused.err == "error: s.crawl exists; to discard it and its outputs, and start over, add --yes\n"
        assert state.read_bytes() == before
        site.log.clear()
        assert (await crawl(*arguments, "--yes")).code == 0
        assert len(site.paths) == 8
    assert len(lines(tmp_path / "out.jsonl")) == 5


@pytest.mark.parametrize("target", ["titles.py", "titles", "queue.py", "brotli.py", "spiders/titles.py"])
async def test_what_lies_beside_a_spider_is_not_taken_for_what_the_crawl_needs(
    crawl: Crawl, tmp_path: Path, target: str
) -> None:
    """Libraries import `queue`, or `brotli` when it is needed, from where they always do, whatever the spider is called. What the
    spider imports is found beside it all the same."""
    (tmp_path / "spiders").mkdir()
    for folder in (tmp_path, tmp_path / "spiders"):
        for name in ("queue.py", "aiosqlite.py", "yarl.py", "brotli.py", "client.py", "selectolax.py", "asyncio.py"):
            write(folder, name, "raise LookupError('nobody asked for this')")
        write(folder, "mine.py", "PREFIX = '<'")
    write(tmp_path, target if target.endswith(".py") else f"{target}.py", "from mine import PREFIX\n" + dedent(SPIDER))
    async with serve(SITE) as site:
        ended = await crawl("run", target, "-a", f"site={site.url}", "-o", "out.jsonl", "--max-pages", "1")
    assert ended.code == 3, ended.err
    assert [row["title"] for row in lines(tmp_path / "out.jsonl")] == ["Home"]


REFUSED = "error: {0} is not empty, and does not belong to the crawl in {1}; name another file, or add --yes to overwrite it\n"


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
async def test_an_output_with_something_in_it_is_overwritten_only_with_yes(
    crawl: Crawl, tmp_path: Path, name: str
) -> None:
    """Whoever wrote it: nothing is lost unasked, nor is a crawl begun."""
    (tmp_path / name).write_text("years of work\n")
    async with serve(SITE) as site:
        arguments = ("run", site.url, "--state", "s.crawl", "-o", name)
        for more in ((), ("--fresh",)):
            refused = await crawl(*arguments, *more)
            assert (refused.code, refused.err) == (2, REFUSED.format(name, "s.crawl"))
            assert [path.name for path in tmp_path.iterdir()] == [name]
        assert site.paths == []
        assert (tmp_path / name).read_text() == "years of work\n"
        assert (await crawl(*arguments, "--yes", "--max-pages", "2")).code == 3
        assert (await crawl(*arguments)).code == 0, "from now on it is this crawl's"
    assert len((tmp_path / name).read_text().splitlines()) == 5 + name.endswith("csv")


async def test_items_of_a_crawl_whose_file_has_gone_are_not_lost(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(SITE) as site:
        arguments = ("run", site.url, "--state", "s.crawl", "-o", "out.jsonl")
        assert (await crawl(*arguments)).code == 0
        before = (tmp_path / "out.jsonl").read_text()
        (tmp_path / "s.crawl").rename(tmp_path / "old.crawl")
        assert (await crawl(*arguments)).err == REFUSED.format("out.jsonl", "s.crawl")
        assert (tmp_path / "out.jsonl").read_text() == before


async def test_an_output_is_refused_to_another_crawl_and_to_one_that_goes_on(crawl: Crawl, tmp_path: Path) -> None:
    (tmp_path / "foreign.jsonl").write_text("years of work\n")
    async with serve(SITE) as site:
        arguments = ("run", site.url, "--state", "s.crawl")
        assert (await crawl(*arguments, "-o", "out.jsonl", "--max-pages", "2")).code == 3
        refused = await crawl("run", site.url, "--state", "t.crawl", "-o", "out.jsonl")
        assert refused.err == REFUSED.format("out.jsonl", "t.crawl")
        refused = await crawl(*arguments, "-o", "out.jsonl", "-o", "foreign.jsonl")
        assert refused.err == REFUSED.format("foreign.jsonl", "s.crawl")
        (tmp_path / "empty.jsonl").touch()
        assert (await crawl(*arguments, "-o", "out.jsonl", "-o", "empty.jsonl", "-o", "new.jsonl")).code == 0
    assert (tmp_path / "foreign.jsonl").read_text() == "years of work\n"
    assert [len(lines(tmp_path / name)) for name in ("out.jsonl", "empty.jsonl", "new.jsonl")] == [5, 5, 5]


@pytest.mark.parametrize("name", ["out.jsonl", "out.sqlite", "out.parquet"])
async def test_a_crawl_goes_on_in_another_folder_with_the_output_that_was_moved_along(
    crawl: Crawl, tmp_path: Path, name: str
) -> None:
    (tmp_path / "here").mkdir()
    async with serve(SITE) as site:
        stopped = await crawl("run", site.url, "--state", "here/s.crawl", "-o", f"here/{name}", "--max-pages", "2")
        assert stopped.code == 3
        (tmp_path / "here").rename(tmp_path / "there")
        ended = await crawl("run", site.url, "--state", "there/s.crawl", "-o", f"there/{name}")
        assert ended.code == 0, ended.err
        assert len(read_items(tmp_path / "there" / name)) == 5
        (tmp_path / "there" / name).unlink()
        (tmp_path / name).write_text("years of work")
        refused = await crawl("run", site.url, "--state", "there/s.crawl", "-o", name)
    assert refused.err == REFUSED.format(name, "there/s.crawl"), "its name alone makes it no output of the crawl"


@pytest.mark.parametrize("log", ["taken in", "lost"])
async def test_a_database_that_was_moved_along_is_known_by_its_mark(crawl: Crawl, tmp_path: Path, log: str) -> None:
    """A crawl that is killed leaves a log beside it, which is taken in by whoever looks into it: then it is longer than was known."""
    before, path, foreign = (tmp_path / folder / "out.sqlite" for folder in ("here", "there", "foreign"))
    for file in (before, path, foreign):
        file.parent.mkdir()
    export = open_export(str(before))
    export.open(None)
    cursor = export.write(1, ['{"url": "before"}'])
    shutil.copy(before, path)
    if log == "taken in":
        shutil.copy(f"{before}-wal", f"{path}-wal")
        assert read_items(path) == [{"url": "before"}]
        assert path.stat().st_size > cursor.bytes
    export.abandon()
    before.unlink()
    with closing(sqlite3.connect(foreign)) as db:
        db.execute("PRAGMA user_version = 1")
    assert foreign.stat().st_size == cursor.bytes
    frontier = await SqliteFrontier.open(tmp_path / "s.crawl", spider="site")
    frontier.note_export(export.path, cursor.to_json())
    await frontier.close("killed")
    async with serve(SITE) as site:
        arguments = ("run", site.url, "--state", "s.crawl", "-o")
        refused = await crawl(*arguments, "foreign/out.sqlite")
        assert refused.err == REFUSED.format("foreign/out.sqlite", "s.crawl"), "though it is as long"
        ended = await crawl(*arguments, "there/out.sqlite")
    assert ended.code == 0, ended.err
    assert len(read_items(path)) == 5


async def test_a_crawl_that_was_cut_off_at_its_start_goes_on(crawl: Crawl, tmp_path: Path) -> None:
    """A power cut may take the commit that knows of the output, and leave what was written there later."""
    async with serve(SITE) as site:
        frontier = await SqliteFrontier.open(tmp_path / "s.crawl", spider="site")
        await frontier.close("killed")
        (tmp_path / "out.jsonl").write_text('{"url": "torn')
        arguments = ("run", site.url, "--state", "s.crawl", "-o", "out.jsonl")
        assert (await crawl(*arguments)).code == 0
    assert len(lines(tmp_path / "out.jsonl")) == 5


async def test_fresh_never_discards_what_is_no_crawl_file(crawl: Crawl, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    ended = await crawl("run", "http://127.0.0.1/", "--state", "thesis.txt", "--fresh", "--yes")
    assert ended.code == 2
    assert "thesis.txt is not a crawl file" in ended.err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


SATISFIED = """
from crawler import Page, Spider, Stop


class Satisfied(Spider):
    def parse(self, page: Page):
        yield {"title": page.title}
        yield page.follow_all()
        if page.depth:
            raise Stop("that is enough")
"""


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_spider_ends_its_crawl_and_the_same_command_goes_on(
    crawl: Crawl, tmp_path: Path, processes: str
) -> None:
    (tmp_path / "satisfied.py").write_text(SATISFIED)
    async with serve({"/": page("Home", "/a", "/b"), "/a": page("A"), "/b": page("B")}) as site:
        options = ("--concurrency", "1", "--processes", processes)
        command = ("run", "satisfied.py", "-a", f"start_urls={site.url}", *options)
        ended = await crawl(*command, "--json")
        assert site.paths == ["/robots.txt", "/", "/a"]
        last = await crawl(*command, "-o", "-")
    figures = json.loads(ended.out)
    assert ended.code == figures["exit"] == 3
    assert (figures["reason"], figures["why"], figures["state"]) == ("stopped", "that is enough", "paused")
    assert "stopped by the spider: 2 pages" in ended.err
    assert "\nit said: that is enough\n" in ended.err
    assert "the crawl is kept in satisfied.crawl; the same command resumes it\n" in ended.err
    assert last.code == 3, "it has enough once more"
    assert [json.loads(line)["title"] for line in last.out.splitlines()] == ["Home", "A", "B"]


async def test_json_prints_one_object_and_nothing_else(crawl: Crawl) -> None:
    async with serve(SITE) as site:
        ended = await crawl("run", site.url, "--state", "s.crawl", "--json", "--max-pages", "3")
        status = await crawl("status", "s.crawl", "--json")
    figures, known = json.loads(ended.out), json.loads(status.out)
    assert ended.code == figures["exit"] == 3
    assert figures["reason"] == "max_pages"
    assert figures["spider"] == "site"
    assert figures["state"] == "paused"
    assert figures["urls"]["done"] == figures["items"] == 3
    assert figures["paces"][0]["requests"] == 4, "of this run; the crawl file knows only what was learned"
    assert figures["why"] == ""
    del figures["reason"], figures["why"], figures["exit"], figures["paces"], known["paces"]
    assert known == figures
    assert list(figures) == ["spider", "state", "urls", "items", "bytes", "hosts", "started", "elapsed"]
    assert list(figures["urls"]) == ["queued", "leased", "done", "failed", "skipped", "aside"]


async def test_the_time_limit_stops_a_crawl_that_waits(crawl: Crawl) -> None:
    async with serve({"/": page("Home", *(f"/{n}" for n in range(100)))}) as site:
        ended = await crawl("run", site.url, "--delay", "5", "--no-robots", "--max-time", "0.2", "--state", "s.crawl")
    assert ended.code == 3
    assert "stopped at the time limit (--max-time): 1 page" in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.py"], "error: there is no file missing.py"),
        (["titles.py:Missing"], "error: titles.py has no Missing; it has: titles.py:Titles"),
        (["broken.py"], "error: broken.py:1:7: invalid syntax\n    class = 1\n          ^"),
        (["missing.module"], "error: there is no module missing.module"),
        (["titles.py", "-a", "nothing=1"], "error: Titles takes no argument 'nothing'; it takes: prefix, site"),
        (["titles.py", "-a", "nothing"], "'nothing' is not of the form key=value"),
        (["titles.py", "-s", "=1"], "'=1' is not of the form key=value"),
        (["titles.py", "-s", "dely=1"], "error: -s: there is no setting 'dely'; did you mean 'delay'?"),
        (["titles.py", "-s", "delay=soon"], "error: -s: delay = 'soon': "),
        (["titles.py", "--per-host", "0"], "error: the command line: per_host = 0: "),
        (["titles.py", "--per-host", "two"], "'two' is not a valid integer"),
        (["titles.py", "-o", "out.xlsx"], "error: cannot write out.xlsx: no format is called .xlsx; formats: "),
        (["titles.py", "-o", "missing/out.jsonl"], "missing/out.jsonl: there is no folder"),
        (["titles.py", "-o", "a.csv", "-o", "./a.csv"], "error: -o names "),
        (["titles.py", "-o", "s.csv", "--state", "s.csv"], "error: s.csv cannot be both the crawl file and an output"),
        (["titles.py", "-o", "-", "--json"], "error: -o - and --json both need standard output"),
        (["titles.py", "--state", "missing/s.crawl"], "error: there is no folder missing for the crawl file s.crawl"),
        (["titles.py", "--state", "titles.py"], "error: titles.py is not a crawl file"),
        (["titles.py", "--state", "pipe.crawl"], "error: pipe.crawl is not a file"),
        (["titles.py", "--state", "."], "error: . is not a file"),
        (["titles.py", "--state", "loop.crawl"], "error: loop.crawl: Too many levels of symbolic links"),
        (["titles.py", "-a", "site=/relative"], "/relative"),
        (["http://"], "error: "),
        (["empty.py"], "error: Empty has no seeds"),
    ],
)
async def test_a_users_mistake_is_one_clear_message(
    crawl: Crawl, tmp_path: Path, arguments: list[str], message: str
) -> None:
    write(tmp_path, "titles.py", SPIDER)
    write(tmp_path, "broken.py", "class = 1\n")
    write(tmp_path, "empty.py", "from crawler import Spider\nclass Empty(Spider): ...\n")
    os.mkfifo(tmp_path / "pipe.crawl")
    (tmp_path / "loop.crawl").symlink_to("loop.crawl")
    ended = await crawl("run", *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


async def test_a_state_of_another_spider_is_refused(crawl: Crawl, tmp_path: Path) -> None:
    write(tmp_path, "titles.py", SPIDER)
    async with serve(SITE) as site:
        assert (await crawl("run", site.url, "--state", "s.crawl")).code == 0
        ended = await crawl("run", "titles.py", "-a", f"site={site.url}", "--state", "s.crawl", "-o", "out.jsonl")
    assert ended.code == 2
    assert "s.crawl belongs to the spider 'site', not to 'titles'" in ended.err
    assert "Traceback" not in ended.err


async def test_a_state_of_a_newer_version_is_refused(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(SITE) as site:
        assert (await crawl("run", site.url, "--state", "s.crawl")).code == 0
        with closing(sqlite3.connect(tmp_path / "s.crawl")) as db:
            db.execute("PRAGMA user_version = 99")
        ended = await crawl("run", site.url, "--state", "s.crawl")
    assert ended.code == 2
    assert "s.crawl has schema 99, which a newer version of the program wrote" in ended.err


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"http://{NOWHERE}/", f"http://{NOWHERE}/: "),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1/: "),
    ],
)
async def test_a_crawl_that_reaches_nothing_has_failed_and_says_why(crawl: Crawl, url: str, reason: str) -> None:
    ended = await crawl("run", url, "--state", "s.crawl", "-s", "retry_wait=0.01")
    assert ended.code == 1
    assert "no page could be fetched:" in ended.err
    assert reason in ended.err
    assert "Traceback" not in ended.err
    again = await crawl("run", url, "--state", "s.crawl", "--quiet")
    assert again.code == 1, "it has failed still"
    assert reason in again.err


async def test_what_was_skipped_is_told_by_reason(crawl: Crawl) -> None:
    """A session that has ended, say, makes duplicates of all pages, and fails none."""
    pages = {"/": page("Home", "/a", "/b", "https://elsewhere.example/"), "/a": redirect("/"), "/b": redirect("/")}
    async with serve(pages) as site:
        ended = await crawl("run", site.url, "--state", "s.crawl")
        assert (
            "skipped: duplicate 2 (other URLs of known pages), scope 1; to see why: crawl why s.crawl URL" in ended.err
        )


async def test_where_many_requests_were_led_is_told(crawl: Crawl) -> None:
    """Nobody would look for a lost session behind duplicates."""
    members = [f"/{number}" for number in range(10)]
    pages = {"/": page("Home", "/login?a=1&b=2", *members), "/login?a=1&b=2": page("Login")}
    async with serve(pages | dict.fromkeys(members, redirect("/login?a=1&b=2"))) as site:
        ended = await crawl("run", site.url, "--state", "s.crawl")
        login = f"{site.url}/login?a=1&b=2"
    assert f"10 requests of these led to {login}; if that is a login page, have the spider log in" in ended.err
    assert f"crawl retry s.crawl --redirected-to '{login}'\n" in ended.err


async def test_a_crawl_that_may_fetch_nothing_says_why(crawl: Crawl) -> None:
    """Nothing has failed, yet an empty output should surprise nobody."""
    rules = (200, {"Content-Type": "text/plain"}, "User-agent: *\nDisallow: /")
    async with serve({"/robots.txt": rules}) as site:
        ended = await crawl("run", f"{site.url}/", "--state", "s.crawl", "--quiet")
    assert ended.code == 0
    assert (
        ended.err
        == f"error: nothing was fetched, because everything was skipped:\n  {site.url}/: robots: Disallow: /\n"
    )


async def test_what_is_yet_to_come_was_not_left_out(crawl: Crawl) -> None:
    async def reply(visit: Visit) -> Reply:
        if visit.path == "/robots.txt":
            return 200, {"Content-Type": "text/plain"}, "User-agent: *\nDisallow: /a"
        await asyncio.Event().wait()
        raise AssertionError

    async with serve(reply) as site:
        seeds = f"{site.url}/a,{site.url}/b"
        options = ("--max-time", "0.5", "-s", "drain_timeout=0.1", "--quiet")
        ended = await crawl("run", "sitemap", "-a", f"start_urls={seeds}", "--state", "s.crawl", *options)
        status = await crawl("status", "s.crawl")
    assert (ended.code, ended.err) == (3, "")
    assert "1 skipped" in status.out


async def test_a_certificate_nobody_vouches_for_is_a_failure_that_says_so(crawl: Crawl) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with serve(SITE, tls=context) as site:
        ended = await crawl("run", site.url, "-s", "retry_wait=0.01")
    assert ended.code == 1
    assert "certificate" in ended.err
    assert "Traceback" not in ended.err


async def test_a_spider_may_close_standard_output(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(SITE) as site:
        write(tmp_path, "titles.py", f"{SPIDER}\n    import sys\n    sys.stdout.close()\n")
        ended = await crawl("run", "titles.py", "-a", f"site={site.url}/", "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


async def test_a_spider_that_raises_costs_only_its_page(crawl: Crawl, tmp_path: Path) -> None:
    write(
        tmp_path,
        "titles.py",
        SPIDER + "\n            if page.title == 'A':\n                return_value = page.missing\n",
    )
    async with serve(SITE) as site:
        ended = await crawl("run", "titles.py", "-a", f"site={site.url}", "-o", "out.jsonl", "--json")
    assert ended.code == 2
    assert f"the spider raised on 1 page:\n  {site.url}/a: spider: titles.py:15: AttributeError: " in ended.err
    assert "fix it, then: crawl retry titles.crawl --kind spider; the same command retries those pages" in ended.err
    assert "Traceback" not in ended.err
    titles = {row["title"] for row in lines(tmp_path / "out.jsonl")}
    assert titles == {"Home", "B", "New"}, "nothing of the page that failed, everything of the others"
    assert json.loads(ended.out)["urls"]["failed"] == 2


async def test_a_module_runs_as_the_command_does(tmp_path: Path) -> None:
    async with serve(SITE) as site:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "crawler.cli", "run", site.url, "--quiet", "-o", "-",
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert len(out.splitlines()) == 5


async def test_the_log_tells_of_each_page_and_of_each_line_that_led_to_an_error(crawl: Crawl, tmp_path: Path) -> None:
    write(
        tmp_path,
        "broken.py",
        """
        from crawler import Spider

        class Broken(Spider):
            start_urls = ["SITE"]

            def parse(self, page):
                self.helper()

            def helper(self):
                raise LookupError("no price")
        """,
    )
    async with serve(SITE) as site:
        source = (tmp_path / "broken.py").read_text()
        (tmp_path / "broken.py").write_text(source.replace("SITE", site.url))
        for processes in ("1", "2"):
            options = ("--processes", processes, "--fresh", "--yes", "--log-level", "debug", "--log-file", "crawl.log")
            ended = await crawl("run", "broken.py", *options)
            assert ended.code == 2
            assert "DEBUG" not in ended.err
            log = (tmp_path / "crawl.log").read_text()
            assert f"DEBUG crawler.engine: GET {site.url}/: failed: spider: " in log
            assert "in parse\n    self.helper()" in log
            assert "aiosqlite" not in log
            (tmp_path / "crawl.log").unlink()
        complaint = await crawl("run", "broken.py", "--log-file", "nowhere/crawl.log")
        assert (complaint.code, complaint.err) == (
            2,
            "error: cannot log to nowhere/crawl.log: No such file or directory\n",
        )


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("rn", "Did you mean run?"), ("titles.py", "crawl run titles.py"), ("http://h.example/", "crawl run http://h.")],
)
async def test_a_command_that_there_is_not_is_told_with_what_was_meant(crawl: Crawl, typed: str, hint: str) -> None:
    ended = await crawl(typed)
    assert ended.code == 2
    assert hint in ended.err


async def test_a_run_that_asked_for_something_again_does_not_say_that_nothing_was_new(
    crawl: Crawl, tmp_path: Path
) -> None:
    """Not even if all that came of it is another failure."""
    write(
        tmp_path,
        "again.py",
        """
        from crawler import Request, Spider

        class Again(Spider):
            url: str = ""

            def start(self):
                yield Request(self.url, again=True)

            def parse(self, page):
                pass
        """,
    )
    async with serve({}) as site:
        first = await crawl("run", "again.py", "-a", f"url={site.url}")
        again = await crawl("run", "again.py", "-a", f"url={site.url}")
    assert (first.code, again.code) == (1, 1)
    assert "resuming again.crawl: 0 pages done, 0 waiting" in again.err
    assert "finished: 0 pages, 2 failed" in again.err
    assert "nothing new" not in again.err


async def test_a_crawl_through_a_proxy(crawl: Crawl, tmp_path: Path) -> None:
    """It ends when the proxy is not there, goes on when it is, and shows the password nowhere."""
    names = {"site.example": "127.0.0.1"}
    quick = ("-s", "rest_wait=0.01", "--state", "x.crawl")
    async with serve(SITE) as site, http_proxy(names=names, login=("me", "s3cret")) as proxy:
        url, way = f"http://site.example:{site.port}/", proxy.url.replace("//", "//me:s3cret@")
        absent = await crawl("run", url, "--proxy", "http://me:s3cret@127.0.0.1:1", *quick)
        assert absent.code == 1
        assert "the proxy http://127.0.0.1:1 is of no use: cannot connect to the proxy 127.0.0.1:1" in absent.err
        ended = await crawl("run", url, "--proxy", way, *quick)
        told = [
            await crawl(*command)
            for command in (("status", "x.crawl", "--json"), ("why", "x.crawl", url), ("hosts", "x.crawl"))
        ]
        wrong = await crawl("run", url, "--proxy", "ftp://me:s3cret@127.0.0.1:1", *quick)
    assert (ended.code, wrong.code) == (0, 2)
    assert len(proxy.log) == len(site.log) > 5
    for one in (absent, ended, wrong, *told):
        assert "s3cret" not in one.out + one.err
    assert all(b"s3cret" not in file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
