"""The command itself: its subcommands, and how errors are reported."""

from __future__ import annotations

import atexit
import errno
import gc
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

import click

from crawler.cli.console import FAILED, FINISHED, MISUSED, STOPPED, complain, flush_results, open_closed_streams, say
from crawler.errors import CrawlError, ProxyError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence


_COLLECT_EVERY = 50_000
"""How many objects are made before the cyclic garbage collector runs. A command begins with imports, and everything that they make
stays: at Python's default of 700, the collector took a twelfth of their time."""

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
    "fetch": "crawler.cli.probe:fetch",
    "robots": "crawler.cli.probe:robots",
    "shell": "crawler.cli.shell:shell",
    "try": "crawler.cli.trying:try_out",
    "new": "crawler.cli.spiders:new",
    "check": "crawler.cli.spiders:check",
    "list": "crawler.cli.spiders:list_spiders",
    "demo": "crawler.cli.demo:demo",
}
"""Where each command is found, in the order in which they are listed: what most people want comes first."""

_NO_WAY_OUT = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""If such an error names no file, it is standard output that cannot be written: whoever writes a file says which."""

_NO_PATH = {errno.ENAMETOOLONG, errno.EACCES, errno.ELOOP, errno.ENOTDIR}
"""If such an error names a file, the path that the user gave leads nowhere."""


class Commands(click.Group):
    """Imports a command when it is needed, and lists all in the order above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _HOMES:
            return None
        module, _, name = _HOMES[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(f"{error.message}{_suggestion(args[0])}", ctx) from None


def _suggestion(name: str) -> str:
    """What to do about a command that does not exist."""
    from difflib import get_close_matches

    if close := get_close_matches(name, _HOMES):
        return f" Did you mean {' or '.join(close)}?"
    if name.endswith(".py") or name.startswith(("http://", "https://")):
        return f" To crawl with it: crawl run {name}"
    return ""


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Exit codes: 0 finished; 1 the crawl failed; 2 bad usage or spider; 3 stopped early, the same command resumes it.",
)
@click.version_option(package_name="nephila", prog_name="nephila")
def crawl() -> None:
    """Crawl web sites politely, fast and exactly, whatever interrupts it.

    Everything about a crawl is kept in one file. The same command resumes the crawl where it stopped.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit code; `arguments` are those of the process unless given."""
    gc.set_threshold(_COLLECT_EVERY)
    atexit.register(_ignore_signals)  # the first to be registered is the last to be called
    open_closed_streams()
    code = _run(arguments)
    if (lost := flush_results()) and code == FINISHED:
        code = _results_are_lost(lost)
    sys.exit(code)


def _ignore_signals() -> None:
    """All is done, and no thread is waited for any more: only Python takes itself apart, which takes a while. It gives back the handlers
    of signals first, so that one that came now would end the process with a code that says otherwise."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _run(arguments: Sequence[str] | None) -> int:
    """The exit code. A mistake of the user's gets one message; only what nobody foresaw shows a traceback."""
    try:
        return crawl.main(arguments, prog_name="crawl", standalone_mode=False) or FINISHED
    except click.ClickException as error:
        return _misused(error)
    except (click.Abort, KeyboardInterrupt):
        say("stopped")
        return STOPPED
    except CrawlError as error:
        complain(error)
        return FAILED if isinstance(error, StorageError | ProxyError) else MISUSED
    except OSError as error:
        return _refused_by_the_system(error)
    except Exception:
        return _unforeseen()


def _misused(error: click.ClickException) -> int:
    """Report what is wrong with the command line, as any other mistake is reported, and how the command is used."""
    if isinstance(error, click.UsageError) and error.ctx:
        say(error.ctx.get_usage())
        say(f"Try '{error.ctx.command_path} --help' for help.\n")
    complain(error.format_message())
    return error.exit_code


def _refused_by_the_system(error: OSError) -> int:
    if error.filename is None and error.errno in _NO_WAY_OUT:
        return _results_are_lost(error)
    if error.filename is not None and error.errno in _NO_PATH:
        complain(f"{error.filename}: {error.strerror}")
        return MISUSED
    return _unforeseen()


def _results_are_lost(error: OSError) -> int:
    """Report that standard output could not be written. A reader that has gone, like `head`, has seen enough."""
    if not isinstance(error, BrokenPipeError):
        from crawler.exports.files import cannot_write

        complain(cannot_write("standard output", error))
    return FAILED


def _unforeseen() -> int:
    import traceback

    with suppress(OSError):
        traceback.print_exc()
    complain("unexpected error. What the crawl has committed is safe: the same command resumes from there")
    return FAILED
