"""Crawls of very many hosts, each with a delay of its own: are they polite, and what does it cost?

Usage: python -m tests.benchmarks.hosts [--hosts 100000] [--pages 20] [--delay 1] [--parts scheduler,crawl,stalled]

* `scheduler`: CPU time a request from 100 to `hosts` hosts, in turns. The requests are as many for each size, and so are those of
  a host: what a host costs once, and a larger crawl file, is no part of the difference;
* `crawl`: everything on all hosts, through `crawl run`, against a server on loopback whose journal is then held to the
  promise: each page once, one connection a host, and never sooner than `delay` after the one before;
* `stalled`: a twentieth of the hosts, of half as many pages, which take a fifth of a second to answer, with and without one in a
  hundred that never does, in turns; but for `delay`, the settings are the default ones. It is the workers that bound the rate; a
  crawl ends when the hosts that answer have been served, some three minutes each.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
import tempfile
import time
from array import array
from collections import Counter
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.benchmarks.measure import Usage, measure
from tests.benchmarks.scheduling import PAGES
from tests.servers.swarm import Asked, Swarm

_COMMAND = Path(sysconfig.get_path("scripts")) / "crawl"
_LEAST_REQUESTS = 200_000
_ROUNDS = 3
_LATENCY = 0.2
_SLACK = 0.005
"""Seconds from the instant that the crawler counts from to the one at which the kernel has the request."""

_SPIDER = """\
from pathlib import Path

from crawler import Links, Page, Spider


class Swarm(Spider):
    def start(self):
        yield Links(Path("urls").read_text().split())

    async def parse(self, page: Page):
        yield page.follow_all("a")
