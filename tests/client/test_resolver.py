"""From names to addresses: looking up once, remembering, guarding, and trying them in turn."""

from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from client import (
    AbstractResolver,
    AddressGuard,
    AddressRefused,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientSession,
    TCPConnector,
    ThreadedResolver,
)
from client.happy_eyeballs import interleave_families, open_socket
from client.resolver import DnsCache, SharedLookups, is_public, literal_address
from tests.client.peer import repeating, serving, until
from tests.nowhere import NOWHERE

if TYPE_CHECKING:
    from client.abc import ResolveResult
    from tests.client.conftest import Serve
    from tests.client.peer import Peer

HI = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def address(host: str, port: int = 80) -> ResolveResult:
    found = literal_address(host, port)
    assert found is not None
    return found


class Fixed(AbstractResolver):
    """Knows some names, counts what it is asked, and answers when it may."""

    def __init__(self, **hosts: list[str]) -> None:
        self.hosts = hosts
        self.asked: list[tuple[str, int, int]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append((host, port, family))
        await self.may_answer.wait()
        if host not in self.hosts:
            raise OSError(None, "unknown")
        return [address(found, port) for found in self.hosts[host]]

    async def close(self) -> None:
        self.is_closed = True


# -- the guard --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%1",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
        "::7f00:1",
    ],
)
def test_addresses_that_are_not_public(host: str) -> None:
    """Private, loopback, link-local, multicast, reserved, documentation: by whatever wrapping."""
    assert not is_public(host)


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_addresses_that_are(host: str) -> None:
    """The open internet, wrapped or not."""
    assert is_public(host)


def test_the_guard_drops_what_is_private() -> None:
    """Of several addresses those that may be reached are left."""
    guard = AddressGuard(allow_private=False)
    found = [address("10.0.0.1"), address("8.8.8.8"), address("::1")]
    assert [left["host"] for left in guard.permit("mixed.example", found)] == ["8.8.8.8"]
    assert guard.permit("private.example", found[:1]) == []
    assert AddressGuard(allow_private=True).permit("private.example", found) == found


def test_the_guard_opens_for_a_private_seed() -> None:
    """Who crawls an intranet is in it; a public seed opens nothing."""
    guard = AddressGuard(allow_private=False, trusted_hosts=["Public.example", "intranet.example."])
    private = [address("10.0.0.1")]
    assert guard.permit("public.EXAMPLE.", [address("8.8.8.8")])
    assert guard.permit("other.example", private) == []
    assert guard.permit("intranet.example", private) == private
    assert guard.permit("other.example", private) == private


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "rebinding.example"])
async def test_a_refused_host_is_not_connected_to(host: str, serve: Serve) -> None:
    """Literals and names alike; the error says where it would have led."""
    server = await serve(repeating(HI))
    resolver = Fixed(**{"rebinding.example": ["127.0.0.1"]})
    connector = TCPConnector(resolver=resolver, address_guard=AddressGuard(allow_private=False))
    async with ClientSession(connector=connector) as session:
        with pytest.raises(AddressRefused) as caught:
            await session.get(f"http://{host}:{server.port}/")
    assert isinstance(caught.value, ClientConnectorError)
    assert "not a public address" in str(caught.value)
    assert not server.connections


async def test_redirects_to_private_hosts_are_refused(serve: Serve) -> None:
    """What a page says does not lead into the network of who reads it; what the user says does."""
    inner = await serve(repeating(HI))

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"", "302 Found", f"Location: http://inner.example:{inner.port}/")

    outer = await serve(script)
    resolver = Fixed(**{"outer.example": ["127.0.0.1"], "inner.example": ["127.0.0.1"]})

    class OuterIsPublic(AddressGuard):
        """Takes the outer server for one on the internet."""

        def permit(self, host: str, addresses: list[ResolveResult]) -> list[ResolveResult]:
            return addresses if host == "outer.example" else super().permit(host, addresses)

    guard = OuterIsPublic(allow_private=False)
    async with ClientSession(connector=TCPConnector(resolver=resolver, address_guard=guard)) as session:
        with pytest.raises(AddressRefused) as caught:
            await session.get(f"http://outer.example:{outer.port}/")
    assert caught.value.host == "inner.example"
    assert not inner.connections


