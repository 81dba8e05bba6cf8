"""A fork ends like any Python process, and only it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from textwrap import indent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import atexit
import os
import signal
import sys
import threading
import types

from crawler.readers.fork import Fork, can_fork

print("once")


def work():
    module = sys.modules["spider"] = types.ModuleType("spider")
    module.log = open("log", "w")  # and nobody closes it
    print("page", file=module.log)
    types.log = open("log of all", "w")  # where nobody takes it apart
    print("page, too", file=types.log)
    threading.Thread(target=print, args=["thread"]).start()
    atexit.register(print, "exit handler")
{ending}


assert can_fork()
fork = Fork(work)
print("code", fork.wait(), fork.wait(), flush=True)
fork.kill()
sys.exit(5)
"""


@pytest.mark.parametrize(
    ("ending", "code", "complaint"),
    [
        ("return", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(9)", 9, ""),
        ("sys.exit('so')", 1, "so"),
        ("raise LookupError('lost')", 1, "Traceback.*LookupError: lost"),
    ],
)
def test_whatever_a_process_sees_to_at_its_end_is_seen_to(
    tmp_path: Path, ending: str, code: int, complaint: str
) -> None:
    ended = _run(tmp_path, ending)
    *of_the_fork, last = ended.stdout.splitlines()
    assert sorted(of_the_fork) == ["exit handler", "once", "thread"]
    assert (last, ended.returncode) == (f"code {code} {code}", 5)
    assert re.fullmatch(complaint, ended.stderr.strip(), re.DOTALL)
    assert (tmp_path / "log").read_text() == "page\n"
    assert (tmp_path / "log of all").read_text() == "page, too\n"


def test_a_fork_that_is_killed_says_so(tmp_path: Path) -> None:
    ended = _run(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert ended.stdout.endswith("code -9 -9\n")
    assert ended.stderr == ""


def _run(folder: Path, ending: str) -> subprocess.CompletedProcess[str]:
    """What comes of a program whose fork ends in this way."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(ending=indent(ending, "    "))],
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
