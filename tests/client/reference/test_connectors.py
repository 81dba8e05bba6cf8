"""Connectors: what they keep, how much they allow, where they connect to."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
from yarl import URL

from client import (
    AbstractResolver,
    AddressGuard,
    AddressRefused,
    BaseConnector,
    ClientConnectionError,
    ClientConnectorError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    Connection,
    ConnectionTimeoutError,
    DefaultResolver,
    HostKey,
    HostLimits,
    Origin,
    Slot,
    TCPConnector,
    ThreadedResolver,
    UnixConnector,
)
from client.abc import ResolveResult
from tests.client.reference.seen import seen
from tests.client.reference.servers.nginx import KEEPALIVE_REQUESTS, PAGE
from tests.client.reference.table import exercises

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from client.carrier import Carrier
    from client.middleware import Handler
    from client.tracing import Trace
    from tests.client.conftest import Serve
    from tests.client.peer import Peer
    from tests.client.reference.servers.nginx import Addresses

TCP, UNIX = "TCPConnector", "UnixConnector"


@pytest.fixture(params=[TCP, UNIX])
def make(request: pytest.FixtureRequest, nginx: Addresses) -> Callable[..., BaseConnector]:
    """Makes a connector of either kind; nginx is at the other end of both."""
    return TCPConnector if request.param == TCP else lambda **options: UnixConnector(str(nginx.socket), **options)


def _of_all(*names: str) -> list[str]:
    return [f"{owner}({name})" for owner in ("BaseConnector", TCP, UNIX) for name in names]


async def _connections(session: ClientSession, url: str, count: int = 3) -> list[str]:
    """Make requests one after the other, and return which of nginx's connections each went over."""
    numbers = []
    for _ in range(count):
        async with session.get(f"{url}page.html") as response:
            assert await response.read() == PAGE
            numbers.append(response.headers["X-Connection"])
    return numbers


# -- keeping connections


@exercises("BaseConnector", TCP, UNIX, *_of_all("keepalive_timeout"))
@pytest.mark.parametrize(
    ("timeout", "connections"), [({}, 1), ({"keepalive_timeout": None}, 1), ({"keepalive_timeout": 0}, 3)]
)
async def test_connections_are_kept_for_the_next_request(
    make: Callable[..., BaseConnector], nginx: Addresses, timeout: dict[str, Any], connections: int
) -> None:
    async with ClientSession(connector=make(**timeout)) as session:
        assert len(set(await _connections(session, nginx.plain))) == connections


async def test_connections_are_kept_only_for_so_long(serve: Serve) -> None:
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer()
        await peer.closed()
        left.set()

    server = await serve(script)
    async with ClientSession(connector=TCPConnector(keepalive_timeout=0.01)) as session:
        await session.get(server.url)
        async with asyncio.timeout(5):
            await left.wait()


@exercises("BaseConnector.force_close", *_of_all("force_close"))
async def test_connections_can_be_closed_after_each_request(
    make: Callable[..., BaseConnector], nginx: Addresses
) -> None:
    async with ClientSession(connector=make(force_close=True)) as session:
        assert session.connector is not None
        assert session.connector.force_close
        assert len(set(await _connections(session, nginx.plain))) == 3


async def test_a_server_may_keep_connections_for_fewer_requests(session: ClientSession, nginx: Addresses) -> None:
    numbers = await _connections(session, nginx.limited, 2 * KEEPALIVE_REQUESTS)
    assert len(set(numbers)) == 2


@exercises("BaseConnector.close", "BaseConnector.closed")
@pytest.mark.parametrize("awaits", [True, False])
async def test_closing_ends_what_is_open(make: Callable[..., BaseConnector], nginx: Addresses, awaits: bool) -> None:
    connector = make()
    async with ClientSession(connector=connector) as session:
        response = await session.get(f"{nginx.plain}blob.bin")
        assert not connector.closed
        closing = connector.close()
        if awaits:
            await closing
        assert connector.closed
        with pytest.raises(Exception, match="closed"):
            await response.read()
        with pytest.raises(ClientConnectionError, match="closed"):
            await session.get(nginx.plain)


# -- how many


@exercises("BaseConnector.limit", *_of_all("limit"))
@pytest.mark.parametrize("limit", [0, None])
async def test_no_limit_is_none_or_nothing(make: Callable[..., BaseConnector], limit: int | None) -> None:
    async with make(limit=limit) as connector:
        assert connector.limit == 0


