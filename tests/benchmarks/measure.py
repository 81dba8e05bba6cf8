"""What a process costs from its start to its end, as the kernel has counted it."""

from __future__ import annotations

import errno
import os
import pty
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LAUNCHER = Path(__file__).with_name("launch.py")


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


class Failure(Exception):
    """A process did not do what it was to do: it failed, took too long, or came to other pages."""


def measure(
    command: Sequence[str | Path],
    folder: Path,
    *,
    timeout: float = 600.0,
    allowed: Sequence[int] = (0,),
    on_terminal: bool = False,
) -> Usage:
    """Run a command in `folder`, its output going to `folder/log`, or to a pseudo-terminal, an xterm, where somebody reads it.

    Raises Failure when its exit code is not one of `allowed`, or when it took longer than `timeout` and was killed.
    """
    log = folder / "log"
    told, tell = os.pipe()
    with ExitStack() as stack:
        reader = stack.enter_context(os.fdopen(told))
        writer = stack.enter_context(os.fdopen(tell, "w"))
        file = stack.enter_context(_terminal()) if on_terminal else stack.enter_context(log.open("wb")).fileno()
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", LAUNCHER, str(tell), *command],
            cwd=folder,
            env=environment() | ({"TERM": "xterm"} if on_terminal else {}),
            stdin=file if on_terminal else subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            pass_fds=[tell],
            start_new_session=True,
        )
        writer.close()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"{_joined(command)}: not done after {timeout:.0f} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        exit_code, cpu, wall, peak_bytes = reader.read().split()
    if int(exit_code) not in allowed:
        said = "" if on_terminal else log.read_text(errors="replace")[-4000:]
        raise Failure(f"{_joined(command)}: exit code {exit_code}\n{said}")
    return Usage(float(cpu), float(wall), int(peak_bytes))


def environment() -> dict[str, str]:
    """That of a process to be measured: it may keep its bytecode, as what is installed has it. Without it, every start compiles
    each module anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _joined(command: Sequence[str | Path]) -> str:
    return shlex.join(map(str, command))


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
