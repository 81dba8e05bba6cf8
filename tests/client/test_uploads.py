"""Request bodies: every kind of data, its framing, and what happens while it is sent."""

from __future__ import annotations

import asyncio
import gc
import gzip
import io
import json
import mmap
import os
import random
import socket
import tarfile
import tempfile
import threading
import tracemalloc
import zlib
from array import array
from typing import TYPE_CHECKING, Any

import pytest
from multidict import CIMultiDict
from yarl import URL

from client import (
    BasicAuth,
    BodyPartReader,
    ClientConnectionError,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    FormData,
    HttpVersion10,
    MultipartReader,
    MultipartWriter,
    SocketTimeoutError,
)
from client.body import BodyConsumedError, BytesBody, FileBody, IterableBody, compress_body, make_body
from tests.client.peer import repeating, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from client import TCPConnector
    from client.middleware import Handler
    from tests.client.conftest import Serve
    from tests.client.peer import Peer, Received, Server

HI = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


async def sent(session: ClientSession, server: Server, data: Any = None, **options: Any) -> Received:
    """What the server receives of a POST."""
    async with session.post(server.url, data=data, **options) as response:
        assert response.status == 200
    return server.received[-1]


async def parts_of(data: bytes, size: int = 3) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


# -- kinds of data ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "body", "content_type"),
    [
        (b"bytes", b"bytes", "application/octet-stream"),
        (bytearray(b"bytes"), b"bytes", "application/octet-stream"),
        (memoryview(b"bytes"), b"bytes", "application/octet-stream"),
        ("é", "é".encode(), "text/plain; charset=utf-8"),
        (b"", b"", "application/octet-stream"),
        ({"a": "1", "b": "ü"}, b"a=1&b=%C3%BC", "application/x-www-form-urlencoded"),
        ([("a", "1"), ("a", "2")], b"a=1&a=2", "application/x-www-form-urlencoded"),
        (io.BytesIO(b"file"), b"file", "application/octet-stream"),
        (io.StringIO("é"), "é".encode(), "text/plain; charset=utf-8"),
    ],
)
async def test_data(data: Any, body: bytes, content_type: str, serve: Serve, session: ClientSession) -> None:
    """Whatever it is, it arrives, and says what it is."""
    server = await serve(repeating(HI))
    received = await sent(session, server, data)
    assert (received.body, received.headers["content-type"]) == (body, content_type)
    assert received.headers["content-length"] == str(len(body))


async def test_json(serve: Serve, session: ClientSession, connector: TCPConnector) -> None:
    """JSON by the session's serializer; not together with data."""
    server = await serve(repeating(HI))
    received = await sent(session, server, json={"a": [1, None, "é"]})
    assert json.loads(received.body) == {"a": [1, None, "é"]}
    assert received.headers["content-type"] == "application/json"
    with pytest.raises(ValueError, match="not both"):
        await session.post(server.url, data=b"x", json={})
    async with ClientSession(json_serialize=repr, connector=connector, connector_owner=False) as other:
        assert (await sent(other, server, json=(1,))).body == b"(1,)"


async def test_form_data(serve: Serve, session: ClientSession) -> None:
    """A `FormData` is sent as what it holds."""
    server = await serve(repeating(HI))
    received = await sent(session, server, FormData({"a": "1"}))
    assert received.body == b"a=1"


async def test_files(serve: Serve, session: ClientSession, tmp_path: Path) -> None:
    """A file goes from where it stands, with its length, its type told by its name, and is left open."""
    server = await serve(repeating(HI))
    path = tmp_path / "page.html"
    path.write_bytes(b"skip" + b"x" * 200_000)
    with path.open("rb") as file:
        file.seek(4)
        received = await sent(session, server, file)
        assert not file.closed
    assert received.body == b"x" * 200_000
    assert received.headers["content-length"] == "200000"
    assert received.headers["content-type"] == "text/html"
    with path.open() as text:
        assert (await sent(session, server, text)).headers["transfer-encoding"] == "chunked"
    with tempfile.NamedTemporaryFile() as temporary:
        temporary.write(b"temporary")
        temporary.seek(0)
        assert (await sent(session, server, temporary)).body == b"temporary"


async def test_async_iterables(serve: Serve, session: ClientSession) -> None:
    """What has no length goes in chunks, empty parts left out: one would end the body."""
    server = await serve(repeating(HI))

    async def parts() -> AsyncIterator[bytes]:
        for part in (b"one", b"", b"two"):
            yield part

    received = await sent(session, server, parts())
    assert received.body == b"onetwo"
    assert received.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in received.headers


