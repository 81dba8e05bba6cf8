"""Progress is shown where somebody looks, and leaves the terminal as it was."""

from __future__ import annotations

import asyncio
import io

import pytest
from msgspec.structs import replace

from crawler.progress import follow, line
from crawler.stats import Stats
from tests.terminals import shown, shown_before_the_end

STATS = Stats(
    spider="quotes",
    queued=5000,
    leased=64,
    done=1234,
    failed=3,
    skipped=0,
    items=1200,
    bytes=34_500_000,
    hosts=4,
    started=0.0,
    elapsed=83.0,
    run_elapsed=10.0,
    rate=56.31,
    active=64,
    statuses={200: 1223, 404: 11},
    errors={"connect": 2, "timeout": 7},
    last_error="http://quotes.example/slow: timeout: nothing came for 30 s",
)


class Counting:
    """Statistics that grow each time they are looked at, and say when they have been looked at often enough."""

    def __init__(self, enough: int) -> None:
        self.looks = 0
        self.is_enough = asyncio.Event()
        self._enough = enough

    def __call__(self) -> Stats:
        self.looks += 1
        if self.looks == self._enough:
            self.is_enough.set()
        return replace(STATS, done=STATS.done + self.looks)


async def followed(stream: io.StringIO, *, live: bool) -> Counting:
    """Follow for a few looks, then cancel."""
    stats = Counting(enough=3)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow(stats, stream, live=live, every=0.001))
        await stats.is_enough.wait()
        task.cancel()
    return stats


async def test_without_a_terminal_each_look_is_a_line() -> None:
    stream = io.StringIO()
    await followed(stream, live=False)
    lines = stream.getvalue().splitlines()
    assert lines[0] == line(replace(STATS, done=1235))
    assert lines[1] == line(replace(STATS, done=1236))
    assert "\x1b" not in stream.getvalue()


async def test_in_a_terminal_the_view_is_redrawn_and_gone_in_the_end() -> None:
    stream = io.StringIO()
    stats = await followed(stream, live=True)
    drawn = stream.getvalue()
    assert shown_before_the_end(drawn) == [
        f"quotes  {STATS.done + stats.looks:,} pages  5,064 waiting  56.3 pages/s  1:23",
        "━━━━━━──────────────────────────  1,200 items  34.5 MB  4 hosts  64 under way",
        "timeout 7  connect 2  HTTP 404 11",
        "http://quotes.example/slow: timeout: nothing came for 30 s",
    ]
    assert not shown(drawn)


async def test_the_view_of_a_crawl_without_errors_says_how_to_stop() -> None:
    stream = io.StringIO()
    looks = Counting(enough=2)

    def stats() -> Stats:
        return replace(looks(), errors={}, statuses={200: 5}, last_error="", done=0, queued=0, leased=0, failed=0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow(stats, stream, live=True, every=0.001))
        await looks.is_enough.wait()
        task.cancel()
    assert shown_before_the_end(stream.getvalue())[2:] == ["no errors", "Ctrl-C stops; the same command resumes"]


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("live", [False, True])
async def test_a_reader_that_has_gone_ends_what_is_shown_and_nothing_else(live: bool) -> None:
    async with asyncio.timeout(10):
        await follow(Counting(enough=1), Closed(), live=live, every=0.001)


def test_a_line_has_everything_in_few_words() -> None:
    assert line(STATS) == ("quotes: 1,234 pages, 5,064 waiting, 3 failed, 1,200 items, 34.5 MB, 56.3 pages/s, 1:23")
