"""What a spider's own task groups raise counts as what their tasks have raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from crawler import Crawl, Page, Report, Retry, Settings, Spider, Stop
from crawler.errors import wish_of
from crawler.faults import explain
from crawler.frontier.statefile import StateFile
from crawler.testing import page_of, take
from tests.crawler.readers.spiders import Delegating, raise_in_groups
from tests.sites import page, serve

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.fetcher import Fetch, Unfit
    from crawler.frontier.protocol import Lease

PROCESSES = pytest.mark.parametrize("processes", [1, 2])


async def crawl(
    state: Path, url: str, *, processes: int = 1, middlewares: Any = (), spider: Any = Delegating
) -> Report:
    settings = Settings(
        robots=False, commit_interval=0.01, concurrency=1, processes=processes, max_attempts=2, retry_wait=0.01
    )
    return await Crawl(spider(start_urls=[url]), settings, state=state, middlewares=middlewares).run()


def items(state: Path) -> list[str]:
    with StateFile(state) as file:
        return list(file.items())


def errors(state: Path) -> list[str]:
    with StateFile(state) as file:
        return [error for (error,) in file.query("SELECT error FROM pages WHERE error IS NOT NULL")]


@PROCESSES
async def test_a_task_may_ask_for_the_page_again(tmp_path: Path, processes: int) -> None:
    state = tmp_path / "a.crawl"
    async with serve({"/again": page("Later")}) as site:
        report = await crawl(state, f"{site.url}/again", processes=processes)
        assert site.paths == ["/again", "/again"]
    assert (report.reason, report.stats.errors, report.stats.spider_errors) == ("finished", {"retry": 2}, [])
    assert errors(state) == ["retry: not yet"]
    assert items(state) == []


@PROCESSES
@pytest.mark.parametrize("name", ["stop", "again+stop"])
async def test_a_task_may_end_the_crawl(tmp_path: Path, name: str, processes: int) -> None:
    state = tmp_path / "a.crawl"
    async with serve({f"/{name}": page("Enough", "/further")}) as site:
        report = await crawl(state, f"{site.url}/{name}", processes=processes)
        assert site.paths == [f"/{name}"]
    assert (report.reason, report.why, report.stats.done) == ("stopped", "that is enough", 1)
    assert items(state) == [f'{{"page":"/{name}"}}']


@PROCESSES
@pytest.mark.parametrize("name", ["stop+fault", "again+fault"])
async def test_what_is_wrong_with_another_task_counts_for_more(tmp_path: Path, name: str, processes: int) -> None:
    """Nobody knows whether it would have said the same, had it come to its end."""
    state = tmp_path / "a.crawl"
    async with serve({f"/{name}": page("Home")}) as site:
        report = await crawl(state, f"{site.url}/{name}", processes=processes)
    assert (report.reason, report.stats.failed) == ("finished", 1)
    (error,) = errors(state)
    assert error.startswith("spider: ")
    assert "spiders.py:" in error
    assert error.endswith("ValueError: no title (in _raise)")


@PROCESSES
async def test_who_hears_of_a_failure_may_end_it_from_a_task(tmp_path: Path, processes: int) -> None:
    async with serve({}) as site:
        report = await crawl(tmp_path / "a.crawl", f"{site.url}/missing", processes=processes)
    assert (report.reason, report.why, report.stats.failed) == ("stopped", "that is enough", 1)


async def test_who_hears_of_a_failure_cannot_have_it_again_from_a_task_either(tmp_path: Path) -> None:
    class Never(Spider):
        async def failed(self, request: Any, error: str) -> None:
            await raise_in_groups("again")

    async with serve({}) as site:
        await crawl(tmp_path / "a.crawl", f"{site.url}/", spider=Never)
    (error,) = errors(tmp_path / "a.crawl")
    assert "Retry: not yet" in error
    assert "if failed() yields it with again=True, told of: http: 404 Not Found" in error


@pytest.mark.parametrize(("name", "reason", "kinds"), [("again", "finished", ["retry"]), ("stop", "stopped", [])])
async def test_a_middleware_may_do_so_as_well(tmp_path: Path, name: str, reason: str, kinds: list[str]) -> None:
    async def around(lease: Lease, fetch: Fetch) -> Page | Unfit:
        await raise_in_groups(name)
        return await fetch(lease)

    async with serve({}) as site:
        report = await crawl(tmp_path / "a.crawl", f"{site.url}/", middlewares=[around])
        assert site.paths == []
    assert (report.reason, list(report.stats.errors)) == (reason, kinds)


async def test_what_a_middleware_raises_besides_costs_its_page(tmp_path: Path) -> None:
    async def around(lease: Lease, fetch: Fetch) -> Page | Unfit:
        await raise_in_groups("stop+fault")
        return await fetch(lease)

    async with serve({}) as site:
        report = await crawl(tmp_path / "a.crawl", f"{site.url}/", middlewares=[around])
    assert (report.reason, list(report.stats.errors)) == ("finished", ["internal"])


async def test_a_test_of_a_spider_sees_it() -> None:
    with pytest.raises(Retry, match="not yet"):
        await take(Delegating(), page_of("https://library.example/again"))
    assert (await take(Delegating(), page_of("https://library.example/stop"))).stop == "that is enough"


def test_of_several_the_first_counts() -> None:
    first, second = Stop("1"), Stop("2")
    assert wish_of(ExceptionGroup("", [ExceptionGroup("", [Retry("0"), first]), second])) is first
    assert wish_of(BaseExceptionGroup("", [first, SystemExit()])) is None


def test_of_a_group_the_first_fault_is_told() -> None:
    """The group itself says no more than how many there are."""
    assert explain(ExceptionGroup("two", [Retry("why"), ValueError("no title")])) == "ValueError: no title"
    assert explain(ExceptionGroup("one", [ExceptionGroup("two", [Retry("why")])])) == "Retry: why"


def test_groups_may_be_deep() -> None:
    error: Exception = Stop("deep down")
    for _ in range(10_000):
        error = ExceptionGroup("", [error])
    assert isinstance(error, ExceptionGroup)
    assert str(wish_of(error)) == "deep down"
    while isinstance(error, ExceptionGroup):  # one by one: Python takes them apart in one another
        (error,) = error.exceptions
