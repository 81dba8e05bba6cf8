"""What a page costs in small crawls and in large ones, of a site that is made while it is crawled. `make bench-flat` runs this.

Usage: python -m tests.benchmarks.flat [--rounds N] [--pages N,…] [--figures FILE [--resume]]
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.awake import awake
from tests.benchmarks.contenders import NEPHILA, visited
from tests.benchmarks.ledger import Ledger, Run
from tests.benchmarks.measure import Failure, measure
from tests.benchmarks.options import common, numbers
from tests.benchmarks.sites import Served
from tests.benchmarks.tables import cell, spread_of, table
from tests.benchmarks.versions import versions

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
SUBJECT, WHOLE = "flat", "flat, from start to end"
PAGES = (5_000, 50_000, 500_000)
MANY = 100_000
"""Crawls of more pages than this run once, whatever the number of rounds: they take minutes."""

_TIMEOUT = 7200.0
_STOP_TIMEOUT = 10.0


@awake()
def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        ledger = Ledger.begin(options.figures or folder / "figures.json", resume=options.resume, versions=versions())
        for number in range(options.rounds):
            for pages in options.pages:
                if not ledger.has(SUBJECT, f"{pages:,}", number) and (pages <= MANY or number == 0):
                    _measure(pages, number, folder, ledger)
    print(f"\n{flat_table(ledger)}")


def _measure(pages: int, number: int, folder: Path, ledger: Ledger) -> None:
    """Crawl so many pages, and a tenth of them: what is left when that is subtracted, the last nine tenths took."""
    first = pages // 10
    first_cpu, first_wall, _ = _crawl(first, folder)
    cpu, wall, peak_bytes = _crawl(pages, folder)
    name = f"{pages:,}"
    whole = Run(subject=WHOLE, contender=name, round=number, work=pages, cpu=cpu, wall=wall, peak_bytes=peak_bytes)
    rest = replace(whole, subject=SUBJECT, work=pages - first, cpu=cpu - first_cpu, wall=wall - first_wall)
    ledger.add(whole)
    ledger.add(rest)
    print(f"round {number + 1}: {name} pages: {_cost(rest):,.0f} µs CPU a page, {wall:,.1f} s", flush=True)


def _crawl(pages: int, folder: Path) -> tuple[float, float, int]:
    place = folder / "crawl"
    place.mkdir()
    with _served(pages) as site:
        usage = measure(NEPHILA.command(site), place, timeout=_TIMEOUT)
    if (found := len(visited(NEPHILA, place))) != pages:
        raise Failure(f"{found:,} pages were visited, not {pages:,}")
    shutil.rmtree(place)
    return usage


@contextmanager
def _served(pages: int) -> Iterator[Served]:
    """A site of so many pages, served by a process of its own."""
    with socket.create_server(("127.0.0.1", 0), backlog=511) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        command = [sys.executable, "-m", "tests.servers.tree", str(pages), str(listener.fileno())]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        process = subprocess.Popen(command, env=environment, pass_fds=[listener.fileno()])
    try:
        yield Served(url, url)
    finally:
        process.terminate()
        process.wait(_STOP_TIMEOUT)


def flat_table(ledger: Ledger) -> str:
    """What a page took in crawls of each size, start and end included and without them, as a table; and how that compares to
    the smallest."""
    found, wholes = ledger.of(SUBJECT), ledger.of(WHOLE)
    smallest = next(iter(found), "")
    rows = []
    for pages, runs in found.items():
        row = [pages]
        for some, least in ((wholes[pages], wholes[smallest]), (runs, found[smallest])):
            cost = spread_of(some, _cost)
            row += [cell(cost, ",.0f", " µs"), f"{cost.median / spread_of(least, _cost).median - 1:+.0%}"]
        row += [
            cell(spread_of(runs, lambda run: run.per_second), ",.0f"),
            cell(spread_of(runs, lambda run: run.peak_bytes / 1e6), ",.0f", " MB"),
            str(len(runs)),
        ]
        rows.append(row)
    beside = f"beside {smallest}"
    head = [
        "pages",
        "CPU time a page",
        beside,
        "of the last nine tenths",
        beside,
        "pages per second",
        "peak memory",
        "rounds",
    ]
    return table(head, rows)


def _cost(run: Run) -> float:
    """Microseconds of CPU time a page."""
    return run.cpu / run.work * 1e6


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.flat", description="Measure crawls of many sizes.")
    common(parser, rounds=3)
    parser.add_argument("--pages", type=numbers, default=PAGES, help="the sizes of the crawls")
    return parser.parse_args()


if __name__ == "__main__":
    main()
