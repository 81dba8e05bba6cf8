"""What the client's tests share: a session that must not leak, and scripted servers."""

from __future__ import annotations

import gc
import ssl
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol

import pytest
import trustme

from client import ClientSession, TCPConnector
from tests.client.http2_peer import server_context
from tests.client.peer import Peer, Server, serving
from tests.servers.ports import an_unused_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path


class Serve(Protocol):
    async def __call__(
        self, script: Callable[[Peer], Awaitable[None]], *, tls: ssl.SSLContext | None = None, path: Path | None = None
    ) -> Server: ...


@pytest.fixture(scope="session", autouse=True)
def _quick_collections() -> Iterator[None]:
    """Spare the garbage collector, which runs after every test that looks for leaks, whatever was there before."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start scripted servers, which stop after the test."""
    async with AsyncExitStack() as stack:

        async def start(
            script: Callable[[Peer], Awaitable[None]], *, tls: ssl.SSLContext | None = None, path: Path | None = None
        ) -> Server:
            return await stack.enter_async_context(serving(script, tls=tls, path=path))

        yield start


@pytest.fixture
async def connector() -> AsyncIterator[TCPConnector]:
    """A connector that must have everything back at the end."""
    connector = TCPConnector()
    yield connector
    gc.collect()
    assert connector.in_use_count == 0
    assert connector.limits.active == 0
    await connector.close()


@pytest.fixture
async def session(connector: TCPConnector) -> AsyncIterator[ClientSession]:
    """A session on that connector."""
    async with ClientSession(connector=connector, connector_owner=False) as session:
        yield session


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """An authority that only those who ask for it trust."""
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """What a server on loopback shows: a certificate of that authority for 127.0.0.1 and localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def http2_tls(authority: trustme.CA) -> ssl.SSLContext:
    """The same for one that speaks HTTP/2 alone."""
    return server_context(authority)


@pytest.fixture
async def http2_connector() -> AsyncIterator[TCPConnector]:
    """A connector that offers HTTP/2 to anybody, and must have everything back at the end."""
    connector = TCPConnector(http2=True, ssl=False)
    yield connector
    gc.collect()
    assert connector.in_use_count == 0
    assert connector.limits.active == 0
    await connector.close()


@pytest.fixture
def unused_port() -> int:
    """A port of loopback on which nobody listens."""
    return an_unused_port()