@pytest.mark.parametrize(
    ("part", "body"),
    [
        (memoryview(array("I", [1, 2])), array("I", [1, 2]).tobytes()),
        (memoryview(b"abcdef")[::2], b"ace"),
        (memoryview(b"abcd").cast("B", (2, 2)), b"abcd"),
        (array("H", [1]), array("H", [1]).tobytes()),
        (memoryview(b"abc"), b"abc"),
        (bytearray(b"abc"), b"abc"),
    ],
)
@pytest.mark.filterwarnings("ignore:a chunk size")
async def test_parts_of_other_kinds(part: Any, body: bytes, serve: Serve, session: ClientSession) -> None:
    """Their bytes are counted, not their elements: whole, in smaller chunks, and under a length."""
    server = await serve(repeating(HI))

    async def parts() -> AsyncIterator[bytes]:
        yield part

    for options in ({}, {"chunked": 2}, {"headers": {"Content-Length": str(len(body))}}):
        assert (await sent(session, server, parts(), **options)).body == body
    assert server.connections == 1


async def test_parts_are_not_copied_without_need() -> None:
    """What counts bytes already is passed on."""
    for part in (b"abc", bytearray(b"abc"), memoryview(b"abc")):

        async def parts(part: Any = part) -> AsyncIterator[bytes]:
            yield part

        headers = CIMultiDict({"Content-Length": "3"})
        request = ClientRequest("POST", URL("http://a.example/"), headers=headers, body=make_body(parts()))
        given = [given async for given in request.parts()]
        assert [bytes(each) for each in given] == [b"abc"]
        assert type(given[0]) is type(part)
        assert isinstance(part, memoryview) or given[0] is part


async def test_another_response_as_data(serve: Serve, session: ClientSession) -> None:
    """A body may be passed on as it comes in."""
    source = await serve(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000))
    server = await serve(repeating(HI))
    async with session.get(source.url) as response:
        received = await sent(session, server, response.content.iter_any())
    assert received.body == b"x" * 100_000


@pytest.mark.parametrize("kind", ["content", "part", "asyncio"])
async def test_streams_as_data(kind: str, serve: Serve, session: ClientSession) -> None:
    """A stream is sent as it arrives, however long its lines are; and once, rather than without its content again."""
    content = b"x" * 500_000
    body = b"--b\r\n\r\n%s\r\n--b--\r\n" % content if kind == "part" else content
    head = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Length: %d\r\n\r\n" % len(body)
    source = await serve(repeating(head + body))
    server = await serve(repeating(HI))
    moving = await serve(repeating(b"HTTP/1.1 307 Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"))

    async def stream(response: ClientResponse) -> Any:
        if kind == "part":
            return await MultipartReader.from_response(response).next()
        if kind == "content":
            return response.content
        reader = asyncio.StreamReader()
        reader.feed_data(await response.read())
        reader.feed_eof()
        return reader

    async with session.get(source.url) as response:
        received = await sent(session, server, await stream(response))
    assert received.body == content
    async with session.get(source.url) as response:
        with pytest.raises(ClientPayloadError, match="cannot be sent again"):
            await session.put(moving.url, data=await stream(response))


async def test_what_can_be_read_and_is_no_file(serve: Serve, session: ClientSession) -> None:
    """Whatever reads can be sent; what cannot go back, once."""

    class Reader:
        def __init__(self) -> None:
            self.left = [b"abc", b""]

        def read(self, size: int) -> bytes:
            return self.left.pop(0)

    server = await serve(repeating(HI))
    body = make_body(Reader())
    assert not body.can_replay
    assert (await sent(session, server, body)).body == b"abc"
    with mmap.mmap(-1, 5) as memory:
        memory[:] = b"01234"
        memory.seek(1)
        assert make_body(memory).can_replay
        assert (await sent(session, server, memory)).body == b"1234"


