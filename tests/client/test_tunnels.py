"""Requests through proxies that run: what they are told, what origins see, what is shared, what errors say."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import trustme
import uvloop
from multidict import CIMultiDict
from yarl import URL

from client import (
    AbstractResolver,
    AddressGuard,
    AddressRefused,
    BasicAuth,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    Fingerprint,
    HostLimits,
    InvalidURL,
    TCPConnector,
    TraceConfig,
    UnixConnector,
)
from client.origin import Origin, origin_key
from client.proxies import Proxy, always
from client.request import ClientRequest
from client.send_policy import HeaderDefaults, SendPolicy
from tests.nowhere import NOWHERE
from tests.servers.proxy import http_proxy, scripted, socks_proxy
from tests.servers.websocket import aiohttp_server
from tests.sites import page, redirect, serve

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator, Callable

    from client.abc import ResolveResult
    from tests.servers.proxy import ProxyServer
    from tests.sites import Site

NAMES = {"origin.example": "127.0.0.1"}
AUTH = BasicAuth("me", "secret")


class Certificates:
    """An authority, what a server shows to prove that it is ours, and who believes it."""

    def __init__(self) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("origin.example", "127.0.0.1", "localhost")
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.server)
        self.trusting = ssl.create_default_context()
        authority.configure_trust(self.trusting)
        der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
        self.pinned = Fingerprint(sha256(der).digest())


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture
async def plain() -> AsyncIterator[Site]:
    async with serve({"/": page("Plain"), "/a?b=c": page("Query")}) as site:
        yield site


@pytest.fixture
async def secure(certificates: Certificates) -> AsyncIterator[Site]:
    async with serve({"/": page("Secure")}, tls=certificates.server) as site:
        yield site


def named(site: Site, path: str = "/") -> str:
    """The site under a name that only the proxy can resolve."""
    return f"{site.url}{path}".replace("127.0.0.1", "origin.example")


async def get(session: ClientSession, url: str) -> ClientResponse:
    return await session.get(url)


def login(proxy: ProxyServer, user: str = "me:secret") -> str:
    return proxy.url.replace("//", f"//{user}@")


# -- forwarding --------------------------------------------------------------------------------------------------------


async def test_a_forwarded_request_names_the_whole_url(plain: Site) -> None:
    """RFC 9112 §3.2.2; the proxy's headers go with it, and the connection serves the next request."""
    async with http_proxy(names=NAMES, login=AUTH[:2]) as proxy, ClientSession() as session:
        for path in ("/a?b=c", "/#fragment"):
            async with session.get(
                named(plain, path), proxy=proxy.url, proxy_auth=AUTH, proxy_headers={"X-Key": "1"}
            ) as response:
                assert response.status == 200
        async with session.post(named(plain), data=b"body", proxy=login(proxy)) as response:
            assert response.status == 200
    assert [(asked.verb, asked.target) for asked in proxy.log] == [
        ("GET", named(plain, "/a?b=c")),
        ("GET", named(plain)),
        ("POST", named(plain)),
    ]
    assert proxy.log[0].headers["host"] == f"origin.example:{plain.port}"
    assert proxy.log[0].headers["proxy-authorization"] == AUTH.encode()
    assert proxy.log[0].headers["x-key"] == "1"
    assert plain.log[2].body == b"body"
    assert proxy.connections == 2, "other headers, another connection"
    assert all("proxy-authorization" not in visit.headers for visit in plain.log)


async def test_the_default_port_is_left_out() -> None:
    policy = SendPolicy(HeaderDefaults(CIMultiDict()), proxy_for=always(Proxy.of("http://p")))
    for url, line in (
        ("http://a.example:80/x?y#z", "GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n"),
        ("http://[::1]:81", "GET http://[::1]:81/ HTTP/1.1\r\nHost: [::1]:81\r\n"),
        ("https://a.example/x", "GET /x HTTP/1.1\r\nHost: a.example\r\n"),
        ("ws://a.example/x", "GET /x HTTP/1.1\r\nHost: a.example\r\n"),
    ):
        assert ClientRequest("GET", URL(url), policy).wire()[0].startswith(line.encode())


@pytest.mark.parametrize("url", ["http://a b/", "https://a b/", "http://a\x0bb/"])
async def test_a_host_that_would_break_the_request(url: str) -> None:
    """Where we resolve names it has no address; a proxy must not see it either."""
    async with http_proxy() as proxy, ClientSession(proxy=proxy.url) as session:
        with pytest.raises((InvalidURL, ClientConnectorError)) as caught:
            await session.get(url)
        assert not isinstance(caught.value, ClientProxyConnectionError)
        assert not proxy.log


