"""Proxies on loopback, in the test's own event loop, that keep a log: one speaks HTTP, the other SOCKS 4, 4a and 5.

    async with http_proxy(names={"origin.example": "127.0.0.1"}) as proxy:
        ...  # proxy.url, proxy.log, proxy.connections

They reach what `names` says, and IP addresses; they share no code with the client.
"""

from __future__ import annotations

import asyncio
import ipaddress
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import ssl
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator

Conversation: TypeAlias = Callable[["StreamReader", "StreamWriter"], Awaitable[None]]
_Listening: TypeAlias = "AbstractAsyncContextManager[ProxyServer]"


class Asked(NamedTuple):
    """What a client wanted: `verb` is a method, or SOCKS with its version; `target` as it wrote it; then headers or a login."""

    verb: str
    target: str
    headers: Mapping[str, str] = {}
    login: tuple[str, str] | None = None


@dataclass(slots=True)
class ProxyServer:
    """A proxy that runs: where, what it was asked, how many connections it has had, and how many it has."""

    port: int
    scheme: str
    log: list[Asked] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    is_left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while no client is connected, once there has been one."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@asynccontextmanager
async def listen(
    converse: Callable[[StreamReader, StreamWriter, ProxyServer], Awaitable[None]],
    *,
    scheme: str = "http",
    tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> AsyncIterator[ProxyServer]:
    """Run a conversation for each connection, and end those that are left with the server. What they assert fails the test."""
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        proxy.connections += 1
        proxy.open += 1
        proxy.is_left.clear()
        try:
            await converse(reader, writer, proxy)
        except (OSError, asyncio.IncompleteReadError):
            return  # one side hung up
        finally:
            writer.transport.abort()
            proxy.open -= 1
            if not proxy.open:
                proxy.is_left.set()

    server = await asyncio.start_server(
        lambda *ends: tasks.append(asyncio.create_task(serve(*ends))), "127.0.0.1", port, ssl=tls
    )
    proxy = ProxyServer(server.sockets[0].getsockname()[1], scheme)
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


def scripted(talk: Conversation, *, scheme: str = "http", tls: ssl.SSLContext | None = None) -> _Listening:
    """A proxy that does what a test wants it to."""

    async def converse(reader: StreamReader, writer: StreamWriter, _proxy: ProxyServer) -> None:
        await talk(reader, writer)

    return listen(converse, scheme=scheme, tls=tls)


def http_proxy(
    *,
    names: Mapping[str, str] | None = None,
    login: tuple[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    version: str = "1.1",
    port: int = 0,
) -> _Listening:
    """A proxy that forwards requests and tunnels; with a login, it asks for it (407)."""
    known = names or {}
    expected = "Basic " + b64encode(":".join(login).encode()).decode() if login else None

    async def converse(reader: StreamReader, writer: StreamWriter, proxy: ProxyServer) -> None:
        while line := (await reader.readline()).decode("ascii"):
            method, target, _ = line.split()
            headers = await _read_headers(reader)
            proxy.log.append(Asked(method, target, headers))
            if expected is not None and headers.get("proxy-authorization") != expected:
                writer.write(
                    b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=here\r\nContent-Length: 0\r\n\r\n"
                )
            elif method == "CONNECT":
                await _tunnel(reader, writer, _resolved(target, known), f"HTTP/{version} 200 Here you are\r\n\r\n")
                return
            else:
                await _forward(reader, writer, method, target, headers, known)

    return listen(converse, scheme="https" if tls else "http", tls=tls, port=port)


def socks_proxy(
    *, names: Mapping[str, str] | None = None, login: tuple[str, str] | None = None, scheme: str = "socks5"
) -> _Listening:
    """A SOCKS proxy of every version; with a login, it takes nothing else."""
    known = names or {}

    async def converse(reader: StreamReader, writer: StreamWriter, proxy: ProxyServer) -> None:
        version = (await reader.readexactly(1))[0]
        if version == 4:
            await _socks4(reader, writer, proxy, known, login)
        else:
            await _socks5(reader, writer, proxy, known, login)

    return listen(converse, scheme=scheme)


# -- HTTP --------------------------------------------------------------------------------------------------------------


async def _read_headers(reader: StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        assert name.lower() not in headers, f"{name} is there twice"
        headers[name.lower()] = value.strip()
    return headers


async def _forward(
    reader: StreamReader,
    writer: StreamWriter,
    method: str,
    target: str,
    headers: Mapping[str, str],
    known: Mapping[str, str],
) -> None:
    """Ask the origin in the client's place (RFC 9112 §3.2.2), on a connection of its own, and pass the answer on."""
    scheme, _, rest = target.partition("://")
    assert scheme == "http", f"not in absolute form: {target}"
    authority, slash, path = rest.partition("/")
    address = _resolved(authority if ":" in authority else f"{authority}:80", known)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if not name.startswith("proxy-"))
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    from_origin, to_origin = await asyncio.open_connection(*address)
    try:
        to_origin.write(f"{method} {slash}{path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        head = await from_origin.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        writer.write(head + (b"" if method == "HEAD" else await from_origin.readexactly(length)))
    finally:
        to_origin.close()


def _resolved(authority: str, known: Mapping[str, str]) -> tuple[str, int]:
    host, _, port = authority.rpartition(":")
    host = host.strip("[]")
    return known[host] if host in known else str(ipaddress.ip_address(host)), int(port)


# -- SOCKS -------------------------------------------------------------------------------------------------------------


async def _socks4(
    reader: StreamReader,
    writer: StreamWriter,
    proxy: ProxyServer,
    known: Mapping[str, str],
    login: tuple[str, str] | None,
) -> None:
    command, *port, a, b, c, d = await reader.readexactly(7)
    user = (await reader.readuntil(b"\0"))[:-1].decode()
    verb, host = "SOCKS4", f"{a}.{b}.{c}.{d}"
    if host.startswith("0.0.0."):
        verb, host = "SOCKS4a", (await reader.readuntil(b"\0"))[:-1].decode()
    target = f"{host}:{int.from_bytes(port)}"
    proxy.log.append(Asked(verb, target, login=(user, "")))
    if command != 1 or (login is not None and login[0] != user):
        writer.write(b"\0\x5d" + bytes(6))
        return
    await _tunnel(reader, writer, _resolved(target, known), b"\0\x5a" + bytes(6), b"\0\x5b" + bytes(6))


async def _socks5(
    reader: StreamReader,
    writer: StreamWriter,
    proxy: ProxyServer,
    known: Mapping[str, str],
    login: tuple[str, str] | None,
) -> None:
    methods = await reader.readexactly((await reader.readexactly(1))[0])
    method = 2 if login is not None else 0
    if method not in methods:
        writer.write(b"\5\xff")
        return
    writer.write(bytes((5, method)))
    given = None
    if login is not None:
        assert await reader.readexactly(1) == b"\1"
        given = ((await _counted(reader)).decode(), (await _counted(reader)).decode())
        writer.write(b"\1\0" if given == login else b"\1\1")
        if given != login:
            return
    assert await reader.readexactly(3) == b"\5\1\0"
    kind = (await reader.readexactly(1))[0]
    if kind == 3:
        host = (await _counted(reader)).decode("ascii")
    else:
        host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
    port = int.from_bytes(await reader.readexactly(2))
    target = f"[{host}]:{port}" if kind == 4 else f"{host}:{port}"
    proxy.log.append(Asked("SOCKS5", target, login=given))
    bound = b"\0\3\5bound\0\0"  # a name as the bound address: seldom seen, and allowed (RFC 1928 §6)
    await _tunnel(reader, writer, _resolved(target, known), b"\5\0" + bound, b"\5\5" + bound)


async def _counted(reader: StreamReader) -> bytes:
    return await reader.readexactly((await reader.readexactly(1))[0])


# -- tunnels -----------------------------------------------------------------------------------------------------------


async def _tunnel(
    reader: StreamReader,
    writer: StreamWriter,
    address: tuple[str, int],
    granted: str | bytes,
    refused: bytes = b"HTTP/1.1 502 Not there\r\nVia: test\r\nContent-Length: 5\r\n\r\nsorry",
) -> None:
    """Connect to the target and carry bytes until both have said all."""
    try:
        from_target, to_target = await asyncio.open_connection(*address)
    except OSError:
        writer.write(refused)
        return
    writer.write(granted.encode() if isinstance(granted, str) else granted)
    try:
        await asyncio.gather(_carry(reader, to_target), _carry(from_target, writer))
    finally:
        to_target.transport.abort()


async def _carry(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
