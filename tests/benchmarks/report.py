"""The page that tells what was measured."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.contenders import CONCURRENCY, CONTENDERS, NEPHILA
from tests.benchmarks.measure import Spread
from tests.servers.nginx import find_nginx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.benchmarks.measure import Usage
    from tests.servers.corpus import Section

PACKAGES = ("nephila", "selectolax", "uvloop", "aiohttp", "Scrapy", "Twisted", "lxml")

_PAGE = """\
# Benchmarks

One site, crawled whole by each crawler in turn. This page is written by `make bench`; figures from other machines differ,
ratios hardly.

## The job

{pages:,} HTML pages, reached from one index page by same-host `<a href>` links: the documentation in Debian's packages
{packages},
served by nginx on loopback. Each crawler follows every such link once, and writes a line of JSON with the URL, the status
and the title of each page. robots.txt is left aside, no delay is kept, {concurrency} requests are under way at once.

{rounds} rounds; in each every crawler runs once, as a process of its own, each round starting with another. CPU time is user
and system time of the crawler's process, from its start to its end; the server's is not in it. All visited the same pages,
or there would be no figures.

## What came of it

Medians; in brackets the least and the greatest.

| crawler | pages per CPU-second | pages per second | CPU seconds | peak memory |
|---|---:|---:|---:|---:|
{rows}

{notes}

Pages per CPU-second, Nephila to each:

| to | ratio of medians | round by round |
|---|---:|---|
{ratios}

## Measured with

{versions}

## Again

```
make bench              # needs nginx-light, python3.11-doc, postgresql-doc-15 and libboost-doc from Debian
make bench ROUNDS=3
.venv/bin/python -m tests.benchmarks.crawls --rounds 3 --sections python    # a quick look; prints, writes nothing
```
"""


def render(pages: int, sections: Sequence[Section], usages: Mapping[str, Sequence[Usage]]) -> str:
    """The whole page, in Markdown. `usages` holds, for each contender, one a round."""
    ours = usages[NEPHILA.name]
    return _PAGE.format(
        pages=pages,
        packages=", ".join(f"`{section.package}`" for section in sections),
        concurrency=CONCURRENCY,
        rounds=len(ours),
        rows="\n".join(_row(name, pages, usage) for name, usage in usages.items()),
        notes="\n".join(f"- {contender.name}: {contender.note}." for contender in CONTENDERS),
        ratios="\n".join(_ratio(name, usage, ours) for name, usage in usages.items() if usage is not ours),
        versions="\n".join(f"- {line}" for line in _versions()),
    )


def _row(name: str, pages: int, usages: Sequence[Usage]) -> str:
    columns = [
        _cell(Spread.of([pages / usage.cpu for usage in usages]), ",.0f"),
        _cell(Spread.of([pages / usage.wall for usage in usages]), ",.0f"),
        _cell(Spread.of([usage.cpu for usage in usages]), ".2f"),
        _cell(Spread.of([usage.peak_bytes / 1e6 for usage in usages]), ".0f", " MB"),
    ]
    return f"| {' | '.join((name, *columns))} |"


def _cell(spread: Spread, form: str, unit: str = "") -> str:
    return f"{spread.median:{form}}{unit} ({spread.least:{form}}–{spread.greatest:{form}})"  # noqa: RUF001 - a range


def _ratio(name: str, theirs: Sequence[Usage], ours: Sequence[Usage]) -> str:
    each = ", ".join(f"{their.cpu / our.cpu:.1f}" for their, our in zip(theirs, ours, strict=True))
    whole = Spread.of([usage.cpu for usage in theirs]).median / Spread.of([usage.cpu for usage in ours]).median
    return f"| {name} | {whole:.1f} | {each} |"


def _versions() -> list[str]:
    binary = find_nginx()
    assert binary is not None
    nginx = subprocess.run([binary, "-v"], capture_output=True, text=True, check=True).stderr.strip().rpartition("/")[2]
    return [
        f"{os.cpu_count()} cores, {_processor()}, {platform.system()} {platform.release()}",
        f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}, nginx {nginx}",
        ", ".join(f"{package} {version(package)}" for package in PACKAGES),
    ]


def _processor() -> str:
    described = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return next(
        (line.partition(": ")[2] for line in described.splitlines() if line.startswith("model name")), "unknown"
    )