async def test_a_forward_proxy_that_wants_credentials_answers_like_a_server(plain: Site) -> None:
    async with http_proxy(names=NAMES, login=AUTH[:2]) as proxy, ClientSession(proxy=proxy.url) as session:
        async with session.get(named(plain)) as response:
            assert response.status == 407
            assert response.headers["Proxy-Authenticate"] == "Basic realm=here"
        assert not plain.log


async def test_own_credentials_for_the_proxy_among_the_headers(
    plain: Site, secure: Site, certificates: Certificates
) -> None:
    """As programs for other clients have it: a forward proxy gets them, unless it has others; a tunnel never."""
    headers = {"Proxy-Authorization": AUTH.encode()}
    async with (
        http_proxy(names=NAMES) as proxy,
        ClientSession(headers=headers, connector=TCPConnector(ssl=certificates.trusting)) as session,
    ):
        await session.get(named(plain), proxy=proxy.url)
        await session.get(named(plain), proxy=login(proxy, "you:theirs"))
        await session.get(named(secure), proxy=proxy.url)
    assert [asked.headers.get("proxy-authorization") for asked in proxy.log] == [
        AUTH.encode(),
        BasicAuth("you", "theirs").encode(),
        None,
    ]
    assert "proxy-authorization" not in secure.log[0].headers


# -- tunnels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_https_goes_through_a_tunnel(secure: Site, certificates: Certificates, version: str) -> None:
    """The proxy is told where to and who we are, the origin nothing of that; the tunnel serves the next request too."""
    async with (
        http_proxy(names=NAMES, login=AUTH[:2], version=version) as proxy,
        ClientSession(connector=TCPConnector(ssl=certificates.trusting)) as session,
    ):
        for _ in range(2):
            async with session.get(
                named(secure), proxy=proxy.url, proxy_auth=AUTH, proxy_headers={"X-Key": "1"}
            ) as response:
                assert response.status == 200
                assert "Secure" in await response.text()
    authority = f"origin.example:{secure.port}"
    assert [(asked.verb, asked.target) for asked in proxy.log] == [("CONNECT", authority)]
    assert proxy.log[0].headers == {"host": authority, "x-key": "1", "proxy-authorization": AUTH.encode()}
    assert [visit.path for visit in secure.log] == ["/", "/"]
    assert not {"proxy-authorization", "x-key"} & secure.log[0].headers.keys()


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
@pytest.mark.parametrize("url_scheme", ["ws", "http", "wss", "https"])
async def test_websockets_go_through_a_tunnel_without_tls_too(
    certificates: Certificates, scheme: str, url_scheme: str
) -> None:
    """RFC 6455 §4.1: a forward proxy would not know what to do with them."""
    tls = certificates.server if scheme == "https" else None
    origin_tls = certificates.server if url_scheme in ("wss", "https") else None
    async with (
        aiohttp_server(origin_tls) as url,
        socks_proxy(names=NAMES, scheme=scheme) if scheme == "socks5h" else http_proxy(names=NAMES, tls=tls) as proxy,
        ClientSession(connector=TCPConnector(ssl=certificates.trusting)) as session,
    ):
        asked = url.with_host("origin.example").with_scheme(url_scheme).with_port(url.port)
        async with session.ws_connect(asked, proxy=proxy.url) as websocket:
            await websocket.send_str("over there")
            assert await websocket.receive_str() == "over there"
        assert [asked.verb for asked in proxy.log] == ["SOCKS5" if scheme == "socks5h" else "CONNECT"]


@pytest.mark.parametrize("login_given", [None, "you:wrong"])
async def test_a_proxy_that_declines_a_tunnel(secure: Site, login_given: str | None) -> None:
    async with http_proxy(names=NAMES, login=AUTH[:2]) as proxy, ClientSession() as session:
        url = login(proxy, login_given) if login_given else proxy.url
        with pytest.raises(ClientHttpProxyError, match="407 Who are you") as caught:
            await session.get(named(secure), proxy=url)
        error = caught.value
        assert (error.status, error.message) == (407, "Who are you")
        assert error.headers is not None
        assert error.headers["proxy-authenticate"] == "Basic realm=here"
        assert (error.method, str(error.url)) == ("GET", named(secure))
        assert "wrong" not in f"{error} {error!r}"


