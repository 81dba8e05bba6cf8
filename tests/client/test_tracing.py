"""Signals: which are sent, in which order, with what."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from client import (
    ClientConnectorError,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ServerTimeoutError,
    TCPConnector,
    TooManyRedirects,
    TraceConfig,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestRedirectParams,
    TraceRequestStartParams,
)
from tests.client.peer import repeating, saying, until
from tests.client.test_cancellation import Loopback

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from types import SimpleNamespace

    from client import ClientResponse
    from client.middleware import StatusCheck
    from tests.client.conftest import Serve
    from tests.client.peer import Peer

HI = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Journal:
    """Every signal, in order."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Any]] = []
        self.contexts: list[SimpleNamespace] = []
        self.config = TraceConfig()
        for name in vars(self.config):
            if name.startswith("on_"):
                getattr(self.config, name).append(self._noting(name.removeprefix("on_")))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.entries]

    def params(self, name: str) -> list[Any]:
        return [params for entry, params in self.entries if entry == name]

    def _noting(self, name: str) -> Any:
        async def note(_session: ClientSession, context: SimpleNamespace, params: object) -> None:
            self.entries.append((name, params))
            self.contexts.append(context)

        return note


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
async def traced(journal: Journal) -> AsyncIterator[ClientSession]:
    async with ClientSession(trace_configs=[journal.config], connector=TCPConnector(limit=1)) as session:
        yield session


async def test_a_first_request_and_a_second(serve: Serve, journal: Journal, traced: ClientSession) -> None:
    """The stations of a request, in order; a kept connection leaves out those of opening one."""
    server = await serve(repeating(HI))
    url = server.url.with_host("localhost")
    async with traced.get(url, headers={"X": "y"}) as response:
        assert response.status == 200
        await response.read()
    assert journal.names == [
        "request_start",
        "connection_create_start",
        "dns_cache_miss",
        "dns_resolvehost_start",
        "dns_resolvehost_end",
        "connection_create_end",
        "request_headers_sent",
        "request_end",
        "response_chunk_received",
    ]
    start, end = journal.params("request_start")[0], journal.params("request_end")[0]
    assert (start.method, start.url, start.headers["X"]) == ("GET", url, "y")
    assert isinstance(end, TraceRequestEndParams)
    assert end.response is response
    assert journal.params("dns_cache_miss")[0].host == "localhost"
    assert journal.params("response_chunk_received")[0].chunk == b"hi"
    journal.entries.clear()
    async with traced.get(url):
        pass
    assert journal.names == ["request_start", "connection_reuseconn", "request_headers_sent", "request_end"]


async def test_a_new_connection_to_a_known_host(serve: Serve, journal: Journal, traced: ClientSession) -> None:
    """Remembered addresses are a signal of their own."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"", "200 OK", "Connection: close")

    server = await serve(script)
    for _ in range(2):
        journal.entries.clear()
        async with traced.get(server.url.with_host("localhost")):
            pass
    assert "dns_cache_hit" in journal.names
    assert "dns_resolvehost_start" not in journal.names


async def test_queueing(serve: Serve, journal: Journal, traced: ClientSession) -> None:
    """A request that waits for its slot says when it does, and when it has it."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            asked.set()
            await go_on.wait()
            await peer.answer()

    async def get() -> None:
        async with traced.get(server.url):
            pass

    server = await serve(script)
    first = asyncio.create_task(get())
    await asked.wait()
    journal.entries.clear()
    second = asyncio.create_task(get())
    await until(lambda: journal.names == ["request_start", "connection_queued_start"])
    go_on.set()
    await asyncio.gather(first, second)
    assert journal.names.index("connection_queued_end") < journal.names.index("connection_reuseconn")