async def test_members_of_archives(serve: Serve, session: ClientSession) -> None:
    """Of a tar archive too that is read as a stream, whose members cannot go back and did not always say so."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("a")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"tape"))
    server = await serve(repeating(HI))
    for mode in ("r:", "r|"):
        buffer.seek(0)
        with tarfile.open(fileobj=buffer, mode=mode) as archive:
            for member in archive:
                assert (await sent(session, server, archive.extractfile(member))).body == b"tape"


@pytest.mark.parametrize("max_size", [0, 4])
async def test_spooled_files(max_size: int, serve: Serve, session: ClientSession) -> None:
    """How long a file is that `tempfile` spools is known, on disk or not; text it is not, until it is encoded."""
    server = await serve(repeating(HI))
    with tempfile.SpooledTemporaryFile(max_size) as file:
        file.write(b"spooled")
        file.seek(2)
        received = await sent(session, server, file)
        assert (received.body, received.headers["content-length"]) == (b"ooled", "5")
    with tempfile.SpooledTemporaryFile(max_size, "w+", encoding="latin-1") as text:
        text.write("ü")
        text.seek(0)
        received = await sent(session, server, text)
        assert (received.body, received.headers["transfer-encoding"]) == ("ü".encode(), "chunked")


@pytest.mark.parametrize("data", [1, object(), ClientSession])
async def test_data_that_cannot_be_sent(data: Any, session: ClientSession) -> None:
    """Other things are a TypeError, before anything is sent."""
    with pytest.raises(TypeError):
        await session.post("http://127.0.0.1:1/", data=data)


# -- framing ----------------------------------------------------------------------------------------------------------


async def test_chunked(serve: Serve, session: ClientSession) -> None:
    """`chunked` sends in chunks what would have had a length; a number, as of old, is their size."""
    server = await serve(repeating(HI))
    received = await sent(session, server, b"12345", chunked=True)
    assert received.body == b"12345"
    assert received.headers["transfer-encoding"] == "chunked"
    with pytest.warns(DeprecationWarning, match="chunk size"):
        received = await sent(session, server, b"12345", chunked=2)
    assert received.body == b"12345"


@pytest.mark.parametrize(
    "headers", [{"Content-Length": "5"}, {"Transfer-Encoding": "chunked"}, {"transfer-encoding": "gzip, chunked"}]
)
async def test_chunked_contradicts(headers: dict[str, str], session: ClientSession) -> None:
    """Two framings at once are a way to smuggle a request (RFC 9112 §11.2)."""
    with pytest.raises(ValueError, match="chunked"):
        await session.post("http://127.0.0.1:1/", data=b"12345", chunked=True, headers=headers)


async def test_transfer_encoding_by_hand(serve: Serve, session: ClientSession) -> None:
    """A caller who says that the body is chunked gets it chunked."""
    server = await serve(repeating(HI))
    received = await sent(session, server, b"12345", headers={"Transfer-Encoding": "chunked"})
    assert received.body == b"12345"


async def test_length_by_hand(serve: Serve, session: ClientSession) -> None:
    """A caller who knows the length of a generator may say so."""
    server = await serve(repeating(HI))
    received = await sent(session, server, parts_of(b"12345"), headers={"Content-Length": "5"})
    assert received.body == b"12345"
    assert "transfer-encoding" not in received.headers


@pytest.mark.parametrize("length", ["4", "6"])
async def test_length_that_is_wrong(length: str, serve: Serve, session: ClientSession) -> None:
    """Bytes beyond the length would be the next request's; too few would leave the server waiting."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.closed()

    server = await serve(script)
    with pytest.raises(ClientConnectionError, match="Content-Length"):
        await session.post(server.url, data=parts_of(b"12345"), headers={"Content-Length": length})


async def test_http_1_0_needs_a_length(connector: TCPConnector) -> None:
    """It has no chunks."""
    async with ClientSession(version=HttpVersion10, connector=connector, connector_owner=False) as session:
        with pytest.raises(ValueError, match=r"1\.0"):
            await session.post("http://127.0.0.1:1/", data=parts_of(b"x"))


@pytest.mark.parametrize(
    ("compress", "coding", "decode"),
    [(True, "deflate", zlib.decompress), ("deflate", "deflate", zlib.decompress), ("gzip", "gzip", gzip.decompress)],
)
async def test_compress(
    compress: Any, coding: str, decode: Callable[[bytes], bytes], serve: Serve, session: ClientSession
) -> None:
    """A small body in memory is compressed at once and has a length; others are compressed as they are sent."""
    server = await serve(repeating(HI))
    text = b"text " * 1000
    received = await sent(session, server, text, compress=compress)
    assert (decode(received.body), received.headers["content-encoding"]) == (text, coding)
    assert len(received.body) < 100
    received = await sent(session, server, parts_of(text, 100), compress=compress)
    assert decode(received.body) == text
    assert received.headers["transfer-encoding"] == "chunked"


