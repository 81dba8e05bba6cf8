"""A week in an hour: a crawl of a rough web (tests/servers/rough_web.py), watched for anything that grows.

Usage: python -m tests.benchmarks.soak [--minutes 60] [--hosts 300] [--report docs/soak.md]

Everything goes wrong all the time, as often in an hour as it would in a week of one site's crawl. Memory, open files and
tasks of the crawler are sampled meanwhile, and must not grow but for what each known URL is said to cost, and until the memories
that are bounded are full (SQLite's cache, the pages by which traps are told); and what comes of each URL is compared with
what has to.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import sqlite3
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, NamedTuple

import uvloop

from crawler import Page, Spider
from crawler.crawl import Crawl
from crawler.settings import Settings
from tests.proof.crawlfile import check_invariants
from tests.servers.rough_web import FATES, RoughWeb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_SAMPLES = 200
_LATEST_SECONDS = 600.0
"""A crawl that goes on so long after the web was closed never ends."""
BYTES_A_REQUEST = 256
"""What a request may cost in memory for good: its fingerprint, and the slack of an allocator."""
_NOISE_BYTES = 24 * 1024 * 1024
"""What it may go up and down by: bodies up to their bound, in 96 requests at once; and bounded memories, which fill slowly."""

_NOISE_OBJECTS = 10_000

_SETTINGS = Settings(
    concurrency=96,
    per_host=2,
    delay=0.05,
    max_delay=0.5,
    retry_wait=0.2,
    max_retry_wait=2.0,
    rest_wait=0.5,
    read_timeout=2.0,
    total_timeout=10.0,
    max_body_bytes=1024 * 1024,
    max_attempts=3,
    active_hosts=200,
)


class Sample(NamedTuple):
    """The crawler at one instant: seconds since it began, resident bytes, objects that the garbage collector minds, open
    files, tasks, requests known."""

    at: float
    memory: int
    objects: int
    files: int
    tasks: int
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What was seen, and what came of the URLs: how many of each kind and end."""

    samples: list[Sample]
    ends: Counter[tuple[str, str]]
    lacking: list[str]
    wrong: list[tuple[str, str]]
    aside: int
    trapped: int


class _Rough(Spider):
    name = "rough"

    async def parse(self, page: Page) -> Any:
        yield {"url": page.url}
        yield page.follow_all("a")


async def soak(folder: Path, *, seconds: float, hosts: int) -> Soaked:
    """Crawl a web that is open for so long, to its end."""
    state = folder / "rough.crawl"
    with RoughWeb(folder, hosts=hosts, open_seconds=seconds) as web:
        spider = _Rough()
        spider.start_urls = web.seeds()
        crawl = Crawl(spider, _SETTINGS, state=state)
        samples: list[Sample] = []
        async with asyncio.timeout(seconds + _LATEST_SECONDS), asyncio.TaskGroup() as group:
            watcher = group.create_task(_watch(crawl, samples, seconds / _SAMPLES))
            report = await crawl.run()
            watcher.cancel()
        assert report.finished, report
    check_invariants(state)
    return _compare(web, state, samples)


async def _watch(crawl: Crawl, samples: list[Sample], interval: float) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(interval)
        stats = crawl.stats()
        requests = stats.queued + stats.leased + stats.done + stats.failed + stats.skipped
        tasks = len(asyncio.all_tasks())
        at = time.monotonic() - began
        samples.append(Sample(at, _memory(), len(gc.get_objects()), _files(), tasks, requests))


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _compare(web: RoughWeb, state: Path, samples: list[Sample]) -> Soaked:
    """Each URL that a page led to must have come to its end, and to the right one; those in traps to an end, or aside."""
    ends = dict(_ends(state))
    dead = web.dead()
    expected = {url for url in web.links().union(web.seeds()) if _host(url) not in dead and _kind(url) != "trap"}
    wrong = [(url, ends[url]) for url in sorted(expected & ends.keys()) if not ends[url].startswith(FATES[_kind(url)])]
    with closing(sqlite3.connect(state)) as db:
        ((aside,),) = db.execute("SELECT count(*) FROM aside")
    return Soaked(
        samples=samples,
        ends=Counter((_kind(url), end.partition(":")[0]) for url, end in ends.items() if _host(url) not in dead),
        lacking=sorted(expected - ends.keys()),
        wrong=wrong,
        aside=aside,
        trapped=max(Counter(_host(url) for url in ends if _kind(url) == "trap").values(), default=0),
    )


def _ends(state: Path) -> Iterator[tuple[str, str]]:
    with closing(sqlite3.connect(state)) as db:
        for url, status, error in db.execute("SELECT url, status, error FROM pages WHERE skipped IS NULL"):
            yield url, error or str(status)


