"""What a process costs from its start to its end, as the kernel has counted it."""

from __future__ import annotations

import errno
import os
import pty
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Usage(NamedTuple):
    """User and system CPU time and wall time in seconds; the most memory that was resident, in bytes."""

    cpu: float
    wall: float
    peak_bytes: int


class Spread(NamedTuple):
    """The median of some figures, the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        return cls(median(figures), min(figures), max(figures))


def measure(
    command: Sequence[str | Path],
    folder: Path,
    *,
    timeout: float = 600.0,
    allowed: Sequence[int] = (0,),
    on_terminal: bool = False,
) -> Usage:
    """Run a command in `folder`, its output going to `folder/log`, or to a pseudo-terminal where somebody reads it.

    SystemExit when its exit code is not one of `allowed`, as when it takes longer than `timeout` and is killed.
    """
    log = folder / "log"
    with ExitStack() as stack:
        file = stack.enter_context(_terminal()) if on_terminal else stack.enter_context(log.open("wb")).fileno()
        begin = time.monotonic()
        process = subprocess.Popen(
            command, cwd=folder, stdin=file if on_terminal else subprocess.DEVNULL, stdout=file, stderr=file
        )
        watchdog = threading.Timer(timeout, process.kill)
        watchdog.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            watchdog.cancel()
        wall = time.monotonic() - begin
    # Popen has not seen the end of the process, as wait4 took it.
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in allowed:
        told = "" if on_terminal else log.read_text(errors="replace")[-4000:]
        raise SystemExit(f"{command}: exit code {process.returncode}\n{told}")
    return Usage(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024)


@contextmanager
def _terminal() -> Iterator[int]:
    """The end of a pseudo-terminal for a process to write to; what it writes is read and forgotten."""
    ours, theirs = pty.openpty()
    os.set_inheritable(theirs, True)
    reader = threading.Thread(target=_drain, args=(ours,))
    reader.start()
    try:
        yield theirs
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 65536):
            continue
    except OSError as error:
        if error.errno != errno.EIO:  # how Linux says that nobody has the other end any more
            raise
