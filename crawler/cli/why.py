"""`crawl why` and `crawl hosts`: what a crawl file knows about one URL, and about each host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from crawler.cli.console import FAILED, FINISHED
from crawler.cli.crawl_file import optional_state, state_path, state_path_and
from crawler.reports.wording import aligned, brief, size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crawler.frontier.census import HostRow

_SORTS = ["host", "queued", "done", "failed", "skipped", "aside", "bytes", "pace", "latency"]


@click.command(short_help="Explain why a URL was or was not fetched.")
@optional_state
@click.argument("url", metavar="URL", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def why(state: str | None, url: str | None, *, as_json: bool) -> int:
    """Tell why URL was or was not fetched in the crawl in the file STATE: where it was found, what became of it, what it is
    waiting for. Exit code 1 if it was never found.
    """
    import msgspec

    from crawler.frontier.statefile import StateFile
    from crawler.reports import why as explaining

    path, wanted = state_path_and(state, url, "URL")
    with StateFile(path) as file:
        answer = explaining.why(file, wanted)
    if as_json:
        click.echo(msgspec.json.encode({"found": answer.found, **msgspec.structs.asdict(answer)}))
    else:
        click.echo("\n".join(explaining.in_words(answer, str(path))))
    return FINISHED if answer.found else FAILED


@click.command(short_help="List the hosts of a crawl, and how they are treated.")
@optional_state
@click.option("--sort", type=click.Choice(_SORTS), default="done", help="What to sort by; by default done.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=0), default=0, metavar="N", help="List at most N hosts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, with all figures.")
def hosts(state: str | None, *, sort: Any, limit: int, as_json: bool) -> int:
    """List the hosts of the crawl in the file STATE: how many requests wait for each, how many ended and how, and its pace."""
    import msgspec

    from crawler.cli.state import write_rows
    from crawler.frontier import census
    from crawler.frontier.statefile import StateFile
    from crawler.reports.wording import rounded

    with StateFile(state_path(state)) as file:
        rows = census.hosts(file, sort=sort, limit=limit)
        if as_json:
            return write_rows("-", (msgspec.json.encode(rounded(row)).decode() for row in rows))
        for line in _table(rows):
            click.echo(line)
    return FINISHED


_COLUMNS = ("host", "done", "failed", "skipped", "queued", "aside", "fetched", "pace", "latency", "")
"""Headings; all columns but the first and the last are numbers."""


def _table(rows: Iterable[HostRow]) -> Iterator[str]:
    return aligned([_COLUMNS, *map(_cells, rows)])


def _cells(row: HostRow) -> tuple[str, ...]:
    counts = (row.done, row.failed, row.skipped, row.queued, row.aside)
    return (
        row.host,
        *(f"{count:,}" for count in counts),
        size(row.bytes),
        brief(row.pace),
        brief(row.latency),
        ", ".join(_remarks(row)),
    )


def _remarks(row: HostRow) -> Iterator[str]:
    from crawler.reports.pace_table import treatment  # help is shown without

    yield from treatment(row.held, row.resting_until, row.delay)
    if row.per_host is not None:
        yield f"per-host {row.per_host}"
    if row.budget is not None:
        yield f"budget {row.budget:,}"
