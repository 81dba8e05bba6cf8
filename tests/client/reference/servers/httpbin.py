"""httpbin, served by waitress in a process of its own: ``python -m …httpbin DESCRIPTOR`` is that process."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def httpbin() -> Iterator[str]:
    """Serve httpbin, and yield its URL, which ends with a slash. Who connects at once waits in the backlog."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        yield url
    finally:
        process.terminate()
        process.wait()


def _serve(descriptor: int) -> None:
    import waitress
    from httpbin import app

    waitress.serve(app, sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
