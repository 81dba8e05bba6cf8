"""Daemons that choose no port by themselves: they are given a free one, and another when somebody was quicker."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tests.servers.ports import an_unused_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5.0
ATTEMPTS: Final = 5

_POLL_SECONDS: Final = 0.02
"""These programs do not say when they are ready, so they are asked."""


def find(program: str) -> str | None:
    """Return where a program is; Debian keeps daemons off an ordinary user's path."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))


@contextmanager
def running(command: Callable[[int], list[str]], log: Path) -> Iterator[int]:
    """Run what `command` says for a port, and yield that port as soon as it takes connections."""
    for _ in range(ATTEMPTS):
        port = an_unused_port()
        with log.open("wb") as output:
            process = subprocess.Popen(command(port), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            if _answers(port, process):
                yield port
                return
        finally:
            _stop(process)
    raise RuntimeError(f"{command(0)[0]} does not start: {log.read_text(errors='replace')[-2000:]}")


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    give_up_at = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up_at:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(_POLL_SECONDS)
        else:
            return process.poll() is None
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
