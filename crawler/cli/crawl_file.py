"""Naming the crawl file: the argument STATE, which may be left out where there is only one crawl file."""

from __future__ import annotations

from pathlib import Path

import click

from crawler.cli.options import files
from crawler.errors import UsageError

state_argument = click.argument("state", type=click.Path(path_type=Path))

optional_state = click.argument("state", metavar="[STATE]", required=False, shell_complete=files)
"""The argument of commands that find the only crawl file in the current folder: see `state_path` and `state_path_and`."""


def state_path(state: str | None) -> Path:
    """The crawl file; if none is given, the only one in the current folder. Raises UsageError if there are more, or none."""
    if state:
        return Path(state)
    found = sorted(Path().glob("*.crawl"))
    if len(found) == 1:
        return found[0]
    there_is = f"there are {', '.join(map(str, found))}" if found else "there is none in this folder"
    raise UsageError(f"name the crawl file: {there_is}")


def state_path_and(state: str | None, other: str | None, what: str) -> tuple[Path, str]:
    """The crawl file and the argument after it, called `what`. A single argument is the latter: then the file is found by `state_path`.
    Raises UsageError if that argument is missing."""
    if state is not None and other is not None:
        return Path(state), other
    if state is None or names_file(state):
        raise UsageError(f"{what} is missing: name the crawl file and then {what}")
    return state_path(None), state


def names_file(text: str) -> bool:
    """Whether an argument looks like a crawl file, and not like a host or a query."""
    return text.endswith(".crawl") or Path(text).is_file()
