"""`crawl repair`: saves what can be read from a damaged crawl file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from crawler.cli.console import FINISHED
from crawler.cli.state import state_argument

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
}
"""What the rows of each table are called for the user."""


@click.command(short_help="Save what can be read of a damaged crawl file.")
@state_argument
def repair(state: Path) -> int:
    """Make the crawl file STATE whole again, with all that can be read of it, and keep the damaged one beside it.

    What had no result any more waits to be fetched again. A sound file is left as it is.
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
        f"  lost: {', '.join(done.lost) or 'nothing that is known of'}",
        f"the damaged file is kept as {done.damaged}; the crawl goes on with {state}",
    ]
    return "\n".join(lines)