async def test_the_connection_goes_where_the_guard_looked(serve: Serve) -> None:
    """A name that resolves differently a moment later gains nothing: it is looked up once."""
    server = await serve(repeating(HI))

    class Rebinding(Fixed):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = await super().resolve(host, port, family)
            self.hosts[host] = ["127.0.0.2"]
            return found

    resolver = Rebinding(**{"seed.example": ["127.0.0.1"]})
    guard = AddressGuard(allow_private=False, trusted_hosts=["seed.example"])
    connector = TCPConnector(resolver=resolver, address_guard=guard, use_dns_cache=False)
    async with ClientSession(connector=connector) as session, session.get(f"http://seed.example:{server.port}/"):
        assert len(resolver.asked) == 1


# -- looking up -------------------------------------------------------------------------------------------------------


async def test_threaded_resolver() -> None:
    """The operating system knows localhost."""
    resolver = ThreadedResolver()
    found = await resolver.resolve("localhost", 80, socket.AF_INET)
    assert found[0] == {
        "hostname": "localhost",
        "host": "127.0.0.1",
        "port": 80,
        "family": socket.AF_INET,
        "proto": socket.IPPROTO_TCP,
        "flags": socket.AI_NUMERICHOST,
    }
    with pytest.raises(socket.gaierror):
        await resolver.resolve(NOWHERE)
    await resolver.close()


async def test_unknown_hosts(session: ClientSession) -> None:
    """The error names the host; labels that are too long are no different."""
    for host in (NOWHERE, "a" * 64 + ".example"):
        with pytest.raises(ClientConnectorDNSError) as caught:
            await session.get(f"http://{host}/")
        assert caught.value.host == host
        assert host in str(caught.value)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example"])
async def test_names_that_no_tls_server_can_be_asked_for(host: str, serve: Serve) -> None:
    """Whoever knows an address for them: a resolver, or a proxy. No connection is opened, which TLS would leave open."""
    server = await serve(repeating(HI))
    resolver = Fixed(**{host: ["127.0.0.1"]})
    async with ClientSession(connector=TCPConnector(resolver=resolver)) as session:
        for proxy in (None, server.url):
            with pytest.raises(ClientConnectorDNSError, match="label"):
                await session.get(f"https://{host}:{server.port}/", proxy=proxy)
        assert server.connections == 0
        async with session.get(f"http://{host}:{server.port}/") as response:
            assert response.status == 200


async def test_a_resolver_of_ones_own(serve: Serve) -> None:
    """It is asked for the family that the connector wants, and left open, not being the connector's own."""
    server = await serve(repeating(HI))
    resolver = Fixed(**{"a.example": ["127.0.0.1"], "nothing.example": []})
    connector = TCPConnector(resolver=resolver, family=socket.AF_INET)
    assert connector.family == socket.AF_INET
    async with (
        ClientSession(connector=connector) as session,
        session.get(f"http://a.example:{server.port}/") as response,
    ):
        assert await response.text() == "hi"
        with pytest.raises(ClientConnectorDNSError):
            await session.get("http://nothing.example/")
    assert resolver.asked[0] == ("a.example", server.port, socket.AF_INET)
    assert not resolver.is_closed