async def test_a_target_that_an_http_proxy_cannot_reach(unused_port: int) -> None:
    async with http_proxy(names=NAMES) as proxy, ClientSession() as session:
        with pytest.raises(ClientHttpProxyError, match="502 Not there") as caught:
            await session.get(f"https://origin.example:{unused_port}/", proxy=proxy.url)
        assert caught.value.headers is not None
        assert caught.value.headers["Via"] == "test"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_origin_with_the_wrong_certificate_behind_a_tunnel(certificates: Certificates, scheme: str) -> None:
    """Whatever the proxy is, TLS is spoken with the origin: its error names it."""
    async with (
        serve({"/": page("Secure")}, tls=Certificates().server) as site,
        http_proxy(names=NAMES, tls=certificates.server if scheme == "https" else None) as proxy,
        ClientSession(connector=TCPConnector(ssl=certificates.trusting), proxy=proxy.url) as session,
    ):
        with pytest.raises(ClientConnectorCertificateError) as caught:
            await session.get(named(site))
        assert caught.value.host == "origin.example"
        assert not caught.value.is_of_proxy
        await proxy.is_left.wait()


# -- proxies inside TLS ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_an_https_proxy(certificates: Certificates, factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Requests for http are forwarded inside TLS; those for https go through TLS inside TLS."""

    async def main() -> None:
        async with (
            serve({"/": page("Plain")}) as plain,
            serve({"/": page("Secure", body="x" * 1_000_000)}, tls=certificates.server) as secure,
            http_proxy(names=NAMES, login=AUTH[:2], tls=certificates.server) as proxy,
            ClientSession(connector=TCPConnector(ssl=certificates.trusting), proxy=login(proxy)) as session,
        ):
            for _ in range(2):
                for site in (plain, secure):
                    async with session.get(named(site)) as response:
                        assert len(await response.read()) == len(
                            (page("Secure", body="x" * 1_000_000) if site is secure else page("Plain"))[2]
                        )
            assert [asked.verb for asked in proxy.log] == ["GET", "CONNECT", "GET"]
            assert proxy.connections == 2

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


async def test_an_https_proxy_with_the_wrong_certificate(plain: Site, secure: Site, certificates: Certificates) -> None:
    async with http_proxy(names=NAMES, tls=certificates.server) as proxy, ClientSession(proxy=proxy.url) as session:
        for site in (plain, secure):
            with pytest.raises(ClientConnectorCertificateError) as caught:
                await session.get(named(site))
            assert (caught.value.host, caught.value.port) == ("127.0.0.1", proxy.port)
            assert caught.value.is_of_proxy
        assert not proxy.log


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_pinned_certificate_is_the_origins(secure: Site, certificates: Certificates, scheme: str) -> None:
    """The proxy shows another: that is verified by the authorities, and ours is not among them."""
    tls = Certificates().server if scheme == "https" else None
    async with http_proxy(names=NAMES, tls=tls) as proxy, ClientSession(proxy=proxy.url) as session:
        if tls is None:
            assert (await session.get(named(secure), ssl=certificates.pinned)).status == 200
        else:
            with pytest.raises(ClientConnectorCertificateError) as caught:
                await session.get(named(secure), ssl=certificates.pinned)
            assert caught.value.port == proxy.port


async def test_a_proxy_that_does_not_speak_tls(secure: Site) -> None:
    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        await answer(reader, writer, b"HTTP/1.1 400 What?\r\n\r\n")

    async with scripted(talk) as proxy, ClientSession() as session:
        with pytest.raises(ClientConnectorError) as caught:
            await session.get(named(secure), proxy=f"https://127.0.0.1:{proxy.port}")
        assert caught.value.port == proxy.port


# -- SOCKS -------------------------------------------------------------------------------------------------------------


