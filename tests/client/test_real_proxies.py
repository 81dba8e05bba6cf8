"""Proxies that others wrote and many use: squid, tinyproxy, microsocks, dante."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from client import (
    BasicAuth,
    ClientConnectorError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ClientSession,
    TCPConnector,
)
from tests.servers import daemons
from tests.servers.websocket import aiohttp_server
from tests.sites import page, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from yarl import URL

    from tests.sites import Site

LOGIN = ("me", "secret")


def needs(binary: str, package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(daemons.find(binary) is None, reason=f"Debian's package {package} is not installed")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("origin.example", "localhost", "127.0.0.1")


@pytest.fixture
async def plain() -> AsyncIterator[Site]:
    async with serve({"/": page("Plain")}) as site:
        yield site


@pytest.fixture
async def secure(certificate: trustme.LeafCert) -> AsyncIterator[Site]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(tls)
    async with serve({"/": page("Secure")}, tls=tls) as site:
        yield site


@pytest.fixture
async def websockets(certificate: trustme.LeafCert) -> AsyncIterator[list[URL]]:
    """Servers of WebSockets, without and with TLS, that send back what they receive."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(tls)
    async with aiohttp_server() as plain, aiohttp_server(tls) as secure:
        yield [plain, secure]


@pytest.fixture
async def session(authority: trustme.CA) -> AsyncIterator[ClientSession]:
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    async with ClientSession(connector=TCPConnector(ssl=tls)) as session:
        yield session


async def ask_both(session: ClientSession, proxy: str, sites: list[Site], host: str = "127.0.0.1") -> None:
    """Ask each site twice, so that connections are used again."""
    for site in sites * 2:
        async with session.get(f"{site.url}/".replace("127.0.0.1", host), proxy=proxy) as response:
            assert response.status == 200
            assert "<title>" in await response.text()


async def talk_to_both(session: ClientSession, proxy: str, websockets: list[URL]) -> None:
    """Send more than fits into any buffer there and back."""
    for url in websockets:
        async with session.ws_connect(url, proxy=proxy) as websocket:
            await websocket.send_bytes(bytes(300_000))
            assert await websocket.receive_bytes() == bytes(300_000)


@needs("squid", "squid")
async def test_squid(
    session: ClientSession,
    plain: Site,
    secure: Site,
    websockets: list[URL],
    certificate: trustme.LeafCert,
    unused_port: int,
) -> None:
    """Outside and inside TLS, with a name that it alone can resolve; who it does not know it declines."""
    pem = certificate.private_key_and_cert_chain_pem.bytes()
    async with daemons.squid(LOGIN, pem) as (plain_port, secure_port):
        for proxy in (f"http://me:secret@127.0.0.1:{plain_port}", f"https://me:secret@127.0.0.1:{secure_port}"):
            await ask_both(session, proxy, [plain, secure], "origin.example")
            await talk_to_both(session, proxy, websockets)
            with pytest.raises(ClientHttpProxyError, match="503") as unreachable:
                await session.get(f"https://origin.example:{unused_port}/", proxy=proxy)
            assert unreachable.value.headers is not None
            assert "ERR_CONNECT_FAIL" in unreachable.value.headers["X-Squid-Error"]
            async with session.get(f"http://origin.example:{unused_port}/", proxy=proxy) as response:
                assert response.status == 503
        stranger = f"http://127.0.0.1:{plain_port}"
        with pytest.raises(ClientHttpProxyError, match="407") as unknown:
            await session.get(f"{secure.url}/", proxy=stranger, proxy_auth=BasicAuth("me", "wrong"))
        assert unknown.value.headers is not None
        assert unknown.value.headers["Proxy-Authenticate"].startswith("Basic")
        with pytest.raises(ClientHttpProxyError, match="407"):
            await session.ws_connect(websockets[0], proxy=stranger)
        async with session.get(f"{plain.url}/", proxy=stranger) as response:
            assert response.status == 407
    assert all("proxy-authorization" not in visit.headers for site in (plain, secure) for visit in site.log)


@needs("tinyproxy", "tinyproxy")
async def test_tinyproxy(session: ClientSession, plain: Site, secure: Site, websockets: list[URL]) -> None:
    """It speaks HTTP/1.0, and closes after each forwarded request."""
    async with daemons.tinyproxy(LOGIN) as port:
        await ask_both(session, f"http://me:secret@127.0.0.1:{port}", [plain, secure])
        await talk_to_both(session, f"http://me:secret@127.0.0.1:{port}", websockets)
        with pytest.raises(ClientHttpProxyError, match="407"):
            await session.get(f"{secure.url}/", proxy=f"http://127.0.0.1:{port}")
    assert all("proxy-authorization" not in visit.headers for site in (plain, secure) for visit in site.log)


@needs("microsocks", "microsocks")
async def test_microsocks(
    session: ClientSession, plain: Site, secure: Site, websockets: list[URL], unused_port: int
) -> None:
    async with daemons.microsocks(LOGIN) as port:
        for scheme in ("socks5", "socks5h"):
            await ask_both(session, f"{scheme}://me:secret@127.0.0.1:{port}", [plain, secure], "localhost")
            await talk_to_both(session, f"{scheme}://me:secret@127.0.0.1:{port}", websockets)
        with pytest.raises(ClientConnectorError, match="refused, according to the proxy"):
            await session.get(f"http://127.0.0.1:{unused_port}/", proxy=f"socks5://me:secret@127.0.0.1:{port}")
        for login in ("", "me:wrong@"):
            with pytest.raises(ClientProxyConnectionError):
                await session.get(f"{plain.url}/", proxy=f"socks5://{login}127.0.0.1:{port}")


@needs("danted", "dante-server")
async def test_dante(
    session: ClientSession, plain: Site, secure: Site, websockets: list[URL], unused_port: int
) -> None:
    """It has never heard of SOCKS 4a."""
    async with daemons.dante() as port:
        for scheme in ("socks4", "socks5", "socks5h"):
            proxy = f"{scheme}://127.0.0.1:{port}"
            await ask_both(session, proxy, [plain, secure], "localhost")
            await talk_to_both(session, proxy, websockets)
            with pytest.raises(ClientConnectorError) as caught:
                await session.get(f"http://127.0.0.1:{unused_port}/", proxy=proxy)
            assert caught.value.port == unused_port