async def _is_refused(session: ClientSession, url: str) -> bool:
    """Whether there is no connection to be had at once."""
    try:
        async with session.get(url, timeout=ClientTimeout(connect=0.05)) as response:
            await response.read()
    except ConnectionTimeoutError:
        return True
    return False


@exercises("BaseConnector.limit", "ClientTimeout(connect)", "ConnectionTimeoutError", *_of_all("limit"))
async def test_so_many_connections_may_be_in_use(make: Callable[..., BaseConnector], nginx: Addresses) -> None:
    async with ClientSession(connector=make(limit=2)) as session:
        assert session.connector is not None
        assert session.connector.limit == 2
        async with session.get(f"{nginx.plain}blob.bin"), session.get(f"{nginx.limited}blob.bin"):
            assert await _is_refused(session, f"{nginx.plain}page.html")
        assert not await _is_refused(session, f"{nginx.plain}page.html")


@exercises("BaseConnector.limit_per_host", *_of_all("limit_per_host"))
async def test_so_many_connections_may_be_in_use_to_one_host(
    make: Callable[..., BaseConnector], nginx: Addresses
) -> None:
    async with ClientSession(connector=make(limit_per_host=1)) as session:
        assert session.connector is not None
        assert session.connector.limit_per_host == 1
        async with session.get(f"{nginx.plain}blob.bin"):
            assert await _is_refused(session, f"{nginx.plain}page.html")
            assert not await _is_refused(session, f"{nginx.limited}page.html")


@exercises("HostLimits", "HostKey", "Origin", "Slot", "BaseConnector.limits", *_of_all("limits"))
async def test_limits_may_be_shared(make: Callable[..., BaseConnector], nginx: Addresses) -> None:
    def same(origin: Origin) -> HostKey:
        return HostKey(origin.host)

    limits = HostLimits(limit_per_host=1, host_of=same)
    async with ClientSession(connector=make(limits=limits)) as session:
        assert session.connector is not None
        assert session.connector.limits is limits
        slot = limits.acquire_nowait(HostKey("127.0.0.1"))
        assert isinstance(slot, Slot)
        assert await _is_refused(session, f"{nginx.plain}page.html")
        slot.release()
        assert not await _is_refused(session, f"{nginx.plain}page.html")


# -- one connection


@exercises(
    "BaseConnector.connect",
    "BaseConnector.connect(request)",
    "BaseConnector.connect(req)",
    "Connection",
    "Connection.closed",
    "Connection.transport",
    "Connection.release",
    "Connection.close",
    "ClientRequest",
)
async def test_a_connection_can_be_borrowed(make: Callable[..., BaseConnector], nginx: Addresses) -> None:
    connector = make()

    async def borrow(request: ClientRequest, handler: Handler) -> ClientResponse:
        kept = await connector.connect(request)
        assert isinstance(kept, Connection)
        assert kept.transport is not None
        kept.release()
        assert kept.closed
        for again in (await connector.connect(request=request), await connector.connect(req=request)):
            assert again.transport is not None
            again.close()
            assert again.closed
        for none_or_two in (connector.connect(), connector.connect(request, req=request)):
            with pytest.raises(TypeError, match="one request"):
                await none_or_two
        return await handler(request)

    async with ClientSession(connector=connector, middlewares=[borrow]) as session:
        async with session.get(f"{nginx.plain}page.html") as response:
            assert await response.read() == PAGE
        assert connector.in_use_count == 0


@exercises("BaseConnector._create_connection", "BaseConnector._create_connection(req)")
async def test_a_connector_of_ones_own_opens_connections(nginx: Addresses) -> None:
    opened: list[str] = []

    class Recording(TCPConnector):
        async def _create_connection(
            self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
        ) -> Carrier:
            opened.append(req.host)
            return await super()._create_connection(req, traces, timeout)

    async with ClientSession(connector=Recording()) as session:
        await _connections(session, nginx.plain)
    assert opened == ["127.0.0.1"]


@exercises("BaseConnector._create_connection(req)")
async def test_a_connector_of_ones_own_may_ask_for_the_request_alone(nginx: Addresses) -> None:
    with pytest.warns(DeprecationWarning, match="_create_connection"):

        class Old(TCPConnector):
            async def _create_connection(self, req: ClientRequest) -> Carrier:  # type: ignore[override]
                return await TCPConnector._create_connection(self, req, (), ClientTimeout())

    async with ClientSession(connector=Old()) as session:
        assert len(set(await _connections(session, nginx.plain))) == 1


