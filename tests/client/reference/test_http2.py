"""HTTP/2 with nginx: what programs do over HTTP/1.1, they can do over it, and cannot tell."""

from __future__ import annotations

import asyncio
import gc
import io
import sys
from typing import TYPE_CHECKING

import pytest

from client import (
    BasicAuth,
    ClientConnectorCertificateError,
    ClientPayloadError,
    ClientResponseError,
    ClientSession,
    FormData,
    HttpVersion,
    MissingPackage,
    TCPConnector,
    TooManyRedirects,
    TraceConfig,
)
from tests.client.reference.servers.nginx import BLOB, KEEPALIVE_REQUESTS, PAGE
from tests.client.reference.table import exercises

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import Any

    from tests.client.reference.servers.certificates import Certificates
    from tests.client.reference.servers.nginx import Addresses
    from tests.client.reference.servers.proxies import Proxy

HTTP2 = HttpVersion(2, 0)


@pytest.fixture
async def connector(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TCPConnector]:
    """A connector that trusts nginx, and must have everything back at the end."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    connector = TCPConnector(http2=True)
    yield connector
    gc.collect()
    assert (connector.in_use_count, connector.limits.active) == (0, 0)
    await connector.close()


@pytest.fixture
async def session(connector: TCPConnector) -> AsyncIterator[ClientSession]:
    async with ClientSession(connector=connector, connector_owner=False) as session:
        yield session


async def _parts() -> AsyncIterator[bytes]:
    for part in (b"one", b"", b"two" * 100_000):
        yield part


@exercises("TCPConnector(http2)")
async def test_a_page(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.right}page.html") as response:
        assert (response.status, response.version, response.reason) == (200, HTTP2, "")
        assert await response.read() == PAGE
        assert response.content_length == len(PAGE)
        assert response.headers["Content-Type"] == "text/html"
        assert (b"content-type", b"text/html") in response.raw_headers
        timings = response.timings
        assert timings.tls > 0
        assert timings.total is not None


@exercises("TCPConnector(http2)")
async def test_nothing_is_offered_unless_asked_for(nginx: Addresses) -> None:
    """A program says so, or nothing changes for it."""
    async with (
        ClientSession(connector=TCPConnector(ssl=False)) as session,
        session.get(f"{nginx.right}page.html") as response,
    ):
        assert response.version == HttpVersion(1, 1)


async def test_certificates_are_looked_at_as_ever(session: ClientSession, nginx: Addresses) -> None:
    with pytest.raises(ClientConnectorCertificateError):
        await session.get(f"{nginx.wrong_host}page.html")
    async with session.get(f"{nginx.wrong_host}page.html", ssl=False) as response:
        assert response.version == HTTP2


@pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.1"], []])
async def test_a_context_of_ones_own_offers_what_it_does(
    offered: list[str], session: ClientSession, nginx: Addresses, certificates: Certificates
) -> None:
    trusting = certificates.trusting()
    if offered:
        trusting.set_alpn_protocols(offered)
    for _ in range(2):
        async with session.get(f"{nginx.right}page.html", ssl=trusting) as response:
            assert response.version == (HTTP2 if "h2" in offered else HttpVersion(1, 1))


async def test_plain_http_stays_as_it_is(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.plain}page.html") as response:
        assert response.version == HttpVersion(1, 1)


async def test_the_package_that_it_takes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("client.sharing", "client.http2", "client.http2_stream", "client.http2_fields"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "hpack", None)
    monkeypatch.setitem(sys.modules, "h2", None)
    with pytest.raises(MissingPackage, match=r"h2: pip install 'nephila\[http2\]'") as caught:
        TCPConnector(http2=True)
    assert (caught.value.name, caught.value.extra) == ("h2", "http2")


async def test_many_at_once_share_a_connection(session: ClientSession, nginx: Addresses) -> None:
    async def get() -> tuple[bytes, str]:
        async with session.get(f"{nginx.right}page.html") as response:
            return await response.read(), response.headers["X-Connection"]

    answers = await asyncio.gather(*(get() for _ in range(100)))
    assert {body for body, _ in answers} == {PAGE}
    assert len({connection for _, connection in answers}) == 1
    connector = session.connector
    assert connector is not None
    assert connector.idle_count == 1


@pytest.mark.parametrize(
    ("data", "method"),
    [(b"", "POST"), (b"bytes", "POST"), (b"long" * 100_000, "PUT"), ({"a": "1", "b": "ä"}, "POST"), (None, "POST")],
)
async def test_bodies(data: Any, method: str, session: ClientSession, nginx: Addresses) -> None:
    async with session.request(method, f"{nginx.right}asgi/echo", data=data) as response:
        seen = await response.json()
    sent = data if isinstance(data, bytes) else b"a=1&b=%C3%A4" if data else b""
    assert (seen["method"], seen["body"].encode()) == (method, sent)


@pytest.mark.parametrize("kind", ["iterable", "file", "form", "compressed", "chunked", "expected"])
async def test_bodies_in_parts(kind: str, session: ClientSession, nginx: Addresses, tmp_path: Path) -> None:
    """Bodies of unknown size need no chunks; `chunked` is heard, and has no say."""
    form = FormData()
    form.add_field("file", io.BytesIO(b"content"), filename="name.txt")
    path = tmp_path / "file"
    path.write_bytes(b"file" * 50_000)
    with path.open("rb") as file:
        options: dict[str, dict[str, Any]] = {
            "iterable": {"data": _parts()},
            "file": {"data": file},
            "form": {"data": form},
            "compressed": {"data": b"text" * 10_000, "compress": "gzip"},
            "chunked": {"data": b"bytes", "chunked": True},
            "expected": {"data": b"bytes" * 50_000, "expect100": True},
        }
        async with session.post(f"{nginx.right}asgi/echo", **options[kind]) as response:
            assert response.version == HTTP2
            seen = await response.json()
    headers = {name.lower(): value for name, value in dict(seen["headers"]).items()}
    match kind:
        case "iterable":
            assert seen["body"] == "one" + "two" * 100_000
        case "file":
            assert seen["body"] == "file" * 50_000
        case "form":
            assert "content" in seen["body"]
            assert headers["content-type"].startswith("multipart/form-data; boundary=")
        case "compressed":
            assert headers["content-encoding"] == "gzip"
        case "chunked":
            assert seen["body"] == "bytes"
        case "expected":
            assert seen["body"] == "bytes" * 50_000


async def test_what_is_sent_in_the_head(session: ClientSession, nginx: Addresses) -> None:
    """Cookies and credentials as ever; nothing that concerns a connection."""
    headers = {"Connection": "close, X-Hop", "X-Hop": "1", "TE": "gzip", "Keep-Alive": "5", "X-Mixed": " Case "}
    cookies = {"one": "1", "two": "2"}
    async with session.get(
        f"{nginx.right}asgi/echo", headers=headers, cookies=cookies, auth=BasicAuth("somebody", "opensesame")
    ) as response:
        assert response.version == HTTP2
        seen = {name.lower(): value for name, value in dict((await response.json())["headers"]).items()}
    assert (seen["cookie"], seen["x-mixed"]) == ("one=1; two=2", "Case")
    assert seen["authorization"].startswith("Basic ")
    assert seen.keys().isdisjoint({"x-hop", "te", "keep-alive"})


async def test_a_host_of_ones_own_is_the_authority(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.right}moved/301", headers={"Host": "other.example"}, allow_redirects=False) as seen:
        assert seen.headers["Location"].startswith("https://other.example")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects(status: int, session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.right}moved/{status}") as response:
        assert await response.read() == PAGE
        assert [seen.status for seen in response.history] == [status]
    with pytest.raises(TooManyRedirects):
        await session.get(f"{nginx.right}loop")


@pytest.mark.parametrize("coding", ["gzip", "identity"])
async def test_codings_and_trailers(coding: str, session: ClientSession, nginx: Addresses) -> None:
    """Trailers are given to nobody."""
    async with session.get(f"{nginx.right}compressed/page.html", headers={"Accept-Encoding": coding}) as response:
        assert response.headers.get("Content-Encoding", "identity") == coding
        assert await response.read() == PAGE
        assert "X-Checksum" not in response.headers


async def test_no_content(session: ClientSession, nginx: Addresses) -> None:
    async with session.head(f"{nginx.right}blob.bin") as response:
        assert (response.content_length, await response.read()) == (len(BLOB), b"")
    async with session.get(f"{nginx.right}tls") as response:
        assert (response.status, await response.read(), response.headers["X-Name"]) == (204, b"", "localhost")


async def test_an_error_without_a_reason(session: ClientSession, nginx: Addresses) -> None:
    """There are no reason phrases; the text has no gap where they would be."""
    url = f"{nginx.right}missing"
    with pytest.raises(ClientResponseError) as caught:
        async with session.get(url) as response:
            response.raise_for_status()
    assert str(caught.value) == f"404 (GET {url})"


async def test_streaming(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.right}blob.bin", read_bufsize=1000) as response:
        assert b"".join([part async for part in response.content.iter_chunked(7000)]) == BLOB
    async with session.get(f"{nginx.right}lines.txt") as response:
        assert [line async for line in response.content][-1] == b"line 999\n"


async def test_more_than_the_window_of_a_connection(session: ClientSession, nginx: Addresses) -> None:
    """It is opened again, over all streams together."""
    for _ in range(20):
        async with session.get(f"{nginx.right}blob.bin") as response:
            assert await response.read() == BLOB
            connection = response.headers["X-Connection"]
    async with session.get(f"{nginx.right}page.html") as response:
        assert response.headers["X-Connection"] == connection


async def test_a_body_larger_than_allowed(session: ClientSession, nginx: Addresses) -> None:
    """It costs its stream; the connection goes on."""
    async with session.get(f"{nginx.right}page.html") as response:
        connection = response.headers["X-Connection"]
    with pytest.raises(ClientPayloadError):
        async with session.get(f"{nginx.right}blob.bin", max_body_bytes=100_000) as response:
            await response.read()
    async with session.get(f"{nginx.right}page.html") as response:
        assert response.headers["X-Connection"] == connection


async def test_a_response_that_is_closed(session: ClientSession, nginx: Addresses) -> None:
    """Its stream is reset; others on the connection do not notice, and it serves the next."""
    async with session.get(f"{nginx.right}blob.bin") as other:
        for _ in range(10):
            response = await session.get(f"{nginx.right}blob.bin")
            response.close()
        assert await other.read() == BLOB
        connection = other.headers["X-Connection"]
    async with session.get(f"{nginx.right}page.html") as response:
        assert (await response.read(), response.headers["X-Connection"]) == (PAGE, connection)


async def test_a_connection_that_the_server_ends(session: ClientSession, nginx: Addresses) -> None:
    """nginx sends GOAWAY after so many requests: those it has not looked at are made again, whatever they ask for."""

    async def post(number: int) -> str:
        async with session.post(f"{nginx.limited_tls}asgi/echo", data=str(number)) as response:
            assert (await response.json())["body"] == str(number)
            return response.headers["X-Connection"]

    connections = [await post(number) for number in range(3 * KEEPALIVE_REQUESTS)]
    assert len(set(connections)) == 3
    assert all(connections.count(connection) == KEEPALIVE_REQUESTS for connection in connections)


async def test_many_at_once_where_connections_end_soon(session: ClientSession, nginx: Addresses) -> None:
    """Each connection refuses all but the first few of them; those that were not looked at go on to the next."""

    async def post(number: int) -> str:
        async with session.post(f"{nginx.limited_tls}asgi/echo", data=str(number)) as response:
            body: str = (await response.json())["body"]
            return body

    numbers = range(4 * KEEPALIVE_REQUESTS)
    assert await asyncio.gather(*map(post, numbers)) == [str(number) for number in numbers]


async def test_signals(certificates: Certificates, nginx: Addresses) -> None:
    told: list[str] = []
    config = TraceConfig()

    def note(name: str) -> Any:
        async def callback(*_: object) -> None:
            told.append(name)

        return callback

    for name in (
        "request_start",
        "connection_create_start",
        "connection_create_end",
        "connection_reuseconn",
        "request_headers_sent",
        "request_chunk_sent",
        "response_chunk_received",
        "request_end",
    ):
        getattr(config, f"on_{name}").append(note(name))
    connector = TCPConnector(http2=True, ssl=False)
    async with ClientSession(connector=connector, trace_configs=[config]) as session:
        for _ in range(2):
            async with session.post(f"{nginx.right}asgi/echo", data=b"body") as response:
                assert response.version == HTTP2
                await response.read()
    ends = ["request_headers_sent", "request_chunk_sent", "request_end", "response_chunk_received"]
    opened = ["request_start", "connection_create_start", "connection_create_end", *ends]
    assert told == [*opened, "request_start", "connection_reuseconn", *ends]


async def test_websockets_go_over_http1(session: ClientSession, nginx: Addresses) -> None:
    """Also while there is a connection of HTTP/2, and it stays there."""
    async with session.get(f"{nginx.right}page.html") as response:
        assert response.version == HTTP2
    for url in (nginx.right, nginx.right.replace("https", "wss")):
        async with session.ws_connect(f"{url}behind") as websocket:
            await websocket.receive_json()
    async with session.get(f"{nginx.right}page.html") as response:
        assert response.version == HTTP2


@pytest.mark.parametrize("kind", ["http", "socks"])
async def test_through_tunnels(
    kind: str, session: ClientSession, nginx: Addresses, request: pytest.FixtureRequest
) -> None:
    proxy: Proxy = request.getfixturevalue("tinyproxy" if kind == "http" else "microsocks")
    for _ in range(2):
        async with session.get(f"{nginx.right}page.html", proxy=proxy.url_with_login) as response:
            assert (response.version, await response.read()) == (HTTP2, PAGE)
