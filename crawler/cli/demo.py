"""`crawl demo`: a crawl to watch, without a network."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from crawler.cli.console import FINISHED, say
from crawler.errors import UsageError

if TYPE_CHECKING:
    from crawler.cli.running import Signals
    from crawler.report import Report

_ITEMS_SHOWN = 5

_SPACING = 0.03
"""Seconds between two requests: slow enough to be watched."""


@click.command(short_help="Crawl a small bundled site, to see how it works.")
@click.option("--keep", metavar="DIR", help="Leave the crawl file and the items in the folder DIR.")
def demo(keep: str | None) -> int:
    """Crawl a small bundled site, and show the result. No network is needed."""
    from crawler.cli.running import Signals, conclude, summary
    from crawler.loop import run_loop

    folder: AbstractContextManager[str] = nullcontext(keep) if keep else TemporaryDirectory(prefix="crawl-demo-")
    with folder as place:
        state, output = _places(Path(place))
        with Signals() as signals:
            report = run_loop(_crawl(state, output, signals))
        say(summary(report))
        code = conclude(report, state, before=None, quiet=True)
        if code == FINISHED:
            _show_items(output)
            _show_what_next(keep)
    return code


def _places(folder: Path) -> tuple[Path, Path]:
    """The crawl file and the output, in a folder that is made if there is none. Raises UsageError."""
    state, output = folder / "demo.crawl", folder / "items.jsonl"
    try:
        if taken := next((path for path in (state, output) if path.exists()), None):
            raise UsageError(f"{taken} exists; name another folder")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be used as a folder: {error.strerror}; name another") from None
    return state, output


async def _crawl(state: Path, output: Path, signals: Signals) -> Report:
    from crawler.cli.running import attend
    from crawler.crawl import Crawl
    from crawler.demo.guide import site
    from crawler.demo.server import serving
    from crawler.demo.spider import FieldGuide
    from crawler.exports import open_export
    from crawler.reports.terminal import can_draw
    from crawler.settings import Settings

    async with serving(site()) as url:
        spider = FieldGuide(start_urls=[url])
        crawl = Crawl(spider, Settings(delay=_SPACING), state=state, exports=[open_export(str(output))])
        return await attend(crawl, signals, show=True, live=can_draw(sys.stderr))


def _show_items(output: Path) -> None:
    """The first items, as a table."""
    import msgspec

    with output.open(encoding="utf-8") as file:
        items = [msgspec.json.decode(line, type=dict[str, str | int]) for line in file]
    rows = [list(items[0]), *([str(value) for value in item.values()] for item in items[:_ITEMS_SHOWN])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    click.echo(f"\nThe first {_ITEMS_SHOWN} of {len(items)} items:\n")
    for row in rows:
        click.echo("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _show_what_next(keep: str | None) -> None:
    first = f"crawl export {keep}/demo.crawl pages" if keep else "crawl demo --keep demo"
    what = "every page, as the crawl file has it" if keep else "the same, with the crawl file left to look into"
    commands = {
        first: what,
        "crawl run https://your.site/ -o pages.csv": "every page of a site",
        "crawl run spider.py -o items.jsonl": "a spider of your own",
    }
    width = max(map(len, commands))
    click.echo("\nNext:\n")
    for command, meaning in commands.items():
        click.echo(f"  {command.ljust(width)}  {meaning}")
