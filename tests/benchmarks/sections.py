"""The sections of the report: what was measured in each benchmark, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.benchmarks.contenders import CONCURRENCY, CONTENDERS
from tests.benchmarks.costs import cost_table, display_line, start_line
from tests.benchmarks.flat import flat_table
from tests.benchmarks.plots import Panel, drawing
from tests.benchmarks.sites import SITES
from tests.benchmarks.tables import OURS, client_table, crawl_ratios, crawls_table, spread_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.benchmarks.ledger import Ledger, Run
    from tests.benchmarks.measure import Spread

_CRAWLS = """\
## Whole crawls

Each crawler follows every `<a href>` within the site once, and writes one line of JSON with URL, status and title for each HTML
page. nginx serves the sites on loopback. robots.txt is ignored, there is no delay, and {concurrency} requests are in flight at a
time. A round counts only if all crawlers visited the same pages. The slow ones run fewer rounds.

{notes}
"""

_CLIENT = """\
## Single requests

GET requests for one small file, repeated over a given number of connections. The cost of a run with a single request is
subtracted, so start-up and imports are not counted. httpx makes fewer requests, because each takes it time in proportion to the
size of its pool. The bare loop is an asyncio protocol and httptools: no pool, no timeouts, no limits, no error handling. All run on
asyncio's own event loop, the default of every program, and then on uvloop, which `crawl` uses. One connection is
measured once more *from sleep*: idle processors may sleep until the answer comes, which on a virtual machine adds a constant
to every request, whoever makes it.
"""

_COSTS = """\
## What parts of it cost

Crawls of one site by Nephila with and without a part, in turns. The in-memory frontier is a set and one queue per host, and keeps
nothing. The terminal is a pseudo-terminal with a reader. The display takes less than the difference between two identical
crawls, so it is also measured on its own.
"""

_FLAT = """\
## From thousands of pages to half a million

Crawls of a site that is generated as it is crawled: pages of 12 KB with 22 links, each page linked from another. The last nine
tenths are the cost of a crawl minus that of a crawl a tenth as large, which leaves out start-up and imports.
"""


@dataclass(slots=True)
class Section:
    """Markdown, and the drawings that it shows, by file name."""

    text: str
    drawings: dict[str, str] = field(default_factory=dict)

    def write(self, *parts: str) -> None:
        """Add paragraphs."""
        self.text += "".join(f"\n{part}\n" for part in parts if part)

    def draw(self, name: str, label: str, panels: Sequence[Panel]) -> None:
        """Add a drawing with a bar for each crawler or client."""
        self.drawings[f"{name}.svg"] = drawing(label, panels, ours=OURS)
        self.write(f"![{label}](benchmarks/{name}.svg)")


def crawls(ledger: Ledger) -> Section:
    """Nephila beside its peers, site by site."""
    subjects = ledger.subjects()
    taking_part = {name for subject in subjects for name in ledger.of(subject)}
    notes = "\n".join(f"- {peer.name}: {peer.note}." for peer in CONTENDERS if peer.name in taking_part)
    section = Section(_CRAWLS.format(concurrency=CONCURRENCY, notes=notes))
    for site in SITES:
        if not (runs := ledger.of(site.name)):
            continue
        found = {peer.name: runs[peer.name] for peer in CONTENDERS if peer.name in runs}
        pages = next(iter(found.values()))[0].work
        section.write(f"### {site.title}", f"{pages:,} pages: {site.description}.")
        panels = [
            Panel(title="pages per CPU-second", bars=_by_name(found, lambda run: run.per_cpu_second)),
            Panel(title="pages per second", bars=_by_name(found, lambda run: run.per_second)),
            Panel(title="peak memory, MB", bars=_by_name(found, lambda run: run.peak_bytes / 1e6)),
        ]
        section.draw(f"crawls-{site.name}", site.title, panels)
        section.write(crawls_table(found), crawl_ratios(found))
    return section


def costs(ledger: Ledger) -> Section:
    """Nephila with and without some of its parts."""
    section = Section(_COSTS)
    section.write(cost_table(ledger), display_line(ledger), start_line(ledger))
    return section


def flat(ledger: Ledger) -> Section:
    """Crawls of all sizes."""
    section = Section(_FLAT)
    section.write(flat_table(ledger))
    return section


def client(ledger: Ledger) -> Section:
    """The client alone, request by request."""
    section = Section(_CLIENT)
    sizes: dict[str, list[Panel]] = {}
    for subject in ledger.subjects():
        size, _, at_once = subject.rpartition(", ")
        bars = _by_name(ledger.of(subject), lambda run: run.per_cpu_second)
        sizes.setdefault(size, []).append(Panel(title=at_once, bars=bars))
    for size, panels in sizes.items():
        section.draw(f"client-{size.split()[0].replace(',', '')}", f"Requests per CPU-second, {size}", panels)
    section.write(client_table({subject: ledger.of(subject) for subject in ledger.subjects()}))
    return section


def _by_name(found: Mapping[str, Sequence[Run]], figure: Callable[[Run], float]) -> dict[str, Spread]:
    return {name: spread_of(runs, figure) for name, runs in found.items()}
