"""`--processes`: one command, one Ctrl-C, and no process that outlives it."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests.crawler.cli.test_stopping import Gate, ended, said
from tests.sites import page, serve

if TYPE_CHECKING:
    import subprocess

    from tests.crawler.cli.conftest import Crawl
    from tests.proof.command import Command

IN_A_GROUP = ("setsid",)
"""Makes the command the leader of a group of processes, as a shell does."""

STUCK = """
    from crawler import Request, Spider

    class Stuck(Spider):
        site: str = ""

        def start(self):
            yield Request(self.site)

        def parse(self, page):
            print("stuck", flush=True)
            while self.site.endswith("/"):
                ...
"""


def readers_of(process: subprocess.Popen[str]) -> list[int]:
    return [int(number) for number in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


async def gone(pid: int) -> None:
    """Wait for the end of a process that may be nobody's child any more."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:  # already
        return
    try:
        assert await asyncio.to_thread(select.select, [watched], [], [], 30.0) != ([], [], []), f"{pid} lives on"
    finally:
        os.close(watched)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_to_all_lets_pages_end_and_ends_all(
    command: Command, crawl: Crawl, tmp_path: Path, number: signal.Signals
) -> None:
    gate = Gate()
    async with serve(gate) as site:
        arguments = ("run", site.url, "--no-robots", "--state", "s.crawl", "-o", "out.jsonl", "--processes", "3")
        process = command.start(*arguments, wrapper=IN_A_GROUP)
        await gate.is_asked.wait()
        assert len(readers_of(process)) == 3
        os.killpg(process.pid, number)
        await said(process, "stopping: pages under way are finished first")
        gate.may_answer.set()
        stopped = await ended(process)
        assert stopped.code == 3
        assert "stopped: 3 pages" in stopped.err
        assert "Traceback" not in stopped.err
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
        assert (await crawl(*arguments)).code == 0
        assert sorted(site.paths) == sorted(["/", *(f"/{number}" for number in range(10))])
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 11


async def test_a_second_signal_stops_at_once(command: Command, crawl: Crawl) -> None:
    gate = Gate()
    async with serve(gate) as site:
        arguments = ("run", site.url, "--no-robots", "--state", "s.crawl", "--processes", "2")
        process = command.start(*arguments, wrapper=IN_A_GROUP)
        await gate.is_asked.wait()
        os.killpg(process.pid, signal.SIGINT)
        await said(process, "stopping: ")
        os.killpg(process.pid, signal.SIGINT)
        stopped = await ended(process)
        assert stopped.code == 3
        assert "stopped: 1 page" in stopped.err
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
        gate.may_answer.set()
        assert (await crawl(*arguments)).code == 0