class Others:
    """A task that counts how often other tasks have their turns, until it is cancelled."""

    def __init__(self) -> None:
        self.turns = 0
        self.task = asyncio.create_task(self._count())

    async def _count(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)


@pytest.mark.parametrize("data", [b"text " * 400_000, io.BytesIO(b"text " * 400_000)])
async def test_much_is_compressed_aside(data: Any, serve: Serve, session: ClientSession) -> None:
    """Others have their turns meanwhile, though nothing has to be waited for. Without chunks there has to be a length."""
    server = await serve(repeating(HI))
    others = Others()
    body = b"".join([part async for part in compress_body(make_body(data), "gzip").parts()])
    others.task.cancel()
    assert others.turns > 30
    assert gzip.decompress(body) == b"text " * 400_000
    received = await sent(session, server, b"text " * 400_000, compress=True)
    assert received.headers["transfer-encoding"] == "chunked"
    assert zlib.decompress(received.body) == b"text " * 400_000
    async with ClientSession(version=HttpVersion10) as older:
        received = await sent(older, server, b"text " * 400_000, compress=True)
    assert zlib.decompress(received.body) == b"text " * 400_000


async def test_a_form_with_large_compressed_parts_over_http_1_0(serve: Serve, connector: TCPConnector) -> None:
    """Its length has to be known: the parts are compressed first, while other tasks go on. A redirect does not do it again."""
    text = random.Random(1).randbytes(1_000_000).hex().encode()

    async def script(peer: Peer) -> None:
        await peer.request()
        others.task.cancel()
        await peer.answer(b"", "307 Temporary Redirect", "Location: /moved", "Connection: keep-alive")
        await peer.request()
        await peer.answer()

    inner = MultipartWriter("mixed")
    inner.append(text, {"Content-Encoding": "deflate"})
    form = MultipartWriter("form-data")
    form.append("small", {"Content-Encoding": "gzip"})
    form.append(text, {"Content-Encoding": "gzip"})
    form.append(inner)
    server = await serve(script)
    async with ClientSession(version=HttpVersion10, connector=connector, connector_owner=False) as session:
        others = Others()
        async with session.post(server.url, data=form) as response:
            assert response.status == 200
    assert others.turns > 10
    assert [asked.version for asked in server.received] == ["HTTP/1.0"] * 2
    assert [asked.headers["content-length"] for asked in server.received] == [str(form.size)] * 2
    assert server.received[0].body == server.received[1].body
    assert len(server.received[0].body) < 2 * len(text) * 0.7
    source = asyncio.StreamReader()
    source.feed_data(server.received[0].body)
    source.feed_eof()
    reader = MultipartReader({"Content-Type": f"multipart/mixed; boundary={form.boundary}"}, source)
    contents = []
    async for outer in reader:
        part = await outer.next() if isinstance(outer, MultipartReader) else outer
        assert isinstance(part, BodyPartReader)
        contents.append(await part.read(decode=True))
    assert contents == [b"small", text, text]


async def test_a_middleware_gives_a_large_compressed_form_over_http_1_0(serve: Serve, connector: TCPConnector) -> None:
    form = MultipartWriter("form-data")
    form.append(b"text " * 400_000, {"Content-Encoding": "gzip"})

    async def replace(request: ClientRequest, handler: Handler) -> ClientResponse:
        await request.update_body(form)
        return await handler(request)

    server = await serve(repeating(HI))
    async with ClientSession(
        version=HttpVersion10, connector=connector, connector_owner=False, middlewares=[replace]
    ) as session:
        await session.post(server.url)
    assert server.received[0].headers["content-length"] == str(form.size)


async def test_compress_contradicts(serve: Serve, session: ClientSession) -> None:
    """What is coded already is not coded again by mistake; no body needs no coding."""
    server = await serve(repeating(HI))
    with pytest.raises(ValueError, match="Content-Encoding"):
        await session.post(server.url, data=b"x", compress=True, headers={"Content-Encoding": "gzip"})
    with pytest.raises(ValueError, match="br"):
        await session.post(server.url, data=b"x", compress="br")
    assert "content-encoding" not in (await sent(session, server, b"", compress=True)).headers
    assert "content-encoding" not in (await sent(session, server, compress=True)).headers


# -- while it is sent -------------------------------------------------------------------------------------------------


