"""WebSockets through the proxies of a session: which one, what it is told, what its errors are, and what is left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from yarl import URL

from client import (
    BasicAuth,
    ClientConnectorError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    ServerTimeoutError,
    TCPConnector,
    WSServerHandshakeError,
)
from tests.client.peer import serving, until
from tests.client.test_tunnels import NAMES, STALLS, Certificates, OneName, login, stalling
from tests.client.ws_peer import TEXT, frame, open_websocket, read_frame, saying, shake_hands, switching
from tests.servers.proxy import http_proxy, socks_proxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.client.conftest import Serve
    from tests.client.peer import Peer
    from tests.servers.proxy import ProxyServer

AUTH = BasicAuth("me", "secret")
SCHEMES = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"]
LOOPS = pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


def proxy_of(
    scheme: str, certificates: Certificates, auth: BasicAuth | None = None
) -> AbstractAsyncContextManager[ProxyServer]:
    given = auth[:2] if auth else None
    if scheme.startswith("socks"):
        return socks_proxy(names=NAMES, login=given, scheme=scheme)
    return http_proxy(names=NAMES, login=given, tls=certificates.server if scheme == "https" else None)


def auth_for(scheme: str, user: str = "me") -> BasicAuth:
    return BasicAuth(user, "" if scheme.startswith("socks4") else "secret")


async def talk(session: ClientSession, url: URL, **options: Any) -> None:
    async with session.ws_connect(url, **options) as websocket:
        await websocket.send_str("there")
        assert await websocket.receive_str() == "and back"


async def echo(peer: Peer) -> None:
    await open_websocket(peer)
    assert (await read_frame(peer)).payload == b"there"
    await peer.send(frame(TEXT, b"and back"))
    await shake_hands(peer)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("url_scheme", ["ws", "wss"])
async def test_every_way_to_name_a_proxy(
    serve: Serve, certificates: Certificates, url_scheme: str, scheme: str, unused_port: int
) -> None:
    """That for ws or wss goes before that for http or https, and that before the one for all; exceptions hold for all of them."""
    server = await serve(echo, tls=certificates.server if url_scheme == "wss" else None)
    url = server.url.with_host("origin.example").with_scheme(url_scheme)
    like = url_scheme.replace("ws", "http")
    auth = auth_for(scheme)
    async with proxy_of(scheme, certificates, auth) as proxy:
        known = login(proxy, f"{auth.login}:{auth.password}".removesuffix(":"))
        nowhere = f"http://127.0.0.1:{unused_port}"
        ways: list[dict[str, Any]] = [
            {"proxy": known},
            {"proxy": proxy.url, "proxy_auth": auth},
            {"proxies": {url_scheme: known, like: nowhere, "all": nowhere}},
            {"proxies": {like: proxy.url, "all": nowhere}, "proxy_auth": auth},
            {"proxies": {"all": known}, "trust_env": {f"{url_scheme}_proxy": nowhere}},
            {"trust_env": {f"{url_scheme}_proxy": known, f"{like}_proxy": nowhere}},
            {"trust_env": {f"{like}_proxy": known, "all_proxy": nowhere}},
            {"trust_env": {"ALL_PROXY": proxy.url, "no_proxy": "elsewhere.example"}, "proxy_auth": auth},
        ]
        for count, way in enumerate(ways, 1):
            connector = TCPConnector(ssl=certificates.trusting, resolver=OneName("127.0.0.1"))
            async with ClientSession(connector=connector, connector_owner=False, **way) as session:
                await talk(session, url)
            assert len(proxy.log) == count
            async with ClientSession(connector=connector, no_proxy="origin.example", **way) as session:
                await talk(session, url)
            assert len(proxy.log) == count
            assert (connector.in_use_count, connector.limits.active) == (0, 0)
        connector = TCPConnector(ssl=certificates.trusting, resolver=OneName("127.0.0.1"))
        async with ClientSession(connector=connector, proxy=nowhere) as session:
            await talk(session, url, proxy=proxy.url, proxy_auth=auth)
    assert len(proxy.log) == len(ways) + 1
    assert not any("proxy-authorization" in asked.headers for asked in server.received)


async def test_headers_for_the_proxy_alone(serve: Serve) -> None:
    server = await serve(echo)
    async with http_proxy(login=AUTH[:2]) as proxy, ClientSession(proxy=proxy.url) as session:
        mine = {"Proxy-Authorization": "Basic b3RoZXI="}
        await talk(session, server.url, proxy_auth=AUTH, proxy_headers={"X-Key": "1"}, headers=mine)
    assert proxy.log[0].headers["x-key"] == "1"
    assert not {"x-key", "proxy-authorization"} & server.received[0].headers.keys()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("url_scheme", ["ws", "wss"])
async def test_proxies_that_open_no_tunnel(
    certificates: Certificates, url_scheme: str, scheme: str, unused_port: int
) -> None:
    """They do not know us, cannot reach the origin, or are not there: each error is what it is for other requests."""
    is_socks = scheme.startswith("socks")
    url = URL(f"{url_scheme}://127.0.0.1:{unused_port}/")
    async with (
        proxy_of(scheme, certificates, auth_for(scheme)) as proxy,
        TCPConnector(ssl=certificates.trusting) as connector,
        ClientSession(connector=connector, proxy=proxy.url) as session,
    ):
        for auth in (None, auth_for(scheme, "you")):
            with pytest.raises(ClientProxyConnectionError if is_socks else ClientHttpProxyError) as unknown:
                await session.ws_connect(url, proxy_auth=auth)
            assert unknown.value.url == url
            if isinstance(unknown.value, ClientHttpProxyError):
                assert unknown.value.status == 407
        with pytest.raises(ClientConnectorError if is_socks else ClientHttpProxyError) as unreachable:
            await session.ws_connect(url, proxy_auth=auth_for(scheme))
        assert not isinstance(unreachable.value, ClientProxyConnectionError)
        with pytest.raises(ClientProxyConnectionError, match="the proxy") as absent:
            await session.ws_connect(url, proxy=f"{scheme}://127.0.0.1:{unused_port}")
        assert absent.value.is_of_proxy
        assert (connector.in_use_count, connector.limits.active, connector.idle_count) == (0, 0, 0)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
@pytest.mark.parametrize("url_scheme", ["ws", "wss"])
async def test_a_handshake_through_a_tunnel_is_refused_or_redirected(
    serve: Serve, certificates: Certificates, url_scheme: str, scheme: str
) -> None:
    """The tunnel serves the next request to the same origin; another has one of its own. A refusal ends it."""

    async def script(peer: Peer) -> None:
        while True:
            received = await peer.head()
            match received.target:
                case "/forbidden":
                    await peer.answer(b"no", "403 Forbidden")
                case "/here":
                    await peer.answer(b"", "302 Found", "Location: /open")
                case "/there":
                    await peer.answer(b"", "302 Found", f"Location: {other.url.with_scheme(url_scheme)}open")
                case _:
                    await peer.send(switching(received))
                    await shake_hands(peer)
                    return

    tls = certificates.server if url_scheme == "wss" else None
    server, other = await serve(script, tls=tls), await serve(script, tls=tls)
    url = server.url.with_scheme(url_scheme)
    auth = auth_for(scheme)
    async with (
        proxy_of(scheme, certificates, auth) as proxy,
        TCPConnector(ssl=certificates.trusting) as connector,
        ClientSession(connector=connector, proxy=proxy.url, proxy_auth=auth, raise_for_status=True) as session,
    ):
        with pytest.raises(WSServerHandshakeError) as refused:
            await session.ws_connect(url / "forbidden")
        assert refused.value.status == 403
        assert connector.in_use_count == 0
        for path, ports in (("here", [server.port]), ("there", [server.port, other.port])):
            proxy.log.clear()
            connector._idle.clear()
            async with session.ws_connect(url / path) as websocket:
                assert not websocket.closed
            assert [int(asked.target.rpartition(":")[2]) for asked in proxy.log] == ports
        assert (connector.in_use_count, connector.limits.active) == (0, 0)
    received = server.received + other.received
    assert not any("proxy-authorization" in asked.headers for asked in received)
    assert [asked.target for asked in received] == ["/forbidden", "/here", "/open", "/there", "/open"]


@pytest.mark.parametrize("stage", STALLS)
async def test_the_time_to_connect_covers_the_proxy(certificates: Certificates, stage: str) -> None:
    async with (
        stalling(stage, certificates) as (proxy, _),
        TCPConnector(ssl=certificates.trusting) as connector,
        ClientSession(connector=connector, proxy=proxy.url, timeout=ClientTimeout(sock_connect=0.1)) as session,
    ):
        with pytest.raises(ConnectionTimeoutError):
            await session.ws_connect("wss://127.0.0.1/")
        await proxy.is_left.wait()
        assert connector.limits.active == connector.in_use_count == 0


@pytest.mark.parametrize("timeout", [ClientTimeout(total=0.1), ClientTimeout(sock_read=0.1)])
async def test_an_origin_that_keeps_silent_behind_a_tunnel(serve: Serve, timeout: ClientTimeout) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.closed()

    server = await serve(script)
    async with (
        http_proxy() as proxy,
        TCPConnector() as connector,
        ClientSession(connector=connector, proxy=proxy.url, timeout=timeout) as session,
    ):
        with pytest.raises(ServerTimeoutError):
            await session.ws_connect(server.url)
        await proxy.is_left.wait()
        assert connector.limits.active == connector.in_use_count == 0


@LOOPS
@pytest.mark.parametrize("scheme", ["http", "https", "socks4", "socks5"])
@pytest.mark.parametrize("url_scheme", ["ws", "wss"])
def test_cancelled_at_any_turn_of_the_loop_nothing_is_left(
    certificates: Certificates, url_scheme: str, scheme: str, factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """And if it is not, no message is missing, though all of them come with the answer."""
    messages = [frame(TEXT, b"%d" % number) for number in range(5)]

    async def receive_all(session: ClientSession, url: URL) -> None:
        async with session.ws_connect(url) as websocket:
            assert [await websocket.receive_str() for _ in messages] == ["0", "1", "2", "3", "4"]

    async def main() -> None:
        async with (
            serving(saying(*messages), tls=certificates.server if url_scheme == "wss" else None) as server,
            proxy_of(scheme, certificates) as proxy,
        ):
            turns, cancelled, is_done = 0, 0, False
            while not is_done:
                connector = TCPConnector(ssl=certificates.trusting)
                async with ClientSession(connector=connector, proxy=proxy.url) as session:
                    task = asyncio.create_task(receive_all(session, server.url.with_scheme(url_scheme)))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
                    (outcome,) = await asyncio.gather(task, return_exceptions=True)
                    assert outcome is None or isinstance(outcome, asyncio.CancelledError)
                    is_done = outcome is None
                    cancelled += not is_done
                    assert connector.limits.active == connector.in_use_count == connector.idle_count == 0
                if proxy.connections:
                    await proxy.is_left.wait()
                await until(lambda: server.open_connections == 0)
                turns += 1 + turns // 40
            assert cancelled > 5

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
