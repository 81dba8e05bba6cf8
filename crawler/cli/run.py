"""`crawl run`: starts a crawl, or resumes it."""

from __future__ import annotations

import signal
import stat
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from crawler.cli.console import StandardError, say
from crawler.cli.options import files, setting_overrides, settings_of, settings_options, spider_arguments
from crawler.cli.outputs import KnownOutputs, known_outputs, open_outputs
from crawler.errors import StateDamaged, StateLocked, UsageError
from crawler.paths import expanded
from crawler.reports.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from crawler.crawl import Crawl
    from crawler.frontier.statefile import Status
    from crawler.report import Report
    from crawler.spider import Spider

_LEVELS = ["debug", "info", "warning", "error"]


class _EarlierRun(NamedTuple):
    """An earlier run: how the crawl stands, None if this is the first; and the outputs that are its own."""

    status: Status | None = None
    outputs: KnownOutputs = KnownOutputs()


@click.command(short_help="Crawl a site or run a spider, or resume where it stopped.")
@click.argument("target", shell_complete=files)
@click.option("-o", "--output", "outputs", multiple=True, metavar="FILE", shell_complete=files, help="Write items to FILE: .jsonl, .ndjson, .jl, .csv, .sqlite, .sqlite3, .db, .parquet, or - for standard output; repeatable.")  # fmt: skip
@click.option("--state", metavar="FILE", shell_complete=files, help="The crawl file; by default NAME.crawl in the current folder, named after the spider or the URL's host.")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Start over; an existing crawl file is discarded only with --yes.")
@click.option("--yes", is_flag=True, help="Overwrite the outputs; with --fresh, discard the crawl file too.")
@settings_options
@spider_arguments
@setting_overrides
@click.option("--quiet", is_flag=True, help="Report only errors.")
@click.option("--log-level", type=click.Choice(_LEVELS, case_sensitive=False), default="warning", help="What to log; by default warning.")  # fmt: skip
@click.option("--log-file", metavar="FILE", shell_complete=files, help="Append the log to FILE instead of writing it to standard error.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the final figures as one JSON object.")
def run(
    target: str,
    *,
    outputs: tuple[str, ...],
    state: str | None,
    fresh: bool,
    yes: bool,
    arguments: Mapping[str, str],
    overrides: Mapping[str, str],
    quiet: bool,
    log_level: str,
    log_file: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Crawl TARGET, or resume its crawl where it stopped.

    TARGET is a spider file (quotes.py, quotes.py:Quotes), a module (pkg.mod, pkg.mod:Quotes) or a URL; of a URL's site, every
    page is visited. If the crawl file exists, the crawl resumes exactly where it stopped.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # before the crawl has begun, there is nothing to drain
    from crawler.cli.open_files import raise_limit, warn_if_few
    from crawler.readers.launch import Launches, number_of_readers

    raise_limit()  # before other processes start, which inherit it
    with Launches() as launches:
        launches.fork(number_of_readers(settings_of(overrides, options)))  # before the spider: each loads its own
        from crawler.loader import crawl_name, load

        _log(log_level, log_file)
        spider = load(target, arguments)
        settings = settings_of(overrides, options, spider=spider)
        _warn_of_scrapys(spider)
        if not quiet:
            warn_if_few(settings)
        path = expanded(state or f"{crawl_name(target, spider)}.crawl")
        earlier = _find_earlier_run(path, fresh=fresh, yes=yes)
        exports = open_outputs(outputs, path, earlier.outputs, overwrite=yes, results_are_taken=as_json)
        launches.resize(number_of_readers(settings))  # they start while we do

        from crawler.crawl import Crawl
        from crawler.source import Source

        source = Source(target, arguments)
        crawl = Crawl(spider, settings, state=path, exports=exports, fresh=fresh, source=source, launches=launches)
        report = _run_crawl(crawl, path, earlier.status, quiet=quiet, prints_items="-" in outputs)
    return _conclude(report, path, earlier.status, quiet=quiet, as_json=as_json)


def _run_crawl(crawl: Crawl, path: Path, before: Status | None, *, quiet: bool, prints_items: bool) -> Report:
    """Run the crawl, and show how it goes."""
    from crawler.cli.running import Signals, attend
    from crawler.loop import run_loop
    from crawler.reports.terminal import can_draw

    if before and not quiet:
        done, waiting = counted(before.urls.done, "page"), before.urls.queued + before.urls.leased
        say(f"resuming {path}: {done} done, {waiting:,} waiting")
    live = can_draw(sys.stderr) and not (prints_items and sys.stdout.isatty())
    with Signals() as signals:
        return run_loop(attend(crawl, signals, show=not quiet, live=live))


def _conclude(report: Report, path: Path, before: Status | None, *, quiet: bool, as_json: bool) -> int:
    """Say how it ended; the exit code."""
    from crawler.cli.running import conclude, figures

    code = conclude(report, path, before=before, quiet=quiet)
    if as_json:
        click.echo(figures(report, path, code))
    return code


def _warn_of_scrapys(spider: Spider) -> None:
    """Log what the spider has from Scrapy: ignored in silence, a delay or a restriction to some domains would be missed too late."""
    import logging

    from crawler.scrapy_names import without_effect

    log = logging.getLogger(__name__)
    for name, ours in without_effect(spider):
        log.warning("%s of %s, which is Scrapy's, has no effect; here it is %s", name, type(spider).__name__, ours)


def _log(level: str, file: str | None) -> None:
    """Log to a file, or to standard error. Raises UsageError when the file cannot be written."""
    import logging

    try:
        handler = logging.FileHandler(expanded(file)) if file else logging.StreamHandler(StandardError())
    except OSError as error:
        raise UsageError(f"cannot log to {file}: {error.strerror}") from None
    pattern = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(handlers=[handler], level=level.upper(), format=pattern)
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)  # it would log each statement, in full


def _find_earlier_run(path: Path, *, fresh: bool, yes: bool) -> _EarlierRun:
    """The earlier run in the crawl file, if there is one.

    Raises UsageError when the user has not agreed to discard a crawl, or this cannot be a crawl file; StateLocked when it runs.
    """
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for the crawl file {path.name}; create it first")
    try:
        status = path.stat()
    except FileNotFoundError:
        return _EarlierRun()
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{path} is not a file; name another with --state")
    if not status.st_size:
        return _EarlierRun()
    if fresh and not yes:
        raise UsageError(f"{path} exists; to discard it and its outputs, and start over, add --yes")
    from crawler.frontier.lock import await_rest
    from crawler.frontier.statefile import StateFile  # most crawls begin

    await_rest(path)
    try:
        with StateFile(path) as file:
            if file.is_running:
                raise StateLocked(
                    f"another process is crawling with {path}; wait for it, stop it, or name another file"
                )
            return _EarlierRun() if fresh else _EarlierRun(file.status(), known_outputs(file))
    except StateDamaged as error:
        if not path.stat().st_size:  # killed while the file was being made: SQLite has just undone that
            return _EarlierRun()
        raise StateDamaged(f"{error}; name another with --state, or delete it if you need nothing in it") from None
