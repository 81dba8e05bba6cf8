"""The progress of a crawl, while it runs: a live view in a terminal, a line now and then anywhere else."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from crawler.reports.terminal import Span, Style, View
from crawler.reports.wording import counted, duration, size

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.stats import Stats

LIVE_SECONDS = 0.25
"""Between two drawings of the live view: often enough to look smooth, at a tenth of a millisecond each."""

LINE_SECONDS = 10.0
"""Between two lines where there is no terminal: such output is read in a log, afterwards."""

_BAR_WIDTH = 32
_KINDS_SHOWN = 6


async def follow(stats: Callable[[], Stats], stream: TextIO, *, live: bool, every: float | None = None) -> None:
    """Show `stats` on `stream`, `every` so many seconds, until cancelled; a terminal is then left as it was.

    The first time is one interval after the start. If nobody reads it any more, the crawl goes on without.
    """
    with suppress(OSError):
        if live:
            await _follow_live(stats, stream, every or LIVE_SECONDS)
        else:
            await _follow_in_lines(stats, stream, every or LINE_SECONDS)


async def _follow_live(stats: Callable[[], Stats], stream: TextIO, every: float) -> None:
    with View(stream) as view:
        while True:
            await asyncio.sleep(every)
            view.draw(_lines(stats()))


async def _follow_in_lines(stats: Callable[[], Stats], stream: TextIO, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        print(line(stats()), file=stream, flush=True)


def line(stats: Stats) -> str:
    """A crawl in one line of plain text."""
    waiting = f"{stats.queued + stats.leased:,} waiting"
    pages, *rest = totals(stats)
    return f"{stats.spider}: {', '.join([pages, waiting, *rest, f'{stats.rate:.1f} pages/s', duration(stats.elapsed)])}"


def totals(stats: Stats) -> list[str]:
    """What a crawl has done, in words: its pages first."""
    besides = (
        (stats.not_modified, "not modified"),
        (stats.failed, "failed"),
        (stats.skipped, "skipped"),
        (stats.aside, "set aside"),
    )
    return [
        counted(stats.done, "page"),
        *(f"{number:,} {name}" for number, name in besides if number),
        counted(stats.items, "item"),
        size(_received_bytes(stats)),
    ]


def _received_bytes(stats: Stats) -> int:
    """The bytes of bodies that were received, without those taken from an earlier crawl."""
    return stats.bytes - stats.not_modified_bytes


def _lines(stats: Stats) -> list[list[Span]]:
    """The live view: what was done, how much that is of what is known, and what went wrong."""
    waiting = stats.queued + stats.leased
    over = stats.done + stats.failed + stats.skipped
    filled = _BAR_WIDTH * over // max(over + waiting, 1)
    done, _, pages = counted(stats.done, "page").partition(" ")
    totals = [counted(stats.items, "item"), size(_received_bytes(stats)), counted(stats.hosts, "host")]
    return [
        [
            Span(f"{stats.spider}  ", Style.BOLD),
            Span(done, Style.BOLD_GREEN),
            Span(f" {pages}  {waiting:,} waiting  {stats.rate:.1f} pages/s  {duration(stats.elapsed)}"),
        ],
        [
            Span("━" * filled, Style.GREEN),
            Span("─" * (_BAR_WIDTH - filled), Style.FAINT),
            Span(f"  {'  '.join(totals)}  {stats.active} under way"),
        ],
        [Span("  ".join(_kinds(stats)) or "no errors", Style.YELLOW if stats.errors else Style.FAINT)],
        [Span(stats.last_error or "Ctrl-C stops; the same command resumes", Style.FAINT)],
    ]


def _kinds(stats: Stats) -> list[str]:
    """Kinds of errors, the most frequent first; then, in place of the kind `http`, the statuses themselves."""
    errors = sorted(
        ((kind, number) for kind, number in stats.errors.items() if kind != "http"), key=lambda pair: -pair[1]
    )
    statuses = sorted(((f"HTTP {code}", number) for code, number in stats.statuses.items() if code // 100 != 2))
    return [f"{kind} {number:,}" for kind, number in [*errors, *statuses][:_KINDS_SHOWN]]
