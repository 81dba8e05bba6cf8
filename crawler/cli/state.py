"""Looking into a crawl file, also while the crawl runs: `status`, `export`, `sql`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from crawler.cli.console import FAILED, FINISHED, say
from crawler.cli.crawl_file import optional_state, state_path, state_path_and
from crawler.cli.options import files
from crawler.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from click.shell_completion import CompletionItem

    from crawler.frontier.statefile import StateFile, Status, Unmodified
    from crawler.reports.pace_table import KeptPace

_TABLES = ("pages", "items", "links", "errors", "hosts")

output_option = click.option(
    "-o",
    "--output",
    default="-",
    metavar="FILE",
    shell_complete=files,
    help="Where to write: .jsonl, .ndjson, .jl, .csv, .sqlite, .sqlite3, .db or .parquet, replaced at once when complete; by default JSON Lines on standard output.",
)


@click.command(short_help="Show the state of a crawl.")
@optional_state
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(state: str | None, *, as_json: bool) -> int:
    """Show the state of the crawl in the file STATE."""
    import msgspec

    from crawler.frontier.statefile import StateFile
    from crawler.reports.pace_table import kept_paces
    from crawler.reports.wording import rounded

    path = state_path(state)
    with StateFile(path) as file:
        now, unmodified, paces = file.status(), file.not_modified(), kept_paces(file)
    if as_json:
        known = {"not_modified": unmodified._asdict()} if unmodified else {}
        click.echo(msgspec.json.encode(rounded(msgspec.structs.asdict(now) | known | {"paces": paces})))
    else:
        click.echo(_described(path, now, unmodified, paces))
    return FINISHED


def _described(path: Path, now: Status, unmodified: Unmodified | None, paces: Sequence[KeptPace]) -> str:
    from crawler.reports.pace_table import table_of_file
    from crawler.reports.wording import counted, duration, size

    urls = now.urls
    aside = (
        [f"  aside    {urls.aside:,} kept back; crawl release {path} --aside any fetches them"] if urls.aside else []
    )
    known = (
        [
            f"  known    {counted(unmodified.pages, 'page')} ({size(unmodified.bytes)}) not modified, from an earlier crawl"
        ]
        if unmodified
        else []
    )
    pace = (
        [f"  {'pace' if n == 0 else ''}".ljust(11) + line for n, line in enumerate(table_of_file(paces))]
        if paces
        else []
    )
    return "\n".join(
        [
            f"{path}: spider {now.spider or 'not known'}, {now.state}",
            f"  pages    {urls.done:,} done, {urls.failed:,} failed, {urls.skipped:,} skipped",
            f"  waiting  {counted(urls.queued + urls.leased, 'request')}{', those under way included' if urls.leased else ''}",
            *aside,
            f"  items    {now.items:,}",
            f"  fetched  {size(now.bytes - (unmodified.bytes if unmodified else 0))} from {counted(now.hosts, 'host')}",
            *known,
            f"  time     {duration(now.elapsed)}, since {now.started}",
            *pace,
        ]
    )


def _tables(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in _TABLES if name.startswith(incomplete)]


def _path_and_table(state: str | None, table: str | None) -> tuple[Path, Any]:
    """The crawl file, which may be left out, and the table; raises UsageError if there is no such table."""
    path, name = (
        (state_path(None), state) if table is None and state in _TABLES else state_path_and(state, table, "TABLE")
    )
    if name not in _TABLES:
        raise UsageError(f"{name!r} is no table; the tables are {', '.join(_TABLES)}")
    return path, name


@click.command(short_help="Write the pages, items, links, errors or hosts of a crawl.")
@optional_state
@click.argument("table", metavar="TABLE", required=False, shell_complete=_tables)
@output_option
def export(state: str | None, table: str | None, output: str) -> int:
    """Write a TABLE of the crawl file STATE: its pages, links, errors or hosts, or the items exactly as the spider gave them.

    To a .warc or .warc.gz file, pages are written with their bodies, as far as they were kept (crawl run --keep-bodies).
    """
    from crawler.exports.formats import is_warc
    from crawler.frontier.statefile import StateFile

    path, name = _path_and_table(state, table)
    with StateFile(path) as file:
        if name == "pages" and is_warc(output):
            return _archive(output, file)
        if name == "items":
            return write_rows(output, file.items(), table=name)
        rows = file.rows(name)
        return write_rows(output, rows.as_json(), rows.columns, table=name)


def _archive(output: str, file: StateFile) -> int:
    """Write the pages that were kept; the exit code."""
    from crawler.exports.warc import write_warc
    from crawler.frontier.kept import kept_pages
    from crawler.reports.wording import counted

    done = file.status().urls.done
    rules = file.described("rules")
    written = write_warc(output, (page for _, page in kept_pages(file)), rules)
    if written < done:
        say(f"{done - written:,} of {counted(done, 'page')} were not kept, and are left out")
    return FINISHED


@click.command(short_help="Run an SQL query on a crawl.")
@optional_state
@click.argument("query", metavar="QUERY", required=False)
@output_option
def sql(state: str | None, query: str | None, output: str) -> int:
    """Run a read-only SQL QUERY on the crawl file STATE.

    For example: crawl sql site.crawl "select status, count(*) as pages from pages group by status"
    """
    from crawler.frontier.statefile import StateFile

    path, asked = state_path_and(state, query, "QUERY")
    with StateFile(path) as file:
        rows = file.query(asked)
        return write_rows(output, rows.as_json(), rows.columns)


def write_rows(output: str, rows: Iterable[str], columns: Sequence[str] = (), *, table: str = "rows") -> int:
    """Write JSON texts where the user wants them; the exit code. `table`: what they are called, in formats that name them."""
    from crawler.exports import write_all

    try:
        write_all(output, rows, columns, table=table)
    except StorageError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            return FAILED  # as every tool does whose reader, like `head`, has seen enough
        raise
    return FINISHED
