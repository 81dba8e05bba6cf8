"""What is measured is the process that was started, and nothing outlives it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.measure import Failure, measure

if TYPE_CHECKING:
    from pathlib import Path


def _python(code: str) -> list[str | Path]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_what_a_process_took_is_told(tmp_path: Path) -> None:
    usage = measure(_python("data = b'x' * 100_000_000; print(len(data))"), tmp_path)
    assert 0 < usage.cpu <= usage.wall * (os.cpu_count() or 1)
    assert 100_000_000 < usage.peak_bytes < 130_000_000
    assert (tmp_path / "log").read_text() == "100000000\n"


def test_our_own_memory_is_not_taken_for_that_of_the_process(tmp_path: Path) -> None:
    ballast = b"x" * 100_000_000
    assert measure(_python("1"), tmp_path).peak_bytes < 30_000_000 < len(ballast)


def test_a_failure_ends_the_benchmark_and_shows_what_was_said(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"exit code 3\n.*alas"):
        measure(_python("print('alas'); raise SystemExit(3)"), tmp_path)
    measure(_python("raise SystemExit(3)"), tmp_path, allowed=(3,))


def test_a_process_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    """The child holds a pipe open: that it comes to its end shows that the child is gone."""
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    code = "import os, signal\nif not os.fork():\n    os.open('pipe', os.O_WRONLY)\nsignal.pause()"
    with pytest.raises(Failure, match="not done after 1 s"):
        measure(_python(code), tmp_path, timeout=1.0)
    os.set_blocking(pipe, True)
    with os.fdopen(pipe, "rb") as end:
        assert end.read() == b""


def test_a_process_may_be_given_a_terminal(tmp_path: Path) -> None:
    measure(_python("import sys; print(); sys.exit(0 if sys.stdout.isatty() else 5)"), tmp_path, on_terminal=True)


def test_a_process_may_keep_its_bytecode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every start would compile all modules, and that would be most of it."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    command: list[str | Path] = [
        sys.executable,
        "-S",
        "-c",
        "import sys; sys.exit(5 if sys.dont_write_bytecode else 0)",
    ]
    measure(command, tmp_path)
