"""The command itself: its subcommands, and what becomes of errors."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

import click

from crawler.cli.backup import backup
from crawler.cli.console import FAILED, FINISHED, MISUSED, STOPPED, complain, flush_results, say
from crawler.cli.demo import demo
from crawler.cli.repair import repair
from crawler.cli.replay import replay
from crawler.cli.run import run
from crawler.cli.spiders import check, list_spiders, new
from crawler.cli.state import export, sql, status
from crawler.cli.steer import hold, release, retry, set_host
from crawler.cli.visit import fetch, robots, shell
from crawler.cli.why import hosts, why
from crawler.errors import CrawlError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence


class InOrder(click.Group):
    """Lists its commands in the order in which they were added, the first being what most people want."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Exit codes: 0 finished; 3 stopped early, the same command goes on; 2 bad usage or spider; 1 the crawl failed.",
)
@click.version_option(package_name="nephila", prog_name="nephila")
def crawl() -> None:
    """Crawl web sites: politely, fast, and exactly, whatever interrupts it.

    Everything about a crawl is kept in one file, from which the same command goes on where it stopped.
    """


for command in (
    run,
    status,
    why,
    hosts,
    hold,
    release,
    set_host,
    retry,
    export,
    sql,
    replay,
    backup,
    repair,
    fetch,
    robots,
    shell,
    new,
    check,
    list_spiders,
    demo,
):
    crawl.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit code; `arguments` are those of the process unless given."""
    code = _run(arguments)
    if not flush_results():
        code = code or FAILED
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    """The exit code. A mistake of the user's is one message; only what nobody foresaw shows a traceback."""
    try:
        return crawl.main(arguments, prog_name="crawl", standalone_mode=False) or FINISHED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("stopped")
        return STOPPED
    except CrawlError as error:
        complain(error)
        return FAILED if isinstance(error, StorageError) else MISUSED
    except BrokenPipeError:
        return FAILED
    except Exception:
        traceback.print_exc()
        complain("that was not foreseen. What a crawl has committed is safe: the same command goes on from there")
        return FAILED
