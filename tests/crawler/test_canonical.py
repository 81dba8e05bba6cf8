"""Pages whose canonical URL comes to nothing: no page is left out for one that nobody has."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from crawler import Crawl, Report, Scope, Settings
from crawler.frontier import Counts, Settlement, SqliteFrontier
from crawler.frontier.statefile import StateFile
from crawler.outcome import Failed, Fetched
from crawler.reports.why import in_words, why
from crawler.request import Links
from crawler.web.urls import host_of
from tests.crawler.readers.spiders import Collector
from tests.proof.crawlfile import check_invariants
from tests.sites import page, redirect, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sites import Handler, Reply, Visit

QUICK: dict[str, Any] = {"robots": False, "retry_wait": 0.01, "commit_interval": 0.01, "per_host": 1}
PROCESSES = pytest.mark.parametrize("processes", [1, 2])

MISSING: Reply = (404, {}, "")


async def crawl(state: Path, spider: Collector, **options: Any) -> Report:
    report = await Crawl(spider, Settings(**{**QUICK, **options}), state=state).run()
    check_invariants(state)
    return report


def taken(state: Path) -> list[str]:
    """The pages that gave their item, in their order."""
    with StateFile(state) as file:
        return [json.loads(item)["page"] for item in file.items()]


def left_out(state: Path) -> dict[str, str]:
    """What was left out, by the ends of URLs."""
    with StateFile(state) as file:
        rows = list(file.query("SELECT url, detail FROM links WHERE skipped = 'duplicate'"))
    return {
        url.rpartition("/")[2]: " ".join(word.rpartition("/")[2] for word in detail.split()) for url, detail in rows
    }


def named(canonical: str, *links: str, title: str = "Named") -> Reply:
    return page(title, *links, body=f'<link rel="canonical" href="{canonical}">')


async def test_a_seed_is_taken_whatever_it_names(tmp_path: Path) -> None:
    """The user has asked for it; a link to such a page is left out."""
    pages = {"/lamp": page("Lamp", "/lamp?b"), "/lamp?a": named("/lamp"), "/lamp?b": named("/lamp")}
    async with serve(pages) as site:
        await crawl(tmp_path / "a.crawl", Collector(start_urls=[f"{site.url}/lamp", f"{site.url}/lamp?a"]))
    assert taken(tmp_path / "a.crawl") == ["/lamp", "/lamp?a"]
    assert list(left_out(tmp_path / "a.crawl")) == ["lamp?b"]


@PROCESSES
@pytest.mark.parametrize("links", [["/lamp", "/lamp?a", "/lamp?b"], ["/lamp?a", "/lamp?b", "/lamp"]])
async def test_one_page_is_taken_itself_whichever_came_first(tmp_path: Path, links: list[str], processes: int) -> None:
    """Its links, which counted before, count once."""
    state = tmp_path / "a.crawl"
    pages = {
        "/": page("Home", *links),
        "/lamp?a": named("/lamp", "/more"),
        "/lamp?b": named("/lamp"),
        "/more": page(""),
    }
    async with serve(pages) as site:
        report = await crawl(state, Collector(start_urls=[f"{site.url}/"]), processes=processes)
        assert Counter(site.paths) == {"/": 1, "/lamp": 1, "/lamp?a": 2, "/lamp?b": 1, "/more": 1}
    assert (report.reason, report.stats.done, report.stats.failed, report.stats.skipped) == ("finished", 3, 1, 1)
    assert taken(state) == ["/", "/more", "/lamp?a"]
    assert left_out(state) == {"lamp?b": "names lamp as its canonical URL"}
    with StateFile(state) as file:
        told = list(in_words(why(file, f"{site.url}/lamp?a"), "a.crawl"))
    (tried,) = [line.partition("UTC: ")[2] for line in told if line.startswith("  try ")]
    assert tried == f"duplicate: names {site.url}/lamp as its canonical URL, which came to nothing"


@pytest.mark.parametrize(
    ("lamp", "is_had"),
    [
        (page("Lamp"), True),
        (page("fault"), True),  # it is there, to be tried again once the spider is mended
        (redirect("/other"), True),
        (redirect("/missing"), False),
        (redirect("/lost"), False),  # which is known, too
        (redirect("/lamp"), False),
        ((500, {}, ""), False),
    ],
)
async def test_what_is_nothing_and_what_is_not(tmp_path: Path, lamp: Reply, is_had: bool) -> None:
    state = tmp_path / "a.crawl"
    pages = {
        "/": page("Home", "/other", "/lost", "/lamp", "/lamp?a"),
        "/lamp": lamp,
        "/lamp?a": named("/lamp"),
        "/other": page(""),
    }
    async with serve(pages) as site:
        assert (await crawl(state, Collector(start_urls=[f"{site.url}/"]))).finished
        assert site.paths.count("/lamp?a") == 2 - is_had
    assert ("/lamp?a" in taken(state)) is not is_had


async def test_what_robots_txt_or_the_scope_has_nothing_of_is_nothing(tmp_path: Path) -> None:
    state = tmp_path / "a.crawl"

    class Within(Collector):
        scope = Scope.of(deny=["/chair$"])

    pages = {
        "/robots.txt": (200, {"Content-Type": "text/plain"}, "User-agent: *\nDisallow: /lamp$"),
        "/": page("Home", "/lamp", "/lamp?a", "/chair", "/chair?a"),
        "/lamp?a": named("/lamp"),
        "/chair?a": named("/chair"),
    }
    async with serve(pages) as site:
        assert (await crawl(state, Within(start_urls=[f"{site.url}/"]), robots=True)).finished
        assert "/lamp" not in site.paths
        assert "/chair" not in site.paths
    assert taken(state) == ["/", "/lamp?a", "/chair?a"]


def dwindling() -> Handler:
    """A site whose pages are there once, and later, in part, not."""
    were_there: set[str] = set()

    async def reply(visit: Visit) -> Reply:
        if visit.path == "/":
            return page("Home", "/lamp", *(f"/lamp?{letter}" for letter in "abcdefg"))
        if visit.path == "/lamp" or (visit.path in were_there and visit.path < "/lamp?f"):
            return MISSING
        were_there.add(visit.path)
        return named("/lamp")

    return reply


async def test_if_that_page_is_gone_meanwhile_others_are_taken_instead(tmp_path: Path) -> None:
    """One, then two, then four of them are asked for."""
    state = tmp_path / "a.crawl"
    async with serve(dwindling()) as site:
        assert (await crawl(state, Collector(start_urls=[f"{site.url}/"]))).finished
        assert site.paths[9:] == [f"/lamp?{letter}" for letter in "abcdefg"]
    assert taken(state) == ["/", "/lamp?f"]
    assert left_out(state)["lamp?g"] == "names lamp as its canonical URL"


@pytest.mark.parametrize("length", [1, 1920])
async def test_a_site_that_names_another_one_each_time_comes_to_an_end(tmp_path: Path, length: int) -> None:
    """Of URLs so long that what is noted of them is cut off, too."""
    state = tmp_path / "a.crawl"
    turns: Counter[str] = Counter()
    lamps = [f"/{letter * length}" for letter in "lL"]

    async def reply(visit: Visit) -> Reply:
        if visit.path == "/":
            return page("Home", *lamps, f"{lamps[0]}?a")
        turns[visit.path] += 1
        return named(lamps[turns[visit.path] % 2]) if "?" in visit.path else MISSING

    async with serve(reply) as site:
        for _ in range(2):
            assert (await crawl(state, Collector(start_urls=[f"{site.url}/"]), max_pages=99)).finished
        assert turns[f"{lamps[0]}?a"] <= 6


@PROCESSES
async def test_a_crawl_that_is_stopped_at_every_page_takes_the_same(tmp_path: Path, processes: int) -> None:
    state = tmp_path / "a.crawl"
    pages = {"/": page("Home", "/lamp?a", "/lamp", "/lamp?b", "/chair?a", "/chair"), "/chair": MISSING}
    pages |= {path: named("/lamp") for path in ("/lamp?a", "/lamp?b")} | {"/chair?a": named("/chair")}
    async with serve(pages) as site:
        for most in range(1, 20):
            spider = Collector(start_urls=[f"{site.url}/"])
            if (await crawl(state, spider, max_pages=most, processes=processes)).finished:
                break
        assert (await crawl(state, Collector(start_urls=[f"{site.url}/"]))).finished
    assert sorted(taken(state)) == ["/", "/chair?a", "/lamp?a"]
    assert sorted(left_out(state)) == ["lamp?b"]


async def test_after_a_kill_it_is_found_out_again(tmp_path: Path) -> None:
    """The page waits, and that its canonical URL came to nothing is forgotten: it is left out once more, and taken after that."""
    state = tmp_path / "a.crawl"
    base = "http://h.example/"
    host = host_of(base)

    async def fetch(frontier: SqliteFrontier) -> str:
        (lease,) = await frontier.lease([host], 1)
        settlement = Settlement(lease=lease, outcome=Failed(error="http: 404", final_url=lease.url, status=404))
        if lease.url != f"{base}lamp":
            outcome = Fetched(status=200, final_url=lease.url, content_type="", size=1, elapsed=0.0, fetched_at=0.0)
            settlement = Settlement(lease=lease, outcome=outcome, items=["{}"], alias=f"{base}lamp")
        await frontier.settle(settlement)
        return lease.url.removeprefix(base)

    frontier = await SqliteFrontier.open(state, spider="test")
    await frontier.add([Links([f"{base}lamp", f"{base}lamp?a", f"{base}lamp?b"])], depth=1)
    assert await fetch(frontier) == "lamp"
    assert not frontier.is_undecided
    for name in "lamp?a", "lamp?b":
        assert await fetch(frontier) == name
    assert frontier.is_undecided
    await frontier.decide()
    assert frontier.counts == Counts(queued=1, failed=1, skipped=1, hosts=1)
    await frontier._file.close()  # as a kill leaves it
    frontier._lock.release()

    frontier = await SqliteFrontier.open(state, spider="test")
    assert await fetch(frontier) == "lamp?a"
    await frontier.decide()
    assert await fetch(frontier) == "lamp?a"
    await frontier.decide()
    assert not frontier.is_undecided
    assert frontier.counts == Counts(done=1, failed=1, skipped=1, items=1, bytes=1, hosts=1)
    await frontier.close()
    check_invariants(state)


async def test_a_crawl_that_goes_on_without_believing_takes_what_was_lost_before(tmp_path: Path) -> None:
    """And a finished one is looked through again when it is run again: once all is well, to no avail."""
    state = tmp_path / "a.crawl"
    pages = {"/": page("Home", "/lamp", "/lamp?a"), "/lamp?a": named("/lamp")}
    async with serve(pages) as site:
        report = await crawl(state, Collector(start_urls=[f"{site.url}/"]), max_pages=2)
        assert report.reason == "max_pages"
        for _ in range(2):
            report = await crawl(state, Collector(start_urls=[f"{site.url}/"]), canonical=False)
            assert report.finished
        assert site.paths.count("/lamp?a") == 2
    assert taken(state) == ["/", "/lamp?a"]