"""


class Verdict(NamedTuple):
    """What a journal says."""

    requests: int
    twice: int
    least_gap: float
    too_soon: int
    most_open: int
    seconds: float


def judge(journal: list[Asked], hosts: int, delay: float) -> Verdict:
    """Hold a journal to what was promised."""
    journal.sort()
    last = array("d", [0.0]) * hosts
    least, too_soon, most_open = float("inf"), 0, 0
    for one in journal:
        gap = one.at - last[one.host]
        last[one.host] = one.at
        least = min(least, gap)
        too_soon += gap < delay - _SLACK
        most_open = max(most_open, one.open)
    twice = sum(times > 1 for times in Counter((one.host, one.page) for one in journal).values())
    return Verdict(len(journal), twice, least, too_soon, most_open, journal[-1].at - journal[0].at)


def _arguments(folder: Path, swarm: Swarm, delay: float, *options: str) -> list[str | Path]:
    """A crawl of all of them."""
    (folder / "swarm.py").write_text(_SPIDER, encoding="utf-8")
    (folder / "urls").write_text("\n".join(swarm.urls()), encoding="utf-8")
    return [_COMMAND, "run", "swarm.py", "--delay", str(delay), "--no-robots", "--quiet", *options]


def scheduler_part(most_hosts: int) -> None:
    print(
        "\n| hosts | scheduler alone, µs a request | with the crawl file | times the first line, alone | with the file | memory, MB |"
        "\n|---|---|---|---|---|---|"
    )
    sizes = [size for size in (100, 1000, 10_000, 100_000, 1_000_000) if size <= most_hosts]
    figures: dict[tuple[int, str], list[tuple[float, int]]] = {}
    requests = max(_LEAST_REQUESTS, PAGES * sizes[-1])
    for _ in range(_ROUNDS):
        for size in sizes:
            for kind in ("memory", "file"):
                command = [sys.executable, "-m", "tests.benchmarks.scheduling", str(size), str(requests)]
                out = subprocess.run([*command, kind], check=True, capture_output=True, text=True).stdout.split()
                figures.setdefault((size, kind), []).append((float(out[0]), int(out[1])))
    for size in sizes:
        alone, filed = figures[size, "memory"], figures[size, "file"]
        peak = max(peak for _, peak in filed) / 1e6
        spent = f"{median(us for us, _ in alone):.1f} | {median(us for us, _ in filed):.1f}"
        times = [_times(figures[size, kind], figures[sizes[0], kind]) for kind in ("memory", "file")]
        print(f"| {size:,} | {spent} | {times[0]:.2f} | {times[1]:.2f} | {peak:.0f} |")


def _times(figures: list[tuple[float, int]], others: list[tuple[float, int]]) -> float:
    """How many times as much the ones are as the others of the same rounds."""
    return median(one / other for (one, _), (other, _) in zip(figures, others, strict=True))


def crawl_part(hosts: int, pages: int, delay: float) -> None:
    with tempfile.TemporaryDirectory() as name, Swarm(Path(name), hosts=hosts, pages=pages) as swarm:
        usage = measure(
            _arguments(Path(name), swarm, delay, "--per-host", "1", "--concurrency", "128"), Path(name), timeout=7200
        )
        swarm.stop()
        verdict = judge(swarm.journal(), hosts, delay)
    _tell(verdict, usage)
    if verdict.requests != hosts * pages or verdict.twice or verdict.too_soon or verdict.most_open > 1:
        raise SystemExit(f"not as promised: {verdict}")


def _tell(verdict: Verdict, usage: Usage) -> None:
    print(
        f"\n{verdict.requests:,} requests in {verdict.seconds:.0f} s, {verdict.requests / verdict.seconds:.0f} a second"
    )
    print(f"asked twice: {verdict.twice}; connections of a host at once: {verdict.most_open}")
    print(f"least from one request to the next: {verdict.least_gap:.4f} s; sooner than promised: {verdict.too_soon}")
    print(f"CPU {usage.cpu / verdict.requests * 1e6:.0f} µs a request; memory {usage.peak_bytes / 1e6:.0f} MB at most")


def stalled_part(hosts: int, pages: int, delay: float) -> None:
    rates: dict[int, list[float]] = {0: [], hosts // 100: []}
    for turn in range(_ROUNDS):
        for dumb in sorted(rates, reverse=bool(turn % 2)):
            rates[dumb].append(_rate(hosts, pages, delay, dumb))
            print(f"round {turn + 1}, {dumb} stalled: {rates[dumb][-1]:.0f} pages a second", flush=True)
    (none, without), (some, with_some) = rates.items()
    print(f"\n{hosts:,} hosts, {none} stalled: {median(without):.0f} pages a second {_spread(without)}")
    print(f"{hosts:,} hosts, {some} stalled: {median(with_some):.0f} pages a second {_spread(with_some)}")
    lost = median(1 - slow / fast for fast, slow in zip(without, with_some, strict=True))
    print(f"lost: {lost:.1%}")


def _spread(figures: list[float]) -> str:
    return f"[{min(figures):.0f}-{max(figures):.0f}]"


def _rate(hosts: int, pages: int, delay: float, dumb: int) -> float:
    """Pages a second of hosts that answer, until the last of these is served."""
    with (
        tempfile.TemporaryDirectory() as name,
        Swarm(Path(name), hosts=hosts, pages=pages, dumb=dumb, latency=_LATENCY) as swarm,
    ):
        wanted = (hosts - dumb) * pages
        arguments = _arguments(Path(name), swarm, delay)
        with subprocess.Popen(arguments, cwd=name, stderr=subprocess.DEVNULL) as crawl:
            while crawl.poll() is None and not (swarm.answered() >= wanted and len(_served(swarm)) >= wanted):
                time.sleep(1.0)
            crawl.terminate()  # what is left are hosts that will never answer
        swarm.stop()
        served = _served(swarm)
        if len(served) != wanted:
            raise SystemExit(f"{len(served)} of {wanted} requests came")
        return len(served) / (served[-1] - served[0])


def _served(swarm: Swarm) -> list[float]:
    """When the requests came that were answered, in order."""
    return sorted(one.at for one in swarm.journal() if not swarm.is_dumb(one.host))


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=int, default=100_000)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--delay", type=float, default=1.0)
    parser.add_argument("--parts", default="scheduler,crawl,stalled")
    given = parser.parse_args()
    for part in given.parts.split(","):
        match part:
            case "scheduler":
                scheduler_part(given.hosts)
            case "crawl":
                crawl_part(given.hosts, given.pages, given.delay)
            case "stalled":
                stalled_part(max(100, given.hosts // 20), max(1, given.pages // 2), given.delay)
            case _:
                raise SystemExit(f"there is no part {part!r}")


if __name__ == "__main__":
    main()
