"""What `from crawler import …` gives, and what it costs who does not ask for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import crawler

LOADED = (
    "import sys, crawler.cli; print(*sorted(name for name in sys.modules if name.partition('.')[0] in {families!r}))"
)


def test_every_name_is_there() -> None:
    assert {name: getattr(crawler, name).__name__ for name in crawler.__all__} == {
        name: name for name in crawler.__all__
    }


def test_a_name_that_is_not_is_missed_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'crawler' has no attribute 'Spyder'"):
        _ = crawler.Spyder


def test_the_command_starts_without_what_runs_a_crawl() -> None:
    code = LOADED.format(families={"client", "aiosqlite", "selectolax", "rich", "asyncio"})
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
