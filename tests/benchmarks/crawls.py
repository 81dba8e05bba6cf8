"""Whole crawls of one real site by Nephila and its peers, interleaved. `make bench` runs this.

Usage: python -m tests.benchmarks.crawls [--rounds N] [--sections NAME,…] [--report FILE]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.contenders import CONTENDERS, visited
from tests.benchmarks.measure import measure
from tests.benchmarks.report import render
from tests.servers import corpus
from tests.servers.nginx import Nginx, find_nginx

if TYPE_CHECKING:
    from tests.benchmarks.contenders import Contender
    from tests.benchmarks.measure import Usage


def main() -> None:
    options = _options()
    sections = [section for section in corpus.SECTIONS if section.name in options.sections.split(",")]
    lacking = corpus.missing(sections) + ([] if find_nginx() else ["nginx-light"])
    if lacking:
        raise SystemExit(f"Debian packages that are not installed: {', '.join(lacking)}")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        root = corpus.build(folder / "root", sections)
        with Nginx(root, folder, journal=False) as server:
            pages, usages = compare(server.url, folder, rounds=options.rounds)
    text = render(pages, sections, usages)
    if options.report:
        options.report.write_text(text, encoding="utf-8")
    print(text)


def compare(url: str, folder: Path, *, rounds: int) -> tuple[int, dict[str, list[Usage]]]:
    """Run every contender once a round; returns the number of pages and what each run took."""
    usages: dict[str, list[Usage]] = {contender.name: [] for contender in CONTENDERS}
    pages: set[str] = set()
    for number in range(rounds):
        for contender in _rotated(number):
            place = folder / f"{number}-{contender.name}"
            place.mkdir()
            usage = measure(contender.command(url), place)
            usages[contender.name].append(usage)
            found = visited(place)
            pages = pages or found
            if found != pages:
                raise SystemExit(f"{contender.name} visited other pages: {sorted(found ^ pages)[:20]}")
            print(f"round {number + 1}: {contender.name}: {usage.cpu:.2f} s CPU, {usage.wall:.2f} s", flush=True)
    return len(pages), usages


def _rotated(number: int) -> list[Contender]:
    first = number % len(CONTENDERS)
    return [*CONTENDERS[first:], *CONTENDERS[:first]]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.crawls", description="Measure whole crawls.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sections", default=",".join(section.name for section in corpus.SECTIONS))
    parser.add_argument("--report", type=Path, help="the file to write the report to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