class OneName(AbstractResolver):
    """Knows origin.example only, and counts how often it is asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host != "origin.example":
            raise OSError(None, "unknown")
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
            for address in self.addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(
    ("scheme", "verb", "is_local"),
    [
        ("socks4", "SOCKS4", True),
        ("socks4a", "SOCKS4a", False),
        ("socks5", "SOCKS5", True),
        ("socks5h", "SOCKS5", False),
    ],
)
@pytest.mark.parametrize("has_login", [True, False])
async def test_each_kind_of_socks(
    plain: Site, secure: Site, certificates: Certificates, scheme: str, verb: str, is_local: bool, has_login: bool
) -> None:
    """What the scheme says decides who resolves the name."""
    password = "" if scheme.startswith("socks4") else "secret"
    resolver = OneName("127.0.0.1")
    async with (
        socks_proxy(names=NAMES, login=("me", password) if has_login else None, scheme=scheme) as proxy,
        ClientSession(connector=TCPConnector(ssl=certificates.trusting, resolver=resolver)) as session,
    ):
        for site in (plain, secure, plain, secure):
            async with session.get(
                named(site), proxy=proxy.url, proxy_auth=BasicAuth("me", password) if has_login else None
            ) as response:
                assert response.status == 200
        assert proxy.connections == 2
    told = "127.0.0.1" if is_local else "origin.example"
    assert [(asked.verb, asked.target) for asked in proxy.log] == [
        (verb, f"{told}:{site.port}") for site in (plain, secure)
    ]
    assert resolver.asked == (["origin.example"] * 2 if is_local else [])


@pytest.mark.parametrize(("scheme", "user"), [("socks4", "you"), ("socks5", "me:wrong"), ("socks5", None)])
async def test_a_socks_proxy_that_does_not_know_us(plain: Site, scheme: str, user: str | None) -> None:
    async with socks_proxy(login=AUTH[:2], scheme=scheme) as proxy, ClientSession() as session:
        with pytest.raises(ClientProxyConnectionError) as caught:
            await session.get(f"{plain.url}/", proxy=login(proxy, user) if user else proxy.url)
        assert (caught.value.host, caught.value.port) == ("127.0.0.1", proxy.port)
        assert str(caught.value.url) == f"{plain.url}/"
        assert "wrong" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("scheme", ["socks4", "socks5"])
async def test_a_target_that_a_socks_proxy_cannot_reach(unused_port: int, scheme: str) -> None:
    """It is the origin's error, not the proxy's: that one works."""
    async with socks_proxy(scheme=scheme) as proxy, ClientSession() as session:
        with pytest.raises(ClientConnectorError) as caught:
            await session.get(f"http://127.0.0.1:{unused_port}/", proxy=proxy.url)
        assert not isinstance(caught.value, ClientProxyConnectionError)
        assert isinstance(caught.value.os_error, OSError)
        assert caught.value.port == unused_port


async def test_addresses_are_tried_in_turn(plain: Site) -> None:
    """A proxy may reach some of a host's addresses only."""
    resolver = OneName("::1", "127.0.0.1")
    async with (
        socks_proxy() as proxy,
        ClientSession(connector=TCPConnector(resolver=resolver), proxy=proxy.url) as session,
        session.get(named(plain)) as response,
    ):
        assert response.status == 200
    assert [asked.target for asked in proxy.log] == [f"[::1]:{plain.port}", f"127.0.0.1:{plain.port}"]


# -- which proxy -------------------------------------------------------------------------------------------------------


async def test_the_request_goes_before_the_session_before_the_environment(plain: Site) -> None:
    async with AsyncExitStack() as stack:
        first, second, third, fourth = [await stack.enter_async_context(http_proxy()) for _ in range(4)]
        environment = {"http_proxy": fourth.url}
        for expected, request_proxy, session_proxy, proxies in (
            (first, first.url, second.url, {"http": third.url}),
            (second, None, URL(second.url), {"http": third.url}),
            (third, None, None, {"http": third.url, "all": first.url}),
            (fourth, None, None, {"https": third.url}),
        ):
            async with ClientSession(proxy=session_proxy, proxies=proxies, trust_env=environment) as session:
                before = len(expected.log)
                async with session.get(f"{plain.url}/", proxy=request_proxy) as response:
                    assert response.status == 200
                assert len(expected.log) == before + 1
        assert [len(proxy.log) for proxy in (first, second, third, fourth)] == [1, 1, 1, 1]


@pytest.mark.parametrize("nothing", ["", URL()])
async def test_an_empty_proxy_is_none(plain: Site, nothing: str | URL) -> None:
    """So settings that are left empty mean it, and a call can do without what the session has."""
    async with http_proxy() as proxy:
        environment = {"http_proxy": proxy.url}
        async with ClientSession(proxy=proxy.url) as session:
            await get(session, f"{plain.url}/")
            async with session.get(f"{plain.url}/", proxy=nothing, proxy_auth=AUTH) as response:
                assert response.status == 200
        async with ClientSession(proxy=nothing, proxies={"all": proxy.url}, trust_env=environment) as session:
            await get(session, f"{plain.url}/")
        assert len(proxy.log) == 1


async def test_credentials_of_the_session_are_for_its_own_proxies(plain: Site) -> None:
    async with http_proxy() as ours, http_proxy() as other, ClientSession(proxy=ours.url, proxy_auth=AUTH) as session:
        assert session.trust_env is False
        await session.get(f"{plain.url}/")
        await session.get(f"{plain.url}/", proxy_auth=BasicAuth("you"), proxy_headers={"X-Key": "1"})
        await session.get(f"{plain.url}/", proxy=other.url)
    assert [asked.headers.get("proxy-authorization") for asked in ours.log] == [
        AUTH.encode(),
        BasicAuth("you").encode(),
    ]
    assert ours.log[1].headers["x-key"] == "1"
    assert "proxy-authorization" not in other.log[0].headers


