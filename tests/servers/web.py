"""A small HTTP/1.1 server on many loopback addresses that keeps an exact journal of what it was asked.

Each connection has a thread, so an answer may take as long as a test likes and delays nobody else. The instant at which a
request arrived is the kernel's (`SO_TIMESTAMPNS`, socket(7)): it does not depend on when this process was given the
processor, which on a busy machine would blur what a politeness test has to see.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the module `socket` has no name for it
_TIMESPEC = struct.Struct("qq")
_HEAD_LIMIT = 64 * 1024


class Asked(NamedTuple):
    """One request: when its head arrived (seconds of the epoch), what it says, and what else the host was at just then.

    `open` counts the connections to the host, `active` its requests under way, both with this one.
    """

    at: float
    host: str
    target: str
    headers: Mapping[str, str]
    connection: int
    open: int
    active: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response. `headers` come over those that go without saying; `hang_up` closes the connection after so many bytes of it."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_up: int | None = None

    def wire(self) -> bytes:
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(self.body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} Status", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join((*lines, "", "")).encode("latin-1") + self.body


def page(title: str, links: Iterable[str] = (), *, head: str = "") -> Answer:
    """An HTML page that leads to `links`."""
    anchors = "\n".join(f'<a href="{link}">{link}</a>' for link in links)
    return Answer(body=f"<!DOCTYPE html><title>{title}</title>{head}\n{anchors}\n".encode())


def redirect(target: str, status: int = 302) -> Answer:
    """A redirect to `target`."""
    return Answer(status=status, headers={"Location": target})


NOT_FOUND = Answer(status=404, body=b"<!DOCTYPE html><title>Not found</title>")


class WebServer:
    """Serves on each of `addresses`, for as long as the `with` block lasts, what `answer` says; None is silence for ever.

    `answer` is called in the connection's own thread and may block.
    """

    def __init__(
        self,
        answer: Callable[[Asked], Answer | None],
        *,
        addresses: Sequence[str] = ("127.0.0.1",),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._answer = answer
        self._addresses = addresses
        self._tls = tls
        self._listeners: dict[str, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._journal: list[Asked] = []
        self._open: dict[socket.socket, str] = {}
        self._active: dict[str, int] = {}
        self._is_stopping = False

    @property
    def hosts(self) -> list[str]:
        """`address:port` of each host, in the order of `addresses`."""
        return list(self._listeners)

    @property
    def urls(self) -> list[str]:
        """The root URL of each host."""
        return [f"{'https' if self._tls else 'http'}://{host}/" for host in self.hosts]

    @property
    def url(self) -> str:
        return self.urls[0]

    def __enter__(self) -> Self:
        for address in self._addresses:
            listener = socket.create_server((address, 0), backlog=511)
            listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            host = f"{address}:{listener.getsockname()[1]}"
            self._listeners[host] = listener
            self._start(self._listen, host, listener)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
            sockets = [*self._listeners.values(), *self._open]
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def journal(self) -> list[Asked]:
        """What was asked so far, in the order in which it was read."""
        with self._changed:
            return list(self._journal)

    def wait(self, until: Callable[[Sequence[Asked]], bool], *, timeout: float = 30.0) -> bool:
        """Wait until the journal is as `until` wants it; False when it was not in `timeout` seconds, or the server stopped."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_stopping or until(self._journal), timeout) and until(
                self._journal
            )

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self, host: str, listener: socket.socket) -> None:
        with listener:
            for number in itertools.count():
                try:
                    connection, _ = listener.accept()
                except OSError:  # shut down by __exit__
                    return
                with self._changed:
                    if self._is_stopping:
                        connection.close()
                        return
                    self._open[connection] = host
                self._start(self._serve, host, number, connection)

    def _serve(self, host: str, number: int, connection: socket.socket) -> None:
        talk = connection
        try:
            if self._tls:
                talk = self._tls.wrap_socket(connection.dup(), server_side=True)
            while head := _read_head(talk):
                asked = self._note(host, number, *head)
                answer = self._answer(asked)
                if answer is None:
                    _be_silent(talk)
                    self._finish(host)
                    return
                # Over before its last byte is out: what the client asks next must not count beside this one.
                self._finish(host)
                talk.sendall(answer.wire()[: answer.hang_up])
                if answer.hang_up is not None:
                    return
        except OSError:  # the client went away, or does not trust us
            return
        finally:
            with self._changed:
                del self._open[connection]
            talk.close()
            connection.close()

    def _note(self, host: str, number: int, at: float, target: str, headers: Mapping[str, str]) -> Asked:
        with self._changed:
            self._active[host] = self._active.get(host, 0) + 1
            # A client that closed one connection before it opened another has one; our thread may not have seen the end.
            opened = sum(1 for each, its_host in self._open.items() if its_host == host and not _has_ended(each))
            asked = Asked(at, host, target, headers, number, opened, self._active[host])
            self._journal.append(asked)
            self._changed.notify_all()
            return asked

    def _finish(self, host: str) -> None:
        with self._changed:
            self._active[host] -= 1


def _read_head(connection: socket.socket) -> tuple[float, str, dict[str, str]] | None:
    """When a request arrived, its target and its headers; None at the end of the connection. Requests have no body here."""
    at, data = 0.0, b""
    while b"\r\n\r\n" not in data and len(data) < _HEAD_LIMIT:
        more, stamp = _receive(connection)
        if not more:
            return None
        at, data = at or stamp, data + more
    first, *lines = data.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return at, first.split(" ")[1], headers


def _receive(connection: socket.socket) -> tuple[bytes, float]:
    """Some bytes, and when they arrived: by the kernel's clock or, behind TLS, by ours."""
    try:
        data, notes, _, _ = connection.recvmsg(_HEAD_LIMIT, socket.CMSG_SPACE(_TIMESPEC.size))
    except NotImplementedError:  # ssl.SSLSocket
        return connection.recv(_HEAD_LIMIT), time.time()
    for _, kind, note in notes:
        if kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(note)
            return data, seconds + nanoseconds / 1e9
    return data, time.time()


def _be_silent(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(4096):
            continue


def _has_ended(connection: socket.socket) -> bool:
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
