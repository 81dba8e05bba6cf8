"""`crawl backup`: copies a crawl file, also while a crawl uses it."""

from __future__ import annotations

from pathlib import Path

import click

from crawler.cli.console import FINISHED, say
from crawler.cli.crawl_file import state_argument


@click.command(short_help="Copy a crawl file, also while the crawl runs.")
@state_argument
@click.argument("file", type=click.Path(path_type=Path))
def backup(state: Path, file: Path) -> int:
    """Copy the crawl file STATE, as it is at this instant, to FILE. A running crawl continues meanwhile."""
    from crawler.frontier.backup import back_up
    from crawler.reports.wording import size

    written = back_up(state, file)
    say(f"wrote {file}: {size(written)}; crawl run … --state {file} resumes from there")
    return FINISHED