async def test_exceptions_are_from_the_sessions_proxies(plain: Site) -> None:
    """Not from that of a request."""
    async with http_proxy(names=NAMES) as proxy:
        everything = {"all": proxy.url}
        environment = {"all_proxy": proxy.url}
        for ways in (
            {"proxy": proxy.url},
            {"proxies": everything},
            {"trust_env": environment},
            {"proxies": everything, "trust_env": environment},
        ):
            async with ClientSession(no_proxy=f"elsewhere.example 127.0.0.0/8:{plain.port}", **ways) as session:
                await session.get(f"{plain.url}/")
                assert not proxy.log
                await session.get(named(plain))
                await session.get(f"{plain.url}/", proxy=proxy.url)
                assert len(proxy.log) == 2
                proxy.log.clear()


async def test_a_proxy_that_takes_no_connection_is_told_from_a_slow_origin() -> None:
    """One whose backlog is full does not answer at all."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        port = listener.getsockname()[1]
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        async with ClientSession(proxy=f"http://127.0.0.1:{port}", timeout=ClientTimeout(sock_connect=0.2)) as session:
            for url in ("http://127.0.0.1/", "https://127.0.0.1/"):
                with pytest.raises(ConnectionTimeoutError) as caught:
                    await session.get(url)
                assert caught.value.is_of_proxy


async def test_redirects_go_through_the_proxy_of_the_request(plain: Site) -> None:
    """And tell nobody else who we are there."""
    async with (
        http_proxy(names=NAMES, login=AUTH[:2]) as proxy,
        serve({"/": redirect(named(plain))}) as start,
        ClientSession() as session,
        session.get(f"{start.url}/", proxy=login(proxy)) as response,
    ):
        assert response.status == 200
    assert [asked.target for asked in proxy.log] == [f"{start.url}/", named(plain)]
    assert all("proxy-authorization" not in site.log[0].headers for site in (start, plain))


async def test_a_unix_socket_is_behind_no_proxy() -> None:
    async with ClientSession(connector=UnixConnector("/nowhere"), proxy="http://p") as session:
        with pytest.raises(ValueError, match="through a proxy"):
            await session.get("http://a.example/")


# -- what connections are shared by ------------------------------------------------------------------------------------


async def test_nothing_is_shared_between_ways_that_differ(secure: Site, certificates: Certificates) -> None:
    """Another proxy, other credentials, other headers, none at all: each has a connection of its own."""
    async with (
        http_proxy() as one,
        http_proxy() as two,
        ClientSession(connector=TCPConnector(ssl=certificates.trusting)) as session,
    ):
        ways: list[dict[str, Any]] = [
            {},
            {"proxy": one.url},
            {"proxy": two.url},
            {"proxy": one.url, "proxy_auth": AUTH},
            {"proxy": one.url, "proxy_auth": BasicAuth("me", "other")},
            {"proxy": one.url, "proxy_headers": {"X-Key": "1"}},
            {"proxy": one.url, "proxy_headers": {"X-Key": "2"}},
        ]
        for _ in range(2):
            for way in ways:
                async with session.get(f"{secure.url}/", **way) as response:
                    assert response.status == 200
        assert (one.connections, two.connections) == (5, 1)
        assert session.connector is not None
        assert session.connector.idle_count == len(ways)


async def test_a_tunnel_that_died_idle_is_replaced(secure: Site, certificates: Certificates) -> None:
    async with ClientSession(connector=TCPConnector(ssl=certificates.trusting)) as session:
        async with http_proxy() as proxy:
            await (await session.get(f"{secure.url}/", proxy=proxy.url)).read()
        with pytest.raises(ClientProxyConnectionError):
            await session.get(f"{secure.url}/", proxy=proxy.url)


async def test_limits_count_for_the_host_not_for_the_proxy(plain: Site) -> None:
    """One connection to a host at a time; two hosts behind one proxy do not wait for each other."""
    arrived: asyncio.Queue[str] = asyncio.Queue()
    go_on = asyncio.Event()

    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await arrived.put(head.split()[1].decode())
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    limits = HostLimits(limit_per_host=1)
    async with (
        scripted(talk) as proxy,
        ClientSession(connector=TCPConnector(limits=limits), proxy=proxy.url) as session,
        asyncio.TaskGroup() as group,
    ):
        for host in ("a.example", "a.example", "b.example"):
            group.create_task(get(session, f"http://{host}/"))
        assert {await arrived.get(), await arrived.get()} == {"http://a.example/", "http://b.example/"}
        assert limits.active_of(origin_key(Origin("http", "a.example", 80))) == 1
        assert limits.active_of(origin_key(Origin("http", "127.0.0.1", proxy.port))) == 0
        go_on.set()
    assert limits.active == 0


# -- the address guard -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "socks4a", "socks5h", "socks5"])
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "127.1", "2130706433", "localhost", "www.LOCALHOST."])
async def test_the_guard_judges_addresses_whoever_resolves_names(scheme: str, host: str) -> None:
    """The proxy itself is the user's choice, and may be where it likes."""
    connect = http_proxy() if scheme == "http" else socks_proxy(scheme=scheme)
    guard = AddressGuard(allow_private=False)
    async with connect as proxy, ClientSession(connector=TCPConnector(address_guard=guard), proxy=proxy.url) as session:
        for url in (f"http://{host}/", f"https://{host}/"):
            with pytest.raises(AddressRefused if scheme != "socks5" else (AddressRefused, ClientConnectorDNSError)):
                await session.get(url)
        assert not proxy.connections


