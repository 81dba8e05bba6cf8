"""The `crawl` command as a user runs it: a process of its own, known by its exit code and by what it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import NamedTuple

COMMAND = Path(sysconfig.get_path("scripts")) / "crawl"
TIMEOUT = 120.0

FINISHED = 0
CRAWL_FAILED = 1
BAD_USAGE = 2
STOPPED = 3


class Ended(NamedTuple):
    """How a process ended, and what it printed."""

    code: int
    out: str
    err: str


def unmeasured() -> dict[str, str]:
    """The environment without what makes a new process measure its coverage, which takes time, and a file of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


class Command:
    """Runs `crawl` in `folder`, away from whatever settings the surroundings have; its coverage is measured if ours is."""

    def __init__(self, folder: Path, *, is_measured: bool = True) -> None:
        self.folder = folder
        surroundings = dict(os.environ) if is_measured else unmeasured()
        own = {name: value for name, value in surroundings.items() if not name.startswith("CRAWL_")}
        self._environment = {**own, "NO_COLOR": "1", "COLUMNS": "200"}

    def start(self, *arguments: str | Path, wrapper: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Start `crawl` with these arguments, through `wrapper` if that is given; its output is piped."""
        return subprocess.Popen(
            [*wrapper, COMMAND, *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str | Path, wrapper: tuple[str, ...] = ()) -> Ended:
        """Run it to its end."""
        return finish(self.start(*arguments, wrapper=wrapper))


def finish(process: subprocess.Popen[str], timeout: float = TIMEOUT) -> Ended:
    """Wait for the end of a process; one that does not end in time is killed, and the test fails."""
    with process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return Ended(process.returncode, out, err)


def complains(ended: Ended, code: int, *words: str) -> None:
    """Check the exit code, that standard error has all these words, and that nothing went off unhandled."""
    assert ended.code == code, ended.err
    assert "Traceback" not in ended.err
    assert "unexpected error" not in ended.err
    lacking = [word for word in words if not re.search(word, ended.err)]
    assert not lacking, ended.err