async def test_redirects(serve: Serve, journal: Journal, traced: ClientSession) -> None:
    """One call is one start and one end; each hop is a redirect, with the response that asked for it."""
    server = await serve(saying(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n", HI))
    async with traced.get(server.url):
        pass
    redirect = journal.params("request_redirect")[0]
    assert isinstance(redirect, TraceRequestRedirectParams)
    assert (redirect.url, redirect.response.status) == (server.url, 302)
    end = journal.params("request_end")[0]
    assert (end.url, end.response.url) == (server.url / "next", server.url / "next")
    assert journal.names.count("request_start") == journal.names.count("request_end") == 1
    assert journal.names.count("request_headers_sent") == 2


async def test_uploads(serve: Serve, journal: Journal, traced: ClientSession) -> None:
    """Each part of a streamed body is told, without what frames it on the wire."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    server = await serve(repeating(HI))
    async with traced.post(server.url, data=parts()):
        pass
    assert [params.chunk for params in journal.params("request_chunk_sent")] == [b"one", b"two"]


async def test_exceptions(journal: Journal, traced: ClientSession) -> None:
    """A call that fails says why, and has no end."""
    with pytest.raises(ClientConnectorError) as caught:
        await traced.get("http://127.0.0.1:1/")
    params = journal.params("request_exception")[0]
    assert isinstance(params, TraceRequestExceptionParams)
    assert params.exception is caught.value
    assert "request_end" not in journal.names


async def test_a_status_that_raises(serve: Serve, journal: Journal, traced: ClientSession) -> None:
    """It ends the call with an exception like any other, and the connection is kept."""
    server = await serve(repeating(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))

    async def refuse(response: ClientResponse) -> None:
        raise LookupError(response.status)

    checks: list[tuple[StatusCheck, type[Exception]]] = [(True, ClientResponseError), (refuse, LookupError)]
    for check, error in checks:
        journal.entries.clear()
        with pytest.raises(error) as caught:
            await traced.get(server.url, raise_for_status=check)
        assert journal.params("request_exception")[0].exception is caught.value
        assert "request_end" not in journal.names
    assert server.connections == 1


async def test_exceptions_after_a_response(serve: Serve, journal: Journal, traced: ClientSession) -> None:
    """So do redirects without end."""
    server = await serve(repeating(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"))
    with pytest.raises(TooManyRedirects):
        await traced.get(server.url)
    assert journal.names[-1] == "request_exception"


async def test_contexts(serve: Serve, journal: Journal, traced: ClientSession) -> None:
    """Each request has a context of its own, made with what the caller passed along."""
    server = await serve(repeating(HI))
    for number in range(2):
        async with traced.get(server.url, trace_request_ctx={"number": number}):
            pass
    numbers = [context.trace_request_ctx["number"] for context in journal.contexts]
    assert sorted(numbers) == numbers
    assert set(numbers) == {0, 1}
    assert len({id(context) for context in journal.contexts}) == 2


async def test_a_signal_that_raises(serve: Serve) -> None:
    """A callback's error ends the call, and leaves no connection in use, though the body has yet to arrive."""

    async def half(peer: Peer) -> None:
        await peer.request()
        await peer.send(HI[:-1])
        await peer.closed()

    server = await serve(half)
    for name in ("request_start", "request_headers_sent", "request_end", "connection_create_end"):
        config = TraceConfig()

        async def fail(*_: object) -> None:
            raise LookupError

        getattr(config, f"on_{name}").append(fail)
        async with ClientSession(trace_configs=[config]) as session:
            with pytest.raises(LookupError):
                await session.get(server.url)
            assert session.connector is not None
            assert session.connector.in_use_count == session.connector.limits.active == 0


async def test_the_first_signal_may_change_the_headers(serve: Serve) -> None:
    """What carries a trace across services goes into them there: all requests of the call carry it, and none of the next."""
    moved = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
    server = await serve(saying(moved, HI, HI))
    config = TraceConfig()

    @config.on_request_start
    async def inject(_session: object, context: SimpleNamespace, params: TraceRequestStartParams) -> None:
        if context.trace_request_ctx:
            params.headers["traceparent"] = "00-1-2-01"
            params.headers["X-Ours"] = "changed"
            params.headers.add("X-Call", "second")
            for name in ("User-Agent", "X-Secret"):
                del params.headers[name]

    async with ClientSession(trace_configs=[config], headers={"X-Ours": "1", "X-Secret": "s"}) as session:
        async with session.get(server.url, headers={"X-Call": "first"}, trace_request_ctx=True):
            pass
        async with session.get(server.url):
            pass
    first, second, plain = (received.headers for received in server.received)
    for headers in (first, second):
        assert (headers["traceparent"], headers["x-ours"]) == ("00-1-2-01", "changed")
        assert headers["x-call"] == "first, second"
        assert headers.keys() == {"host", "accept", "accept-encoding", "traceparent", "x-ours", "x-call"}
    assert plain.keys() == {"host", "accept", "accept-encoding", "user-agent", "x-ours", "x-secret"}


async def test_who_has_not_heard_of_a_call_does_not_hear_of_its_end(serve: Serve, journal: Journal) -> None:
    """A configuration whose first signal fails, and those after it, have nothing to put an end to; those before have."""
    failing, later = Journal(), Journal()

    @failing.config.on_request_start
    async def fail(*_: object) -> None:
        raise LookupError

    server = await serve(repeating(HI))
    async with ClientSession(trace_configs=[journal.config, failing.config, later.config]) as session:
        with pytest.raises(LookupError):
            await session.get(server.url)
    assert journal.names == ["request_start", "request_exception"]
    assert failing.names == ["request_start"]
    assert later.names == []


async def test_the_deadline_spans_signals(serve: Serve) -> None:
    """A callback that waits is cut short as well."""
    server = await serve(repeating(HI))
    config = TraceConfig()

    @config.on_request_start
    async def wait(*_: object) -> None:
        await asyncio.Event().wait()

    async with ClientSession(trace_configs=[config], timeout=ClientTimeout(total=0.01)) as session:
        with pytest.raises(ServerTimeoutError):
            await session.get(server.url)


def test_signals_are_lists() -> None:
    """Callbacks may be looked at, put anywhere, and taken out again."""

    async def first(*_: object) -> None: ...
    async def second(*_: object) -> None: ...

    signal = TraceConfig().on_request_end
    signal.extend([second])
    signal.insert(0, first)
    assert list(signal) == [first, second] == signal[:]
    assert second in signal
    signal.remove(second)
    signal[0] = second
    assert [*signal] == [second]
    signal.freeze()
    for change in (signal.clear, signal.pop, lambda: signal.append(first), lambda: signal.__setitem__(0, first)):
        with pytest.raises(RuntimeError, match="already"):
            change()
    assert [*signal] == [second]


async def test_configurations_in_use_do_not_change() -> None:
    """Callbacks are settled when a session has been made with them."""
    config = TraceConfig()
    assert len(config.on_request_start) == 0
    async with ClientSession(trace_configs=[config]) as session:
        assert session.trace_configs == [config]

        async def note(*_: object) -> None:
            """Never added."""

        with pytest.raises(RuntimeError):
            config.on_request_start.append(note)


@pytest.mark.parametrize("has_tls", [False, True])
async def test_what_it_took_to_open_a_connection(serve: Serve, server_tls: ssl.SSLContext, has_tls: bool) -> None:
    """Each part is told by itself; what there was not took no time."""
    server = await serve(repeating(HI), tls=server_tls if has_tls else None)
    async with (
        ClientSession(connector=TCPConnector(resolver=Loopback(), ssl=False)) as session,
        session.get(server.url.with_host("here.example")) as response,
    ):
        await response.read()
        timings = response.timings
    assert min(timings.dns, timings.connect) > 0
    assert (timings.tls > 0) is has_tls
    assert timings.total is not None
    assert timings.dns + timings.connect + timings.tls < timings.total


async def test_timings(serve: Serve, session: ClientSession) -> None:
    """A response knows where its time went; a kept connection took none to open."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            await go_on.wait()
            await peer.send(b"hi")

    go_on = asyncio.Event()
    server = await serve(script)
    async with session.get(server.url) as response:
        unfinished = response.timings
        go_on.set()
        await response.read()
        first = response.timings
    async with session.get(server.url) as response:
        await response.read()
        second = response.timings
    assert (unfinished.receiving, unfinished.total) == (None, None)
    assert first[:5] == unfinished[:5]
    assert first.connect > 0
    assert first.total is not None
    assert first.receiving is not None
    assert first.receiving > 0
    assert first.total >= first.queued + first.dns + first.connect + first.tls + first.waiting + first.receiving
    assert (second.dns, second.connect, second.tls) == (0, 0, 0)
