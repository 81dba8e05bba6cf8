"""A web as it is, on loopback: hundreds of hosts that fail, redirect, stall, cut off, overflow and lead into traps.

What becomes of a URL is in its path, so that anybody can tell what a crawl must have made of it (`FATES`). Each page leads to
the next ones of its host, without end, until the web is closed: from then on pages have no links, and a crawl of it comes to
its end. Every link that was given out is written to a file.

Usage: python -m tests.servers.rough_web LINKS HOSTS OPEN_SECONDS, which prints the port. Host n is 127.1.x.y, as in
tests/servers/swarm.py; the last one in fifty is dead.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from tests.servers.swarm import address

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from io import TextIOWrapper
    from types import TracebackType

FATES: Final = {
    "page": "200",
    "slow": "200",
    "flaky": "200",
    "busy": "200",
    "reset": "200",
    "cut": "200",
    "away": "200",
    "missing": "http: 404",
    "broken": "http: 500",
    "huge": "size",
    "stall": "timeout",
}
"""The first word of a path, and what it comes to in the end: a status, or the beginning of an error."""

_ODD: Final = ("slow", "flaky", "away", "missing", "busy", "reset", "broken", "cut", "huge")
_SLOW_SECONDS = 1.0
_RETRY_AFTER = {"Retry-After": "1"}
_REPOSITORY = Path(__file__).parents[2]


class RoughWeb:
    """Runs as a process of its own for as long as the `with` block lasts; open for `open_seconds`."""

    def __init__(self, folder: Path, *, hosts: int, open_seconds: float) -> None:
        self.hosts = hosts
        self.port = 0
        self._links = folder / "links"
        self._open_seconds = open_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        arguments = (str(self._links), str(self.hosts), str(self._open_seconds))
        command = [sys.executable, "-m", "tests.servers.rough_web", *arguments]
        self._process = subprocess.Popen(command, cwd=_REPOSITORY, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.communicate()
            self._process = None

    def seeds(self) -> list[str]:
        """Where each host begins."""
        return [f"http://{address(host)}:{self.port}/page/0" for host in range(self.hosts)]

    def dead(self) -> set[str]:
        """The hosts, as `address:port`, that answer nothing."""
        return {f"{address(host)}:{self.port}" for host in range(self.hosts) if _is_dead(host, self.hosts)}

    def links(self) -> set[str]:
        """Every URL that a page has led to; complete once the web has ended."""
        return set(self._links.read_text().split())


def _is_dead(host: int, hosts: int) -> bool:
    return host >= hosts - max(1, hosts // 50)


class _Asked(NamedTuple):
    base: str
    path: str

    @property
    def kind(self) -> str:
        return self.path.split("/")[1]

    @property
    def number(self) -> int:
        return int(self.path.rpartition("/")[2])


class _Server:
    def __init__(self, links: TextIOWrapper, hosts: int, open_seconds: float) -> None:
        self._links = links
        self._hosts = hosts
        self._closes_at = time.monotonic() + open_seconds
        self._met: set[_Asked] = set()
        self._dead = {address(host) for host in range(hosts) if _is_dead(host, hosts)}

    async def converse(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One connection."""
        try:
            if writer.get_extra_info("sockname")[0] in self._dead:
                writer.transport.abort()
                return
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                base = next(line[6:] for line in lines if line.lower().startswith("host: "))
                asked = _Asked(f"http://{base}", lines[0].split(" ")[1])
                if asked.kind == "stall":
                    await reader.read()  # nothing more comes, until the client gives up
                    return
                if not await self._answer(writer, asked):
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    async def _answer(self, writer: StreamWriter, asked: _Asked) -> bool:
        """Whether the connection goes on."""
        is_first = asked not in self._met
        match asked.kind:
            case "robots.txt":
                _send(writer, 200, b"User-agent: *\nDisallow: /private\n")
            case "flaky" | "busy" | "reset" | "cut" if is_first:
                self._met.add(asked)
                return _refuse(writer, asked.kind)
            case "missing":
                _send(writer, 404, b"")
            case "broken":
                _send(writer, 500, b"")
            case "away":
                _send(writer, 302, b"", {"Location": f"/landed/{asked.number}"})
            case "huge":
                await _overflow(writer)
                return False
            case kind:
                if kind == "slow":
                    await asyncio.sleep(_SLOW_SECONDS)
                _send(writer, 200, self._page(asked))
        await writer.drain()
        return True

    def _page(self, asked: _Asked) -> bytes:
        targets = self._targets(asked) if time.monotonic() < self._closes_at else []
        links = [target if target.startswith("http") else asked.base + target for target in targets]
        self._links.writelines(f"{link}\n" for link in links)
        anchors = "".join(f'<li><a href="{link}">{link}</a></li>' for link in links)
        words = f"{asked.base}{asked.path} " * 40
        return f"<!DOCTYPE html><title>{asked.path}</title><p>{words}</p><ul>{anchors}</ul>".encode()

    def _targets(self, asked: _Asked) -> list[str]:
        if asked.kind == "trap":
            return [f"{asked.path.rpartition('/')[0]}/deeper/{asked.number + 1}"]
        if asked.kind != "page":
            return []
        n, host = asked.number, asked.base.rpartition(":")[0]
        odd = _ODD[(n + int(host.rpartition(".")[2])) % len(_ODD)]  # each host begins with another
        targets = [f"/page/{n + 1}", f"/page/{n + 2}", f"/{odd}/{n}"]
        if n == 5:
            targets.append("/trap/0")
        if n % 100 == 50:
            targets.append(f"/stall/{n}")
        if n % 10 == 0:
            port = asked.base.rpartition(":")[2]
            targets.append(f"http://{address(n * 7919 % self._hosts)}:{port}/page/0")
        return targets


def _refuse(writer: StreamWriter, kind: str) -> bool:
    match kind:
        case "flaky":
            _send(writer, 503, b"", _RETRY_AFTER)
        case "busy":
            _send(writer, 429, b"", _RETRY_AFTER)
        case "cut":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
            return False
        case _:
            writer.transport.abort()
            return False
    return True


async def _overflow(writer: StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


def _send(writer: StreamWriter, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    fields = {"Content-Type": "text/html", "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + body)


async def _serve(links: Path, hosts: int, open_seconds: float) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")  # any address, of loopback alone
    listener.bind(("", 0))
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    with links.open("w") as file:
        server = await asyncio.start_server(_Server(file, hosts, open_seconds).converse, sock=listener, backlog=1024)
        print(listener.getsockname()[1], flush=True)
        await over.wait()
        server.close()


def main() -> None:
    """Serve until SIGTERM."""
    links, hosts, open_seconds = sys.argv[1:]
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(Path(links), int(hosts), float(open_seconds)))


if __name__ == "__main__":
    main()
