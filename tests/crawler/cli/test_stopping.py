"""Ctrl-C and SIGTERM: the first lets pages end, the second does not, and nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import closing
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from crawler.settings import Settings
from tests.proof.command import Command, Ended, finish
from tests.sites import page, serve

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.crawler.cli.conftest import Crawl
    from tests.sites import Reply, Visit


class Gate:
    """A site whose pages, but for the first, wait until they are let go. `is_asked`: as many wait as one host may be asked
    for at once, by default."""

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self._waiting = 0

    async def __call__(self, visit: Visit) -> Reply:
        if visit.path == "/":
            return page("Home", *(f"/{number}" for number in range(10)))
        self._waiting += 1
        if self._waiting == Settings().per_host:
            self.is_asked.set()
        await self.may_answer.wait()
        return page(visit.path)


async def said(process: subprocess.Popen[str], text: str) -> str:
    """Read what a process says up to the line that has `text` in it."""
    assert process.stderr is not None
    heard = ""
    while text not in heard:
        line = await asyncio.to_thread(process.stderr.readline)
        assert line, f"it ended without saying {text!r}: {heard}"
        heard += line
    return heard


async def ended(process: subprocess.Popen[str]) -> Ended:
    return await asyncio.to_thread(finish, process)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_lets_pages_end_and_the_next_run_goes_on(
    command: Command, crawl: Crawl, tmp_path: Path, number: signal.Signals
) -> None:
    gate = Gate()
    async with serve(gate) as site:
        arguments = ("run", site.url, "--no-robots", "--state", "s.crawl", "-o", "out.jsonl")
        process = command.start(*arguments)
        await gate.is_asked.wait()
        process.send_signal(number)
        await said(process, "stopping: pages under way are finished first")
        gate.may_answer.set()
        stopped = await ended(process)
        assert stopped.code == 3
        assert "stopped: 3 pages" in stopped.err, "the first page, and the two that one host may have under way"
        assert "the same command resumes it" in stopped.err
        assert (await crawl(*arguments)).code == 0
        assert sorted(site.paths) == sorted(["/", *(f"/{number}" for number in range(10))])
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 11


async def test_a_second_signal_stops_at_once(command: Command, crawl: Crawl, tmp_path: Path) -> None:
    gate = Gate()
    async with serve(gate) as site:
        arguments = ("run", site.url, "--no-robots", "--state", "s.crawl", "-o", "out.jsonl")
        process = command.start(*arguments)
        await gate.is_asked.wait()
        process.send_signal(signal.SIGINT)
        await said(process, "stopping: ")
        process.send_signal(signal.SIGINT)
        stopped = await ended(process)
        assert stopped.code == 3
        assert "stopping at once" in stopped.err
        assert "stopped: 1 page" in stopped.err
        gate.may_answer.set()
        assert (await crawl(*arguments)).code == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 11


@pytest.mark.parametrize("stream", ["2>/dev/full", "2>&-"])
async def test_a_signal_stops_a_crawl_that_cannot_say_so(command: Command, stream: str) -> None:
    """What it has to say is worth less than that it does as it is told."""
    is_asked = asyncio.Event()

    async def endless(visit: Visit) -> Reply:
        if visit.path == "/5":
            is_asked.set()
        return page(visit.path, f"/{int(visit.path[1:] or 0) + 1}")

    async with serve(endless) as site:
        wrapper = ("sh", "-c", f'exec "$@" {stream}', "sh")
        process = command.start("run", site.url, "--no-robots", "--state", "s.crawl", wrapper=wrapper)
        await is_asked.wait()
        process.send_signal(signal.SIGINT)
        assert (await ended(process)).code == 3


@pytest.mark.parametrize(
    "arguments", [("status", "s.crawl"), ("export", "s.crawl", "pages"), ("run", "{url}", "--json"), ("fetch", "{url}")]
)
async def test_results_that_cannot_be_delivered_are_one_clear_message(
    command: Command, crawl: Crawl, arguments: tuple[str, ...]
) -> None:
    async with serve({"/": page("Home")}) as site:
        assert (await crawl("run", site.url, "--state", "s.crawl")).code == 0
        wanted = [argument.format(url=site.url) for argument in arguments]
        process = command.start(*wanted, wrapper=("sh", "-c", 'exec "$@" >/dev/full', "sh"))
        lost = await ended(process)
    assert lost.code == 1
    assert lost.err.count("error: ") == 1
    assert "error: cannot write standard output: No space left on device; make room" in lost.err
    assert "Traceback" not in lost.err
    assert "Exception ignored" not in lost.err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
async def test_a_stream_that_is_closed_leads_nowhere(command: Command, tmp_path: Path, closed: str) -> None:
    """Not into the next file that is opened, which would get its number."""
    async with serve({"/": page("Home")}) as site:
        arguments = ("run", site.url, "-o", "out.jsonl", "--log-level", "debug", "--json")
        wrapper = ("sh", "-c", f'exec "$@" {closed}', "sh")
        assert (await ended(command.start(*arguments, wrapper=wrapper))).code == 0
    assert [json.loads(line)["title"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ["Home"]


async def test_a_third_signal_ends_a_spider_that_never_returns(command: Command, crawl: Crawl, tmp_path: Path) -> None:
    stuck = """
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
    (tmp_path / "stuck.py").write_text(dedent(stuck))
    async with serve({"/": page("Home")}) as site:
        process = command.start("run", "stuck.py", "-a", f"site={site.url}/", "--no-robots")
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "stuck\n"
        while process.poll() is None:  # signals that come before the last was handled count once
            process.send_signal(signal.SIGINT)
            await asyncio.to_thread(os.sched_yield)
        assert (await ended(process)).code == 3
        status = json.loads((await crawl("status", "stuck.crawl", "--json")).out)
        assert (status["state"], status["urls"]["queued"]) == ("paused", 1), "the page is not lost"