async def test_expect100(serve: Serve, session: ClientSession) -> None:
    """The body waits for the server's word, for all kinds of it."""
    was_early: list[bool] = []

    async def script(peer: Peer) -> None:
        while True:
            received = await peer.head()
            assert received.headers["expect"] == "100-continue"
            was_early.append(bool(peer.reader._buffer))  # type: ignore[attr-defined]
            await peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
            server.received[-1] = received._replace(body=await peer.body(received))
            await peer.send(HI)

    server = await serve(script)
    for data in (b"12345", parts_of(b"12345")):
        assert (await sent(session, server, data, expect100=True)).body == b"12345"
    assert was_early == [False, False]
    assert server.connections == 1


async def test_nothing_is_expected_without_content(serve: Serve, session: ClientSession) -> None:
    """RFC 9110 §10.1.1."""
    server = await serve(repeating(HI))
    for given in ({}, {"data": b""}, {"headers": {"Expect": "100-continue"}}):
        async with session.post(server.url, expect100=True, **given):
            assert "expect" not in server.received[-1].headers


async def test_expect100_declined(serve: Serve, session: ClientSession, connector: TCPConnector) -> None:
    """A server that answers at once does not get the body, and the connection is not used again."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.answer(b"no", "417 Expectation Failed")
        assert await peer.reader.read() == b""

    server = await serve(script)
    async with session.post(server.url, data=b"12345", expect100=True) as response:
        assert (response.status, await response.text()) == (417, "no")
    assert connector.idle_count == 0


async def test_expect100_ignored(serve: Serve, session: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old servers know nothing of it: after a while the body is sent anyway."""
    monkeypatch.setattr("client.upload._CONTINUE_SECONDS", 0.01)
    server = await serve(repeating(HI))
    assert (await sent(session, server, b"12345", expect100=True)).body == b"12345"


async def test_the_servers_silence_does_not_count_while_we_are_slow(serve: Serve, session: ClientSession) -> None:
    """It waits for the rest of the request, as it should."""

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x"
            await asyncio.sleep(0.05)

    server = await serve(repeating(HI))
    timeout = ClientTimeout(sock_read=0.02)
    async with session.post(server.url, data=slow(), timeout=timeout):
        assert server.received[-1].body == b"xxx"


async def test_the_servers_silence_does_not_count_once_it_takes_again(serve: Serve, session: ClientSession) -> None:
    """It held us back for a while; after that it is for us to go on."""

    async def parts() -> AsyncIterator[bytes]:
        yield bytes(8_000_000)  # more than fits between us
        await asyncio.sleep(0.3)
        yield b"x"

    server = await serve(repeating(HI))
    async with session.post(server.url, data=parts(), timeout=ClientTimeout(sock_read=0.2)):
        assert len(server.received[-1].body) == 8_000_001


async def test_the_servers_silence_counts_once_everything_is_sent(serve: Serve, session: ClientSession) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.closed()

    server = await serve(script)
    with pytest.raises(SocketTimeoutError):
        await session.post(server.url, data=parts_of(b"12345"), timeout=ClientTimeout(sock_read=0.02))


async def test_a_server_that_takes_nothing_is_silent(serve: Serve, session: ClientSession) -> None:
    """It is not we who are slow when the transport's buffer is full."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(100_000)

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await never.wait()

    never = asyncio.Event()
    server = await serve(script)
    with pytest.raises(SocketTimeoutError):
        await session.post(server.url, data=endless(), timeout=ClientTimeout(sock_read=0.02))


async def test_silence_counts_when_a_body_is_declined(serve: Serve, session: ClientSession) -> None:
    """Nothing more will be sent: it is the server's turn."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\n")
        await peer.closed()

    server = await serve(script)
    timeout = ClientTimeout(sock_read=0.02)
    async with session.post(server.url, data=b"12345", expect100=True, timeout=timeout) as response:
        with pytest.raises(SocketTimeoutError):
            await response.read()


async def test_a_server_that_is_held_back_is_not_silent(serve: Serve, session: ClientSession) -> None:
    """Its answer came early, and its reader takes it late; meanwhile the rest of the request is sent."""
    held_back = asyncio.Event()
    sent_all = asyncio.Event()
    size = 1_000_000

    async def late() -> AsyncIterator[bytes]:
        yield b"x"
        await held_back.wait()
        yield b"y"

    async def script(peer: Peer) -> None:
        head = await peer.head()
        peer.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        assert await peer.body(head) == b"xy"
        sent_all.set()
        await peer.closed()

    server = await serve(script)
    timeout = ClientTimeout(sock_read=0.02)
    async with session.post(server.url, data=late(), timeout=timeout, read_bufsize=1000) as response:
        assert response.connection is not None
        transport = response.connection.transport
        assert transport is not None
        await until(lambda: not transport.is_reading())
        held_back.set()
        await sent_all.wait()
        await asyncio.sleep(0.05)  # as long as it takes to read what is there; silence would have been enough by now
        assert len(await response.read()) == size


