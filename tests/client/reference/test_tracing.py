"""Signals: each is sent where it should be, with what it should carry."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import client
from client import ClientConnectorError, ClientSession, TCPConnector, TraceConfig
from tests.client.reference.servers.nginx import PAGE
from tests.client.reference.table import SIGNALS, exercises

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.client.reference.servers.nginx import Addresses


class Journal:
    """Writes every signal down, by its name."""

    def __init__(self) -> None:
        self.config = TraceConfig()
        self.entries: list[tuple[str, Any]] = []
        self.changed = asyncio.Event()
        for name in SIGNALS:
            getattr(self.config, name).append(self._writer(name))

    def _writer(self, name: str) -> Callable[..., Awaitable[None]]:
        async def write(_session: ClientSession, _context: object, params: object) -> None:
            assert type(params) is getattr(client, SIGNALS[name])
            self.entries.append((name, params))
            self.changed.set()

        return write

    @property
    def names(self) -> list[str]:
        return [name.removeprefix("on_") for name, _ in self.entries]

    def params(self, name: str) -> Any:
        """What the first signal of a name carried."""
        return next(params for found, params in self.entries if found == f"on_{name}")


@pytest.fixture
async def journal() -> Journal:
    return Journal()


def _of(*names: str) -> list[str]:
    """The rows of signals."""
    return [f"TraceConfig.on_{name}" for name in names] + [SIGNALS[f"on_{name}"] for name in names]


REQUEST = ("request_start", "request_headers_sent", "request_end", "response_chunk_received")
OPENING = (
    "connection_create_start",
    "dns_cache_miss",
    "dns_resolvehost_start",
    "dns_resolvehost_end",
    "connection_create_end",
)


@exercises("TraceConfig", "ClientSession(trace_configs)", *_of(*REQUEST, *OPENING, "connection_reuseconn"))
async def test_a_request_sends_its_signals_in_order(nginx: Addresses, journal: Journal) -> None:
    url = f"{nginx.plain.replace('127.0.0.1', 'localhost')}page.html"
    async with ClientSession(trace_configs=[journal.config], headers={"X-Ours": "1"}) as session:
        async with session.get(url) as response:
            await response.read()
        assert journal.names == [REQUEST[0], *OPENING, *REQUEST[1:]]
        started, ended = journal.params("request_start"), journal.params("request_end")
        assert (started.method, str(started.url), started.headers["X-Ours"]) == ("GET", url, "1")
        assert ended.response is response
        assert journal.params("dns_resolvehost_start").host == "localhost"
        assert journal.params("response_chunk_received").chunk == PAGE
        journal.entries.clear()
        async with session.get(url) as response:
            await response.read()
        assert journal.names == [REQUEST[0], "connection_reuseconn", *REQUEST[1:]]


@exercises(*_of("dns_cache_hit"))
async def test_remembered_addresses_are_told(nginx: Addresses, journal: Journal) -> None:
    url = f"{nginx.plain.replace('127.0.0.1', 'localhost')}blob.bin"
    async with ClientSession(trace_configs=[journal.config]) as session, session.get(url), session.get(url):
        assert journal.names.count("dns_cache_miss") == journal.names.count("dns_cache_hit") == 1
        assert journal.params("dns_cache_hit").host == "localhost"


@exercises(*_of("request_redirect"))
async def test_redirects_are_told(nginx: Addresses, journal: Journal) -> None:
    async with (
        ClientSession(trace_configs=[journal.config]) as session,
        session.get(f"{nginx.plain}moved/302") as response,
    ):
        redirect = journal.params("request_redirect")
        assert redirect.response is response.history[0]
        assert redirect.url.path == "/moved/302"


async def _parts() -> AsyncIterator[bytes]:
    yield b"first "
    yield b"second"


@exercises(*_of("request_chunk_sent"))
@pytest.mark.parametrize(("data", "chunks"), [(_parts, [b"first ", b"second"]), (b"whole", [b"whole"])])
async def test_what_is_sent_of_a_body_is_told(
    asgi: str, journal: Journal, data: Callable[[], AsyncIterator[bytes]] | bytes, chunks: list[bytes]
) -> None:
    async with (
        ClientSession(trace_configs=[journal.config]) as session,
        session.post(f"{asgi}echo", data=data() if callable(data) else data) as response,
    ):
        await response.read()
    told = [params.chunk for name, params in journal.entries if name == "on_request_chunk_sent"]
    assert told == chunks


@exercises(*_of("request_exception"))
async def test_failures_are_told(journal: Journal) -> None:
    async with ClientSession(trace_configs=[journal.config]) as session:
        with pytest.raises(ClientConnectorError) as caught:
            await session.get("http://127.0.0.1:9/")
    assert journal.params("request_exception").exception is caught.value
    assert journal.names == ["request_start", "connection_create_start", "request_exception"]


@exercises(*_of("connection_queued_start", "connection_queued_end"))
async def test_waiting_for_a_connection_is_told(nginx: Addresses, journal: Journal) -> None:
    connector = TCPConnector(limit=1)
    async with ClientSession(connector=connector, trace_configs=[journal.config]) as session:
        first = await session.get(f"{nginx.plain}blob.bin")
        journal.entries.clear()
        second = asyncio.ensure_future(_read(session, f"{nginx.plain}page.html"))
        while "connection_queued_start" not in journal.names:
            journal.changed.clear()
            await journal.changed.wait()
        assert "connection_queued_end" not in journal.names
        first.close()
        assert await second == PAGE
        assert journal.names[:3] == ["request_start", "connection_queued_start", "connection_queued_end"]


async def _read(session: ClientSession, url: str) -> bytes:
    async with session.get(url) as response:
        return await response.read()


@exercises("ClientSession.request(trace_request_ctx)", "TraceConfig(trace_config_ctx_factory)")
async def test_the_signals_of_a_request_share_a_context(nginx: Addresses) -> None:
    seen: list[Any] = []

    def factory(*, trace_request_ctx: Any) -> SimpleNamespace:
        return SimpleNamespace(given=trace_request_ctx, steps=[])

    async def note(session: ClientSession, context: Any, _params: object) -> None:
        assert isinstance(session, ClientSession)
        context.steps.append(len(context.steps))
        seen.append(context)

    config = TraceConfig(factory)
    config.on_request_start.append(note)
    config.on_request_end(note)  # as a decorator would
    async with ClientSession(trace_configs=[config]) as session:
        for number in (1, 2):
            async with session.get(f"{nginx.plain}page.html", trace_request_ctx=number):
                continue
    assert [context.given for context in seen] == [1, 1, 2, 2]
    assert seen[0] is seen[1]
    assert seen[1].steps == [0, 1]


async def test_a_configuration_in_use_does_not_change(journal: Journal) -> None:
    async with ClientSession(trace_configs=[journal.config]):
        with pytest.raises(RuntimeError):
            journal.config.on_request_start.append(_ignore)


async def _ignore(_session: object, _context: object, _params: object) -> None:
    """Never called."""
