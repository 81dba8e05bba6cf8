"""Very many hosts behind one port: each address of 127.1.0.0 and up is a host of its own, with a small site.

    with Swarm(folder, hosts=100_000, pages=20) as swarm:
        ...  # swarm.urls(); then swarm.journal()

A process of its own, and one loop over epoll with nothing between it and the sockets: it has to be cheap beside the crawler
that it is to judge. The page `/` of a host leads to its other pages, `/1` and so on. Some hosts, spread evenly over the list,
may be dumb: they take each request in, and never answer. The others do so after `latency` seconds.

The journal has for each request the instant at which the kernel took it in (`SO_TIMESTAMPNS`, socket(7)), which does not
depend on when this process was given the processor, and the connections that its host had just then.
"""

from __future__ import annotations

import argparse
import contextlib
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the module `socket` has no name for it
_TIMESPEC = struct.Struct("qq")
_RECORD = struct.Struct("=dIHB")
_AT_ONCE = 64
_FIRST = 127 << 24 | 1 << 16
_REPOSITORY = Path(__file__).parents[2]

ROBOTS = 0xFFFF
"""In the place of a page's number."""


class Asked(NamedTuple):
    """One request: when it arrived (seconds of the epoch), of which host which page, over how many open connections."""

    at: float
    host: int
    page: int
    open: int


def address(host: int) -> str:
    """Where a host is."""
    return socket.inet_ntoa((_FIRST + host).to_bytes(4, "big"))