# -- TCP: where to


class Names(AbstractResolver):
    """Knows some names, and counts who asks."""

    def __init__(self, **names: list[str]) -> None:
        self._names = {name.replace("_", "."): addresses for name, addresses in names.items()}
        self.asked: list[str] = []
        self.is_closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in self._names[host]
        ]

    async def close(self) -> None:
        self.is_closed = True


def _named(url: str, name: str) -> str:
    return url.replace("127.0.0.1", name)


@exercises("AbstractResolver", "AbstractResolver.resolve", "AbstractResolver.close", "TCPConnector(resolver)")
async def test_somebody_else_may_resolve_names(asgi: str) -> None:
    names = Names(site_example=["127.0.0.1"])
    async with (
        ClientSession(connector=TCPConnector(resolver=names)) as session,
        session.get(_named(f"{asgi}echo", "site.example")) as response,
    ):
        assert (await seen(response)).headers["Host"].startswith("site.example:")
    assert names.asked == ["site.example"]
    assert not names.is_closed  # it is not the connector's own


@exercises("DefaultResolver", "ThreadedResolver")
async def test_the_system_resolves_names() -> None:
    assert DefaultResolver is ThreadedResolver
    (found, *_) = await ThreadedResolver().resolve("localhost", 80)
    assert found["host"] == "127.0.0.1"
    assert found["port"] == 80


@exercises("ThreadedResolver(loop)")
async def test_a_resolver_needs_no_loop() -> None:
    with pytest.warns(DeprecationWarning, match="loop"):
        resolver = ThreadedResolver(asyncio.get_running_loop())
    assert await resolver.resolve("127.0.0.1", 80)


@exercises(
    "TCPConnector(use_dns_cache)",
    "TCPConnector(ttl_dns_cache)",
    "TCPConnector.use_dns_cache",
    "TCPConnector.dns_cache",
)
@pytest.mark.parametrize(
    ("options", "times"),
    [({}, 1), ({"ttl_dns_cache": None}, 1), ({"ttl_dns_cache": 0}, 3), ({"use_dns_cache": False}, 3)],
)
async def test_addresses_are_remembered(nginx: Addresses, options: dict[str, Any], times: int) -> None:
    names = Names(site_example=["127.0.0.1"])
    connector = TCPConnector(resolver=names, force_close=True, **options)
    async with ClientSession(connector=connector) as session:
        await _connections(session, _named(nginx.plain, "site.example"))
        assert len(names.asked) == times
        assert connector.use_dns_cache is connector.dns_cache is options.get("use_dns_cache", True)


@exercises(
    "TCPConnector.cached_hosts",
    "TCPConnector.clear_dns_cache",
    "TCPConnector.clear_dns_cache(host)",
    "TCPConnector.clear_dns_cache(port)",
)
async def test_addresses_can_be_forgotten(nginx: Addresses) -> None:
    names = Names(a_example=["127.0.0.1"], b_example=["127.0.0.1"])
    port = int(nginx.plain.rpartition(":")[2].strip("/"))
    connector = TCPConnector(resolver=names)
    async with ClientSession(connector=connector) as session:
        for name in ("a.example", "b.example"):
            await _connections(session, _named(nginx.plain, name), 1)
        assert set(connector.cached_hosts) == {("a.example", port), ("b.example", port)}
        assert [found["host"] for found in connector.cached_hosts["a.example", port]] == ["127.0.0.1"]
        connector.clear_dns_cache("a.example", port)
        assert set(connector.cached_hosts) == {("b.example", port)}
        connector.clear_dns_cache()
        assert not connector.cached_hosts
        with pytest.raises(ValueError, match="neither"):
            connector.clear_dns_cache("a.example")


@exercises("TCPConnector(dns_cache_max_size)")
async def test_so_many_hosts_are_remembered(nginx: Addresses) -> None:
    names = Names(a_example=["127.0.0.1"], b_example=["127.0.0.1"])
    connector = TCPConnector(resolver=names, dns_cache_max_size=1)
    async with ClientSession(connector=connector) as session:
        for name in ("a.example", "b.example"):
            await _connections(session, _named(nginx.plain, name), 1)
        assert [host for host, _ in connector.cached_hosts] == ["b.example"]


