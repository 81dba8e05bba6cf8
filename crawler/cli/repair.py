"""`crawl repair`: saves what can be read from a damaged crawl file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from crawler.cli.console import FINISHED
from crawler.cli.crawl_file import state_argument

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.frontier.repair import Repair

_FAULTS_SHOWN = 3

_NAMES = {
    "request": "requests",
    "result": "results",
    "queue": "queued",
    "item": "items",
    "response": "kept pages",
    "host": "hosts",
    "export": "outputs",
}
"""What the rows of each table are called for the user."""

_NO_OUTPUTS = (
    "it knows of no output file: if there were any, keep them, for they may hold items that were lost here, and resume with new ones, "
    "which get all items that were saved"
)


@click.command(short_help="Repair a damaged crawl file, as far as it can be read.")
@state_argument
def repair(state: Path) -> int:
    """Repair the crawl file STATE from everything that can be read of it, and keep the damaged file beside it.

    Requests that lost their result are queued again. A sound file is left alone.
    """
    from crawler.frontier.repair import repair as repair_file

    done = repair_file(state)
    click.echo(_described(state, done) if done else f"{state} is sound; nothing was changed")
    return FINISHED


def _described(state: Path, done: Repair) -> str:
    further = len(done.faults) - _FAULTS_SHOWN
    found = "; ".join(done.faults[:_FAULTS_SHOWN]) + (f"; and {further} more" if further > 0 else "")
    saved = ", ".join(f"{number:,} {_NAMES.get(table, table)}" for table, number in done.saved.items() if number)
    lines = [
        f"{state} was damaged: {found}",
        f"  pages that could not be read: {done.broken_pages:,}",
        f"  saved: {saved}",
        f"  lost: {', '.join(done.lost) or 'nothing that is known'}",
        f"the damaged file is kept as {done.damaged}; the crawl resumes from {state}",
    ]
    if done.saved["item"] and not done.saved["export"]:
        lines.append(_NO_OUTPUTS)
    return "\n".join(lines)
