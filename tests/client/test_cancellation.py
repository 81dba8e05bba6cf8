"""Cancelled at any point, a request leaves nothing: no slot, no connection, no task."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from client import (
    AbstractResolver,
    ClientConnectorError,
    ClientPayloadError,
    ClientSession,
    ClientTimeout,
    TCPConnector,
    TraceConfig,
)
from tests.client.peer import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import trustme
    from yarl import URL

    from client.abc import ResolveResult
    from tests.client.conftest import Serve
    from tests.client.peer import Peer, Server

STEPS = 60
"""More steps than any of these requests takes."""


async def parts() -> AsyncIterator[bytes]:
    for _ in range(3):
        await asyncio.sleep(0)
        yield b"part"


async def get(session: ClientSession, server: Server) -> None:
    async with session.get(server.url) as response:
        await response.read()


async def redirected(session: ClientSession, server: Server) -> None:
    async with session.get(server.url / "redirect") as response:
        await response.read()


async def streamed(session: ClientSession, server: Server) -> None:
    async with session.get(server.url / "large") as response:
        async for _ in response.content.iter_any():
            pass


async def uploaded(session: ClientSession, server: Server) -> None:
    async with session.post(server.url, data=parts()) as response:
        await response.read()


async def announced(session: ClientSession, server: Server) -> None:
    async with session.post(server.url, data=b"body", expect100=True) as response:
        await response.read()


REQUESTS = [get, redirected, streamed, uploaded, announced]


async def script(peer: Peer) -> None:
    """Answers in several pieces, so that there is something to wait for at each of them."""
    while True:
        received = await peer.head()
        if "expect" in received.headers:
            await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await peer.body(received)
        if received.target == "/redirect":
            await peer.answer(b"", "302 Found", "Location: /")
            continue
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n")
        await asyncio.sleep(0)
        await peer.send(b"\r\n")
        for _ in range(20 if received.target == "/large" else 2):
            await asyncio.sleep(0)
            await peer.send(b"5\r\nhello\r\n")
        await peer.send(b"0\r\n\r\n")


async def cancel_after(steps: int, coroutine: Awaitable[object]) -> bool:
    """Let a coroutine take so many turns of the event loop, and cancel it; whether it was still going on."""
    task = asyncio.ensure_future(coroutine)
    for _ in range(steps):
        await asyncio.sleep(0)
    was_going_on = task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return was_going_on and task.cancelled()


@pytest.mark.parametrize("is_kept", [False, True], ids=["new connection", "kept connection"])
@pytest.mark.parametrize("request_", REQUESTS)
async def test_cancelled_at_every_step(
    request_: Callable[[ClientSession, Server], Awaitable[None]], is_kept: bool, serve: Serve
) -> None:
    """Whoever takes gives back: counts are zero, and the server sees its connections closed."""
    server = await serve(script)
    before = asyncio.all_tasks()
    cancelled = 0
    for steps in range(STEPS):
        async with ClientSession(connector=TCPConnector(limit=1)) as session:
            connector = session.connector
            assert connector is not None
            if is_kept:
                await get(session, server)
            cancelled += await cancel_after(steps, request_(session, server))
            assert connector.in_use_count == 0
            assert connector.limits.active == 0
            await get(session, server)
            await until(lambda: all(task in before or is_servers(task) for task in asyncio.all_tasks()))
        await until(lambda: server.open_connections == 0)
    assert cancelled > 5


def is_servers(task: asyncio.Task[object]) -> bool:
    return "accept" in repr(task.get_coro())


async def test_cancelled_during_the_tls_handshake(
    serve: Serve, server_tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    """The same where most waiting is the handshake's."""
    server = await serve(script, tls=server_tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    for steps in range(40):
        async with ClientSession(connector=TCPConnector(ssl=trusting)) as session:
            connector = session.connector
            assert connector is not None
            await cancel_after(steps, get(session, server))
            assert connector.in_use_count == connector.limits.active == 0
        await until(lambda: server.open_connections == 0)


async def test_cancelled_while_waiting_for_a_slot(serve: Serve) -> None:
    """A place in the queue is given up, and the next in it is served."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def held(peer: Peer) -> None:
        while True:
            await peer.request()
            asked.set()
            await go_on.wait()
            await peer.answer(b"")

    server = await serve(held)
    async with ClientSession(connector=TCPConnector(limit=1)) as session:
        first = asyncio.create_task(get(session, server))
        await asked.wait()
        await cancel_after(5, get(session, server))
        last = asyncio.create_task(get(session, server))
        go_on.set()
        await asyncio.gather(first, last)
        assert session.connector is not None
        assert session.connector.limits.active == 0


class Loopback(AbstractResolver):
    """Finds every name on this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """There is nothing to release."""


async def everything(session: ClientSession, url: URL) -> None:
    """Come to every station there is, where one connection is allowed."""

    async def page(headers: dict[str, str]) -> None:
        async with session.get(url, headers=headers) as response:
            await response.read()

    async with session.post(url / "redirect", data=b"body") as response:
        await response.read()
    await page({"Connection": "close"})
    await asyncio.gather(page({}), page({}))
    with suppress(ClientConnectorError):
        await session.get(url.with_port(0))


SIGNALS = [name for name in vars(TraceConfig()) if name.startswith("on_")]


@pytest.mark.parametrize("name", SIGNALS)
async def test_cancelled_in_a_signal(name: str, serve: Serve) -> None:
    """Callbacks of others may wait, and be cancelled there, at each of their stations."""
    server = await serve(script)
    reached = asyncio.Event()

    async def wait(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    config = TraceConfig()
    getattr(config, name).append(wait)
    async with ClientSession(
        trace_configs=[config], connector=TCPConnector(limit=1, resolver=Loopback()), timeout=ClientTimeout(total=None)
    ) as session:
        connector = session.connector
        assert connector is not None
        task = asyncio.create_task(everything(session, server.url.with_host("here.example")))
        async with asyncio.timeout(10):
            await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (connector.in_use_count, connector.limits.active) == (0, 0)


async def test_closing_is_not_held_up_by_requests(serve: Serve) -> None:
    """A session that is closed under its requests ends them."""
    server = await serve(script)
    async with ClientSession(timeout=ClientTimeout(total=None)) as session:
        tasks = [asyncio.create_task(streamed(session, server)) for _ in range(5)]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, Exception) for outcome in outcomes)


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_closing_cancelled_at_every_step(
    is_tls: bool, serve: Serve, server_tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    """It waits for sockets alone: all is given back by then, whatever was kept or under way, and it may be done again."""

    async def half(peer: Peer) -> None:
        if (await peer.request()).target == "/":
            await peer.answer(b"")
        else:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        await peer.closed()

    server = await serve(half, tls=server_tls if is_tls else None)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, complaint: complaints.append(complaint))
    cancelled = 0
    for steps in range(10):
        session = ClientSession(connector=TCPConnector(ssl=trusting))
        connector = session.connector
        assert connector is not None
        kept, response = await asyncio.gather(session.get(server.url), session.get(server.url / "half"))
        await kept.read()
        assert (connector.idle_count, connector.in_use_count, connector.limits.active) == (1, 1, 1)
        cancelled += await cancel_after(steps, session.close())
        if steps == 0:  # it never began
            await session.close()
        assert session.closed
        assert connector.closed
        assert (connector.idle_count, connector.in_use_count, connector.limits.active) == (0, 0, 0)
        await session.close()
        await connector.close()
        with pytest.raises(ClientPayloadError):
            await response.read()
        await until(lambda: server.open_connections == 0)
        del session, connector, kept, response
        gc.collect()  # what was forgotten would warn
    assert cancelled > 1
    assert complaints == []