async def test_a_second_signal_ends_a_reader_that_never_returns(command: Command, crawl: Crawl, tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text(dedent(STUCK))
    async with serve({"/": page("Home")}) as site:
        arguments = ("run", "stuck.py", "-a", f"site={site.url}/", "--no-robots", "--processes", "2")
        process = command.start(*arguments, wrapper=IN_A_GROUP)
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "stuck\n"
        readers = readers_of(process)
        os.killpg(process.pid, signal.SIGTERM)
        await said(process, "stopping: ")
        os.killpg(process.pid, signal.SIGTERM)
        stopped = await ended(process)
        assert stopped.code == 3
        assert "stopped: 0 pages" in stopped.err
        for reader in readers:
            with pytest.raises(ProcessLookupError):
                os.kill(reader, 0)
        status = json.loads((await crawl("status", "stuck.crawl", "--json")).out)
        assert (status["state"], status["urls"]["queued"]) == ("paused", 1), "the page is not lost"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_no_reader_outlives_the_crawl_not_even_one_that_never_returns(
    command: Command, crawl: Crawl, tmp_path: Path, number: signal.Signals
) -> None:
    """By three signals, or by one that nobody can prepare for."""
    (tmp_path / "stuck.py").write_text(dedent(STUCK))
    async with serve({"/": page("Home")}) as site:
        arguments = ("run", "stuck.py", "-a", f"site={site.url}/", "--no-robots", "--processes", "2")
        process = command.start(*arguments, wrapper=IN_A_GROUP)
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "stuck\n"
        readers = readers_of(process)
        while process.poll() is None:  # signals that come before the last was handled count once
            os.killpg(process.pid, number) if number == signal.SIGINT else process.kill()
            await asyncio.to_thread(os.sched_yield)
        for reader in readers:
            await gone(reader)
        assert (await ended(process)).code == (3 if number == signal.SIGINT else -signal.SIGKILL)
        status = json.loads((await crawl("status", "stuck.crawl", "--json")).out)
        assert (status["state"], status["urls"]["queued"]) == ("paused", 1), "the page is not lost"


FREE = """
    from crawler import Spider

    class Free(Spider):
        settings = {"processes": 2}

        def parse(self, page):
            yield page.follow_all()
"""


@pytest.mark.parametrize(("options", "number"), [(("--processes", "3"), 3), ((), 2), (("-s", "processes=1"), 0)])
async def test_readers_are_there_whoever_asks_for_them(
    command: Command, tmp_path: Path, options: tuple[str, ...], number: int
) -> None:
    """The command line is known before the spider is, and has the last word."""
    (tmp_path / "free.py").write_text(dedent(FREE))
    gate = Gate()
    async with serve(gate) as site:
        process = command.start("run", "free.py", "-a", f"start_urls={site.url}/", "--no-robots", "--quiet", *options)
        await gate.is_asked.wait()
        assert len(readers_of(process)) == number
        gate.may_answer.set()
        assert (await ended(process)).code == 0
    assert len(site.paths) == 11


async def test_a_spider_may_do_with_fewer_processes_than_its_surroundings_name(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "free.py").write_text(dedent(FREE).replace("2", "1"))
    (tmp_path / "pyproject.toml").write_text("[tool.crawl]\nprocesses = 3\n")
    gate = Gate()
    async with serve(gate) as site:
        process = command.start("run", "free.py", "-a", f"start_urls={site.url}/", "--no-robots", "--quiet")
        await gate.is_asked.wait()
        assert not readers_of(process)
        gate.may_answer.set()
        assert (await ended(process)).code == 0


async def test_a_reader_that_is_killed_is_replaced(command: Command, tmp_path: Path) -> None:
    gate = Gate()
    async with serve(gate) as site:
        process = command.start("run", site.url, "--no-robots", "-o", "out.jsonl", "--processes", "2")
        await gate.is_asked.wait()
        os.kill(readers_of(process)[0], signal.SIGKILL)
        heard = await said(process, "reader process died")
        assert "it was killed by SIGKILL; another one takes its place" in heard
        gate.may_answer.set()
        assert (await ended(process)).code == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 11


async def test_arguments_and_logging_reach_the_readers(command: Command, tmp_path: Path) -> None:
    spider = """
        import logging
        from datetime import date

        from crawler import Request, Spider

        class Told(Spider):
            site: str = ""
            day: date = date(2000, 1, 1)

            def start(self):
                yield Request(self.site)

            def parse(self, page):
                logging.info("on %r", self.day)
                yield {"day": self.day, "site": self.site}
    """
    (tmp_path / "told.py").write_text(dedent(spider))
    async with serve({"/": page("Home")}) as site:
        arguments = ("-a", f"site={site.url}/", "-a", "day=2026-01-02", "--log-level", "info", "--processes", "2")
        told = await ended(command.start("run", "told.py", *arguments, "--no-robots", "-o", "-"))
    assert told.code == 0, told.err
    assert json.loads(told.out) == {"day": "2026-01-02", "site": f"{site.url}/"}
    assert "INFO root: on datetime.date(2026, 1, 2)" in told.err


async def test_a_program_that_crawls_with_a_spider_of_its_own(tmp_path: Path) -> None:
    """Readers load it as well, and so it starts its crawl only if it is the program."""
    program = """
        import asyncio
        import sys
        from pathlib import Path

        from crawler import Crawl, Settings, Spider

        class Own(Spider):
            def parse(self, page):
                yield {"url": page.url, "in": __name__}

        if __name__ == "__main__":
            crawl = Crawl(Own(start_urls=[sys.argv[1]]), Settings(processes=2, robots=False), state=Path("own.crawl"))
            print(asyncio.run(crawl.run()).stats.items)
    """
    (tmp_path / "own.py").write_text(dedent(program))
    async with serve({"/": page("Home")}) as site:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "own.py", f"{site.url}/", cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"1\n")
