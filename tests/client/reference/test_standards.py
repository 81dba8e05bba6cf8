"""What `docs/client/standards.md` says about the wire, statement by statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from client import BadHttpMessage, ClientPayloadError, ClientSession, HeadersTooLarge, HttpVersion
from tests.client.peer import saying

if TYPE_CHECKING:
    from tests.client.conftest import Serve

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
LENGTH = b"Content-Length: 2\r\n"

TAKEN = {
    "a bare LF ends a line": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "empty lines before a status line": b"\r\n\r\nHTTP/1.1 200 OK\r\n" + LENGTH + b"\r\nok",
    "folded lines are joined": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n  2\r\n" + LENGTH + b"\r\nok",
    "a length repeated": b"HTTP/1.1 200 OK\r\n" + LENGTH * 2 + b"\r\nok",
    "control characters are blanks": b"HTTP/1.1 200 OK\r\nX-A: 1\x012\r\n" + LENGTH + b"\r\nok",
    "blanks after a chunk's size": CHUNKED + b"\r\n2  \r\nok\r\n0\r\n\r\n",
    "another version of HTTP/1": b"HTTP/1.7 200 OK\r\n" + LENGTH + b"\r\nok",
    "another version": b"HTTP/2.0 200 OK\r\n" + LENGTH + b"\r\nok",
    "chunk extensions": CHUNKED + b"\r\n2;a=b\r\nok\r\n0\r\n\r\n",
    "trailers": CHUNKED + b"\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
    "other transfer codings are not undone": CHUNKED.replace(b"chunked", b"gzip, chunked")
    + b"\r\n2\r\nok\r\n0\r\n\r\n",
    "a body that ends with the connection": b"HTTP/1.1 200 OK\r\n\r\nok",
    "no reason phrase": b"HTTP/1.1 200\r\n" + LENGTH + b"\r\nok",
    "interim responses": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 32 + b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\nok",
}

REFUSED = {
    "HTTP/0.9": b"<html>",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" + LENGTH + b"\r\nok",
    "a list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "NUL": b"HTTP/1.1 200 OK\r\nX-A: 1\x002\r\n" + LENGTH + b"\r\nok",
    "a bare CR": b"HTTP/1.1 200 OK\r\nX-A: 1\r2\r\n" + LENGTH + b"\r\nok",
    "a blank before a colon": b"HTTP/1.1 200 OK\r\nX-A : 1\r\n" + LENGTH + b"\r\nok",
    "no chunk size": CHUNKED + b"\r\nzz\r\nok\r\n0\r\n\r\n",
    "a body cut short": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
    "chunks cut short": CHUNKED + b"\r\n2\r\nok\r\n",
    "an upgrade that was not asked for": b"HTTP/1.1 101 Switching\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n",
    "more interim responses": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 33 + b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\nok",
    "a great deal of extensions": CHUNKED + b"\r\n2;" + b"a" * 1_000_000 + b"\r\nok\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("raw", TAKEN.values(), ids=TAKEN)
async def test_what_is_taken(session: ClientSession, serve: Serve, raw: bytes) -> None:
    server = await serve(saying(raw))
    async with session.get(server.url) as response:
        assert await response.read() == b"ok"
        assert response.headers.get("X-A") in (None, "1 2")
        assert response.version.major in (1, 2)


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
async def test_what_is_refused(session: ClientSession, serve: Serve, raw: bytes) -> None:
    server = await serve(saying(raw))
    with pytest.raises((BadHttpMessage, ClientPayloadError)):
        async with session.get(server.url) as response:
            await response.read()


async def test_the_version_is_told(session: ClientSession, serve: Serve) -> None:
    server = await serve(saying(TAKEN["another version of HTTP/1"]))
    async with session.get(server.url) as response:
        assert response.version == HttpVersion(1, 7)


async def test_two_framings_cost_the_connection(session: ClientSession, serve: Serve) -> None:
    """Others may see the end of such a response elsewhere."""
    both = CHUNKED + LENGTH + b"\r\n3\r\nabc\r\n0\r\n\r\n"
    server = await serve(saying(both, both))
    for _ in range(2):
        async with session.get(server.url) as response:
            assert await response.read() == b"abc"
    assert server.connections == 2


async def test_a_head_has_64_kib(session: ClientSession, serve: Serve) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"X-A: %s\r\n" % (b"a" * 8000) * 9
    server = await serve(saying(head + LENGTH + b"\r\nok"))
    with pytest.raises(HeadersTooLarge):
        await session.get(server.url)