async def test_a_resolver_that_repeats_the_family_it_was_asked_for(serve: Serve) -> None:
    """Both, mostly: which one an address is of, it says itself."""

    class Echo(Fixed):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            return [{**found, "family": family} for found in await super().resolve(host, port, family)]

    server = await serve(repeating(HI))
    for addresses in (["127.0.0.1"], ["::1", "127.0.0.1"], ["127.0.0.1", "::1"]):
        connector = TCPConnector(resolver=Echo(**{"a.example": addresses}))
        url = f"http://a.example:{server.port}/"
        async with ClientSession(connector=connector) as session, session.get(url) as response:
            assert await response.text() == "hi"


async def test_one_look_up_for_all_who_ask(serve: Serve) -> None:
    """Many requests to a new host ask once; one that is cancelled does not spoil it for the others."""
    server = await serve(repeating(HI))
    resolver = Fixed(**{"a.example": ["127.0.0.1"]})
    resolver.may_answer.clear()

    async with ClientSession(connector=TCPConnector(resolver=resolver)) as session:

        async def get() -> str:
            async with session.get(f"http://a.example:{server.port}/") as response:
                return await response.text()

        tasks = [asyncio.create_task(get()) for _ in range(5)]
        await until(lambda: bool(resolver.asked))
        tasks[0].cancel()
        await asyncio.sleep(0)
        resolver.may_answer.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == ["hi"] * 4
    assert len(resolver.asked) == 1


