"""`crawl run` has as many files open as the system allows, not only as many as it allows at first, and fails no page for want of more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.sites import Reply, Visit, page, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.proof.command import Command

SPIDER = """
from resource import RLIMIT_NOFILE, getrlimit

from crawler import Spider


class Counting(Spider):
    def parse(self, page):
        yield {"allowed": getrlimit(RLIMIT_NOFILE)[0]}
"""


def allowing(soft: int, hard: int) -> tuple[str, ...]:
    """What a command is started through, to have these limits."""
    return ("sh", "-c", f'ulimit -S -n {soft} && ulimit -H -n {hard} && exec "$@"', "sh")


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_the_limit_is_raised_as_far_as_allowed(command: Command, tmp_path: Path, processes: str) -> None:
    """Otherwise a crawl of many hosts would fail for want of files that it could have."""
    (tmp_path / "counting.py").write_text(SPIDER, encoding="utf-8")
    async with serve({"/": page("Home")}) as site:
        run = ("run", "counting.py", "-a", f"start_urls={site.url}/", "-o", "-", "--processes", processes)
        ended = await asyncio.to_thread(command.run, *run, wrapper=allowing(200, 900))
    assert (ended.code, ended.out) == (0, '{"allowed":900}\n')
    assert "warning" not in ended.err


async def test_a_limit_that_may_not_do_is_told(command: Command) -> None:
    async with serve({"/": page("Home")}) as site:
        run = ("run", site.url, "--concurrency", "500")
        ended = await asyncio.to_thread(command.run, *run, wrapper=allowing(200, 900))
        quiet = await asyncio.to_thread(command.run, *run, "--fresh", "--yes", "--quiet", wrapper=allowing(200, 900))
    assert ended.code == 0
    assert "warning: concurrency 500 may need 2,564 open files, but this system allows 900" in ended.err
    assert (quiet.code, quiet.err) == (0, "")


@pytest.mark.parametrize(("processes", "files"), [("1", 60), ("2", 40)])
async def test_no_page_fails_for_want_of_files(command: Command, processes: str, files: int) -> None:
    """The first responses come when so many requests are waiting that others have found no file for their connections."""
    waiting, is_crowded = 0, asyncio.Event()

    async def reply(visit: Visit) -> Reply:
        nonlocal waiting
        if visit.path == "/":
            return page("Home", *(f"/{number}" for number in range(100)))
        waiting += 1
        if waiting == 20:
            is_crowded.set()
        await is_crowded.wait()
        return page(visit.path)

    run = ("--concurrency", "100", "--per-host", "100", "--no-robots", "--processes", processes)
    patience = ("-s", "max_attempts=1", "-s", "retry_wait=0.1")
    async with serve(reply) as site:
        ended = await asyncio.to_thread(command.run, "run", site.url, *run, *patience, wrapper=allowing(files, files))
    assert ended.code == 0, ended.err
    assert "101 pages" in ended.err
    assert "internal" in ended.err