@pytest.mark.parametrize(("scheme", "is_refused"), [("socks4", True), ("socks5", True), ("socks5h", False)])
async def test_names_are_judged_if_we_resolve_them(plain: Site, scheme: str, is_refused: bool) -> None:
    """What a proxy makes of a name is its own business, and its owner's."""
    connector = TCPConnector(resolver=OneName("127.0.0.1"), address_guard=AddressGuard(allow_private=False))
    async with (
        socks_proxy(names=NAMES, scheme=scheme) as proxy,
        ClientSession(connector=connector, proxy=proxy.url) as session,
    ):
        if is_refused:
            with pytest.raises(AddressRefused):
                await session.get(named(plain))
            assert not proxy.connections
        else:
            async with session.get(named(plain)) as response:
                assert response.status == 200


# -- proxies that fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https", "socks4", "socks5h"])
@pytest.mark.parametrize("url", ["http://127.0.0.1/", "https://127.0.0.1/"])
async def test_a_proxy_that_is_not_there(unused_port: int, scheme: str, url: str) -> None:
    async with ClientSession(connector=TCPConnector(resolver=OneName())) as session:
        for host, port in (("127.0.0.1", unused_port), (NOWHERE, 1)):
            with pytest.raises(ClientProxyConnectionError) as caught:
                await session.get(url, proxy=f"{scheme}://{host}:{port}")
            assert (caught.value.host, caught.value.port) == (host, port)
            assert str(caught.value.url) == url
            assert caught.value.is_of_proxy


async def answer(reader: StreamReader, writer: StreamWriter, data: bytes) -> None:
    """Say something, and wait until the client has gone."""
    writer.write(data)
    await reader.read()


@pytest.mark.parametrize(
    ("scheme", "answers", "text", "is_of_proxy"),
    [
        ("http", b"\x16\x03\x01\0", "not HTTP/1", True),
        ("http", b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 20_000, "a head of more than", True),
        ("http", b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "bytes after", False),
        ("socks4", b"SSH-2.0-test", "not a SOCKS 4 proxy", True),
        ("socks5", b"\5\7\0", "which was not offered", True),
        ("socks5", b"\5\0\5\1\0\1", "general failure", False),
        ("socks5", b"\5\0\5\0\0\7", "unknown kind", True),
    ],
)
async def test_a_proxy_that_speaks_something_else(scheme: str, answers: bytes, text: str, is_of_proxy: bool) -> None:
    """Each is bounded, typed, and leaves nothing behind; what the target may have caused is not put down to the proxy."""

    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        await answer(reader, writer, answers)

    async with scripted(talk, scheme=scheme) as proxy, ClientSession(proxy=proxy.url) as session:
        with pytest.raises(ClientProxyConnectionError, match=text) as caught:
            await session.get("https://127.0.0.1/")
        assert caught.value.is_of_proxy is is_of_proxy
        await proxy.is_left.wait()
        assert session.connector is not None
        assert (session.connector.idle_count, session.connector.in_use_count) == (0, 0)


