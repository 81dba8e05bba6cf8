"""TLS: who is trusted, who is not, and what the error says."""

from __future__ import annotations

import asyncio
import errno
import ssl
import warnings
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from client import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientSession,
    ClientSSLError,
    Fingerprint,
    ServerFingerprintMismatch,
    TCPConnector,
    UnixClientConnectorError,
    UnixConnector,
)
from client.tls import merge_verification
from tests.client.peer import repeating, saying, until

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from tests.client.conftest import Serve
    from tests.client.peer import Peer, Server

HI = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context that trusts the test's authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
async def secure(serve: Serve, server_tls: ssl.SSLContext) -> Server:
    """A server with a certificate for 127.0.0.1."""
    return await serve(repeating(HI), tls=server_tls)


def shown(server_tls_pem: bytes) -> bytes:
    """The SHA-256 digest of a certificate."""
    return sha256(ssl.PEM_cert_to_DER_cert(server_tls_pem.decode())).digest()


async def get(session: ClientSession, server: Server, **options: Any) -> bytes:
    async with session.get(server.url, **options) as response:
        return await response.read()


async def test_unknown_authority(secure: Server, session: ClientSession) -> None:
    """By default servers are verified; the error is of every kind that a handler may look for."""
    with pytest.raises(ClientConnectorCertificateError) as caught:
        await session.get(secure.url)
    error = caught.value
    assert isinstance(error, ClientSSLError)
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert isinstance(error, ClientConnectionError)
    assert (error.host, error.port, error.ssl, error.url) == ("127.0.0.1", secure.port, True, secure.url)
    assert isinstance(error.certificate_error, ssl.SSLCertVerificationError)


async def test_trusted_authority(secure: Server, session: ClientSession, trusting: ssl.SSLContext) -> None:
    """A context of one's own says whom to trust, for a request or a connector; connections are kept apart."""
    assert await get(session, secure, ssl=trusting) == b"hi"
    assert await get(session, secure, ssl=trusting) == b"hi"
    assert secure.connections == 1
    with pytest.raises(ClientSSLError):
        await get(session, secure)
    async with ClientSession(connector=TCPConnector(ssl=trusting)) as other:
        assert await get(other, secure) == b"hi"


async def test_wrong_name(
    serve: Serve, authority: trustme.CA, session: ClientSession, trusting: ssl.SSLContext
) -> None:
    """A certificate for another name is refused, unless that is the name to verify."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    server = await serve(repeating(HI), tls=context)
    with pytest.raises(ClientConnectorCertificateError):
        await get(session, server, ssl=trusting)
    assert await get(session, server, ssl=trusting, server_hostname="other.example") == b"hi"


async def test_no_verification(secure: Server, session: ClientSession) -> None:
    """`ssl=False` takes whatever is shown."""
    assert await get(session, secure, ssl=False) == b"hi"
    async with ClientSession(connector=TCPConnector(ssl=False)) as other:
        assert await get(other, secure) == b"hi"


async def test_fingerprint(serve: Serve, authority: trustme.CA, session: ClientSession) -> None:
    """A pinned certificate needs no authority; another one ends the connection before anything is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf = authority.issue_cert("127.0.0.1")
    leaf.configure_cert(context)
    server = await serve(repeating(HI), tls=context)
    digest = shown(leaf.cert_chain_pems[0].bytes())
    assert await get(session, server, ssl=Fingerprint(digest)) == b"hi"
    async with ClientSession(connector=TCPConnector(ssl=Fingerprint(digest))) as other:
        assert await get(other, server) == b"hi"
    asked, accepted, kept = len(server.received), server.connections, server.open_connections
    with pytest.raises(ServerFingerprintMismatch) as caught:
        await get(session, server, ssl=Fingerprint(bytes(32)))
    error = caught.value
    assert (error.expected, error.got, error.host, error.port) == (bytes(32), digest, "127.0.0.1", server.port)
    assert digest.hex() in str(error)
    assert len(server.received) == asked
    await until(lambda: (server.connections, server.open_connections) == (accepted + 1, kept))


async def test_client_certificate(serve: Serve, authority: trustme.CA, session: ClientSession) -> None:
    """Servers may ask who we are."""
    demanding = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(demanding)
    authority.configure_trust(demanding)
    demanding.verify_mode = ssl.CERT_REQUIRED
    server = await serve(repeating(HI), tls=demanding)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    authority.issue_cert("me@example.com").configure_cert(context)
    assert await get(session, server, ssl=context) == b"hi"


