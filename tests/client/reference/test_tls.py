"""Whom TLS connections trust: said by a connector, by a request, with a session or without, or by a WebSocket, in today's words and in older ones."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from yarl import URL

from client import (
    ClientConnectorCertificateError,
    ClientSession,
    Fingerprint,
    ServerFingerprintMismatch,
    TCPConnector,
    request,
)
from tests.client.reference.table import exercises

if TYPE_CHECKING:
    from tests.client.reference.servers.certificates import Certificates
    from tests.client.reference.servers.nginx import Addresses
    from tests.client.reference.servers.proxies import Proxy

Way = Callable[..., Awaitable[str]]
"""Connects to a server with some words about trust; returns the name that it was asked for."""


async def _by_connector(url: str, **words: Any) -> str:
    async with ClientSession(connector=TCPConnector(**words)) as session, session.get(f"{url}tls") as response:
        return response.headers["X-Name"]


async def _by_request(url: str, **words: Any) -> str:
    async with ClientSession() as session, session.get(f"{url}tls", **words) as response:
        return response.headers["X-Name"]


async def _by_single_request(url: str, **words: Any) -> str:
    async with request("GET", f"{url}tls", **words) as response:
        return response.headers["X-Name"]


async def _by_websocket(url: str, **words: Any) -> str:
    target = URL(url).with_scheme("wss") / "behind"
    async with ClientSession() as session, session.ws_connect(target, **words) as websocket:
        headers: dict[str, str] = dict((await websocket.receive_json())["headers"])
        return headers["x-name"]


WAYS = [_by_connector, _by_request, _by_single_request, _by_websocket]
OWNERS = ("TCPConnector", "ClientSession.request", "request", "ClientSession.ws_connect")
SERVERS = ("right", "wrong_host", "expired", "self_signed")

every_way = pytest.mark.parametrize("way", WAYS, ids=["connector", "request", "single request", "websocket"])


def _of_all(name: str) -> list[str]:
    return [f"{owner}({name})" for owner in OWNERS]


@exercises("ClientConnectorCertificateError", *_of_all("ssl"))
@every_way
@pytest.mark.parametrize("server", SERVERS)
async def test_strangers_are_not_trusted(way: Way, nginx: Addresses, server: str) -> None:
    """The authority is not one of the system's."""
    with pytest.raises(ClientConnectorCertificateError):
        await way(getattr(nginx, server))


@exercises(*_of_all("ssl"))
@every_way
@pytest.mark.parametrize(
    ("server", "reason"),
    [("wrong_host", "Hostname mismatch"), ("expired", "has expired"), ("self_signed", "self-signed")],
)
async def test_a_context_says_whom_to_trust(
    way: Way, nginx: Addresses, certificates: Certificates, server: str, reason: str
) -> None:
    assert await way(nginx.right, ssl=certificates.trusting()) == "localhost"
    with pytest.raises(ClientConnectorCertificateError, match=reason):
        await way(getattr(nginx, server), ssl=certificates.trusting())


@exercises(*_of_all("ssl"))
@every_way
@pytest.mark.parametrize("server", SERVERS)
async def test_everybody_can_be_trusted(way: Way, nginx: Addresses, server: str) -> None:
    assert await way(getattr(nginx, server), ssl=False) == "localhost"


@exercises("Fingerprint", "Fingerprint(fingerprint)", "Fingerprint.fingerprint", "ServerFingerprintMismatch")
@every_way
@pytest.mark.parametrize("server", SERVERS)
async def test_one_certificate_can_be_pinned(
    way: Way, nginx: Addresses, certificates: Certificates, server: str
) -> None:
    pinned = Fingerprint(getattr(certificates, server).fingerprint)
    assert await way(getattr(nginx, server), ssl=pinned) == "localhost"
    with pytest.raises(ServerFingerprintMismatch) as caught:
        await way(getattr(nginx, server), ssl=Fingerprint(bytes(32)))
    assert caught.value.got == pinned.fingerprint


@exercises(*_of_all("verify_ssl"))
@every_way
async def test_verify_ssl_is_an_older_word(way: Way, nginx: Addresses) -> None:
    with pytest.warns(DeprecationWarning, match="verify_ssl") as warnings:
        assert await way(nginx.expired, verify_ssl=False) == "localhost"
    assert warnings[0].filename == __file__
    with pytest.raises(ClientConnectorCertificateError):
        await way(nginx.expired, verify_ssl=True)


@exercises(*_of_all("ssl_context"))
@every_way
async def test_ssl_context_is_an_older_word(way: Way, nginx: Addresses, certificates: Certificates) -> None:
    with pytest.warns(DeprecationWarning, match="ssl_context") as warnings:
        assert await way(nginx.right, ssl_context=certificates.trusting()) == "localhost"
    assert warnings[0].filename == __file__


@exercises(*_of_all("fingerprint"))
@every_way
async def test_fingerprint_is_an_older_word(way: Way, nginx: Addresses, certificates: Certificates) -> None:
    with pytest.warns(DeprecationWarning, match="fingerprint") as warnings:
        assert await way(nginx.self_signed, fingerprint=certificates.self_signed.fingerprint) == "localhost"
    assert warnings[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="fingerprint"), pytest.raises(ServerFingerprintMismatch):
        await way(nginx.self_signed, fingerprint=bytes(32))


@every_way
async def test_trust_is_said_once(way: Way, nginx: Addresses) -> None:
    with pytest.raises(ValueError, match="only one of"):
        await way(nginx.right, ssl=False, fingerprint=bytes(32))


@exercises(*(f"{owner}(server_hostname)" for owner in OWNERS[1:]))
@pytest.mark.parametrize("way", WAYS[1:])
async def test_a_server_can_be_asked_for_another_name(way: Way, nginx: Addresses, certificates: Certificates) -> None:
    name = "elsewhere.example"
    assert await way(nginx.wrong_host, ssl=certificates.trusting(), server_hostname=name) == name


async def test_a_context_may_hold_a_certificate_of_ours(nginx: Addresses, certificates: Certificates) -> None:
    ours = certificates.trusting()
    ours.load_cert_chain(certificates.client.certificate, certificates.client.key)
    async with ClientSession() as session:
        async with session.get(f"{nginx.demanding}tls", ssl=certificates.trusting()) as response:
            assert response.status == 400
        async with session.get(f"{nginx.demanding}tls", ssl=ours) as response:
            assert response.headers["X-Client"] == "SUCCESS"


async def test_a_tunnel_leads_through_a_proxy(nginx: Addresses, certificates: Certificates, tinyproxy: Proxy) -> None:
    words = {"ssl": certificates.trusting(), "proxy": tinyproxy.url_with_login}
    assert await _by_request(nginx.right, **words) == "localhost"
    assert "CONNECT localhost" in tinyproxy.log.read_text()


@exercises("TCPConnector.verify_ssl", "TCPConnector.ssl_context", "TCPConnector.fingerprint")
async def test_a_connector_says_whom_it_trusts(certificates: Certificates) -> None:
    context = certificates.trusting()
    for words, verifies, fingerprint in (
        ({}, True, None),
        ({"ssl": False}, False, None),
        ({"ssl": context}, True, None),
        ({"ssl": Fingerprint(bytes(32))}, False, bytes(32)),
    ):
        options: dict[str, Any] = words
        async with TCPConnector(**options) as connector:
            assert connector.verify_ssl is verifies
            assert connector.fingerprint == fingerprint
            expected = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
            assert connector.ssl_context.verify_mode is expected
    async with TCPConnector(ssl=context) as connector:
        assert connector.ssl_context is context
