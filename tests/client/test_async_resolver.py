"""Names resolved by c-ares, against a DNS server that answers, errs, lies and keeps silent."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dnslib import RCODE

from client import (
    AddressGuard,
    AddressRefused,
    AsyncResolver,
    ClientConnectorDNSError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    TCPConnector,
    ThreadedResolver,
)
from tests.client.peer import repeating
from tests.servers.dns import SILENCE, Asked, serving_dns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.client.conftest import Serve
    from tests.servers.dns import DnsServer

HI = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

ZONE = """\
a.example.          60 IN A     127.0.0.1
both.example.       60 IN A     127.0.0.1
both.example.       60 IN AAAA  ::1
six.example.        60 IN AAAA  ::1
many.example.       60 IN A     127.0.0.1
many.example.       60 IN A     127.0.0.2
many.example.       60 IN A     127.0.0.3
one.example.        60 IN CNAME two.example.
two.example.        60 IN CNAME three.example.
three.example.      60 IN A     127.0.0.1
loop.example.       60 IN CNAME pool.example.
pool.example.       60 IN CNAME loop.example.
dangling.example.   60 IN CNAME absent.example.
mail.example.       60 IN MX    10 a.example.
fleeting.example.    0 IN A     127.0.0.1
host.corp.example.  60 IN A     127.0.0.1
private.example.    60 IN A     10.0.0.1
mapped.example.     60 IN AAAA  ::ffff:7f00:1
mixed.example.      60 IN A     192.168.1.1
mixed.example.      60 IN A     8.8.8.8
"""
BROKEN = {
    "failing.example": RCODE.SERVFAIL,
    "refused.example": RCODE.REFUSED,
    "silent.example": SILENCE,
}


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with serving_dns(ZONE, broken=BROKEN, too_long={"many.example"}) as server:
        yield server


@pytest.fixture(autouse=True)
def _nothing_is_said_of_callbacks(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """c-ares calls back from a thread of its own, where an exception only shows on standard error."""
    yield
    assert capfd.readouterr().err == ""


@asynccontextmanager
async def asking(*servers: str, **options: Any) -> AsyncIterator[AsyncResolver]:
    resolver = AsyncResolver(list(servers), **options)
    try:
        yield resolver
    finally:
        await resolver.close()


@asynccontextmanager
async def session_asking(dns: DnsServer, **limits: float) -> AsyncIterator[ClientSession]:
    async with (
        asking(dns.address) as resolver,
        ClientSession(connector=TCPConnector(resolver=resolver), timeout=ClientTimeout(**limits)) as session,
    ):
        yield session


async def hosts(resolver: AsyncResolver, name: str, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[str]:
    return [found["host"] for found in await resolver.resolve(name, 80, family)]


# -- what is found


async def test_a_page_comes_from_where_the_name_leads(dns: DnsServer, serve: Serve) -> None:
    server = await serve(repeating(HI))
    async with session_asking(dns) as session, session.get(f"http://one.example:{server.port}/") as response:
        assert await response.text() == "hi"
    assert Asked("UDP", "one.example", "A") in dns.asked


async def test_the_result_is_that_of_the_other_resolver(dns: DnsServer) -> None:
    """But for the protocol, which c-ares does not tell: the sockets are the same."""
    async with asking(dns.address) as resolver:
        (found,) = await resolver.resolve("a.example", 80, socket.AF_INET)
    (expected, *_) = await ThreadedResolver().resolve("127.0.0.1", 80, socket.AF_INET)
    assert found == {**expected, "hostname": "a.example", "proto": found["proto"]}


@pytest.mark.parametrize(
    ("name", "family", "expected"),
    [
        ("both.example", socket.AF_UNSPEC, {"127.0.0.1", "::1"}),
        ("both.example", socket.AF_INET, {"127.0.0.1"}),
        ("both.example", socket.AF_INET6, {"::1"}),
        ("six.example", socket.AF_UNSPEC, {"::1"}),
        ("BOTH.Example.", socket.AF_INET, {"127.0.0.1"}),
        ("three.example", socket.AF_UNSPEC, {"127.0.0.1"}),
        ("one.example", socket.AF_UNSPEC, {"127.0.0.1"}),
    ],
)
async def test_both_families_and_aliases(
    dns: DnsServer, name: str, family: socket.AddressFamily, expected: set[str]
) -> None:
    async with asking(dns.address) as resolver:
        assert set(await hosts(resolver, name, family)) == expected


async def test_an_answer_that_does_not_fit_is_fetched_over_tcp(dns: DnsServer) -> None:
    async with asking(dns.address) as resolver:
        assert set(await hosts(resolver, "many.example")) == {"127.0.0.1", "127.0.0.2", "127.0.0.3"}
    assert {asked.over for asked in dns.asked} == {"UDP", "TCP"}


async def test_the_next_server_is_asked_when_one_is_dead(dns: DnsServer, unused_port: int) -> None:
    async with asking(f"127.0.0.1:{unused_port}", dns.address) as resolver:
        assert await hosts(resolver, "a.example") == ["127.0.0.1"]


# -- what no server is asked


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("::1", "::1"),
        ("fe80::1%1", "fe80::1%1"),
    ],
)
async def test_addresses_are_known(dns: DnsServer, name: str, expected: str) -> None:
    family, other = (socket.AF_INET6, socket.AF_INET) if ":" in name else (socket.AF_INET, socket.AF_INET6)
    async with asking(dns.address) as resolver:
        assert await hosts(resolver, name) == await hosts(resolver, name, family) == [expected]
        with pytest.raises(socket.gaierror):
            await resolver.resolve(name, 80, other)
    assert not dns.asked


@pytest.mark.parametrize("name", ["localhost", "below.localhost"])
async def test_localhost_is_loopback(dns: DnsServer, name: str) -> None:
    """RFC 6761 §6.3: whatever a server would say."""
    async with asking(dns.address) as resolver:
        assert set(await hosts(resolver, name)) <= {"127.0.0.1", "::1"}
    assert not dns.asked


async def test_the_hosts_file_is_read(dns: DnsServer) -> None:
    lines = [line.partition("#")[0].split() for line in Path("/etc/hosts").read_text().splitlines()]
    names = [name for address, *names in filter(None, lines) for name in names if "localhost" not in name]
    if not names:
        pytest.skip("the hosts file of this machine names localhost alone")
    async with asking(dns.address) as resolver:
        assert await resolver.resolve(names[0], 80, socket.AF_UNSPEC)
    assert not dns.asked


async def test_short_names_are_looked_for_in_search_domains(dns: DnsServer) -> None:
    async with asking(dns.address, domains=["elsewhere.example", "corp.example"]) as resolver:
        assert await hosts(resolver, "host") == ["127.0.0.1"]
    assert {asked.name for asked in dns.asked} == {"host.elsewhere.example", "host.corp.example"}


# -- how long answers are remembered


@pytest.mark.parametrize(("name", "times"), [("a.example", 1), ("fleeting.example", 2)])
async def test_answers_are_remembered_as_long_as_they_say(dns: DnsServer, name: str, times: int) -> None:
    """Whatever the port, which the cache of the connector goes by."""
    async with asking(dns.address) as resolver:
        for port in (80, 443):
            assert (await resolver.resolve(name, port))[0]["port"] == port
    assert dns.asked.count(Asked("UDP", name, "A")) == times


# -- what goes wrong

ABSENT, LATER = socket.EAI_NONAME, socket.EAI_AGAIN


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("absent.example", ABSENT),
        ("mail.example", ABSENT),
        ("dangling.example", ABSENT),
        ("loop.example", ABSENT),
        ("under..score", ABSENT),
        ("a" * 64 + ".example", ABSENT),
        ("failing.example", LATER),
        ("refused.example", LATER),
    ],
)
async def test_failures_are_those_of_the_system(dns: DnsServer, name: str, code: int) -> None:
    """So that who knows when another try is worth while, knows it here."""
    async with asking(dns.address) as resolver:
        with pytest.raises(socket.gaierror) as caught:
            await resolver.resolve(name, 80, socket.AF_UNSPEC)
    assert caught.value.errno == code
    assert caught.value.strerror


@pytest.mark.parametrize("name", ["absent.example", "mail.example", "failing.example", "loop.example"])
async def test_the_error_of_a_request_names_the_host(dns: DnsServer, name: str) -> None:
    async with session_asking(dns) as session:
        with pytest.raises(ClientConnectorDNSError) as caught:
            await session.get(f"http://{name}/")
    assert caught.value.host == name
    assert name in str(caught.value)
    assert isinstance(caught.value.os_error, socket.gaierror)


@pytest.mark.parametrize("limit", [{"sock_connect": 0.05}, {"connect": 0.05}])
async def test_a_look_up_ends_with_its_request(dns: DnsServer, limit: dict[str, float]) -> None:
    async with session_asking(dns, **limit) as session:
        with pytest.raises(ConnectionTimeoutError):
            await session.get("http://silent.example/")


async def test_a_cancelled_look_up_leaves_the_others_alone(dns: DnsServer) -> None:
    async with asking(dns.address) as resolver:
        task = asyncio.create_task(resolver.resolve("silent.example"))
        await dns.was_asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await hosts(resolver, "a.example") == ["127.0.0.1"]


async def test_closing_ends_what_is_under_way(dns: DnsServer) -> None:
    resolver = AsyncResolver([dns.address])
    task = asyncio.create_task(resolver.resolve("silent.example"))
    await dns.was_asked.wait()
    await resolver.close()
    await resolver.close()
    for look_up in (task, resolver.resolve("a.example"), resolver.resolve("127.0.0.1")):
        with pytest.raises(OSError, match="the resolver is closed"):
            await look_up


# -- lies


@pytest.mark.parametrize("name", ["private.example", "mapped.example", "a.example"])
async def test_a_server_cannot_lead_us_into_our_own_network(dns: DnsServer, name: str) -> None:
    async with asking(dns.address) as resolver:
        connector = TCPConnector(resolver=resolver, address_guard=AddressGuard(allow_private=False))
        async with ClientSession(connector=connector) as session:
            with pytest.raises(AddressRefused):
                await session.get(f"http://{name}/")


async def test_of_several_addresses_those_in_public_remain(dns: DnsServer) -> None:
    async with asking(dns.address) as resolver:
        found = await resolver.resolve("mixed.example", 80, socket.AF_UNSPEC)
    permitted = AddressGuard(allow_private=False).permit("mixed.example", found)
    assert (len(found), [address["host"] for address in permitted]) == (2, ["8.8.8.8"])