async def test_a_large_body_in_memory_is_sent_as_the_server_takes_it(serve: Serve, session: ClientSession) -> None:
    """Its silence does not count meanwhile, and the transport does not hold a copy of what is left."""
    size = 20_000_000

    async def script(peer: Peer) -> None:
        received = await peer.head()
        left = int(received.headers["content-length"])
        while left:
            left -= len(await peer.reader.readexactly(min(left, 1_000_000)))
            await asyncio.sleep(0.02)  # twenty times: longer than it may be silent
        await peer.send(HI)

    server = await serve(script)
    held: list[int] = []
    sending = asyncio.create_task(session.post(server.url, data=bytes(size), timeout=ClientTimeout(sock_read=0.2)))
    connector = session.connector
    assert connector is not None
    while not sending.done():
        held += [protocol.transport.get_write_buffer_size() for protocol in connector._in_use if protocol.transport]
        await asyncio.sleep(0.01)
    async with await sending as response:
        assert response.status == 200
    assert max(held) < 1_000_000


@pytest.mark.parametrize("compress", [None, "gzip"])
@pytest.mark.parametrize("suspends", [True, False])
async def test_early_answer(
    suspends: bool, compress: str | None, serve: Serve, session: ClientSession, connector: TCPConnector
) -> None:
    """A server may decline an upload in the middle; its answer counts, and sending stops: where it comes from is closed.

    Nothing else goes over the connection: it would be taken for more of the body.
    """
    stopped = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield os.urandom(10_000)
                if suspends:
                    await asyncio.sleep(0)
        finally:
            stopped.set()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.answer(b"too much", "413 Content Too Large")
        if suspends:
            await peer.closed()
        else:
            await stopped.wait()  # the transport is full meanwhile

    server = await serve(script)
    async with session.post(server.url, data=endless(), compress=compress) as response:
        assert response.status == 413
        assert await response.text() == "too much"
    await stopped.wait()
    assert connector.idle_count == 0


@pytest.mark.parametrize("compress", [None, "gzip"])
@pytest.mark.parametrize("encoding", [None, "base64", "quoted-printable"])
async def test_where_a_body_comes_from_is_closed_by_what_sent_it(
    encoding: str | None, compress: str | None, serve: Serve, session: ClientSession
) -> None:
    """Not by a task of the event loop's that nobody waits for, which is how it closes what is garbage-collected."""
    senders: list[Any] = []
    stopped = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        senders.append(asyncio.current_task())
        try:
            while True:
                yield os.urandom(10_000)
        finally:
            senders.append(asyncio.current_task())
            stopped.set()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.answer(b"too much", "413 Content Too Large")
        await peer.closed()

    writer = MultipartWriter()
    writer.append(endless(), {"Content-Transfer-Encoding": encoding} if encoding else None)
    server = await serve(script)
    async with session.post(server.url, data=writer, compress=compress) as response:
        assert response.status == 413
    await stopped.wait()
    assert len(set(senders)) == 1


async def test_an_early_answer_of_a_server_that_has_gone_since(session: ClientSession) -> None:
    """It has arrived, and is read before a write fails, though the program was too busy to look."""
    may_answer, has_gone = threading.Event(), threading.Event()

    def answer_once(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(10)  # not all there is: closing resets the connection
            may_answer.wait()
            connection.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
        has_gone.set()

    async def busy() -> AsyncIterator[bytes]:
        yield bytes(1000)
        may_answer.set()
        has_gone.wait()
        yield bytes(1000)
        yield bytes(1000)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=answer_once, args=(listener,))
        answering.start()
        async with session.post(f"http://127.0.0.1:{listener.getsockname()[1]}/", data=busy()) as response:
            assert (response.status, await response.text()) == (413, "big")
        answering.join()


async def test_an_early_answer_to_a_body_in_memory(serve: Serve, session: ClientSession) -> None:
    """What is still to be sent is not, rather than have the next request wait behind it."""

    async def script(peer: Peer) -> None:
        received = await peer.head()
        await peer.answer(received.method.encode())
        await peer.closed()

    server = await serve(script)
    async with session.post(server.url, data=bytes(20_000_000)) as response:
        assert await response.text() == "POST"
    async with session.get(server.url) as response:
        assert await response.text() == "GET"
    assert server.connections == 2
    await until(lambda: server.open_connections == 1)


