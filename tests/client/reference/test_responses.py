"""Responses: what their heads say, and every way to read their bodies."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from multidict import CIMultiDictProxy, MultiDictProxy
from yarl import URL

from client import (
    BodyPartReader,
    CIMultiDict,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ContentTypeError,
    HttpVersion11,
    MultipartReader,
    RequestInfo,
    StreamReader,
)
from tests.client.reference.servers.app import CHUNKS
from tests.client.reference.servers.nginx import BLOB, PAGE
from tests.client.reference.table import exercises

if TYPE_CHECKING:
    from tests.client.conftest import Serve
    from tests.client.peer import Peer
    from tests.client.reference.servers.nginx import Addresses

LINES = [f"line {number}\n".encode() for number in range(1000)]


# -- heads


@exercises(
    "ClientResponse",
    "ClientResponse.status",
    "ClientResponse.reason",
    "ClientResponse.ok",
    "ClientResponse.version",
    "ClientResponse.method",
    "ClientResponse.host",
)
async def test_a_response_says_how_it_went(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.plain}page.html") as response:
        assert isinstance(response, ClientResponse)
        assert (response.status, response.reason, response.ok) == (200, "OK", True)
        assert (response.version, response.method, response.host) == (HttpVersion11, "GET", "127.0.0.1")
    async with session.head(f"{nginx.plain}absent") as response:
        assert (response.status, response.reason, response.ok) == (404, "Not Found", False)
        assert response.method == "HEAD"


@exercises(
    "ClientResponse.url",
    "ClientResponse.real_url",
    "ClientResponse.history",
    "ClientResponse.request_info",
    "RequestInfo",
    "RequestInfo.url",
    "RequestInfo.method",
    "RequestInfo.headers",
    "RequestInfo.real_url",
)
async def test_a_response_says_what_was_asked(session: ClientSession, nginx: Addresses) -> None:
    headers = {"X-Ours": "1"}
    async with session.get(f"{nginx.plain}moved/301#part", headers=headers) as response:
        assert response.url == URL(f"{nginx.plain}page.html")
        assert response.real_url == URL(f"{nginx.plain}page.html#part")
        assert [(one.status, one.url.path) for one in response.history] == [(301, "/moved/301")]
        asked = response.request_info
        assert isinstance(asked, RequestInfo)
        assert (asked.url, asked.real_url, asked.method) == (response.url, response.real_url, "GET")
        assert asked.headers["X-Ours"] == "1"


@exercises(
    "ClientResponse.headers",
    "ClientResponse.raw_headers",
    "ClientResponse.cookies",
    "ClientResponse.links",
    "ClientResponse.content_type",
    "ClientResponse.charset",
    "ClientResponse.content_length",
    "ClientResponse.content_disposition",
    "MultiDictProxy",
)
async def test_a_response_reads_its_headers(session: ClientSession, asgi: str) -> None:
    async with session.get(f"{asgi}described") as response:
        assert isinstance(response.headers, CIMultiDictProxy)
        assert response.headers.getall("X-Twice") == ["a", "b"]
        assert (b"x-twice", b"b") in response.raw_headers
        assert {name: cookie.value for name, cookie in response.cookies.items()} == {"one": "1", "two": "2"}
        assert response.cookies["two"]["httponly"]
        assert isinstance(response.links, MultiDictProxy)
        assert response.links["next"]["url"] == URL(f"{asgi}page/2")
        assert response.links["next"]["title"] == "more"
        assert response.content_type == "text/plain"
        assert response.charset == "iso-8859-1"
        assert response.content_length == 4
        disposition = response.content_disposition
        assert disposition is not None
        assert (disposition.type, disposition.filename) == ("attachment", "café.txt")
        assert "filename*" in disposition.parameters


@exercises("ClientResponse.content_type", "ClientResponse.content_length", "ClientResponse.content_disposition")
async def test_a_response_may_say_little(session: ClientSession, asgi: str) -> None:
    async with session.get(f"{asgi}redirect?to=/", allow_redirects=False) as response:
        assert response.content_type == "application/octet-stream"
        assert response.charset is None
        assert response.content_disposition is None
    async with session.get(f"{asgi}chunks") as response:
        assert response.content_length is None


@exercises("ClientResponse.timings")
async def test_a_response_says_where_the_time_went(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.plain}page.html") as response:
        await response.read()
        first = response.timings
    assert first.total is not None
    assert first.receiving is not None
    assert 0 < first.connect <= first.total
    assert first.waiting + first.receiving <= first.total
    async with session.get(f"{nginx.plain}page.html") as response:
        assert response.timings.connect == 0  # the connection was there


# -- the connection


@exercises("ClientResponse.connection", "ClientResponse.closed", "ClientResponse.release", "ClientResponse.close")
@pytest.mark.parametrize("end", ["release", "close"])
async def test_a_response_keeps_its_connection_until_it_is_let_go(
    session: ClientSession, nginx: Addresses, end: str
) -> None:
    response = await session.get(f"{nginx.plain}blob.bin")
    assert response.connection is not None
    assert not response.closed
    getattr(response, end)()
    assert response.connection is None
    assert response.closed


@exercises("ClientResponse.release")
async def test_a_release_may_be_awaited(session: ClientSession, nginx: Addresses) -> None:
    response = await session.get(f"{nginx.plain}page.html")
    await response.release()
    assert response.closed


@exercises("ClientResponse.raise_for_status")
async def test_a_bad_status_can_be_raised(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.plain}page.html") as response:
        response.raise_for_status()
    response = await session.get(f"{nginx.plain}absent")
    with pytest.raises(ClientResponseError) as caught:
        response.raise_for_status()
    assert caught.value.status == 404
    assert caught.value.message == "Not Found"
    assert caught.value.headers == response.headers
    assert caught.value.request_info == response.request_info
    assert response.closed


# -- whole bodies


@exercises("ClientResponse.read")
async def test_a_body_can_be_read_again(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.plain}blob.bin") as response:
        assert await response.read() == BLOB
        assert await response.read() == BLOB


@exercises(
    "ClientResponse.text", "ClientResponse.text(encoding)", "ClientResponse.text(errors)", "ClientResponse.get_encoding"
)
async def test_a_body_is_text_in_some_encoding(session: ClientSession, asgi: str, nginx: Addresses) -> None:
    async with session.get(f"{asgi}described") as response:
        assert response.get_encoding() == "iso8859-1"
        assert await response.text() == "Käse"
        assert await response.text("utf-8", errors="replace") == "K\N{REPLACEMENT CHARACTER}se"
    async with session.get(f"{nginx.plain}page.html") as response:
        with pytest.raises(RuntimeError, match="encoding"):
            response.get_encoding()
        assert await response.text() == PAGE.decode()


@exercises(
    "ClientResponse.json",
    "ClientResponse.json(encoding)",
    "ClientResponse.json(loads)",
    "ClientResponse.json(content_type)",
    "ContentTypeError",
)
async def test_a_body_can_be_json(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.plain}data.json") as response:
        assert await response.json() == {"name": "Käse", "count": 3}
        assert await response.json(encoding="latin-1") == {"name": "KÃ¤se", "count": 3}

        def pairs(text: str) -> Any:
            return json.loads(text, object_pairs_hook=list)

        assert await response.json(loads=pairs) == [("name", "Käse"), ("count", 3)]
        with pytest.raises(ContentTypeError):
            await response.json(content_type="text/plain")
    async with session.get(f"{nginx.plain}lines.txt") as response:
        with pytest.raises(ContentTypeError):
            await response.json()
        with pytest.raises(json.JSONDecodeError):
            await response.json(content_type=None)


# -- bodies part by part


@exercises("ClientResponse.content", "StreamReader", "StreamReader.readline", "StreamReader.readuntil")
async def test_a_body_can_be_read_line_by_line(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.plain}lines.txt") as response:
        assert isinstance(response.content, StreamReader)
        assert await response.content.readline() == LINES[0]
        assert await response.content.readuntil(b"ne ") == b"line "
        assert await response.content.readline() == b"1\n"
        assert [line async for line in response.content] == LINES[2:]
        assert await response.content.readline() == b""


@exercises(
    "StreamReader.read",
    "StreamReader.readany",
    "StreamReader.readexactly",
    "StreamReader.read_nowait",
    "StreamReader.at_eof",
)
async def test_a_body_can_be_read_by_size(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.plain}blob.bin") as response:
        content = response.content
        data = await content.readexactly(1000)
        assert len(data) == 1000
        data += await content.read(1)
        assert len(data) == 1001
        data += await content.readany()
        assert len(data) > 1001
        data += content.read_nowait()
        assert not content.at_eof()
        data += await content.read()
        assert content.at_eof()
        assert data == BLOB
        with pytest.raises(asyncio.IncompleteReadError):
            await content.readexactly(1)


@exercises("StreamReader.iter_chunked", "StreamReader.iter_any")
async def test_a_body_can_be_iterated_over(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.plain}blob.bin") as response:
        parts = [part async for part in response.content.iter_chunked(1000)]
        assert max(map(len, parts)) == 1000
        assert b"".join(parts) == BLOB
    async with session.get(f"{nginx.plain}blob.bin") as response:
        assert b"".join([part async for part in response.content.iter_any()]) == BLOB


@exercises("StreamReader.iter_chunks", "StreamReader.readchunk")
async def test_a_body_can_be_read_by_the_servers_chunks(session: ClientSession, asgi: str) -> None:
    async def chunks(response: ClientResponse) -> list[bytes]:
        found = [b""]
        async for data, ends in response.content.iter_chunks():
            found[-1] += data
            if ends:
                found.append(b"")
        return found

    async with session.get(f"{asgi}chunks") as response:
        assert await chunks(response) == [*CHUNKS, b""]
    async with session.get(f"{asgi}chunks") as response:
        data, ends = await response.content.readchunk()
        assert CHUNKS[0].startswith(data)
        assert ends is (data == CHUNKS[0])


async def test_trailers_and_compression_leave_the_connection_usable(session: ClientSession, nginx: Addresses) -> None:
    connections = set()
    for _ in range(2):
        async with session.get(f"{nginx.plain}compressed/page.html") as response:
            assert await response.read() == PAGE
            connections.add(response.headers["X-Connection"])
    assert len(connections) == 1


async def test_interim_responses_are_passed_over(session: ClientSession, serve: Serve) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" * 3)
        await peer.answer(b"final")

    server = await serve(script)
    async with session.get(server.url) as response:
        assert (response.status, await response.read()) == (200, b"final")


# -- multipart bodies


@exercises(
    "MultipartReader",
    "MultipartReader.from_response",
    "MultipartReader.next",
    "BodyPartReader",
    "BodyPartReader.json",
    "BodyPartReader.text",
    "BodyPartReader.read",
)
async def test_a_multipart_body_is_read_part_by_part(session: ClientSession, asgi: str) -> None:
    async with session.get(f"{asgi}multipart") as response:
        parts = MultipartReader.from_response(response)
        first = await parts.next()
        assert isinstance(first, BodyPartReader)
        assert await first.json() == {"part": 1}
        second = await parts.next()
        assert isinstance(second, BodyPartReader)
        assert second.filename == "notes.txt"
        assert await second.text() == "plain text"
        third = await parts.next()
        assert isinstance(third, MultipartReader)
        assert [await part.read() async for part in third if isinstance(part, BodyPartReader)] == [b"nested"]
        assert await parts.next() is None


@exercises(
    "MultipartReader(headers)",
    "MultipartReader(content)",
    "MultipartReader.release",
    "BodyPartReader.read_chunk",
    "BodyPartReader.readline",
    "BodyPartReader.release",
    "CIMultiDict",
)
async def test_parts_can_be_passed_over(session: ClientSession, asgi: str) -> None:
    async with session.get(f"{asgi}multipart") as response:
        parts = MultipartReader(CIMultiDict(response.headers), response.content)
        first = await parts.next()
        assert isinstance(first, BodyPartReader)
        assert await first.read_chunk(4) == b'{"pa'
        await first.release()
        second = await parts.next()
        assert isinstance(second, BodyPartReader)
        assert await second.readline() == b"plain text"
        await parts.release()
        assert parts.at_eof()
        assert response.content.at_eof()
