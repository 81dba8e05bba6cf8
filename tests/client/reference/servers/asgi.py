"""uvicorn on loopback, in a thread: h11 speaks its HTTP, wsproto its WebSockets."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import uvicorn

from tests.client.reference.servers.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

STOP_SECONDS: Final = 10.0


@contextmanager
def asgi() -> Iterator[str]:
    """Serve the app, and yield its URL, which ends with a slash."""
    config = uvicorn.Config(
        app, http="h11", ws="wsproto", loop="asyncio", lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(STOP_SECONDS)
            assert not thread.is_alive()
