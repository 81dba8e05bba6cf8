"""docs/benchmarks.md and its plots, from the figures that the benchmarks have left beside it. Measures nothing.

Usage: python -m tests.benchmarks.report
"""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks import sections
from tests.benchmarks.ledger import Ledger

DOCS = Path(__file__).parents[2] / "docs"

SECTIONS = {
    "crawls": sections.crawls,
    "costs": sections.costs,
    "flat": sections.flat,
    "client": sections.client,
}
"""What makes a section of which file of figures, in the order of the page."""

_PAGE = """\
# Benchmarks

How fast Nephila crawls, and beside whom. This page is written by the make targets named at its end, from the figures that
they leave in `docs/benchmarks/`. Those of another machine differ; ratios hardly do.

Figures are medians over the rounds; in brackets the least and the greatest. CPU time is user and system time of the
crawler's process from its start to its end; the server's is not in it. Python finds its modules compiled, as installed ones
are. In a round everybody runs once, as a process of their own, and each round begins with another. Ratios are formed within
a round, and their median is taken. Processors that have nothing to do are kept from sleeping where the kernel lets us
(`tests/benchmarks/awake.py`): else it would also be measured how they wake up.

{sections}
## Measured with

{versions}

## Again

```
make bench             # whole crawls: 70 minutes; with SLOW_ROUNDS=1, one round of the slow crawlers, 20 minutes
make bench-costs       # with and without some parts, and the time to the first request: 5 minutes
make bench-flat        # crawls of 5,000 to 500,000 pages: 5 minutes
make bench-client      # single requests: 8 minutes
make bench-processes   # one process beside several: 5 minutes; shown, not written here
make bench-profile     # a flame graph of a crawl, in build/profile.svg
.venv/bin/python -m tests.benchmarks.report     # this page, from the figures that are there
```

These need nginx-light, python3.11-doc, postgresql-doc-15, libboost-doc, libstdc++-12-doc and wget2 from Debian. Parts, for a
quick look that leaves this page alone:

```
.venv/bin/python -m tests.benchmarks.crawls --rounds 1 --sites docs,hosts --contenders "Nephila,aiohttp + selectolax,wget2"
.venv/bin/python -m tests.benchmarks.gets --rounds 1 --sizes 1000 --concurrency 64 --peers Nephila,aiohttp
```

A benchmark that was interrupted goes on where it stopped: `make bench RESUME=--resume`.
"""


def main() -> None:
    write(DOCS)
    print(f"{DOCS / 'benchmarks.md'} is written")


def write(docs: Path) -> None:
    """Write the page and its drawings from the figures in `docs/benchmarks/`."""
    texts, circumstances = [], set()
    for name, make in SECTIONS.items():
        ledger = Ledger.read(docs / "benchmarks" / f"{name}.json")
        if not ledger.runs:
            continue
        section = make(ledger)
        texts.append(section.text)
        circumstances.add("\n".join(f"- {line}" for line in ledger.versions))
        for file, drawing in section.drawings.items():
            (docs / "benchmarks" / file).write_text(drawing, encoding="utf-8")
    page = _PAGE.format(sections="\n".join(texts), versions="\n\nand\n\n".join(sorted(circumstances)))
    (docs / "benchmarks.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
