"""`crawl diff`: what has changed from one crawl to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.console import FINISHED, say
from crawler.cli.state import output_option, write_rows

if TYPE_CHECKING:
    from crawler.reports.diff import DiffCounts


@click.command(short_help="Show what has changed from one crawl to another.")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@output_option
def diff(old: Path, new: Path, output: str) -> int:
    """Write what has changed from the crawl file OLD to NEW, one row per page: added, gone or changed, and how it differs.

    Bodies are compared where both crawls kept them (crawl run --keep-bodies), otherwise their sizes.
    """
    from crawler.frontier.statefile import StateFile
    from crawler.reports.diff import COLUMNS, Diff

    with StateFile(old) as before, StateFile(new) as after:
        compared = Diff(before, after)
        code = write_rows(output, compared.rows(), COLUMNS, table="changes")
    if code == FINISHED:
        say(_described(old, new, compared.counts))
    return code


def _described(old: Path, new: Path, counts: DiffCounts) -> str:
    text = f"from {old} to {new}: {counts.added:,} added, {counts.gone:,} gone, {counts.changed:,} changed, {counts.same:,} the same"
    if counts.same_by_size:
        text += f" ({counts.same_by_size:,} by size alone: bodies are compared where both crawls kept them)"
    if counts.waiting:
        text += f"; {counts.waiting:,} not compared, as they still wait in one of the crawls"
    return text
