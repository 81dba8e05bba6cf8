"""What parts of Nephila cost: crawls of one site with and without each, interleaved; how soon the first request goes out; and what
the display of progress takes by itself, which is too little for crawls to tell. `make bench-costs` runs this.

Usage: python -m tests.benchmarks.costs [--rounds N] [--costs NAME,…] [--site NAME] [--figures FILE [--resume]]
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.progress import LIVE_SECONDS
from tests.benchmarks.awake import awake
from tests.benchmarks.contenders import NEPHILA, crawl, visited
from tests.benchmarks.ledger import Ledger, Run, ratios
from tests.benchmarks.measure import Failure, Spread, environment, measure
from tests.benchmarks.options import common, names
from tests.benchmarks.sites import SITES, Served
from tests.benchmarks.tables import cell, spread_of, table
from tests.benchmarks.versions import versions

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parents[2]
START = "start"
FIRST_REQUEST = "first request"
STARTS = 10
DISPLAY = "display"
BEGIN, DRAWING = "to begin", "a drawing"
DISPLAYS, DRAWINGS = 5, 5000
_START_TIMEOUT = 30.0

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A way to crawl the site."""

    name: str
    command: Callable[[Served], list[str | Path]]
    on_terminal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A part, and how to crawl without it and with it. It may cost `bound` of the CPU time without."""

    name: str
    title: str
    bound: float
    without: Variant
    having: Variant


def _quiet(*options: str) -> Callable[[Served], list[str | Path]]:
    return lambda site: crawl(site, "--quiet", *options)


def _in_memory(site: Served) -> list[str | Path]:
    _, *arguments = crawl(site, "--quiet")
    return [sys.executable, "-m", "tests.benchmarks.peers.nephila_in_memory", *arguments]


COSTS = (
    Cost(
        name="frontier",
        title="a durable frontier, beside one in memory",
        bound=0.10,
        without=Variant(name="in memory", command=_in_memory),
        having=Variant(name="durable", command=_quiet()),
    ),
    Cost(
        name="progress",
        title="the display of progress, on a terminal",
        bound=0.01,
        without=Variant(name="--quiet", command=_quiet(), on_terminal=True),
        having=Variant(name="shown", command=crawl, on_terminal=True),
    ),
    Cost(
        name="bodies",
        title="`--keep-bodies`",
        bound=0.15,
        without=Variant(name="not kept", command=_quiet()),
        having=Variant(name="kept", command=_quiet("--keep-bodies")),
    ),
)


@awake()
def main() -> None:
    options = _options()
    os.environ.setdefault("PYTHONPATH", str(REPOSITORY))
    site = next(site for site in SITES if site.name == options.site)
    if lacking := site.lacking():
        raise SystemExit(f"Debian packages that are not installed: {', '.join(lacking)}")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        ledger = Ledger.begin(options.figures or folder / "figures.json", resume=options.resume, versions=versions())
        if START in options.costs:
            _measure_starts(folder, ledger)
        if DISPLAY in options.costs:
            _measure_display(folder, ledger)
        with site.served(folder) as served:
            for number in range(options.rounds):
                for cost in COSTS:
                    if cost.name in options.costs:
                        _measure(cost, number, served, folder, ledger)
    print(f"\n{cost_table(ledger)}\n\n{display_line(ledger)}\n\n{start_line(ledger)}")


def _measure(cost: Cost, number: int, served: Served, folder: Path, ledger: Ledger) -> None:
    """Crawl without and with it; which of them is first changes from round to round."""
    variants = [cost.without, cost.having]
    for variant in reversed(variants) if number % 2 else variants:
        if ledger.has(cost.name, variant.name, number):
            continue
        place = folder / "crawl"
        place.mkdir()
        usage = measure(variant.command(served), place, on_terminal=variant.on_terminal)
        pages = visited(NEPHILA, place)
        shutil.rmtree(place)
        if other := {run.work for run in ledger.runs if run.subject not in {START, DISPLAY}} - {len(pages)}:
            raise Failure(f"{cost.name}, {variant.name}: {len(pages)} pages were visited, elsewhere {other}")
        run = Run(
            subject=cost.name,
            contender=variant.name,
            round=number,
            work=len(pages),
            cpu=usage.cpu,
            wall=usage.wall,
            peak_bytes=usage.peak_bytes,
        )
        ledger.add(run)
        print(f"round {number + 1}: {cost.name}: {variant.name}: {usage.cpu:.2f} s CPU, {usage.wall:.2f} s", flush=True)


def _measure_starts(folder: Path, ledger: Ledger) -> None:
    for number in range(-1, STARTS):  # the first, which may have to compile, does not count
        place = folder / "start"
        place.mkdir()
        seconds = seconds_to_first_request(place)
        shutil.rmtree(place)
        if number >= 0:
            ledger.add(Run(subject=START, contender=FIRST_REQUEST, round=number, work=1, cpu=seconds, wall=seconds))


def _measure_display(folder: Path, ledger: Ledger) -> None:
    for number in range(DISPLAYS):
        place = folder / "display"
        place.mkdir()
        report = place / "report"
        measure([sys.executable, "-m", "tests.benchmarks.display", report, str(DRAWINGS)], place, on_terminal=True)
        for name, seconds in zip((BEGIN, DRAWING), map(float, report.read_text().split()), strict=True):
            ledger.add(Run(subject=DISPLAY, contender=name, round=number, work=1, cpu=seconds, wall=seconds))
        shutil.rmtree(place)


def seconds_to_first_request(folder: Path) -> float:
    """From the start of the process until its first request has come to the server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_START_TIMEOUT)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        begin = time.monotonic()
        with subprocess.Popen(crawl(Served(url, url), "--quiet"), cwd=folder, env=environment()) as process:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(_START_TIMEOUT)
                connection.recv(65536)
                seconds = time.monotonic() - begin
                connection.sendall(_ANSWER)
        if process.returncode:
            raise Failure(f"the crawl of one page failed: exit code {process.returncode}")
        return seconds


