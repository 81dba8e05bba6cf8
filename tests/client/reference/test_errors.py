"""Every error, raised for its reason; each says what it concerns."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from yarl import URL

import client
from client import (
    BadHttpMessage,
    ClientConnectionError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientHttpProxyError,
    ClientOSError,
    ClientPayloadError,
    ClientProxyConnectionError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    ConnectionTimeoutError,
    ConnectorClosed,
    ContentEncodingError,
    HeadersTooLarge,
    HttpVersion11,
    InvalidURL,
    InvalidUrlClientError,
    InvalidUrlRedirectClientError,
    NonHttpUrlClientError,
    NonHttpUrlRedirectClientError,
    RedirectClientError,
    ServerConnectionError,
    ServerDisconnectedError,
    TCPConnector,
    UnixClientConnectorError,
    UnixConnector,
)
from tests.client.reference.table import exercises
from tests.nowhere import NOWHERE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.conftest import Serve
    from tests.client.peer import Peer
    from tests.client.reference.servers.nginx import Addresses
    from tests.client.reference.servers.proxies import Proxy

NOBODY = "http://127.0.0.1:9/"
"""Where nothing listens."""


# -- connecting


@exercises("ClientError", "ClientConnectionError", "ClientOSError", "ClientConnectorError")
@pytest.mark.parametrize("kind", [ClientError, ClientConnectionError, ClientOSError, ClientConnectorError, OSError])
async def test_a_refused_connection(session: ClientSession, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        await session.get(NOBODY)
    error = caught.value
    assert isinstance(error, ClientConnectorError)
    assert (error.host, error.port, error.ssl) == ("127.0.0.1", 9, True)
    assert isinstance(error.os_error, ConnectionRefusedError)
    assert (error.method, error.url) == ("GET", URL(NOBODY))
    assert "127.0.0.1:9" in str(error)


@exercises("ClientConnectorDNSError")
async def test_an_unknown_name(session: ClientSession) -> None:
    with pytest.raises(ClientConnectorDNSError) as caught:
        await session.get(f"http://{NOWHERE}/")
    assert caught.value.host == NOWHERE


@exercises("ClientConnectorSSLError", "ClientSSLError")
async def test_a_server_without_tls(session: ClientSession, nginx: Addresses) -> None:
    with pytest.raises(ClientConnectorSSLError) as caught:
        await session.get(nginx.plain.replace("http:", "https:"))
    assert isinstance(caught.value, ClientSSLError | ssl.SSLError)


@exercises("ClientProxyConnectionError")
async def test_a_proxy_that_is_not_there(session: ClientSession, nginx: Addresses) -> None:
    with pytest.raises(ClientProxyConnectionError) as caught:
        await session.get(nginx.plain, proxy=NOBODY)
    assert caught.value.port == 9


@exercises("ClientHttpProxyError")
async def test_a_proxy_that_declines(session: ClientSession, nginx: Addresses, tinyproxy: Proxy) -> None:
    with pytest.raises(ClientHttpProxyError) as caught:
        await session.get(nginx.right, proxy=tinyproxy.url)
    assert caught.value.status == 407


@exercises("UnixClientConnectorError")
async def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    path = str(tmp_path / "nothing.sock")
    async with ClientSession(connector=UnixConnector(path)) as session:
        with pytest.raises(UnixClientConnectorError) as caught:
            await session.get("http://whoever.example/")
    assert caught.value.path == path


@exercises("ConnectionTimeoutError", "ClientTimeout(sock_connect)")
async def test_a_server_that_does_not_greet(session: ClientSession, serve: Serve) -> None:
    """It accepts, but never speaks TLS."""
    server = await serve(_listening)
    url = server.url.with_scheme("https").with_port(server.url.port)
    with pytest.raises(ConnectionTimeoutError):
        await session.get(url, timeout=ClientTimeout(sock_connect=0.05))


@exercises("ClientConnectionError", "ConnectorClosed")
async def test_a_closed_connector() -> None:
    connector = TCPConnector()
    await connector.close()
    async with ClientSession(connector=connector) as session:
        with pytest.raises(ClientConnectionError, match="closed") as caught:
            await session.get(NOBODY)
    assert isinstance(caught.value, ConnectorClosed)


# -- the server


async def _listening(peer: Peer) -> None:
    await peer.closed()


async def _leaving(peer: Peer) -> None:
    await peer.head()


@exercises("ServerDisconnectedError", "ServerConnectionError")
async def test_a_server_that_leaves(session: ClientSession, serve: Serve) -> None:
    server = await serve(_leaving)
    with pytest.raises(ServerDisconnectedError) as caught:
        await session.post(server.url)
    assert isinstance(caught.value, ServerConnectionError)
    assert caught.value.method == "POST"


@exercises("BadHttpMessage")
async def test_a_server_that_does_not_speak_http(session: ClientSession, serve: Serve) -> None:
    async def greet(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"220 ready\r\n\r\n")

    server = await serve(greet)
    with pytest.raises(BadHttpMessage):
        await session.get(server.url)


@exercises("HeadersTooLarge")
async def test_a_head_without_an_end(session: ClientSession, serve: Serve) -> None:
    async def flood(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await peer.send(b"X-More: and more\r\n" * 100)

    server = await serve(flood)
    with pytest.raises(HeadersTooLarge):
        await session.get(server.url)


@exercises("ClientPayloadError")
async def test_a_body_that_is_cut_short(session: ClientSession, serve: Serve) -> None:
    async def cut(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")

    server = await serve(cut)
    async with session.get(server.url) as response:
        with pytest.raises(ClientPayloadError) as caught:
            await response.read()
    assert caught.value.url == server.url


@exercises("ContentEncodingError")
async def test_a_body_that_is_not_what_it_is_called(session: ClientSession, serve: Serve) -> None:
    async def pretend(peer: Peer) -> None:
        await peer.head()
        await peer.answer(b"plain", "200 OK", "Content-Encoding: gzip")

    server = await serve(pretend)
    async with session.get(server.url) as response:
        with pytest.raises(ContentEncodingError):
            await response.read()


# -- URLs


@exercises("InvalidURL", "InvalidUrlClientError")
@pytest.mark.parametrize("url", ["", "/relative", "http://", "http://host:port/", "http://[1:2/"])
async def test_what_is_no_url(session: ClientSession, url: str) -> None:
    with pytest.raises(InvalidUrlClientError) as caught:
        await session.get(url)
    assert isinstance(caught.value, InvalidURL)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value.url) == url
    assert caught.value.description


@exercises("NonHttpUrlClientError")
async def test_another_scheme(session: ClientSession) -> None:
    with pytest.raises(NonHttpUrlClientError) as caught:
        await session.get("ftp://files.example/")
    assert caught.value.url == "ftp://files.example/"


@exercises("RedirectClientError", "NonHttpUrlRedirectClientError", "InvalidUrlRedirectClientError")
@pytest.mark.parametrize(
    ("path", "kind"), [("to-ftp", NonHttpUrlRedirectClientError), ("to-nowhere", InvalidUrlRedirectClientError)]
)
async def test_a_redirect_to_nowhere(
    session: ClientSession, nginx: Addresses, path: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind) as caught:
        await session.get(f"{nginx.plain}{path}")
    assert isinstance(caught.value, RedirectClientError)


# -- in general


@exercises("HttpVersion.major", "HttpVersion.minor")
def test_versions_compare() -> None:
    assert (HttpVersion11.major, HttpVersion11.minor) == (1, 1)
    assert client.HttpVersion10 < HttpVersion11


@exercises("ClientTimeout(ceil_threshold)")
def test_distant_deadlines_fall_due_together() -> None:
    timeout = ClientTimeout(ceil_threshold=5)
    assert timeout.deadline_at(0.25, 10) == timeout.deadline_at(0.75, 10) == 11
    assert timeout.deadline_at(0.25, 4) == 4.25