def _host(url: str) -> str:
    return url.split("/")[2]


def _kind(url: str) -> str:
    return url.split("/")[3]


def growth(samples: list[Sample], of: Callable[[Sample], int]) -> float:
    """What the last third has on average over the middle one."""
    third = len(samples) // 3
    return mean(map(of, samples[-third:])) - mean(map(of, samples[third : 2 * third]))


def faults(soaked: Soaked) -> list[str]:
    """All that is not as it has to be, in words."""
    samples = soaked.samples
    requests = growth(samples, lambda sample: sample.requests)
    may_grow = max(0.0, requests) * BYTES_A_REQUEST + _NOISE_BYTES
    checks = {
        f"memory grew by {growth(samples, _of_memory):.0f} bytes": growth(samples, _of_memory) <= may_grow,
        f"objects grew by {growth(samples, _of_objects):.0f}": growth(samples, _of_objects) <= _NOISE_OBJECTS,
        f"open files grew by {growth(samples, _of_files):.1f}": growth(samples, _of_files) <= _SETTINGS.concurrency / 8,
        f"tasks grew by {growth(samples, _of_tasks):.1f}": growth(samples, _of_tasks) <= _SETTINGS.concurrency / 8,
        f"never fetched: {soaked.lacking[:5]}": not soaked.lacking,
        f"came to a wrong end: {soaked.wrong[:5]}": not soaked.wrong,
        f"one host had {soaked.trapped} pages of its trap fetched": soaked.trapped < 100,
    }
    return [fault for fault, is_well in checks.items() if not is_well]


def _of_memory(sample: Sample) -> int:
    return sample.memory


def _of_objects(sample: Sample) -> int:
    return sample.objects


def _of_files(sample: Sample) -> int:
    return sample.files


def _of_tasks(sample: Sample) -> int:
    return sample.tasks


_REPORT = """\
# A week in an hour

The results of `make soak` on a machine with {cores} cores: a crawl of {hosts} hosts for {minutes:.0f} minutes, in which everything
goes wrong that goes wrong on the web. tests/benchmarks/soak.py writes this page, and fails if memory, open files or tasks grow,
or if a single URL does not end as it must. In a run of a few minutes, memory still grows, because bounded caches are
not full yet: SQLite's cache, and the pages by which traps are recognised.

| | |
|---|---|
{facts}

Over time:

| minutes | requests known | memory, MB | objects | open files | tasks |
|---|---|---|---|---|---|
{course}

How the URLs of live hosts ended, by kind (`tests/servers/rough_web.py` says what each kind does):

| kind | end | URLs |
|---|---|---|
{ends}
"""


def report(soaked: Soaked, hosts: int) -> str:
    """The figures, as Markdown."""
    samples = soaked.samples
    requests = growth(samples, lambda sample: sample.requests)
    facts = {
        "requests that ended": f"{sum(soaked.ends.values()):,}",
        "missing, or ended wrongly": f"{len(soaked.lacking) + len(soaked.wrong)}",
        "set aside, in traps and on dead hosts": f"{soaked.aside:,}",
        "most pages fetched from one trap": f"{soaked.trapped}",
        "memory, last third compared with the middle one": f"{growth(samples, _of_memory) / 1e6:+.1f} MB, at {requests:+,.0f} URLs",
        "Python objects, likewise": f"{growth(samples, _of_objects):+,.0f}",
        "open files, likewise": f"{growth(samples, _of_files):+.1f}",
        "tasks, likewise": f"{growth(samples, _of_tasks):+.1f}",
    }
    course = [samples[len(samples) * tenth // 10 - 1] for tenth in range(1, 11)]
    return _REPORT.format(
        cores=os.cpu_count(),
        hosts=hosts,
        minutes=samples[-1].at / 60,
        facts=_table(facts.items()),
        course=_table(
            (
                f"{one.at / 60:.1f}",
                f"{one.requests:,}",
                f"{one.memory / 1e6:.0f}",
                f"{one.objects:,}",
                one.files,
                one.tasks,
            )
            for one in course
        ),
        ends=_table((*end, f"{number:,}") for end, number in sorted(soaked.ends.items())),
    )


def _table(rows: Iterable[Iterable[object]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def main() -> None:
    """Soak, print what was seen, and fail if it is not as it has to be."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--hosts", type=int, default=300)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    loop = uvloop.new_event_loop  # as the command has it
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=loop) as runner:
        soaked = runner.run(soak(Path(folder), seconds=given.minutes * 60, hosts=given.hosts))
    text = report(soaked, given.hosts)
    print(text)
    if found := faults(soaked):
        raise SystemExit("\n".join(found))
    if given.report:
        given.report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