async def test_a_thread_that_is_left_behind_does_not_outlast_a_signal(
    command: Command, crawl: Crawl, tmp_path: Path
) -> None:
    """The crawl has ended, and the loop waits for the thread: a signal finds nobody to tell, and ends the process."""
    leaving = """
        import asyncio
        import threading

        from crawler import Spider

        class Leaving(Spider):
            def parse(self, page):
                yield {"title": page.title}
                asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)

            async def closed(self):
                print("closed", flush=True)
    """
    (tmp_path / "leaving.py").write_text(dedent(leaving))
    async with serve({"/": page("Home")}) as site:
        process = command.start("run", "leaving.py", "-a", f"start_urls={site.url}/", "--no-robots", "-o", "o.jsonl")
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "closed\n"
        while (state := json.loads((await crawl("status", "leaving.crawl", "--json")).out)["state"]) == "running":
            assert process.poll() is None
        assert state == "finished"
        process.send_signal(signal.SIGTERM)
        assert (await ended(process)).code == 3
    assert [json.loads(line)["title"] for line in (tmp_path / "o.jsonl").read_text().splitlines()] == ["Home"]


async def test_a_crawl_is_seen_as_running_and_its_file_can_be_read_meanwhile(command: Command, crawl: Crawl) -> None:
    gate = Gate()
    async with serve(gate) as site:
        process = command.start("run", site.url, "--no-robots", "--state", "s.crawl", "-s", "commit_interval=0.01")
        await gate.is_asked.wait()
        status = json.loads((await crawl("status", "s.crawl", "--json")).out)
        assert status["state"] == "running"
        assert status["urls"]["done"] == 1
        exported = await crawl("export", "s.crawl", "links")
        assert len(exported.out.splitlines()) == 11
        second = await crawl("run", site.url, "--no-robots", "--state", "s.crawl")
        assert second.code == 2
        assert second.err.startswith("error: another process is crawling with s.crawl")
        third = await crawl("run", site.url, "--state", "s.crawl", "--fresh", "--yes")
        assert third.code == 2
        gate.may_answer.set()
        assert (await ended(process)).code == 0


async def test_a_reader_of_standard_output_that_goes_away_stops_the_crawl(command: Command, crawl: Crawl) -> None:
    gate = Gate()
    async with serve(gate) as site:
        arguments = ("run", site.url, "--no-robots", "--state", "s.crawl", "-o", "-")
        process = command.start(*arguments, "-s", "commit_interval=0.01")
        assert process.stdout is not None
        first = await asyncio.to_thread(process.stdout.readline)
        process.stdout.close()
        process.stdout = open(os.devnull)  # noqa: ASYNC230, PTH123, SIM115 - what is left for `communicate` to read
        with closing(process.stdout):
            gate.may_answer.set()
            stopped = await ended(process)
        assert stopped.code == 1, stopped.err
        assert "error: cannot write standard output: Broken pipe; its reader has gone" in stopped.err
        assert "Traceback" not in stopped.err
        assert "Exception ignored" not in stopped.err
        rest = await crawl(*arguments)
        assert rest.code == 0
        assert len({first.strip(), *rest.out.splitlines()}) == 11


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_that_comes_when_all_is_done_changes_nothing(
    command: Command, tmp_path: Path, number: signal.Signals
) -> None:
    """What modules hold is let go of when Python has put back the handlers of signals, and takes itself apart."""
    late = f"""
        import json
        import os

        from crawler import Spider

        class Late:
            def __del__(self, kill=os.kill, pid=os.getpid()):
                kill(pid, {int(number)})

        json.last = Late()

        class Title(Spider):
            def parse(self, page):
                yield {{"title": page.title}}
    """
    (tmp_path / "late.py").write_text(dedent(late))
    async with serve({"/": page("Home")}) as site:
        assert await ended(command.start("run", "late.py", "-a", f"start_urls={site.url}/", "--quiet")) == (0, "", "")