@pytest.mark.parametrize("scheme", ["http", "https", "socks4", "socks5"])
@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"\5\0\5"])
@pytest.mark.parametrize("is_abrupt", [False, True])
async def test_a_proxy_that_hangs_up(certificates: Certificates, scheme: str, start: bytes, is_abrupt: bool) -> None:
    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.read(2)
        writer.write(start)
        if is_abrupt:
            linger = struct.pack("ii", 1, 0)  # the end of the connection is a reset then
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            writer.close()
            await writer.wait_closed()

    tls = certificates.server if scheme == "https" else None
    async with (
        scripted(talk, scheme=scheme, tls=tls) as proxy,
        ClientSession(connector=TCPConnector(ssl=certificates.trusting), proxy=proxy.url) as session,
    ):
        with pytest.raises(ClientProxyConnectionError):
            await session.get("https://127.0.0.1/")


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
async def test_a_tunnel_that_ends_before_tls(certificates: Certificates, scheme: str) -> None:
    """The proxy said yes, and then nothing came of it: that is as if the origin had hung up."""

    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        if scheme == "socks5":
            await reader.readexactly(3)
            writer.write(b"\5\0")
            await reader.readexactly(10)
            writer.write(b"\5\0\0\1" + bytes(6))
        else:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await reader.read(5)
        writer.close()

    tls = certificates.server if scheme == "https" else None
    async with (
        scripted(talk, scheme=scheme, tls=tls) as proxy,
        ClientSession(connector=TCPConnector(ssl=certificates.trusting), proxy=proxy.url) as session,
    ):
        with pytest.raises(ClientConnectorError) as caught:
            await session.get("https://127.0.0.1:4/")
        assert caught.value.port == 4


@asynccontextmanager
async def drip(upstream: ProxyServer) -> AsyncIterator[ProxyServer]:
    """A proxy before a proxy, through which every byte travels alone."""

    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        from_upstream, to_upstream = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.gather(carry(reader, to_upstream), carry(from_upstream, writer))
        finally:
            to_upstream.transport.abort()

    async def carry(reader: StreamReader, writer: StreamWriter) -> None:
        while byte := await reader.read(1):
            writer.write(byte)
            await writer.drain()
        writer.close()

    async with scripted(talk, scheme=upstream.scheme) as proxy:
        yield proxy


@pytest.mark.parametrize("scheme", ["http", "socks4", "socks5"])
async def test_one_byte_at_a_time(secure: Site, certificates: Certificates, scheme: str) -> None:
    connect = http_proxy(login=AUTH[:2]) if scheme == "http" else socks_proxy(login=("me", ""), scheme=scheme)
    async with (
        connect as upstream,
        drip(upstream) as proxy,
        ClientSession(connector=TCPConnector(ssl=certificates.trusting)) as session,
        session.get(
            f"{secure.url}/", proxy=proxy.url, proxy_auth=AUTH if scheme == "http" else BasicAuth("me")
        ) as response,
    ):
        assert response.status == 200


# -- proxies that keep silent ------------------------------------------------------------------------------------------


STALLS = {
    "http-head": ("http", [b""]),
    "http-half": ("http", [b"HTTP/1.1 200 OK\r\nX: "]),
    "http-tls": ("http", [b"HTTP/1.1 200 OK\r\n\r\n"]),
    "https-head": ("https", [b""]),
    "https-tls": ("https", [b"HTTP/1.1 200 OK\r\n\r\n"]),
    "socks4": ("socks4", [b"\0"]),
    "socks5-method": ("socks5", [b""]),
    "socks5-reply": ("socks5", [b"\5\0", b"\5\0\0"]),
    "socks5-tls": ("socks5", [b"\5\0", b"\5\0\0\1" + bytes(6)]),
}


@asynccontextmanager
async def stalling(stage: str, certificates: Certificates) -> AsyncIterator[tuple[ProxyServer, asyncio.Event]]:
    """A proxy that answers what it is asked so far and no further; the event is set as soon as it has been asked more."""
    scheme, answers = STALLS[stage]
    is_stuck = asyncio.Event()

    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        for part in answers:
            await reader.read(4096)
            writer.write(part)
        if stage.endswith("-tls"):
            await reader.read(4096)  # the client's first words to the origin
        is_stuck.set()
        while await reader.read(4096):
            continue

    tls = certificates.server if scheme == "https" else None
    async with scripted(talk, scheme=scheme, tls=tls) as proxy:
        yield proxy, is_stuck


