"""`crawl replay`: runs a spider again over the pages that were kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from crawler.cli.console import FINISHED, MISUSED, complain, say
from crawler.cli.crawl_file import state_argument
from crawler.cli.options import files, spider_arguments
from crawler.cli.state import output_option, write_rows
from crawler.reports.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ERRORS_SHOWN = 5


@click.command(short_help="Run a spider again over the pages a crawl kept.")
@state_argument
@click.argument("target", shell_complete=files)
@output_option
@spider_arguments
def replay(state: Path, target: str, output: str, arguments: Mapping[str, str]) -> int:
    """Pass the pages that the crawl file STATE kept (crawl run --keep-bodies) to the spider TARGET, and write its items.

    Nothing is fetched, and the crawl file does not change.
    """
    from crawler.frontier.statefile import StateFile
    from crawler.loader import load
    from crawler.replay import Replay

    spider = load(target, arguments)
    with StateFile(state) as file:
        again = Replay(spider, file)
        code = write_rows(output, again.items(), table="items")
    for error in again.errors[:_ERRORS_SHOWN]:
        complain(error)
    for why in again.wanted_again[:_ERRORS_SHOWN]:
        say(f"would be requested again: {why}")
    say(
        f"replayed {counted(again.pages, 'page')}"
        + (f"; the spider raised on {len(again.errors):,} of them" if again.errors else "")
        + (f"; it would request {len(again.wanted_again):,} of them again" if again.wanted_again else "")
    )
    return MISUSED if again.errors and code == FINISHED else code
