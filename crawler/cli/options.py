"""Options that set settings, and options of the form key=value."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from click.shell_completion import CompletionItem

    from crawler.settings import Settings
    from crawler.spider import Spider

Command = TypeVar("Command", bound="Callable[..., Any]")

_SETTINGS = (
    ("--max-pages", int, "N", "Stop when N pages are done, over all runs."),
    ("--max-depth", int, "N", "Follow links at most N steps from a seed."),
    ("--max-time", float, "SECONDS", "Stop this run after this time."),
    ("--concurrency", int, "N", "Requests in flight at once, over all hosts."),
    ("--per-host", int, "N", "Connections to one host at once."),
    ("--delay", float, "SECONDS", "Minimum time between the starts of two requests to one host."),
    ("--processes", int, "N", "Fetch pages and run callbacks in N processes, beside the one that manages the crawl."),
    ("--user-agent", str, "TEXT", "The User-Agent to send."),
    ("--proxy", str, "URL", "Send all requests through this proxy: http, https, socks5h, socks5, socks4a or socks4."),
    ("--revalidate", str, "FILE", "Fetch pages that the crawl file FILE kept only if they have changed since."),
)
"""Named like the settings they set; None if they are not given."""

no_robots = click.option(
    "--no-robots", "robots", flag_value=False, default=None, help="Neither fetch nor obey robots.txt."
)


def settings_options(command: Command) -> Command:
    """Give a command the options that set settings, under the settings' own names."""
    switches = (
        no_robots,
        click.option(
            "--allow-private",
            flag_value=True,
            default=None,
            help="Allow pages of public hosts to lead to private addresses.",
        ),
        click.option(
            "--keep-bodies",
            flag_value=True,
            default=None,
            help="Store the pages in the crawl file, to replay or compare the crawl.",
        ),
    )
    for switch in reversed(switches):
        command = switch(command)
    for name, kind, metavar, text in reversed(_SETTINGS):
        completes = files if metavar == "FILE" else None
        command = click.option(name, type=kind, metavar=metavar, shell_complete=completes, help=text)(command)
    return command


def settings_of(overrides: Mapping[str, str], options: Mapping[str, Any], spider: Spider | None = None) -> Settings:
    """The settings from all sources, the later over the earlier: defaults, project, environment, spider, command line. `overrides`
    are those of `-s`, `options` the options named like settings."""
    from crawler.settings import Settings, from_environment, from_project, with_overrides

    settings = from_environment(from_project(Settings(), Path.cwd()), os.environ)
    if spider:
        settings = with_overrides(settings, spider.settings, source=f"the settings of {type(spider).__name__}")
    settings = with_overrides(settings, overrides, source="-s")
    given = {name: value for name, value in options.items() if value is not None}
    return with_overrides(settings, given, source="the command line")


def files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The completion of arguments that name a file, or may: by the shell."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def setting_names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The completion of `-s`."""
    from click.shell_completion import CompletionItem

    from crawler.settings import NAMES

    return [CompletionItem(f"{name}=") for name in sorted(NAMES) if name.startswith(incomplete.replace("-", "_"))]


def pairs(_context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """The callback of `key=value` options: their values as a dictionary."""
    found = {}
    for value in values:
        key, separator, rest = value.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"{value!r} is not of the form key=value", param=parameter)
        found[key] = rest
    return found


spider_arguments = click.option(
    "-a",
    "arguments",
    multiple=True,
    callback=pairs,
    metavar="KEY=VALUE",
    help="An argument for the spider; repeatable.",
)

setting_overrides = click.option(
    "-s",
    "overrides",
    multiple=True,
    callback=pairs,
    shell_complete=setting_names,
    metavar="KEY=VALUE",
    help="Any setting; repeatable.",
)
