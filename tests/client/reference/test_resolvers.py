"""The resolver that asks DNS servers itself: whom, and how."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pycares
import pytest

from client import AsyncResolver, ClientSession, MissingPackage, TCPConnector
from tests.client.reference.servers.nginx import PAGE
from tests.client.reference.table import exercises
from tests.servers.dns import NONSENSE, SILENCE, Asked, serving_dns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.client.reference.servers.nginx import Addresses
    from tests.servers.dns import DnsServer

ZONE = """\
site.example.              60 IN A 127.0.0.1
many.example.              60 IN A 127.0.0.1
many.example.              60 IN A 127.0.0.2
"""


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    broken = {"silent.example": SILENCE, "nonsense.example": NONSENSE}
    async with serving_dns(ZONE, broken=broken, too_long={"many.example"}) as server:
        yield server


@asynccontextmanager
async def _asking(*servers: str, **options: Any) -> AsyncIterator[AsyncResolver]:
    resolver = AsyncResolver(list(servers), **options)
    try:
        yield resolver
    finally:
        await resolver.close()


async def _hosts(resolver: AsyncResolver, name: str) -> list[str]:
    return [found["host"] for found in await resolver.resolve(name, 80)]


@exercises("AsyncResolver", "AsyncResolver(nameservers)")
async def test_dns_servers_can_be_asked(dns: DnsServer, nginx: Addresses) -> None:
    url = nginx.plain.replace("127.0.0.1", "site.example")
    async with (
        _asking(dns.address) as resolver,
        ClientSession(connector=TCPConnector(resolver=resolver)) as session,
        session.get(f"{url}page.html") as response,
    ):
        assert await response.read() == PAGE
    assert Asked("UDP", "site.example", "A") in dns.asked


@exercises(
    *(
        f"AsyncResolver({name})"
        for name in (
            *("flags", "local_ip", "local_dev", "socket_send_buffer_size", "socket_receive_buffer_size"),
            *("ndots", "domains"),
        )
    )
)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"flags": pycares.ARES_FLAG_USEVC}, Asked("TCP", "site.example", "A")),
        ({"local_ip": "127.0.0.2"}, Asked("UDP", "site.example", "A", "127.0.0.2")),
        ({"local_dev": "lo"}, Asked("UDP", "site.example", "A")),
        ({"socket_send_buffer_size": 8192, "socket_receive_buffer_size": 8192}, Asked("UDP", "site.example", "A")),
        ({"ndots": 2, "domains": ["corp.example"]}, Asked("UDP", "site.example.corp.example", "A")),
    ],
    ids=str,
)
async def test_they_are_asked_as_one_likes(dns: DnsServer, options: dict[str, Any], expected: Asked) -> None:
    async with _asking(dns.address, **options) as resolver:
        assert await _hosts(resolver, "site.example") == ["127.0.0.1"]
    assert dns.asked[0] == expected


@exercises("AsyncResolver(udp_port)", "AsyncResolver(tcp_port)")
async def test_ports_may_be_said_once_for_all(dns: DnsServer) -> None:
    async with _asking("127.0.0.1", udp_port=dns.port, tcp_port=dns.port) as resolver:
        assert set(await _hosts(resolver, "many.example")) == {"127.0.0.1", "127.0.0.2"}
    assert [asked.over for asked in dns.asked] == ["UDP", "TCP"]


@exercises("AsyncResolver(rotate)")
async def test_servers_may_take_turns(dns: DnsServer) -> None:
    async with serving_dns(ZONE) as other, _asking(dns.address, other.address, rotate=True) as resolver:
        for number in range(50):
            with pytest.raises(socket.gaierror):
                await resolver.resolve(f"absent-{number}.example")
        assert dns.asked
        assert other.asked


@exercises("AsyncResolver(timeout)", "AsyncResolver(tries)")
@pytest.mark.parametrize("name", ["silent.example", "nonsense.example"])
@pytest.mark.parametrize("tries", [1, 2])
async def test_a_server_may_keep_us_waiting_only_for_so_long(dns: DnsServer, name: str, tries: int) -> None:
    async with _asking(dns.address, timeout=0.05, tries=tries) as resolver:
        with pytest.raises(socket.gaierror) as caught:
            await resolver.resolve(name)
    assert caught.value.errno in (socket.EAI_AGAIN, socket.EAI_FAIL)
    assert len(dns.asked) == tries


@exercises("AsyncResolver(loop)")
async def test_it_needs_no_loop(dns: DnsServer) -> None:
    with pytest.warns(DeprecationWarning, match="loop"):
        resolver = AsyncResolver([dns.address], asyncio.get_running_loop())
    assert await _hosts(resolver, "site.example") == ["127.0.0.1"]
    await resolver.close()


@exercises("MissingPackage")
async def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiodns", None)
    with pytest.raises(MissingPackage, match=r"aiodns: pip install 'nephila\[dns\]'") as caught:
        AsyncResolver()
    assert (caught.value.name, caught.value.extra) == ("aiodns", "dns")
