"""Running one crawl for a user who watches: signals, progress, and how it ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from crawler.cli.console import FAILED, FINISHED, MISUSED, STOPPED, complain, say
from crawler.errors import CrawlError
from crawler.progress import follow, totals
from crawler.reports.wording import counted, duration, rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from crawler.crawl import Crawl
    from crawler.frontier.statefile import Status, Urls
    from crawler.report import Report
    from crawler.stats import Stats

_HOSTS_SHOWN = 5
_FAILURES_SHOWN = _SKIPS_SHOWN = 3

_MOST_COUNTED = 200_000
"""Up to so many results, it takes but a moment to count why pages were skipped: each result has to be read."""

_MANY_REDIRECTED = 10
"""Where a site sends those whose session has ended, it gathers requests that would otherwise seem to be other URLs of one page."""

_IN_WORDS = {"duplicate": " (other URLs of known pages)"}
"""Of reasons for which requests are skipped: nothing is missing because of these."""

_HEADLINES = {
    "finished": "finished",
    "interrupted": "stopped",
    "max_pages": "stopped at the page limit (--max-pages)",
    "max_time": "stopped at the time limit (--max-time)",
    "stopped": "stopped by the spider",
    "held": "only held requests are left",
}


async def attend(crawl: Crawl, signals: Signals, *, show: bool, live: bool) -> Report:
    """Run the crawl to its end, or until the user stops it. `show` its progress, as a `live` view or in lines.

    Raises what `Crawl.run` raises.
    """
    failure: CrawlError
    with signals.telling(crawl.stop):
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(follow(crawl.stats, sys.stderr, live=live)) if show else None
            try:
                return await crawl.run()
            except CrawlError as error:  # raised below, since the group would wrap it
                failure = error
            finally:
                if watcher:
                    watcher.cancel()
        raise failure


class Signals:
    """SIGINT and SIGTERM, in a `with` block around the event loop. Within `telling`, the first drains the crawl, and the second cuts
    that short. A third ends the process on the spot, and so does any signal outside `telling`: a thread that the spider has left
    behind may keep the loop from ending. The crawl file can take that.

    These are Python's own handlers, not the event loop's: they run even while a spider blocks the loop.
    """

    def __init__(self) -> None:
        self._received = 0
        self._tell: Callable[[int], object] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def telling(self, stop: Callable[[], None]) -> Iterator[None]:
        """Have the running loop call `stop` at the first signal and at the second."""
        loop = asyncio.get_running_loop()

        def stop_and_say(time: int) -> None:
            stop()  # before the message, which may fail
            drains = "pages under way are finished first; once more stops at once"
            say(f"stopping: {drains}" if time == 1 else "stopping at once")

        self._tell = lambda time: loop.call_soon_threadsafe(stop_and_say, time)
        try:
            yield
        finally:
            self._tell = None

    def _hear(self, _number: int, _frame: Any) -> None:
        self._received += 1
        if self._received > 2 or not self._tell:
            os._exit(STOPPED)
        self._tell(self._received)


def conclude(report: Report, state: Path, *, before: Status | None, quiet: bool) -> int:
    """Say how a crawl ended, as far as that is wanted or needed, and return the exit code. `before`: how it stood before this run."""
    stats = report.stats
    if not quiet:
        _report_result(report, state, before)
    if number := stats.errors.get("spider", 0):
        _report_spider_errors(state, number)
    if report.finished and stats.skipped and not (stats.done or stats.failed or stats.aside):
        _report_skips(state, stats.skipped)
    if not report.finished:
        if not quiet:
            way = "with a larger --max-pages, or none, the" if report.reason == "max_pages" else "the"
            say(f"the crawl is kept in {state}; {way} same command resumes it")
        return STOPPED
    if number:
        return MISUSED
    if (stats.failed or stats.aside) and not stats.done:
        _report_failures(state, stats)
        return FAILED
    return FINISHED


def _report_result(report: Report, state: Path, before: Status | None) -> None:
    """Say what the crawl has done, and how to look into it."""
    stats = report.stats
    was_over = before is not None and before.state == "finished" and _ended(before.urls) == _ended(stats)
    say(summary(report, "had finished already; nothing new" if was_over else None))
    if report.why:
        say(f"it said: {report.why}")
    _report_paces(report)
    if was_over:
        say("to crawl it again from the start, add --fresh --yes")
    if stats.errors:
        say(f"errors in this run, including temporary ones: {_kinds(stats)}")
    if stats.skipped and stats.done + stats.failed + stats.skipped <= _MOST_COUNTED:
        _report_skip_reasons(state)
    if stats.failed:
        say(f"to list the failures: crawl export {state} errors; to retry them: crawl retry {state}")
    if stats.aside:
        say(
            f"{counted(stats.aside, 'request')} set aside: crawl hosts {state}; to fetch them: crawl release {state} --aside any"
        )
    if report.reason == "held":
        say(f"to list the held hosts: crawl hosts {state}; to resume one: crawl release {state} HOST")


def _ended(counts: Urls | Stats) -> int:
    return counts.done + counts.failed


def summary(report: Report, headline: str | None = None) -> str:
    """How a crawl ended, in one line."""
    headline = headline or _HEADLINES.get(report.reason, report.reason)
    return f"{headline}: {', '.join(totals(report.stats))} in {duration(report.stats.elapsed)}"


def _report_paces(report: Report) -> None:
    if report.paces:
        from crawler.reports.pace_table import table_of_run

        say("the hosts with the most requests, and their pace:")
        for line in table_of_run(report.paces[:_HOSTS_SHOWN], most_delay=report.max_crawl_delay):
            say(f"  {line}")
        if (further := len(report.paces) - _HOSTS_SHOWN) > 0:
            say(f"  and {counted(further, 'more host')}, listed by --json")


def figures(report: Report, state: Path, code: int) -> bytes:
    """What `--json` prints: the same as `crawl status --json`, with the paces of this run, its `reason`, `why` if the spider ended it,
    and the `exit` code."""
    from crawler.frontier.statefile import StateFile  # most crawls need neither this, nor the lists below

    with StateFile(state) as file:
        unmodified = file.not_modified()
        known = {"not_modified": unmodified._asdict()} if unmodified else {}
        ending = {"reason": report.reason, "why": report.why, "exit": code, "paces": report.paces}
        return msgspec.json.encode(rounded(msgspec.structs.asdict(file.status()) | known | ending))


def _kinds(stats: Stats) -> str:
    return ", ".join(f"{kind} {number:,}" for kind, number in sorted(stats.errors.items(), key=lambda pair: -pair[1]))


def _report_spider_errors(state: Path, number: int) -> None:
    complain(f"the spider raised on {counted(number, 'page')}:")
    _list_failures(state, number, kind="spider")
    say(
        f"fix it, then: crawl retry {state} --kind spider; the same command retries those pages, and keeps everything else"
    )


def _report_failures(state: Path, stats: Stats) -> None:
    complain("no page could be fetched:")
    _list_failures(state, stats.failed)
    if stats.last_error and not stats.failed:  # all of it stands aside
        say(f"  {stats.last_error}")
    again = "retry {}" if stats.failed else "release {} --aside any"
    say(f"once that is fixed: crawl {again.format(state)}, then the same command")


def _report_skip_reasons(state: Path) -> None:
    from crawler.frontier.statefile import StateFile  # as above

    with StateFile(state) as file:
        reasons = ", ".join(
            f"{reason} {number:,}{_IN_WORDS.get(reason, '')}" for reason, number in file.skips().items()
        )
        gathered = file.most_redirected_to(_MANY_REDIRECTED)
    say(f"skipped: {reasons}; to see why: crawl why {state} URL")
    if gathered is not None:
        url, number = gathered
        from shlex import quote  # few crawls need it

        say(
            f"{counted(number, 'request')} of these led to {url}; if that is a login page, have the spider log in, then: "
            f"crawl retry {state} --redirected-to {quote(url)}"
        )


def _report_skips(state: Path, number: int) -> None:
    from crawler.frontier.statefile import StateFile  # as above

    with StateFile(state) as file:
        skips = list(
            file.query("SELECT url, skipped, detail FROM links WHERE skipped IS NOT NULL LIMIT ?", (_SKIPS_SHOWN,))
        )
    complain("nothing was fetched, because everything was skipped:")
    for url, reason, detail in skips:
        say(f"  {url}: {reason}{f': {detail}' if detail else ''}")
    if number > len(skips):
        say(f"  and {number - len(skips):,} more")


def _list_failures(state: Path, number: int, *, kind: str = "") -> None:
    from crawler.frontier.statefile import StateFile  # as above

    with StateFile(state) as file:
        failures = file.failures(_FAILURES_SHOWN, kind=kind)
    for url, error in failures:
        say(f"  {url}: {error.replace(f'{Path.cwd()}{os.sep}', '')}")
    if number > len(failures):
        say(f"  and {number - len(failures):,} more")
