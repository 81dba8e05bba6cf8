"""Crawls that are interrupted again and again, at moments spread over all they do, until they finish."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.proof.command import FINISHED, STOPPED, TIMEOUT, Ended, finish
from tests.proof.crawlfile import check_export, check_invariants, query

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from random import Random

    from tests.proof.command import Command

POLL = 0.002
"""How often the progress of a crawl is looked at, in seconds."""


@dataclass(slots=True, kw_only=True)
class Interruptions:
    """Sends `signal` to a crawl, about every `every` requests, and resumes it with the same command.

    A quarter of the moments are counted from the start of the process instead, to hit also what it does before its first
    request and after its last; not the first, for a crawl that is through by then would not be interrupted at all. `progress` counts the requests that the server has seen. No crawl is interrupted more than
    `at_most` times, so that one which makes no progress ends all the same.
    """

    command: Command
    arguments: Sequence[str | Path]
    state: Path
    output: Path
    progress: Callable[[], int]
    random: Random
    every: int
    signal: signal.Signals = signal.SIGKILL
    at_most: int = 1000
    moments: list[int] = field(default_factory=list)
    """How many requests the server had seen at each interruption."""

    def run_to_the_end(self) -> int:
        """Interrupt, check and resume until the crawl finishes; returns how often it was interrupted."""
        while len(self.moments) < self.at_most:
            process = self.command.start(*self.arguments)
            self._await_moment(process)
            seen = self.progress()
            process.send_signal(self.signal)
            ended = finish(process)
            if ended.code == FINISHED:
                return len(self.moments)
            self.moments.append(seen)
            self._check(ended)
        ended = self.command.run(*self.arguments)
        assert ended.code == FINISHED, ended.err
        return len(self.moments)

    def _await_moment(self, process: subprocess.Popen[str]) -> None:
        """Wait for a moment drawn at random, or for the end of the process."""
        deadline = time.monotonic() + TIMEOUT
        target = self.progress()
        if self.moments and self.signal is signal.SIGKILL and self.random.random() < 0.25:
            deadline = time.monotonic() + self.random.uniform(0.02, 0.6)
            target = -1
        else:
            target += self.random.randint(1, 2 * self.every)
        while process.poll() is None and time.monotonic() < deadline and not 0 <= target <= self.progress():
            time.sleep(POLL)

    def _check(self, ended: Ended) -> None:
        expected = -signal.SIGKILL if self.signal is signal.SIGKILL else STOPPED
        assert ended.code == expected, f"exit code {ended.code} on {self.signal.name}: {ended.err}"
        assert "Traceback" not in ended.err
        if self.state.exists() and self.state.stat().st_size:
            self._check_file()

    def _check_file(self) -> None:
        if not query(self.state, "SELECT 1 FROM sqlite_master WHERE name = 'request'"):
            return  # killed before the tables were there
        check_invariants(self.state)
        if self.output.suffix == ".jsonl":
            check_export(self.state, self.output)
        if self.signal is not signal.SIGKILL:
            assert query(self.state, "SELECT leased FROM count") == [(0,)], (
                "a request was left leased by an orderly stop"
            )
