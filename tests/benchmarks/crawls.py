"""Whole crawls of several sites by Nephila and its peers, interleaved. `make bench` runs this.

Usage: python -m tests.benchmarks.crawls [--rounds N] [--slow-rounds N] [--sites NAME,…] [--contenders NAME,…]
       [--figures FILE [--resume]]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.awake import awake
from tests.benchmarks.contenders import CONTENDERS, NEPHILA, visited
from tests.benchmarks.ledger import Ledger, Run
from tests.benchmarks.measure import Failure, measure
from tests.benchmarks.options import common, names
from tests.benchmarks.sites import SITES
from tests.benchmarks.tables import crawl_ratios, crawls_table
from tests.benchmarks.versions import versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.benchmarks.contenders import Contender
    from tests.benchmarks.sites import Served, Site


@awake()
def main() -> None:
    options = _options()
    sites = [site for site in SITES if site.name in options.sites]
    if lacking := [package for site in sites for package in site.lacking()]:
        raise SystemExit(f"Debian packages that are not installed: {', '.join(dict.fromkeys(lacking))}")
    contenders = list(_able([contender for contender in CONTENDERS if contender.name in options.contenders]))
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        ledger = Ledger.begin(options.figures or folder / "figures.json", resume=options.resume, versions=versions())
        for site in sites:
            comparison = Comparison(site, contenders, ledger, folder / site.name)
            comparison.run(rounds=options.rounds, slow_rounds=options.slow_rounds)
    for site in sites:
        found = ledger.of(site.name)
        print(f"\n{site.title}\n\n{crawls_table(found)}\n\n{crawl_ratios(found)}")


class Comparison:
    """The contest on one site. What the ledger holds already is not measured again."""

    def __init__(self, site: Site, contenders: Sequence[Contender], ledger: Ledger, folder: Path) -> None:
        self._site = site
        self._contenders = [contender for contender in contenders if site.name not in contender.passes_over]
        self._ledger = ledger
        self._folder = folder
        self._pages: set[str] = set()

    def run(self, *, rounds: int, slow_rounds: int) -> None:
        server = self._folder / "server"
        server.mkdir(parents=True)
        with self._site.served(server) as served:
            for number in range(rounds):
                for contender in self._order(number, is_slow_too=number < slow_rounds):
                    if not self._ledger.has(self._site.name, contender.name, number):
                        self._try(contender, number, served)

    def _order(self, number: int, *, is_slow_too: bool) -> list[Contender]:
        """Who runs in a round: each round begins with another."""
        able = [contender for contender in self._contenders if is_slow_too or not contender.slow]
        first = number % len(able)
        return able[first:] + able[:first]

    def _try(self, contender: Contender, number: int, served: Served) -> None:
        """Measure a contender; if a peer fails, leave it out from here on rather than end the contest."""
        try:
            self._measure(contender, number, served)
        except Failure as failure:
            if contender is NEPHILA:
                raise
            print(f"{self._site.name}, round {number + 1}: {contender.name} is left out from here on: {failure}")
            self._contenders.remove(contender)

    def _measure(self, contender: Contender, number: int, served: Served) -> None:
        place = self._folder / f"{number}-{contender.name}"
        place.mkdir()
        usage = measure(contender.command(served), place, allowed=contender.exit_codes)
        pages = visited(contender, place)
        self._check(contender, pages, served)
        shutil.rmtree(place)
        run = Run(
            subject=self._site.name,
            contender=contender.name,
            round=number,
            work=len(pages),
            cpu=usage.cpu,
            wall=usage.wall,
            peak_bytes=usage.peak_bytes,
        )
        self._ledger.add(run)
        print(
            f"{self._site.name}, round {number + 1}: {contender.name}: {usage.cpu:.2f} s CPU, {usage.wall:.2f} s",
            flush=True,
        )

    def _check(self, contender: Contender, pages: set[str], served: Served) -> None:
        """Failure when these pages are not those that Nephila has visited, once, before anything was measured."""
        if not self._pages:
            place = self._folder / "pages"
            place.mkdir()
            measure(NEPHILA.command(served), place)
            self._pages = visited(NEPHILA, place)
        if len(pages ^ self._pages) > contender.tolerance:
            raise Failure(f"other pages were visited: {sorted(pages ^ self._pages)[:20]}")


def _able(contenders: Sequence[Contender]) -> Iterator[Contender]:
    """Those that can take part; of each other it says why not."""
    for contender in contenders:
        if why := contender.lacking():
            print(f"{contender.name} is left out: {why}")
        else:
            yield contender


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.crawls", description="Measure whole crawls.")
    common(parser)
    parser.add_argument("--slow-rounds", type=int, default=1, help="in how many of them the slow ones take part")
    parser.add_argument("--sites", type=names, default=[site.name for site in SITES])
    parser.add_argument("--contenders", type=names, default=[contender.name for contender in CONTENDERS])
    return parser.parse_args()


if __name__ == "__main__":
    main()
