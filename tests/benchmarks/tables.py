"""Figures as Markdown tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.ledger import ratios
from tests.benchmarks.measure import Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tests.benchmarks.ledger import Run

    Runs = Mapping[str, Sequence[Run]]

OURS = "Nephila"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, its first column to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def spread_of(runs: Sequence[Run], figure: Callable[[Run], float]) -> Spread:
    return Spread.of([figure(run) for run in runs])


def cell(spread: Spread, form: str, unit: str = "") -> str:
    """The median; in brackets the least and the greatest, if they differ from it."""
    if spread.least == spread.greatest:
        return f"{spread.median:{form}}{unit}"
    return f"{spread.median:{form}}{unit} ({spread.least:{form}}–{spread.greatest:{form}})"  # noqa: RUF001 - a range


def crawls_table(found: Runs) -> str:
    """What each crawler took on one site."""
    rows = []
    for name, runs in found.items():
        rows.append(
            [
                name,
                cell(spread_of(runs, lambda run: run.per_cpu_second), ",.0f"),
                cell(spread_of(runs, lambda run: run.per_second), ",.0f"),
                cell(spread_of(runs, lambda run: run.cpu), ".2f"),
                cell(spread_of(runs, lambda run: run.peak_bytes / 1e6), ".0f", " MB"),
                str(len(runs)),
            ]
        )
    head = ["crawler", "pages per CPU-second", "pages per second", "CPU seconds", "peak memory", "rounds"]
    return table(head, rows)


def crawl_ratios(found: Runs) -> str:
    """How Nephila compares to each other crawler on one site; empty if it did not run there, or none other did."""
    ours = found.get(OURS, [])
    rows = []
    for name, theirs in found.items():
        if name == OURS or not (by_cpu := ratios(ours, theirs)):
            continue
        by_wall = ratios(ours, theirs, lambda run: run.per_second)
        by_memory = ratios(ours, theirs, lambda run: run.peak_bytes)
        rows.append([name, *(cell(Spread.of(each), ".2f") for each in (by_cpu, by_wall, by_memory))])
    return table(["Nephila to", "pages per CPU-second", "pages per second", "peak memory"], rows) if rows else ""


def client_table(subjects: Mapping[str, Runs]) -> str:
    """Requests per CPU-second of each client, and how ours compares to it in the same round."""
    rows = []
    for subject, found in subjects.items():
        ours = found.get(OURS, [])
        for name, runs in found.items():
            each = [] if name == OURS else ratios(ours, runs)
            rows.append(
                [
                    subject,
                    name,
                    cell(spread_of(runs, lambda run: run.per_cpu_second), ",.0f"),
                    cell(Spread.of(each), ".2f") if each else "",
                    f"{max(run.work for run in runs) + 1:,}",
                    str(len(runs)),
                ]
            )
    return table(["what", "client", "requests per CPU-second", "Nephila to it", "requests", "rounds"], rows)
