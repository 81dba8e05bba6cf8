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

How fast Nephila crawls, next to other crawlers and HTTP clients. The make targets named at the end write this page from the
figures they leave in `docs/benchmarks/`. Absolute figures differ from machine to machine; ratios hardly do.

- Figures are medians over the rounds, with the lowest and the highest in brackets.
- CPU time is the user and system time of the crawler's process from start to exit, without the server's. Modules are
  compiled beforehand, as in an installed package.
- In each round every contender runs once, in a process of its own, and each round starts with a different one. Ratios are
  formed within a round; the median of these is shown.
- Idle processors are kept from sleeping where the kernel allows it (`tests/benchmarks/awake.py`). Otherwise the time they
  take to wake up would be measured, too.

{sections}
## Measured with

{versions}

## Run them yourself

```
make bench             # whole crawls: 70 minutes, or 20 with SLOW_ROUNDS=1 (one round of the slow crawlers)
make bench-costs       # what parts of it cost, and the time to the first request: 5 minutes
make bench-flat        # crawls of 5,000 to 500,000 pages: 5 minutes
make bench-client      # single requests: 8 minutes
make bench-processes   # one process and several: 5 minutes; printed, not added to this page
make bench-profile     # a flame graph of a crawl, in build/profile.svg
.venv/bin/python -m tests.benchmarks.report     # this page, from existing figures
```

The Debian packages nginx-light, python3.11-doc, postgresql-doc-15, libboost-doc, libstdc++-12-doc and wget2 are needed. For a
quick look that leaves this page alone, run parts of a benchmark:

```
.venv/bin/python -m tests.benchmarks.crawls --rounds 1 --sites docs,hosts --contenders "Nephila,aiohttp + selectolax,wget2"
.venv/bin/python -m tests.benchmarks.gets --rounds 1 --sizes 1000 --concurrency 64 --peers Nephila,aiohttp
```

To go on with a benchmark that was interrupted: `make bench RESUME=--resume`.
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
