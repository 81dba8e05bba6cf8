"""What `--processes` brings: crawls by one process, and by more beside the one that keeps the crawl, interleaved, for a spider that
looks for links and one that reads pages; and what separate crawls of half of the hosts each would bring. `make bench-processes`
runs this.

The server shares the cores with them.

Usage: python -m tests.benchmarks.processes [--rounds N] [--parts NAME,…] [--figures FILE [--resume]]
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.awake import awake
from tests.benchmarks.contenders import CONCURRENCY, CRAWL, NEPHILA, OUTPUT, PEERS, visited
from tests.benchmarks.ledger import Ledger, Run, ratios
from tests.benchmarks.measure import Failure, Spread, measure
from tests.benchmarks.options import common, names
from tests.benchmarks.sites import HOSTS, SITES
from tests.benchmarks.tables import cell, spread_of, table
from tests.benchmarks.versions import versions
from tests.servers import generated

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.sites import Served

ONE, TWO, THREE, HALVES = "1 process", "2 processes", "3 processes", "two crawls of half each"
_OPTIONS = ["--no-robots", "--concurrency", str(CONCURRENCY), "--per-host", str(CONCURRENCY), "--quiet"]

Command = list[str | Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A site, and ways to crawl it, the first of which the others are measured by."""

    name: str
    title: str
    site: str
    ways: dict[str, Callable[[Served], Command]]


def _crawl(target: str | Path, processes: int, seeds: list[str], output: str = OUTPUT) -> Command:
    options = ["--state", f"{output}.crawl", "-o", output, "--processes", str(processes)]
    return [CRAWL, "run", target, "-a", f"start_urls={','.join(seeds)}", *_OPTIONS, *options]


def _from_start(target: str | Path, processes: int) -> Callable[[Served], Command]:
    return lambda site: _crawl(target, processes, [site.start])


def _all_hosts(processes: int) -> Callable[[Served], Command]:
    return lambda site: _crawl("site", processes, _fronts(site))


def _in_halves(site: Served) -> Command:
    """What each writes is put together at the end."""
    fronts, parts = _fronts(site), ["even.jsonl", "odd.jsonl"]
    crawls = [shlex.join(map(str, _crawl("site", 1, fronts[half::2], part))) for half, part in enumerate(parts)]
    return ["sh", "-c", f"{' & '.join(crawls)} & wait; cat {' '.join(parts)} > {OUTPUT}"]


def _fronts(site: Served) -> list[str]:
    port = site.start.rpartition(":")[2]
    return [f"http://{host}:{port}" for host in generated.addresses(HOSTS)]


_NUMBERS = {ONE: 1, TWO: 2, THREE: 3}
_TREE = f"{PEERS / 'tree_spider.py'}:TreeSpider"
PARTS = (
    Part(
        name="links",
        title="links and titles, documentation",
        site="docs",
        ways={way: _from_start("site", number) for way, number in _NUMBERS.items()},
    ),
    Part(
        name="heavy",
        title="links and titles, heavier pages",
        site="heavy",
        ways={way: _from_start("site", number) for way, number in _NUMBERS.items()},
    ),
    Part(
        name="tree",
        title="selectors, documentation",
        site="docs",
        ways={way: _from_start(_TREE, number) for way, number in _NUMBERS.items()},
    ),
    Part(
        name="heavy-tree",
        title="selectors, heavier pages",
        site="heavy",
        ways={way: _from_start(_TREE, number) for way, number in _NUMBERS.items()},
    ),
    Part(
        name="hosts",
        title="links and titles, 50 hosts",
        site="hosts",
        ways={**{way: _all_hosts(number) for way, number in _NUMBERS.items()}, HALVES: _in_halves},
    ),
)


@awake()
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="tests.benchmarks.processes", description="Measure what more processes bring."
    )
    common(parser)
    parser.add_argument("--parts", type=names, default=[part.name for part in PARTS])
    options = parser.parse_args()
    parts = [part for part in PARTS if part.name in options.parts]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        ledger = Ledger.begin(options.figures or folder / "figures.json", resume=options.resume, versions=versions())
        for part in parts:
            _measure_part(part, options.rounds, ledger, folder / part.name)
    print(f"\n{processes_table(ledger)}")


def _measure_part(part: Part, rounds: int, ledger: Ledger, folder: Path) -> None:
    site = next(site for site in SITES if site.name == part.site)
    if lacking := site.lacking():
        raise SystemExit(f"Debian packages that are not installed: {', '.join(lacking)}")
    server = folder / "server"
    server.mkdir(parents=True)
    with site.served(server) as served:
        for number in range(rounds):
            first = number % len(part.ways)
            ways = list(part.ways)
            for way in ways[first:] + ways[:first]:
                if not ledger.has(part.name, way, number):
                    _measure(part, way, number, served, ledger, folder / "crawl")


def _measure(part: Part, way: str, number: int, served: Served, ledger: Ledger, place: Path) -> None:
    place.mkdir()
    usage = measure(part.ways[way](served), place)
    pages = visited(NEPHILA, place)
    shutil.rmtree(place)
    if other := {run.work for run in ledger.runs if run.subject == part.name} - {len(pages)}:
        raise Failure(f"{part.name}, {way}: {len(pages)} pages were visited, otherwise {other}")
    run = Run(
        subject=part.name,
        contender=way,
        round=number,
        work=len(pages),
        cpu=usage.cpu,
        wall=usage.wall,
        peak_bytes=usage.peak_bytes,
    )
    ledger.add(run)
    print(f"{part.name}, round {number + 1}: {way}: {usage.cpu:.2f} s CPU, {usage.wall:.2f} s", flush=True)


def processes_table(ledger: Ledger) -> str:
    """What each way took, and how much faster it was than one process."""
    rows = []
    for part in PARTS:
        found = ledger.of(part.name)
        for way, runs in found.items():
            faster = ratios(runs, found.get(ONE, []), lambda run: run.per_second)
            rows.append(
                [
                    f"{part.title}: {way}",
                    cell(spread_of(runs, lambda run: run.per_second), ",.0f"),
                    cell(Spread.of(faster), ".2f") if faster else "",
                    cell(spread_of(runs, lambda run: run.cpu / run.work * 1e6), ".0f"),
                    str(len(runs)),
                ]
            )
    return table(["crawl", "pages per second", "to 1 process", "CPU, µs a page", "rounds"], rows)


if __name__ == "__main__":
    main()