async def test_both_ways_at_once(serve: Serve, session: ClientSession) -> None:
    """A server may answer each part of a body as it comes."""
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def questions() -> AsyncIterator[bytes]:
        yield b"1"
        for _ in range(3):
            yield await answers.get()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while size := int(await peer.reader.readuntil(b"\r\n"), 16):
            part = await peer.reader.readexactly(size)
            await peer.reader.readexactly(2)
            await peer.send(b"%x\r\n%s\r\n" % (len(part) + 1, part + b"!"))
        await peer.reader.readexactly(2)
        await peer.send(b"0\r\n\r\n")

    server = await serve(script)
    seen = []
    async with session.post(server.url, data=questions()) as response:
        async for part, _ in response.content.iter_chunks():
            seen.append(part)
            answers.put_nowait(part)
    assert seen == [b"1!", b"1!!", b"1!!!", b"1!!!!"]


async def test_a_body_that_fails(serve: Serve, session: ClientSession) -> None:
    """What a caller's generator raises ends the request, and is the error's cause."""

    async def failing() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError("no more")

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.closed()

    server = await serve(script)
    with pytest.raises(ClientConnectionError, match="no more") as caught:
        await session.post(server.url, data=failing())
    assert isinstance(caught.value.__cause__, LookupError)
    assert caught.value.url == server.url


async def test_a_body_that_is_cancelled(serve: Serve, session: ClientSession) -> None:
    """What a caller's generator waited for was cancelled, not the request, which cannot go on."""

    async def cancelled() -> AsyncIterator[bytes]:
        yield b"x"
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.closed()

    server = await serve(script)
    async with asyncio.timeout(10):
        with pytest.raises(ClientConnectionError, match="could not be sent") as caught:
            await session.post(server.url, data=cancelled())
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


async def test_the_server_goes_away(serve: Serve, session: ClientSession) -> None:
    """A connection that breaks while a body is sent ends the request."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 100_000
            await asyncio.sleep(0)

    async def script(peer: Peer) -> None:
        await peer.head()
        peer.reset()

    server = await serve(script)
    with pytest.raises(ClientConnectionError):
        await session.post(server.url, data=endless())


async def test_a_slow_server_holds_a_body_back(serve: Serve, session: ClientSession) -> None:
    """A large body is not read into memory because the server is slow."""
    read = 0
    go_on = asyncio.Event()

    async def large() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(500):
            read += 100_000
            yield b"x" * 100_000

    async def script(peer: Peer) -> None:
        received = await peer.head()
        await go_on.wait()
        assert len(await peer.body(received)) == 50_000_000
        await peer.send(HI)

    server = await serve(script)
    uploading = asyncio.create_task(sent(session, server, large()))
    seen = -1
    while not read or read != seen:  # until the body cannot go on
        seen = read
        for _ in range(50):
            await asyncio.sleep(0)
    assert read < 20_000_000
    go_on.set()
    await uploading
    assert read == 50_000_000


async def test_raise_for_status_after_an_upload(serve: Serve, session: ClientSession) -> None:
    """An upload that is declined is an error as any other."""
    server = await serve(repeating(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
    with pytest.raises(ClientResponseError):
        await session.post(server.url, data=parts_of(b"x"), auth=BasicAuth("a"), raise_for_status=True)


# -- bodies by themselves ---------------------------------------------------------------------------------------------


async def read(body: Any) -> bytes:
    return b"".join([part async for part in body.parts()])


async def test_replaying() -> None:
    """What can begin again does so from the start; what cannot says so."""
    file = FileBody(io.BytesIO(b"file"))
    assert file.can_replay
    assert [await read(file), await read(file)] == [b"file", b"file"]
    once = IterableBody(parts_of(b"once"))
    assert not once.can_replay
    assert await read(once) == b"once"
    with pytest.raises(BodyConsumedError):
        await read(once)

    class Again:
        def __aiter__(self) -> AsyncIterator[bytes]:
            return parts_of(b"again")

    again = IterableBody(Again())
    assert again.can_replay
    assert [await read(again), await read(again)] == [b"again", b"again"]


async def test_one_file_in_several_parts(serve: Serve, session: ClientSession, tmp_path: Path) -> None:
    """Each begins where the file is when the form is sent."""
    path = tmp_path / "file"
    path.write_bytes(b"passed over, sent")
    form = FormData()
    with path.open("rb") as file:
        form.add_field("first", file)
        form.add_field("second", file)
        file.seek(13)
        received = await sent(session, server := await serve(repeating(HI)), form)
    assert received.body.count(b"\r\n\r\nsent\r\n--") == 2
    assert server.connections == 1


async def test_the_rest_of_a_file_that_is_read_by_lines(serve: Serve, session: ClientSession, tmp_path: Path) -> None:
    """It does not tell then where it is, and so cannot be sent again."""
    path = tmp_path / "file"
    path.write_text("one\ntwo\nthree\n")
    server = await serve(repeating(HI))
    with path.open() as file:
        assert next(file) == "one\n"
        assert not make_body(file).can_replay
        assert (await sent(session, server, file)).body == b"two\nthree\n"


class Slow(io.FileIO):
    """A file that is read no sooner than `may_read` says."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.may_read = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.may_read.wait()
        return super().read(size) or b""


