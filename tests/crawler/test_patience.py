"""Requests that have timeouts and a number of attempts of their own."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest

from crawler import Crawl, Report, Request, Settings, Spider
from crawler.frontier.statefile import StateFile
from crawler.reports.why import in_words, why
from tests.crawler.readers.spiders import Choosy, Overdone
from tests.sites import page, redirect, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sites import Reply, Visit

URL = "http://library.example/"
QUICK: dict[str, Any] = {"robots": False, "retry_wait": 0.01, "commit_interval": 0.01, "per_host": 16}
PROCESSES = pytest.mark.parametrize("processes", [1, 2])


async def crawl(state: Path, spider: Spider, **options: Any) -> Report:
    return await Crawl(spider, Settings(**{**QUICK, **options}), state=state).run()


def items(state: Path) -> list[Any]:
    with StateFile(state) as file:
        return sorted((json.loads(item) for item in file.items()), key=json.dumps)


async def stalled(visit: Visit) -> Reply:
    """Pages that never come, one of them behind a redirect, and one that is in trouble."""
    if visit.path == "/hasty":
        return redirect("/behind")
    if visit.path == "/stubborn":
        return 500, {}, ""
    await asyncio.Event().wait()
    raise AssertionError


@PROCESSES
async def test_a_request_is_given_up_by_its_own_timeouts_after_its_own_attempts(tmp_path: Path, processes: int) -> None:
    state = tmp_path / "a.crawl"
    async with serve(stalled) as site:
        seeds = [f"{site.url}/{name}" for name in ("hasty", "silent", "stubborn")]
        report = await crawl(state, Choosy(start_urls=seeds), processes=processes)
        asked = Counter(site.paths)
    assert (report.reason, report.stats.failed) == ("finished", 3)
    assert asked == {"/hasty": 1, "/behind": 1, "/silent": 2, "/stubborn": 4}
    assert items(state) == [
        {"failed": "/hasty", "by": "timeout", "limits": [None, 0.05, 1]},
        {"failed": "/silent", "by": "timeout", "limits": [0.05, None, 2]},
        {"failed": "/stubborn", "by": "http", "limits": [None, None, 4]},
    ]
    with StateFile(state) as file:
        told = list(in_words(why(file, f"{site.url}/hasty"), "a.crawl"))
    assert "  settings   total_timeout = 0.05, max_attempts = 1" in told


@PROCESSES
async def test_a_request_is_waited_for_longer_than_others(tmp_path: Path, processes: int) -> None:
    """It is answered once the other one has been given up, and is asked for anew."""
    state = tmp_path / "a.crawl"
    was_given_up = asyncio.Event()

    async def reply(visit: Visit) -> Reply:
        if visit.path == "/stubborn" and site.paths.count("/stubborn") == 2:
            was_given_up.set()
            return page("Stubborn")
        await was_given_up.wait()
        return page("Patient")

    async with serve(reply) as site:
        spider = Choosy(start_urls=[f"{site.url}/{name}" for name in ("patient", "stubborn")])
        report = await crawl(state, spider, processes=processes, read_timeout=0.2, total_timeout=0.2)
        assert Counter(site.paths) == {"/patient": 1, "/stubborn": 2}
    assert report.stats.failed == 0
    assert items(state) == [{"came": "/patient"}, {"came": "/stubborn"}]


@PROCESSES
async def test_what_is_its_own_survives_a_stop(tmp_path: Path, processes: int) -> None:
    """It is stopped when it has been redirected, and, another time, when it waits for its second try."""
    state = tmp_path / "a.crawl"
    going: list[Crawl] = []

    async def reply(visit: Visit) -> Reply:
        if len(site.log) < 3:
            going[-1].stop()
        return redirect("/behind") if visit.path == "/stubborn" else (500, {}, "")

    async with serve(reply) as site:
        spider = Choosy(start_urls=[f"{site.url}/stubborn"])
        for reason in "interrupted", "interrupted", "finished":
            going.append(Crawl(spider, Settings(processes=processes, max_attempts=1, **QUICK), state=state))
            assert (await going[-1].run()).reason == reason
        assert site.paths == ["/stubborn", *4 * ["/behind"]]
    assert items(state) == [{"failed": "/stubborn", "by": "http", "limits": [None, None, 4]}]


@pytest.mark.parametrize("name", ["read_timeout", "total_timeout"])
@pytest.mark.parametrize("seconds", [0, -1, 1e10, inf, nan])
def test_a_timeout_out_of_range_is_refused(name: str, seconds: Any) -> None:
    with pytest.raises(ValueError, match=f"the {name} of a request must be a number above 0, 1,000,000,000 at most"):
        Request(URL, **{name: seconds})


@pytest.mark.parametrize("name", ["read_timeout", "total_timeout"])
@pytest.mark.parametrize("seconds", ["5", True])
def test_a_timeout_that_is_no_number_is_refused(name: str, seconds: Any) -> None:
    with pytest.raises(TypeError, match=f"the {name} of a request must be a number of seconds, not"):
        Request(URL, **{name: seconds})


@pytest.mark.parametrize(("attempts", "error"), [(0, ValueError), (1 << 53, ValueError), (1.5, TypeError), (True, TypeError)])  # fmt: skip
def test_a_number_of_attempts_that_is_none_is_refused(attempts: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="the max_attempts of a request must be a whole number"):
        Request(URL, max_attempts=attempts)


@PROCESSES
async def test_it_is_told_where_the_spider_makes_it(tmp_path: Path, processes: int) -> None:
    async with serve({"/": page("Home")}) as site:
        report = await crawl(tmp_path / "a.crawl", Overdone(start_urls=[f"{site.url}/"]), processes=processes)
    (error,) = report.stats.spider_errors
    assert "spiders.py" in error
    assert "ValueError: the total_timeout of a request must be a number above 0" in error


def test_all_ways_to_make_a_request_take_them() -> None:
    options: Any = {"read_timeout": 1, "total_timeout": 2.5, "max_attempts": 3}
    for request in Request.form(URL, {}, **options), Request.json(URL, {}, **options):
        assert (request.read_timeout, request.total_timeout, request.max_attempts) == (1.0, 2.5, 3)