@exercises("TCPConnector(family)", "TCPConnector.family")
async def test_addresses_may_have_to_be_of_one_family(nginx: Addresses) -> None:
    url = _named(nginx.plain, "localhost")
    async with ClientSession(connector=TCPConnector(family=socket.AF_INET)) as session:
        assert await _connections(session, url, 1)
    connector = TCPConnector(family=socket.AF_INET6)
    assert connector.family == socket.AF_INET6
    async with ClientSession(connector=connector) as session:
        with pytest.raises(ClientConnectorError):  # nginx listens on IPv4 alone
            await _connections(session, url, 1)


@exercises("TCPConnector(local_addr)")
async def test_connections_may_come_from_one_address(asgi: str) -> None:
    connector = TCPConnector(local_addr=("127.0.0.2", 0))
    async with ClientSession(connector=connector) as session, session.get(f"{asgi}echo") as response:
        assert (await seen(response)).client[0] == "127.0.0.2"


@exercises("TCPConnector(address_guard)", "AddressGuard", "AddressRefused")
async def test_private_addresses_can_be_refused(nginx: Addresses) -> None:
    names = Names(site_example=["127.0.0.1"])
    guard = AddressGuard(allow_private=False)
    async with ClientSession(connector=TCPConnector(resolver=names, address_guard=guard)) as session:
        with pytest.raises(AddressRefused, match=r"127\.0\.0\.1"):
            await session.get(_named(nginx.plain, "site.example"))


NOBODY, EVERYBODY = "::ffff:127.0.0.9", "::ffff:127.0.0.1"
"""IPv6 addresses that lead to IPv4 ones: the servers listen on the second."""


@exercises("TCPConnector(happy_eyeballs_delay)")
async def test_an_address_has_a_head_start_before_the_next_is_tried(nginx: Addresses) -> None:
    url = URL(_named(nginx.plain, "site.example"))
    names = Names(site_example=["127.0.0.9", "127.0.0.1"])

    async def page(delay: float | None, patience: float) -> bytes:
        connector = TCPConnector(resolver=names, happy_eyeballs_delay=delay)
        timeout = ClientTimeout(sock_connect=patience)
        async with (
            ClientSession(connector=connector, timeout=timeout) as session,
            session.get(url / "page.html") as response,
        ):
            return await response.read()

    with socket.socket() as silent, socket.socket() as waiting:
        silent.bind(("127.0.0.9", url.port))
        silent.listen(0)
        waiting.connect(silent.getsockname())  # takes the only place in the queue
        assert await page(0.01, patience=10) == PAGE
        with pytest.raises(ConnectionTimeoutError):
            await page(None, patience=0.4)


@exercises("TCPConnector(happy_eyeballs_delay)", "TCPConnector(interleave)")
@pytest.mark.parametrize("delay", [0.25, None])
@pytest.mark.parametrize(("interleave", "family"), [(None, socket.AF_INET), (1, socket.AF_INET), (2, socket.AF_INET6)])
async def test_addresses_are_tried_with_the_families_alternating(
    nginx: Addresses, delay: float | None, interleave: int | None, family: int
) -> None:
    names = Names(site_example=[NOBODY, EVERYBODY, "127.0.0.1"])
    connector = TCPConnector(resolver=names, happy_eyeballs_delay=delay, interleave=interleave)
    url = _named(nginx.plain, "site.example")
    async with ClientSession(connector=connector) as session, session.get(f"{url}blob.bin") as response:
        assert response.connection is not None
        assert response.connection.transport is not None
        assert response.connection.transport.get_extra_info("socket").family == family


# -- Unix sockets


@exercises("UnixConnector(path)", "UnixConnector.path")
async def test_a_unix_socket_answers_for_every_host(nginx: Addresses) -> None:
    connector = UnixConnector(str(nginx.socket))
    assert connector.path == str(nginx.socket)
    async with (
        ClientSession(connector=connector) as session,
        session.get("http://whoever.example/page.html") as response,
    ):
        assert await response.read() == PAGE


@exercises("UnixConnector(conn_timeout)")
async def test_a_unix_socket_may_have_to_answer_in_time(tmp_path: Path) -> None:
    path = tmp_path / "full.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(str(path))
        listener.listen(0)
        waiting.setblocking(False)
        waiting.connect(str(path))  # takes the only place in the queue
        with pytest.warns(DeprecationWarning, match="conn_timeout"):
            connector = UnixConnector(str(path), conn_timeout=0.05)
        async with ClientSession(connector=connector) as session:
            with pytest.raises(ConnectionTimeoutError):
                await session.get("http://whoever.example/")