async def test_not_tls_at_all(serve: Serve, session: ClientSession) -> None:
    """A plain server on a TLS URL is an error of its own kind."""

    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = await serve(script)
    with pytest.raises(ClientConnectorSSLError) as caught:
        await session.get(server.url.with_scheme("https"))
    assert isinstance(caught.value, ssl.SSLError)


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
async def test_closed_during_the_handshake(
    is_reset: bool, serve: Serve, session: ClientSession, tmp_path: Path
) -> None:
    """A server that hangs up is a connection that could not be opened, and the error says when, on a Unix socket too."""

    async def script(peer: Peer) -> None:
        await peer.reader.readexactly(1)
        if is_reset:
            peer.writer.transport.abort()

    server, path = await serve(script), tmp_path / "socket"
    await serve(script, path=path)
    with pytest.raises(ClientConnectorError, match="closed during the TLS handshake") as caught:
        await session.get(server.url.with_scheme("https"))
    assert (caught.value.errno, caught.value.port) == (errno.ECONNRESET, server.port)
    async with ClientSession(connector=UnixConnector(str(path))) as session:
        with pytest.raises(UnixClientConnectorError, match="closed during the TLS handshake"):
            await session.get("https://localhost/")


async def test_body_to_the_end_without_close_notify(
    serve: Serve, server_tls: ssl.SSLContext, session: ClientSession
) -> None:
    """A body framed by the end of the connection may end without TLS's goodbye: browsers accept it, many servers do it."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nbody")
        transport = peer.writer.transport
        transport._ssl_protocol._transport.close()  # type: ignore[attr-defined]

    server = await serve(script, tls=server_tls)
    assert await get(session, server, ssl=False) == b"body"


async def test_large_bodies_both_ways(
    secure: Server, serve: Serve, server_tls: ssl.SSLContext, session: ClientSession
) -> None:
    """Back-pressure works inside TLS too."""

    async def script(peer: Peer) -> None:
        while True:
            received = await peer.request()
            await peer.answer(received.body)

    server = await serve(script, tls=server_tls)
    body = bytes(range(256)) * 10_000
    async with session.post(server.url, data=body, ssl=False, read_bufsize=10_000) as response:
        assert b"".join([part async for part in response.content.iter_any()]) == body


async def test_unix_socket(serve: Serve, server_tls: ssl.SSLContext, trusting: ssl.SSLContext, tmp_path: Path) -> None:
    """TLS goes over any connection."""
    path = tmp_path / "socket"
    server = await serve(saying(HI), tls=server_tls, path=path)
    async with ClientSession(connector=UnixConnector(str(path))) as session:
        async with session.get("https://localhost/", ssl=trusting) as response:
            assert await response.read() == b"hi"
        with pytest.raises(ClientConnectorCertificateError):
            await session.get("https://localhost/")
        with pytest.raises(ServerFingerprintMismatch):
            await session.get("https://localhost/", ssl=Fingerprint(bytes(32)))
        await until(lambda: (server.connections, server.open_connections) == (2, 0))  # of three one was not trusted


async def test_older_spellings(secure: Server, session: ClientSession, trusting: ssl.SSLContext) -> None:
    """`verify_ssl`, `ssl_context` and `fingerprint` still work, and say what to write instead."""
    with pytest.warns(DeprecationWarning, match="verify_ssl"):
        assert await get(session, secure, verify_ssl=False) == b"hi"
    with pytest.warns(DeprecationWarning, match="ssl_context"):
        assert await get(session, secure, ssl_context=trusting) == b"hi"
    with pytest.warns(DeprecationWarning, match="fingerprint"), pytest.raises(ServerFingerprintMismatch):
        await get(session, secure, fingerprint=bytes(32))
    with pytest.warns(DeprecationWarning, match="verify_ssl"):
        connector = TCPConnector(verify_ssl=False)
    async with ClientSession(connector=connector) as other:
        assert await get(other, secure) == b"hi"


def test_merging() -> None:
    """One of them at a time, and of the right type."""
    context = ssl.create_default_context()
    assert merge_verification(True) is True
    assert merge_verification(True, verify_ssl=True) is True
    assert merge_verification(context) is context
    with pytest.raises(ValueError, match="only one"):
        merge_verification(False, verify_ssl=False)
    with pytest.raises(ValueError, match="only one"):
        merge_verification(True, ssl_context=context, fingerprint=bytes(32))
    with pytest.raises(TypeError, match="Fingerprint"):
        merge_verification("yes")  # type: ignore[arg-type]
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        assert merge_verification(True, fingerprint=bytes(32)) == Fingerprint(bytes(32))
    assert len(noted) == 1


def test_fingerprints() -> None:
    """They are values: equal ones share connections; other digests are refused."""
    assert Fingerprint(bytes(32)) == Fingerprint(bytes(32))
    assert hash(Fingerprint(bytes(32))) == hash(Fingerprint(bytes(32)))
    assert Fingerprint(bytes(32)) != bytes(32)
    assert "00" in repr(Fingerprint(bytes(32)))
    with pytest.raises(ValueError, match="32 bytes"):
        Fingerprint(bytes(20))


async def test_closing_does_not_wait_for_the_peer(serve: Serve, server_tls: ssl.SSLContext) -> None:
    """A server that never answers TLS's goodbye does not hold up the end."""
    server = await serve(repeating(HI), tls=server_tls)
    session = ClientSession(connector=TCPConnector(ssl=False))
    assert await get(session, server) == b"hi"
    async with asyncio.timeout(5):
        await session.close()