async def test_a_read_that_was_called_off(tmp_path: Path) -> None:
    """It goes on in its thread; sending again waits for it instead of reading the same file beside it."""
    path = tmp_path / "file"
    path.write_bytes(b"file")
    with Slow(path) as file:
        body = FileBody(file)
        first = asyncio.create_task(read(body))
        await until(lambda: body._reading is not None)
        first.cancel()
        second = asyncio.create_task(read(body))
        await asyncio.sleep(0)
        file.may_read.set()
        assert await second == b"file"
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_a_read_of_another_part_that_was_called_off(tmp_path: Path) -> None:
    """It moves the position of their one file, too."""
    path = tmp_path / "file"
    path.write_bytes(b"file")
    with Slow(path) as file:
        body, other = FileBody(file), FileBody(file)
        first = asyncio.create_task(read(other))
        await until(lambda: other._reading is not None)
        first.cancel()
        second = asyncio.create_task(read(body))
        for _ in range(3):
            await asyncio.sleep(0)
        reads_beside = body._reading is not None
        file.may_read.set()
        assert await second == b"file"
        assert not reads_beside


async def test_a_read_that_was_called_off_and_fails(tmp_path: Path) -> None:
    """Whoever gave it up has closed the file; nobody is told of that."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    path = tmp_path / "file"
    path.write_bytes(b"file")
    with Slow(path) as file:
        body = FileBody(file)
        task = asyncio.create_task(read(body))
        await until(lambda: body._reading is not None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    file.may_read.set()
    assert body._reading is not None
    await asyncio.wait([body._reading])
    body._reading = None
    gc.collect()
    assert told == []


async def test_what_reads_from_a_file_is_not_as_long_as_the_file(tmp_path: Path) -> None:
    """A decompressing reader has its file's number, but another length."""
    path = tmp_path / "file.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"x" * 100_000)
    with gzip.open(path) as file:
        body = make_body(file)
        assert body.size is None
        assert await read(body) == b"x" * 100_000


async def test_a_file_that_grows(tmp_path: Path) -> None:
    """What is added while it is being sent is left out: the length has been announced."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    with path.open("rb") as file:
        sent: list[bytes] = []
        async for part in make_body(file).parts():
            if not sent:
                with path.open("ab") as other:
                    other.write(b"more")
            sent.append(part)
    assert b"".join(sent) == b"x" * 100_000


def test_the_size_of_a_file_in_memory_costs_no_copy() -> None:
    with io.BytesIO(bytes(10_000_000)) as file:
        file.seek(10)
        tracemalloc.start()
        size = make_body(file).size
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (size, file.tell()) == (9_999_990, 10)
    assert peak_bytes < 1_000_000


async def test_pipes_cannot_begin_again() -> None:
    """A file that cannot seek has no length either."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    body = FileBody(Pipe(b"pipe"))
    assert (body.size, body.can_replay) == (None, False)
    assert await read(body) == b"pipe"
    with pytest.raises(BodyConsumedError):
        await read(body)


def test_sizes() -> None:
    """A size is what is left to send."""
    buffer = io.BytesIO(b"12345")
    buffer.seek(2)
    body = make_body(buffer)
    assert body.size == 3
    assert buffer.tell() == 2
    ready = BytesBody(b"12")
    assert make_body(ready) is ready
    assert ready.in_memory() == b"12"
