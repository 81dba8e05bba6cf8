"""What the user's code cancels in a task that is not its own, at once or later, is nobody else's end."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crawler import Crawl, Page, Report, Settings, Spider
from crawler.cancellation import in_task_of_its_own, to_the_end
from crawler.exports import open_export
from crawler.frontier.statefile import StateFile
from crawler.replay import Replay
from crawler.testing import page_of, take
from tests.sites import Reply, Visit, page, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sites import Site

QUICK: dict[str, Any] = {"robots": False, "retry_wait": 0.01, "commit_interval": 0.01}


async def crawl(state: Path, spider: Spider, *, exports: Any = (), **changed: Any) -> Report:
    async with asyncio.timeout(60):
        return await Crawl(spider, Settings(**{**QUICK, **changed}), state=state, exports=exports).run()


def own_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task
    return task


class Belated(Spider):
    """Cancels its task when that is at something else."""

    def parse(self, page: Page) -> Iterator[Any]:
        asyncio.get_running_loop().call_soon(own_task().cancel)
        yield {"url": page.url}
        yield page.follow_all()


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("delay", [0.0, 0.01], ids=["fetching", "waiting for a turn"])
async def test_who_is_cancelled_late_goes_on(tmp_path: Path, concurrency: int, delay: float) -> None:
    links = [f"/{number}" for number in range(6)]
    async with serve({"/": page("Home", *links), **{link: page(link) for link in links}}) as site:
        spider = Belated(start_urls=[f"{site.url}/"])
        report = await crawl(tmp_path / "test", spider, concurrency=concurrency, delay=delay, max_attempts=20)
    assert (report.reason, report.stats.done, report.stats.failed, report.stats.leased) == ("finished", 7, 0, 0)


async def test_a_page_that_another_ones_callback_cuts_short_is_asked_for_again(tmp_path: Path) -> None:
    """It may do so each time, as a middleware does that cancels itself: so that is an attempt."""
    worker: asyncio.Task[Any]

    class Meddling(Spider):
        def parse(self, page: Page) -> Iterator[Any]:
            nonlocal worker
            worker = own_task()
            yield page.follow_all()

    async def reply(visit: Visit) -> Reply:
        if visit.path == "/":
            return page("Home", "/often", "/once")
        if visit.path == "/often" or site.paths.count("/once") == 1:
            worker.cancel()
            await asyncio.Event().wait()
        return page("At last")

    async with serve(reply) as site:
        spider = Meddling(start_urls=[f"{site.url}/"])
        report = await crawl(tmp_path / "test", spider, concurrency=1, max_attempts=3)
        assert [site.paths.count(path) for path in ("/often", "/once")] == [3, 2]
    assert (report.reason, report.stats.done, report.stats.failed) == ("finished", 2, 1)
    assert report.stats.last_error.endswith("internal: CancelledError")


async def test_what_is_cut_short_before_it_is_kept_is_taken_up_by_the_next_run(tmp_path: Path) -> None:
    """The third page waits until what came of the others is kept, the first of which an output holds up."""
    loop = asyncio.get_running_loop()
    is_held_up, may_go_on = asyncio.Event(), threading.Event()

    class Slow:
        def __init__(self) -> None:
            self.export = open_export(str(tmp_path / "out.jsonl"))
            self.path = self.export.path
            self.open = self.export.open
            self.close = self.export.close
            self.abandon = self.export.abandon

        def write(self, first_item: int, items: Any) -> Any:
            loop.call_soon_threadsafe(is_held_up.set)
            may_go_on.wait(30)
            return self.export.write(first_item, items)

    class Large(Spider):
        def parse(self, page: Page) -> Iterator[Any]:
            yield {"url": page.url, "text": "x" * (2 << 20)}  # more than may pend, if a commit is of one page
            if page.url.endswith("/2"):
                asyncio.get_running_loop().call_soon(self.cut_short, own_task())

        def cut_short(self, worker: asyncio.Task[Any]) -> None:
            worker.cancel()
            may_go_on.set()

    async def reply(visit: Visit) -> Reply:
        if visit.path == "/1":
            await is_held_up.wait()
        return page("Large")

    async with serve(reply) as site:
        spider = Large(start_urls=[f"{site.url}/{number}" for number in range(4)])
        first = await crawl(tmp_path / "test", spider, concurrency=1, commit_pages=1, exports=[Slow()])
        assert (first.reason, first.stats.done, first.stats.leased) == ("held", 3, 1)
        second = await crawl(tmp_path / "test", spider, concurrency=1)
        assert (second.reason, second.stats.done, second.stats.items) == ("finished", 4, 4)
        assert site.paths == ["/0", "/1", "/2", "/3", "/2"]


# Without a crawl


class Panic(BaseException):
    """As libraries in Rust raise it: no Exception."""


class Selfish(Spider):
    name = "kept"

    async def parse(self, page: Page) -> Any:
        match page.url.rpartition("/")[2]:
            case "leaves":
                raise SystemExit(3)
            case "panics":
                raise Panic("index out of bounds")
            case "cancels":
                own_task().cancel()
            case "awaits":
                own_task().cancel()
                await asyncio.sleep(0)
            case "late":
                asyncio.get_running_loop().call_soon(own_task().cancel)
            case "interrupts":
                os.kill(os.getpid(), signal.SIGINT)
        return {"url": page.url}


class Kept(Spider):
    name = "kept"

    def parse(self, page: Page) -> Any:
        return page.follow_all()


async def keep(state: Path, *names: str) -> Site:
    async with serve({"/": page("Home", *names), **{f"/{name}": page(name) for name in names}}) as site:
        await crawl(state, Kept(start_urls=[f"{site.url}/"]), keep_bodies=True)
        return site


def test_a_replay_loses_only_the_page_whose_callback_does_so(tmp_path: Path) -> None:
    faults = ["leaves", "panics", "awaits"]
    asyncio.run(keep(tmp_path / "test", "a", *faults, "cancels", "late", "b"))
    with StateFile(tmp_path / "test") as file:
        replay = Replay(Selfish(), file)
        found = list(replay.items())
    assert (replay.pages, len(found)) == (8, 5)
    raised = {url.rpartition("/")[2]: text for url, _, text in (error.partition(": ") for error in replay.errors)}
    assert sorted(raised) == sorted(faults)
    assert "Panic: index out of bounds" in raised["panics"]


def test_a_replay_can_be_interrupted(tmp_path: Path) -> None:
    asyncio.run(keep(tmp_path / "test", "interrupts", "b"))
    with StateFile(tmp_path / "test") as file, pytest.raises(KeyboardInterrupt):
        list(Replay(Selfish(), file).items())


@pytest.mark.parametrize(
    ("name", "raised"), [("leaves", SystemExit), ("panics", Panic), ("awaits", asyncio.CancelledError)]
)
async def test_a_test_of_a_spider_sees_what_it_raises(name: str, raised: type[BaseException]) -> None:
    with pytest.raises(raised):
        await take(Selfish(), page_of(f"https://library.example/{name}"))
    assert not own_task().cancelling()


@pytest.mark.parametrize("name", ["cancels", "late"])
async def test_a_test_of_a_spider_is_not_cancelled_by_it(name: str) -> None:
    taken = await take(Selfish(), page_of(f"https://library.example/{name}"))
    assert len(taken.items) == 1
    await asyncio.sleep(0)
    assert not own_task().cancelling()


async def test_who_waits_for_a_task_of_its_own_can_be_cut_short() -> None:
    is_there = asyncio.Event()

    async def wait() -> None:
        is_there.set()
        await asyncio.Event().wait()

    waiting = asyncio.create_task(in_task_of_its_own(wait()))
    await is_there.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()


async def test_what_is_carried_out_to_its_end_is_waited_for_however_often_somebody_is_cancelled() -> None:
    goes_on = asyncio.Event()
    waiting = asyncio.create_task(to_the_end(goes_on.wait()))
    for _ in range(3):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    goes_on.set()
    await asyncio.wait([waiting])
    assert waiting.cancelled()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="what is open is told there")
@pytest.mark.parametrize("times", [1, 2])
async def test_a_crawl_that_is_cancelled_anywhere_leaves_nothing_open_and_can_be_gone_on_with(
    tmp_path: Path, times: int
) -> None:
    """By a timeout around it, or since something else in the user's program has failed."""

    class Walks(Spider):
        def parse(self, page: Page) -> Iterator[Any]:
            yield {"url": page.url}
            yield page.follow_all()

    async def cancelled_after(turns: int) -> bool:
        state, outputs = tmp_path / f"{turns}.crawl", [tmp_path / f"{turns}.jsonl", tmp_path / f"{turns}.sqlite"]
        crawling = asyncio.create_task(crawl(state, Walks(start_urls=[f"{site.url}/"]), exports=outputs))
        for _ in range(turns):
            await asyncio.sleep(0)
        for _ in range(times):
            was_over = not crawling.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([crawling])
        assert not [name for name in open_files() if f"/{turns}." in name]
        report = await crawl(state, Walks(start_urls=[f"{site.url}/"]), exports=outputs)
        assert report.finished
        assert len(outputs[0].read_text().splitlines()) == 2
        return not was_over

    async with serve({"/": page("Home", "/a"), "/a": page("A")}) as site:
        turns = 1
        while await cancelled_after(turns):
            turns *= 3


def open_files() -> list[str]:
    names = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            names.append(str(descriptor.readlink()))
    return names
