"""`crawl why` and `crawl hosts`: a crawl explains itself, of each URL and of each host."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.sites import Reply, Site, Visit, page, redirect, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.crawler.cli.conftest import Crawl

ROBOTS = "User-agent: *\nDisallow: /private\nCrawl-delay: 0.01\n"


class Library:
    """A site with an example of whatever may become of a URL."""

    def __init__(self) -> None:
        self._asked: set[str] = set()

    async def __call__(self, visit: Visit) -> Reply:
        match visit.path:
            case "/robots.txt":
                return 200, {"Content-Type": "text/plain"}, ROBOTS
            case "/":
                return page("Home", "/shelf", "/old", "/to-shelf", "/private/a", "http://elsewhere.invalid/x", "/gone")
            case "/shelf":
                return page("Shelf", "/book", "/busy", "/book?print", "/tale?from=shelf")
            case "/book" | "/book?print" | "/tale?from=shelf":
                return page("Book", "/deep", body=f'<link rel="canonical" href="{visit.path.partition("?")[0]}">')
            case "/busy" if visit.path not in self._asked:
                self._asked.add(visit.path)
                return 503, {"Retry-After": "0"}, ""
            case "/busy" | "/new":
                return page(visit.path)
            case "/old":
                return redirect("/older", 301)
            case "/older":
                return redirect("/new")
            case "/to-shelf":
                return redirect("/shelf")
            case _:
                return 404, {}, ""


@pytest.fixture
async def site(crawl: Crawl) -> AsyncIterator[Site]:
    """The library, crawled into `s.crawl`, two links deep."""
    async with serve(Library()) as site:
        ended = await crawl("run", site.url, "--state", "s.crawl", "--max-depth", "2")
        assert ended.code == 0, ended.err
        yield site


async def test_a_page_that_was_fetched_is_explained_from_the_seed_on(crawl: Crawl, site: Site) -> None:
    ended = await crawl("why", "s.crawl", f"{site.url}/book")
    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"{site.url}/book\n  state      fetched: 200, text/html, ")
    assert f"  found      at depth 2: {site.url}/ → {site.url}/shelf → {site.url}/book\n" in ended.out


async def test_a_url_is_brought_to_its_canonical_form_first(crawl: Crawl, site: Site) -> None:
    ended = await crawl("why", "s.crawl", f"  {site.url.upper()}/./b%6fok#part ")
    assert ended.out.startswith(f"{site.url}/book\n  state      fetched: 200")


ENDS = [
    ("/tale", "not fetched: it is the canonical URL of SITE/tale?from=shelf"),
    ("/tale", "that URL   SITE/tale?from=shelf: fetched: 200"),
    ("/book?print", "not fetched: it names SITE/book as its canonical URL, which was known already"),
    ("/", "found      it is a seed"),
    ("/private/a", "robots.txt disallows it by 'Disallow: /private'"),
    ("/deep", "not fetched: it lies 3 links from a seed, deeper than max_depth allows"),
    ("/gone", "failed: http: 404 Not Found"),
    ("/old", "redirects  SITE/old → SITE/older → SITE/new"),
    ("/older", "was met on the way of a redirect from SITE/old"),
    ("/new", "was met on the way of a redirect from SITE/old"),
    ("/to-shelf", "not fetched: it redirected (302) to SITE/shelf, which was known already"),
    ("/to-shelf", "that URL   SITE/shelf: fetched: 200"),
    ("/busy", "UTC: http: 503 Service Unavailable"),
]


async def test_whatever_became_of_a_url_is_told(crawl: Crawl, site: Site) -> None:
    answers = {path: await crawl("why", "s.crawl", f"{site.url}{path}") for path in dict(ENDS)}
    assert {ended.code for ended in answers.values()} == {0}
    for path, words in ENDS:
        assert words.replace("SITE", site.url) in answers[path].out
    outside = await crawl("why", "s.crawl", "http://elsewhere.invalid/x")
    assert f"outside the scope: elsewhere.invalid is not of the hosts 127.0.0.1:{site.port}" in outside.out


async def test_a_url_that_was_never_found_says_so_and_names_those_like_it(crawl: Crawl, site: Site) -> None:
    ended = await crawl("why", "s.crawl", f"{site.url}/Book/?page=2")
    assert ended.code == 1
    assert "was never found: the spider followed no link to it" in ended.out
    assert f"these were found:\n    {site.url}/book\n" in ended.out


async def test_a_url_of_which_it_is_not_known_yet_whether_it_is_new_is_told_as_found(
    crawl: Crawl, site: Site, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "s.crawl")) as db, db:
        rows = [(1, 1, 1, json.dumps([f"{site.url}/found"])), (2, 0, None, json.dumps([f"{site.url}/seed"]))]
        db.executemany("INSERT INTO offered (id, depth, found_on, alone, urls) VALUES (?, ?, ?, 0, ?)", rows)
    ended = await crawl("why", "s.crawl", f"{site.url}/found")
    assert f"was found on {site.url}/, and is looked up soon among all that was found before" in ended.out
    ended = await crawl("why", "s.crawl", f"{site.url}/seed")
    assert "is a seed, and is looked up soon among all that was found before" in ended.out


async def test_a_url_that_could_never_have_been_fetched_says_why(crawl: Crawl, site: Site) -> None:
    outside = await crawl("why", "s.crawl", "http://other.invalid/")
    assert outside.code == 1
    assert "it would not have been fetched either: other.invalid is not of the hosts" in outside.out
    private = await crawl("why", "s.crawl", f"{site.url}/private/b")
    assert private.code == 1
    assert "it would not have been fetched either: robots.txt has 'Disallow: /private'" in private.out


async def test_the_answer_is_there_as_json_too(crawl: Crawl, site: Site) -> None:
    answer: dict[str, Any] = json.loads((await crawl("why", "s.crawl", f"{site.url}/busy", "--json")).out)
    assert (answer["found"], answer["url"], answer["state"]) == (True, f"{site.url}/busy", "finished")
    (request,) = answer["requests"]
    assert (request["state"], request["status"], request["depth"]) == ("done", 200, 2)
    assert request["path"] == [f"{site.url}/", f"{site.url}/shelf"]
    assert [attempt["error"] for attempt in request["attempts"]] == ["http: 503 Service Unavailable"]
    assert json.loads((await crawl("why", "s.crawl", f"{site.url}/nowhere", "--json")).out)["found"] is False


async def test_the_only_crawl_file_of_a_folder_need_not_be_named(crawl: Crawl, site: Site) -> None:
    assert (await crawl("why", f"{site.url}/book")).code == 0
    assert (await crawl("hosts")).code == 0
    ended = await crawl("run", site.url, "--state", "other.crawl", "--max-pages", "1")
    assert ended.code == 3
    unclear = await crawl("why", f"{site.url}/book")
    assert unclear.code == 2
    assert unclear.err == "error: name the crawl file: there are other.crawl, s.crawl\n"


async def test_a_mistake_is_one_clear_message(crawl: Crawl, site: Site) -> None:
    mistakes = {
        ("why", "s.crawl"): "error: URL is missing",
        ("why", "s.crawl", "nothing"): "error: 'nothing' is not a URL that can be fetched",
        ("why", "t.crawl", site.url): "error: there is no crawl file t.crawl; there is: s.crawl",
        ("hosts", "t.crawl"): "error: there is no crawl file t.crawl",
    }
    for arguments, message in mistakes.items():
        ended = await crawl(*arguments)
        assert ended.code == 2
        assert message in ended.err
        assert "Traceback" not in ended.err


async def test_what_waits_is_told_with_what_it_waits_for(crawl: Crawl) -> None:
    async with serve(Library()) as site:
        stopped = await crawl("run", site.url, "--state", "s.crawl", "--max-pages", "1", "--per-host", "1")
        assert stopped.code == 3
        first = await crawl("why", f"{site.url}/shelf")
        assert "state      waits, next of its host; the crawl is paused; `crawl run` resumes it" in first.out
        last = await crawl("why", f"{site.url}/gone")
        assert "state      waits, 4 requests of its host before it; the crawl is paused" in last.out
        unseen = await crawl("why", f"{site.url}/book")
        assert "5 pages that may lead to it are still to be read" in unseen.out


async def test_hosts_are_listed_with_their_figures(crawl: Crawl, site: Site) -> None:
    ended = await crawl("hosts", "s.crawl")
    head, row = ended.out.splitlines()
    assert head.split() == ["host", "done", "failed", "skipped", "queued", "aside", "fetched", "pace", "latency"]
    assert row.split()[:6] == [f"127.0.0.1:{site.port}", "6", "1", "3", "0", "0"]
    (line,) = (await crawl("hosts", "s.crawl", "--json", "--sort", "failed", "--limit", "1")).out.splitlines()
    host = json.loads(line)
    assert (host["host"], host["done"], host["failed"], host["held"]) == (f"127.0.0.1:{site.port}", 6, 1, None)