async def test_a_look_up_that_nobody_waits_for_ends() -> None:
    """When all have been cancelled, so is what they waited for."""
    lookups = SharedLookups()
    ended = asyncio.Event()

    async def look_up() -> list[ResolveResult]:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return []

    tasks = [asyncio.create_task(lookups.run(("a", 80), look_up)) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await ended.wait()


async def test_the_connector_remembers(serve: Serve) -> None:
    """Addresses are remembered by host and port, until they are cleared or the cache is off."""
    server = await serve(repeating(HI))
    resolver = Fixed(**{"a.example": ["127.0.0.1"]})
    for use_dns_cache in (True, False):
        resolver.asked.clear()
        connector = TCPConnector(resolver=resolver, use_dns_cache=use_dns_cache, force_close=True)
        assert connector.use_dns_cache is connector.dns_cache is use_dns_cache
        async with ClientSession(connector=connector) as session:

            async def get(session: ClientSession = session) -> None:
                async with session.get(f"http://a.example:{server.port}/"):
                    pass

            await get()
            await get()
            assert len(resolver.asked) == (1 if use_dns_cache else 2)
            key = ("a.example", server.port)
            assert (key in connector.cached_hosts) is use_dns_cache
            connector.clear_dns_cache(*key)
            await get()
            connector.clear_dns_cache()
            await get()
            assert len(resolver.asked) == (3 if use_dns_cache else 4)
            with pytest.raises(ValueError, match="neither"):
                connector.clear_dns_cache("a.example")


async def test_where_a_host_is() -> None:
    """What the limits of addresses are told; a connection soon after looks nothing up again."""
    resolver = Fixed(two=["192.0.2.1", "2001:db8::1"])
    connector = TCPConnector(resolver=resolver)
    assert await connector.addresses_of("two", 80) == ["192.0.2.1", "2001:db8::1"]
    assert await connector.addresses_of("two", 80) == ["192.0.2.1", "2001:db8::1"]
    assert await connector.addresses_of("192.0.2.9", 80) == ["192.0.2.9"]
    assert len(resolver.asked) == 1
    with pytest.raises(OSError, match="unknown"):
        await connector.addresses_of("none", 80)
    await connector.close()


def test_cache() -> None:
    """Entries expire; beyond its size the cache forgets what has not been asked for longest."""
    now = 0.0
    cache = DnsCache(ttl=10, max_size=2, clock=lambda: now)
    a, b, c = ("a", 1), ("b", 1), ("c", 1)
    cache.put(a, [address("127.0.0.1")])
    now = 9.9
    assert cache.get(a)
    now = 10
    assert cache.get(a) is None
    for key in (a, b):
        cache.put(key, [])
    cache.get(a)
    cache.put(c, [])
    assert set(cache.addresses) == {a, c}
    cache.remove(a)
    cache.remove(a)
    cache.clear()
    assert not cache.addresses
    for_ever = DnsCache(ttl=None, max_size=2, clock=lambda: now)
    for_ever.put(a, [address("127.0.0.1")])
    now = 1e9
    assert for_ever.get(a)


# -- trying them ------------------------------------------------------------------------------------------------------


def test_interleaving() -> None:
    """The families alternate, beginning with the first, of which several may go ahead (RFC 8305 §4)."""
    four, six = [address(f"10.0.0.{n}") for n in range(3)], [address(f"fd00::{n}") for n in range(2)]
    hosts = [found["host"] for found in interleave_families([*six, *four])]
    assert hosts == ["fd00::0", "10.0.0.0", "fd00::1", "10.0.0.1", "10.0.0.2"]
    hosts = [found["host"] for found in interleave_families([*six, *four], first_count=2)]
    assert hosts == ["fd00::0", "fd00::1", "10.0.0.0", "10.0.0.1", "10.0.0.2"]
    assert interleave_families([]) == []


async def test_the_next_address_is_tried_when_one_refuses(serve: Serve) -> None:
    """At once, whatever the delay; and only one connection is left."""
    server = await serve(repeating(HI))
    nobody = address("127.0.0.9", server.port)
    for delay in (10.0, None):
        opened = await open_socket([nobody, nobody, address("127.0.0.1", server.port)], delay=delay)
        assert opened.getpeername() == ("127.0.0.1", server.port)
        opened.close()


async def test_the_next_address_is_tried_when_one_is_slow() -> None:
    """A black hole costs the delay, not the time a connection takes to fail."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = []
        for _ in range(3):  # the queue of a socket that accepts nobody is soon full
            knocking = socket.socket()
            knocking.setblocking(False)
            knocking.connect_ex(("127.0.0.1", port))
            waiting.append(knocking)

        async def script(peer: Peer) -> None:
            await peer.closed()

        async with serving(script, host="127.0.0.2") as server:
            addresses = [address("127.0.0.1", port), address("127.0.0.2", server.port)]
            opened = await open_socket(addresses, delay=0.01)
            assert opened.getpeername()[0] == "127.0.0.2"
            opened.close()
            task = asyncio.create_task(open_socket(addresses[:1] * 3, delay=0))
            for _ in range(10):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        for knocking in waiting:
            knocking.close()


async def test_cancelled_at_any_turn() -> None:
    """No socket is left open, the one that won included, while the others are called off."""

    async def script(peer: Peer) -> None:
        await peer.closed()

    async with serving(script) as server:
        addresses = [address("127.0.0.1", server.port)] * 3
        for turns in range(1, 20):
            for again in range(3):
                task = asyncio.create_task(open_socket(addresses, delay=1e-5))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                for _ in range(again):
                    await asyncio.sleep(0)
                    task.cancel()
                with suppress(asyncio.CancelledError):
                    (await task).close()
                del task
        await until(lambda: server.connections > 0 and server.open_connections == 0)
        gc.collect()


async def test_all_refuse() -> None:
    """The error is that of the addresses if they failed alike, and quotes them if not."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await open_socket([address("127.0.0.1", port)] * 2, delay=0)
    with pytest.raises(OSError, match=";"):
        await open_socket([address("127.0.0.1", port), address("255.255.255.255", port)], delay=0)


async def test_a_host_with_two_addresses(serve: Serve) -> None:
    """Over a session: the one that answers is used."""
    server = await serve(repeating(HI))
    resolver = Fixed(**{"a.example": ["::1", "127.0.0.1"]})
    connector = TCPConnector(resolver=resolver, happy_eyeballs_delay=0.05, interleave=1)
    async with (
        ClientSession(connector=connector) as session,
        session.get(f"http://a.example:{server.port}/") as response,
    ):
        assert await response.text() == "hi"
