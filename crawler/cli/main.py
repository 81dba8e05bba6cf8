"""The command itself: its subcommands, and what becomes of errors."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

from crawler.cli.console import FAILED, FINISHED, MISUSED, STOPPED, complain, flush_results, say
from crawler.errors import CrawlError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence


_COLLECT_EVERY = 50_000
"""How many objects are made before the cyclic garbage collector looks at them. A command begins with imports, and all that
these make stays: at Python's own 700, looking took a twelfth of the time that they take."""

_HOMES = {
    "run": "crawler.cli.run:run",
    "status": "crawler.cli.state:status",
    "why": "crawler.cli.why:why",
    "hosts": "crawler.cli.why:hosts",
    "hold": "crawler.cli.steer:hold",
    "release": "crawler.cli.steer:release",
    "set": "crawler.cli.steer:set_host",
    "retry": "crawler.cli.steer:retry",
    "export": "crawler.cli.state:export",
    "sql": "crawler.cli.state:sql",
    "diff": "crawler.cli.diff:diff",
    "replay": "crawler.cli.replay:replay",
    "backup": "crawler.cli.backup:backup",
    "repair": "crawler.cli.repair:repair",
    "fetch": "crawler.cli.visit:fetch",
    "robots": "crawler.cli.visit:robots",
    "shell": "crawler.cli.visit:shell",
    "new": "crawler.cli.spiders:new",
    "check": "crawler.cli.spiders:check",
    "list": "crawler.cli.spiders:list_spiders",
    "demo": "crawler.cli.demo:demo",
}
"""Where each command is found, the first being what most people want."""


class Commands(click.Group):
    """Imports a command when it is asked for, and lists all in the order above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _HOMES:
            return None
        module, _, name = _HOMES[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Exit codes: 0 finished; 3 stopped early, the same command goes on; 2 bad usage or spider; 1 the crawl failed.",
)
@click.version_option(package_name="nephila", prog_name="nephila")
def crawl() -> None:
    """Crawl web sites: politely, fast, and exactly, whatever interrupts it.

    Everything about a crawl is kept in one file, from which the same command goes on where it stopped.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit code; `arguments` are those of the process unless given."""
    gc.set_threshold(_COLLECT_EVERY)
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
        import traceback

        traceback.print_exc()
        complain("that was not foreseen. What a crawl has committed is safe: the same command goes on from there")
        return FAILED