def is_dumb(host: int, *, hosts: int, dumb: int) -> bool:
    """Whether a host is one of the dumb ones."""
    return dumb > 0 and host % (hosts // dumb) == 0 and host // (hosts // dumb) < dumb


class Swarm:
    """Runs for as long as the `with` block lasts; its journal is in `folder`."""

    def __init__(self, folder: Path, *, hosts: int, pages: int, dumb: int = 0, latency: float = 0.0) -> None:
        self.hosts = hosts
        self.pages = pages
        self.dumb = dumb
        self.latency = latency
        self.port = 0
        self._path = folder / "journal"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        numbers = (str(number) for number in (self.hosts, self.pages, self.dumb, self.latency))
        command = [sys.executable, "-m", "tests.servers.swarm", str(self._path), *numbers]
        self._process = subprocess.Popen(command, cwd=_REPOSITORY, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it: the journal is complete. Once is enough, more does no harm."""
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.communicate()
            self._process = None

    def urls(self) -> list[str]:
        """The first page of each host."""
        return [f"http://{address(host)}:{self.port}/" for host in range(self.hosts)]

    def is_dumb(self, host: int) -> bool:
        """Whether a host never answers."""
        return is_dumb(host, hosts=self.hosts, dumb=self.dumb)

    def answered(self) -> int:
        """About how many requests were noted up to now: what the journal holds on disk."""
        return self._path.stat().st_size // _RECORD.size

    def journal(self) -> list[Asked]:
        """What was asked, in the order in which it was read."""
        return [Asked(*record) for record in _RECORD.iter_unpack(self._path.read_bytes())]

    def wait(self, requests: int, *, timeout: float) -> bool:
        """Wait until so many requests are noted; False if they were not in `timeout` seconds. Nothing tells of it: this
        looks again and again."""
        until = time.monotonic() + timeout
        while self.answered() < requests:
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    host: int


class _Server:
    """The loop."""

    def __init__(self, journal: BinaryIO, *, hosts: int, pages: int, dumb: int, latency: float) -> None:
        self._journal = journal
        self._dumb = {host for host in range(hosts) if is_dumb(host, hosts=hosts, dumb=dumb)}
        self._latency = latency
        self._due: deque[tuple[float, socket.socket, bytes]] = deque()
        self._answers = [_answer(page, pages) for page in range(pages)]
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")  # any address, of loopback alone
        self._listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._listener.bind(("", 0))
        self._listener.listen(4096)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._connections: dict[int, _Connection] = {}
        self._of_host: defaultdict[int, list[_Connection]] = defaultdict(list)
        self._is_over = False

    def stop(self) -> None:
        self._is_over = True

    def run(self) -> None:
        poll = select.epoll()
        poll.register(self._listener, select.EPOLLIN)
        listening = self._listener.fileno()
        while not self._is_over:
            for number, _ in poll.poll(self._answer_due(), 512):
                if number == listening:
                    self._accept(poll)
                elif not self._serve(self._connections[number]):
                    self._close(self._connections.pop(number))
            self._journal.flush()

    def _answer_due(self) -> float:
        """Send the answers whose time has come; seconds until the next one's, a tenth at most."""
        now = time.monotonic()
        while self._due:
            at, client, answer = self._due[0]
            if at > now:
                return min(0.1, at - now)
            self._due.popleft()
            with contextlib.suppress(OSError):  # it may have gone
                client.send(answer)
        return 0.1

    def _accept(self, poll: select.epoll) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = self._listener.accept()
            except BlockingIOError:
                return
            accepted.setblocking(False)
            host = int.from_bytes(socket.inet_aton(accepted.getsockname()[0]), "big") - _FIRST
            connection = self._connections[accepted.fileno()] = _Connection(accepted, host)
            self._of_host[host].append(connection)
            poll.register(accepted, select.EPOLLIN)

    def _close(self, connection: _Connection) -> None:
        connection.socket.close()  # which takes it off the epoll, too
        others = self._of_host[connection.host]
        others.remove(connection)
        if not others:
            del self._of_host[connection.host]

    def _serve(self, connection: _Connection) -> bool:
        """Answer one request; False at the connection's end. A request fits into one segment."""
        try:
            data, notes, _, _ = connection.socket.recvmsg(16384, socket.CMSG_SPACE(_TIMESPEC.size))
            if not data:
                return False
            seconds, nanoseconds = _TIMESPEC.unpack(notes[0][2])
            path = data.split(b" ", 2)[1]
            page = ROBOTS if path == b"/robots.txt" else int(path[1:] or b"0")
            record = (seconds + nanoseconds / 1e9, connection.host, page, self._open(connection.host))
            self._journal.write(_RECORD.pack(*record))
            if connection.host not in self._dumb:
                self._answer(connection.socket, _NO_ROBOTS if page == ROBOTS else self._answers[page])
        except OSError:
            return False
        return True

    def _answer(self, client: socket.socket, answer: bytes) -> None:
        if self._latency:
            self._due.append((time.monotonic() + self._latency, client, answer))
        else:
            client.send(answer)

    def _open(self, host: int) -> int:
        """A client that closed one connection before it opened another has one, though we may not have read of its end."""
        connections = self._of_host[host]
        if len(connections) == 1:
            return 1
        return sum(not _has_ended(connection.socket) for connection in connections)


def _has_ended(connection: socket.socket) -> bool:
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _wire(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_NO_ROBOTS = _wire("404 Not Found", b"")


def _answer(page: int, pages: int) -> bytes:
    links = "".join(f'<a href="/{other}">{other}</a> ' for other in _links(page, pages))
    return _wire("200 OK", f"<!DOCTYPE html><title>{page}</title>{links}".encode())


def _links(page: int, pages: int) -> Iterator[int]:
    if page == 0:
        yield from range(1, pages)


def main() -> None:
    """Serve until SIGTERM; the port goes to standard output."""
    parser = argparse.ArgumentParser()
    parser.add_argument("journal", type=Path)
    for name in ("hosts", "pages", "dumb"):
        parser.add_argument(name, type=int)
    parser.add_argument("latency", type=float)
    arguments = parser.parse_args()
    with arguments.journal.open("wb", buffering=1 << 16) as journal:
        server = _Server(
            journal, hosts=arguments.hosts, pages=arguments.pages, dumb=arguments.dumb, latency=arguments.latency
        )
        signal.signal(signal.SIGTERM, lambda _number, _frame: server.stop())
        print(server.port, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.run()


if __name__ == "__main__":
    main()