@pytest.mark.parametrize("stage", STALLS)
@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_cancelled_at_any_stage_nothing_is_left(
    certificates: Certificates, stage: str, factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """No slot, no connection; and the proxy sees its end at once."""

    async def main() -> None:
        async with (
            stalling(stage, certificates) as (proxy, is_stuck),
            TCPConnector(ssl=certificates.trusting) as connector,
            ClientSession(connector=connector, proxy=proxy.url) as session,
        ):
            task = asyncio.create_task(get(session, "https://127.0.0.1/"))
            await is_stuck.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await proxy.is_left.wait()
            assert connector.limits.active == connector.in_use_count == connector.idle_count == 0

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


@pytest.mark.parametrize("scheme", ["http", "https", "socks4", "socks5"])
@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_cancelled_at_any_turn_of_the_loop_nothing_is_left(
    certificates: Certificates, scheme: str, factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def main() -> None:
        tls = certificates.server if scheme == "https" else None
        async with (
            serve({"/": page("Secure")}, tls=certificates.server) as site,
            socks_proxy(scheme=scheme) if scheme.startswith("socks") else http_proxy(tls=tls) as proxy,
        ):
            turns, outcomes = 0, set[type]()
            while ClientResponse not in outcomes:
                async with TCPConnector(ssl=certificates.trusting) as connector:
                    session = ClientSession(connector=connector, proxy=proxy.url)
                    task = asyncio.create_task(get(session, f"{site.url}/"))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
                    outcomes.update(type(outcome) for outcome in await asyncio.gather(task, return_exceptions=True))
                    assert connector.limits.active == connector.in_use_count
                    await session.close()
                if proxy.connections:
                    await proxy.is_left.wait()
                assert connector.limits.active == connector.in_use_count == connector.idle_count == 0
                turns += 1 + turns // 100  # a busy machine takes more of them, and is not to be asked for each
            assert outcomes == {asyncio.CancelledError, ClientResponse}

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


@pytest.mark.parametrize("stage", STALLS)
async def test_the_time_to_connect_covers_the_proxy(certificates: Certificates, stage: str) -> None:
    async with (
        stalling(stage, certificates) as (proxy, _),
        TCPConnector(ssl=certificates.trusting) as connector,
        ClientSession(connector=connector, proxy=proxy.url, timeout=ClientTimeout(sock_connect=0.2)) as session,
    ):
        with pytest.raises(ConnectionTimeoutError, match=r"127\.0\.0\.1:443 did not connect within 0\.2 s") as caught:
            await session.get("https://127.0.0.1/")
        assert not caught.value.is_of_proxy
        await proxy.is_left.wait()
        assert connector.limits.active == connector.in_use_count == 0


# -- signals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "resolved"), [("socks5h", ["localhost"]), ("socks5", ["origin.example", "localhost"])]
)
async def test_signals_tell_of_every_look_up(plain: Site, scheme: str, resolved: list[str]) -> None:
    class Loopback(OneName):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            return await super().resolve("origin.example", port, family)

    seen: list[str] = []
    config = TraceConfig()

    @config.on_dns_resolvehost_start
    async def looked_up(_session: object, _context: object, params: Any) -> None:
        seen.append(params.host)

    @config.on_connection_create_start
    async def begun(_session: object, _context: object, _params: object) -> None:
        seen.append("begun")

    @config.on_connection_create_end
    async def ended(_session: object, _context: object, _params: object) -> None:
        seen.append("ended")

    connector = TCPConnector(resolver=Loopback("127.0.0.1"))
    async with (
        socks_proxy(names=NAMES, scheme=scheme) as proxy,
        ClientSession(
            connector=connector, trace_configs=[config], proxy=proxy.url.replace("127.0.0.1", "localhost")
        ) as session,
        session.get(named(plain)) as response,
    ):
        assert response.status == 200
    assert seen == ["begun", *resolved, "ended"]


@pytest.mark.parametrize("scheme", ["http", "https", "socks4", "socks4a", "socks5", "socks5h"])
async def test_timings_count_the_way_to_the_proxy_as_connecting(
    plain: Site, secure: Site, certificates: Certificates, scheme: str
) -> None:
    """A look-up of the origin's name is told by itself, if it is ours; so is TLS with whoever answers the request."""
    tls = certificates.server if scheme == "https" else None
    async with (
        socks_proxy(names=NAMES, scheme=scheme)
        if scheme.startswith("socks")
        else http_proxy(names=NAMES, tls=tls) as proxy,
        ClientSession(
            connector=TCPConnector(ssl=certificates.trusting, resolver=OneName("127.0.0.1"), use_dns_cache=False),
            proxy=proxy.url,
        ) as session,
    ):
        for site in (plain, secure):
            async with session.get(named(site)) as response:
                await response.read()
                new = response.timings
            async with session.get(named(site)) as response:
                await response.read()
                kept = response.timings
            assert new.connect > 0
            assert (new.dns > 0) is (scheme in ("socks4", "socks5"))
            assert (new.tls > 0) is (site is secure or scheme == "https")
            assert new.total is not None
            assert new.receiving is not None
            assert sum((*new[:-2], new.receiving)) <= new.total
            assert kept[:4] == (0, 0, 0, 0)