def cost_table(ledger: Ledger) -> str:
    """The costs, as a table: what they are of the CPU and wall time without, by the median of the rounds."""
    rows = []
    for cost in COSTS:
        found = ledger.of(cost.name)
        without, having = found.get(cost.without.name, []), found.get(cost.having.name, [])
        if not (by_cpu := ratios(having, without, lambda run: run.cpu)):
            continue
        by_wall = ratios(having, without, lambda run: run.wall)
        rows.append(
            [
                cost.title,
                cell(spread_of(without, lambda run: run.cpu), ".2f"),
                cell(spread_of(having, lambda run: run.cpu), ".2f"),
                *(cell(Spread.of([ratio - 1 for ratio in each]), "+.1%") for each in (by_cpu, by_wall)),
                f"{cost.bound:.0%}",
                str(len(by_cpu)),
            ]
        )
    head = ["cost of", "CPU seconds without", "with", "CPU time", "wall time", "to be at most", "rounds"]
    return table(head, rows)


def display_line(ledger: Ledger) -> str:
    """What the display takes by itself, as a sentence; empty if that was not measured."""
    found = ledger.of(DISPLAY)
    if not found:
        return ""
    begin = spread_of(found[BEGIN], lambda run: run.cpu * 1000)
    drawing = spread_of(found[DRAWING], lambda run: run.cpu * 1_000_000)
    share = drawing.median / 1_000_000 / LIVE_SECONDS
    return (
        f"On its own, the display of progress takes {cell(begin, '.1f')} ms of CPU time to start, imports included, and "
        f"{cell(drawing, '.0f')} µs for each update, every {LIVE_SECONDS} seconds: {share:.2%} of a processor "
        f"({len(found[DRAWING])} runs)."
    )


def start_line(ledger: Ledger) -> str:
    """How soon the first request comes, as a sentence; empty if that was not measured."""
    if not (runs := ledger.of(START).get(FIRST_REQUEST)):
        return ""
    spread = spread_of(runs, lambda run: run.wall * 1000)
    return f"From the start of `crawl run` to its first request at the server: {cell(spread, '.0f')} ms ({len(runs)} runs)."


def _options() -> argparse.Namespace:
    known = [START, DISPLAY, *(cost.name for cost in COSTS)]
    parser = argparse.ArgumentParser(prog="tests.benchmarks.costs", description="Measure what parts of Nephila cost.")
    common(parser, rounds=15)
    parser.add_argument("--costs", type=names, default=known, help=f"of {', '.join(known)}")
    parser.add_argument("--site", choices=[site.name for site in SITES], default="docs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
