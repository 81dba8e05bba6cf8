"""Responses as bytes: what is accepted, what it says, and whether the connection serves again."""

from __future__ import annotations

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest

from client import (
    BadHttpMessage,
    ClientError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    HeadersTooLarge,
    HttpVersion10,
    HttpVersion11,
    ServerDisconnectedError,
    ServerTimeoutError,
    SocketTimeoutError,
    TCPConnector,
    TraceConfig,
)
from tests.client.peer import repeating, saying, until

if TYPE_CHECKING:
    import trustme

    from tests.client.conftest import Serve
    from tests.client.peer import Peer

OK = b"HTTP/1.1 200 OK\r\n"


class Good(NamedTuple):
    """Bytes that are a response: its status and body, and whether the connection is used again."""

    data: bytes
    body: bytes
    status: int = 200
    keeps_alive: bool = True
    method: str = "GET"


GOOD = {
    "length": Good(OK + b"Content-Length: 2\r\n\r\nhi", b"hi"),
    "empty": Good(OK + b"Content-Length: 0\r\n\r\n", b""),
    "chunks": Good(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n", b"hi!"),
    "chunk extensions and trailers": Good(
        OK + b'Transfer-Encoding: chunked\r\n\r\n2;a=b;c="d"\r\nhi\r\n0\r\nX-Trailer: t\r\n\r\n', b"hi"
    ),
    "spaces after a chunk size": Good(OK + b"Transfer-Encoding: chunked\r\n\r\n2  \r\nhi\r\n0\r\n\r\n", b"hi"),
    "transfer encoding in capitals": Good(OK + b"TRANSFER-ENCODING: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi"),
    "bare line feeds": Good(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", b"hi"),
    "no reason": Good(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    "line ends before the head": Good(b"\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi", b"hi"),
    "folded header": Good(OK + b"X-Folded: a\r\n b\r\nContent-Length:\r\n 2\r\n\r\nhi", b"hi"),
    "folded transfer encoding": Good(OK + b"Transfer-Encoding:\r\n\tchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi"),
    "a length twice": Good(OK + b"Content-Length: 2\r\nX: y\r\ncontent-length: 2\r\n\r\nhi", b"hi"),
    "control characters in a value": Good(OK + b"X: a\x01b\x7f\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    "blanks around a length": Good(OK + b"Content-Length: \t 2 \t\r\n\r\nhi", b"hi"),
    "HEAD with a length": Good(OK + b"Content-Length: 5\r\n\r\n", b"", method="HEAD"),
    "HEAD with chunks": Good(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"", method="HEAD"),
    "HEAD with no framing": Good(OK + b"X: y\r\n\r\n", b"", method="HEAD"),
    "204 with a length": Good(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", b"", 204),
    "204 with no framing": Good(b"HTTP/1.1 204 No Content\r\n\r\n", b"", 204),
    "304 with the length of what it stands for": Good(
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", b"", 304
    ),
    "100 first": Good(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi", b"hi"),
    "103 first, twice": Good(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2 + OK + b"Content-Length: 2\r\n\r\nhi", b"hi"
    ),
    "100 in HTTP/1.0 first": Good(b"HTTP/1.0 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi", b"hi"),
    "a status beyond the registry": Good(b"HTTP/1.1 999 Denied\r\nContent-Length: 2\r\n\r\nhi", b"hi", 999),
    "a later minor version": Good(b"HTTP/1.7 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    "Connection with other options": Good(OK + b"Connection: foo\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    "HTTP/1.0 that stays": Good(b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    "200 that offers an upgrade": Good(
        OK + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nhi", b"hi"
    ),
    # -- and those after which the connection is not used again
    "end of connection": Good(OK + b"\r\nhi", b"hi", keeps_alive=False),
    "transfer coding other than chunked": Good(OK + b"Transfer-Encoding: gzip\r\n\r\nhi", b"hi", keeps_alive=False),
    "close": Good(OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi", b"hi", keeps_alive=False),
    "close among options": Good(
        OK + b"Connection: foo\r\nConnection: Close , bar\r\nContent-Length: 2\r\n\r\nhi", b"hi", keeps_alive=False
    ),
    "folded close": Good(OK + b"Connection: foo,\r\n close\r\nContent-Length: 2\r\n\r\nhi", b"hi", keeps_alive=False),
    "HTTP/1.0": Good(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", keeps_alive=False),
    "length and chunks": Good(
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi", keeps_alive=False
    ),
    "chunks in HTTP/1.0": Good(
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"hi",
        keeps_alive=False,
    ),
    "surplus bytes": Good(OK + b"Content-Length: 2\r\n\r\nhiHTTP", b"hi", keeps_alive=False),
    "a surplus response": Good((OK + b"Content-Length: 2\r\n\r\nhi") * 2, b"hi", keeps_alive=False),
    "surplus after chunks": Good(
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nx", b"hi", keeps_alive=False
    ),
    "a body after HEAD": Good(OK + b"Content-Length: 2\r\n\r\nhi", b"", method="HEAD", keeps_alive=False),
    "chunks after HEAD": Good(
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"", method="HEAD", keeps_alive=False
    ),
    "part of a chunk size after HEAD": Good(
        OK + b"Transfer-Encoding: chunked\r\n\r\n2", b"", method="HEAD", keeps_alive=False
    ),
    "a chunk size after HEAD": Good(
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n", b"", method="HEAD", keeps_alive=False
    ),
    "a body after HEAD that ends its line": Good(
        OK + b"Content-Length: 2\r\n\r\nh\n", b"", method="HEAD", keeps_alive=False
    ),
    "a tunnel": Good(OK + b"Connection: keep-alive\r\n\r\n", b"", method="CONNECT", keeps_alive=False),
    "a body after 204": Good(b"HTTP/1.1 204 No Content\r\n\r\nhi", b"", 204, keeps_alive=False),
    "a body after 304": Good(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nhi", b"", 304, keeps_alive=False),
}


@pytest.mark.parametrize("dripping", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD.keys())
async def test_accepts(case: Good, dripping: bool, serve: Serve, session: ClientSession) -> None:
    """Every framing of RFC 9112 §6.3, however the bytes are cut, and the faults that browsers forgive."""
    waits_for_end = case.body == b"hi" and not case.keeps_alive

    async def script(peer: Peer) -> None:
        await peer.request()
        await (peer.drip if dripping else peer.send)(case.data)
        if waits_for_end:
            peer.writer.write_eof()
        await peer.request()
        await peer.answer(b"again")

    server = await serve(script)
    async with session.request(case.method, server.url) as response:
        assert (response.status, await response.read()) == (case.status, case.body)
    assert session.connector is not None
    surplus_may_come_later = dripping and not case.keeps_alive
    if not surplus_may_come_later:
        assert session.connector.idle_count == int(case.keeps_alive)
    if case.keeps_alive:
        async with session.get(server.url) as response:
            assert await response.read() == b"again"
        assert server.connections == 1


BAD_HEADS = {
    "HTTP/0.9": b"<html>",
    "ICY": b"ICY 200 OK\r\n\r\n",
    "RTSP": b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "version without a dot": b"HTTP/2 200 OK\r\n\r\n",
    "lower case": b"http/1.1 200 OK\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status below 100": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
    "lengths in a list": OK + b"Content-Length: 2, 2\r\n\r\nhi",
    "negative length": OK + b"Content-Length: -1\r\n\r\n",
    "signed length": OK + b"Content-Length: +2\r\n\r\nhi",
    "hexadecimal length": OK + b"Content-Length: 0x2\r\n\r\nhi",
    "empty length": OK + b"Content-Length: \r\n\r\n",
    "length beyond 64 bits": OK + b"Content-Length: 18446744073709551616\r\n\r\n",
    "blank before a colon": OK + b"Content-Length : 2\r\n\r\nhi",
    "blank in a name": OK + b"X Y: 2\r\n\r\nhi",
    "no name": OK + b": 2\r\n\r\nhi",
    "no colon": OK + b"nonsense\r\n\r\nhi",
    "NUL in a name": OK + b"X\0: y\r\n\r\n",
    "NUL in a value": OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\nhi",
    "NUL in the reason": b"HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nhi",
    "bare CR in a value": OK + b"X: a\rb\r\n\r\n",
    "a control character in a length": OK + b"Content-Length: 2\x01\r\n\r\nhi",
    "a control character in a transfer encoding": OK + b"Transfer-Encoding: \x0bchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "a control character in a name": OK + b"X\x01: y\r\nContent-Length: 2\r\n\r\nhi",
    "two CRs": OK + b"X: a\r\r\nContent-Length: 2\r\n\r\nhi",
    "blank before the first header": OK + b" Content-Length: 2\r\n\r\nhi",
    "empty transfer encoding": OK + b"Transfer-Encoding:\r\n\r\n",
    "101 unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
    "1xx with a body": b"HTTP/1.1 150 Hm\r\nContent-Length: 2\r\n\r\nhi" + OK + b"Content-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("dripping", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("data", BAD_HEADS.values(), ids=BAD_HEADS.keys())
async def test_refuses_heads(data: bytes, dripping: bool, serve: Serve, session: ClientSession) -> None:
    """What is not HTTP/1.1, or can be read in two ways, is an error that names the request; the connection is closed."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await (peer.drip if dripping else peer.send)(data)
        await peer.closed()

    server = await serve(script)
    with pytest.raises(BadHttpMessage) as caught:
        await session.get(server.url)
    assert (caught.value.method, caught.value.url, caught.value.status) == ("GET", server.url, 0)
    assert str(server.url) in str(caught.value)
    assert session.connector is not None
    assert session.connector.idle_count == 0


FLOODS = {
    "one header line": OK + b"X: " + b"a" * 9000 + b"\r\n\r\n",
    "a status line": b"HTTP/1.1 200 " + b"a" * 9000 + b"\r\n\r\n",
    "a header without end": OK + b"X: " + b"a" * 70_000,
    "a name without end": OK + b"a" * 70_000,
    "a reason without end": b"HTTP/1.1 200 " + b"a" * 70_000,
    "headers without end": OK + b"X: y\r\n" * 20_000,
    "lines that are too large together": OK + (b"X: " + b"a" * 4000 + b"\r\n") * 20 + b"\r\n",
    "too many headers": OK + b"X: y\r\n" * 200 + b"\r\n",
    "1xx without end": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3_000,
    "line ends without end": b"\r\n" * 40_000,
    "a fold without end": OK + b"X: a\r\n" + b" a\r\n" * 20_000,
}


@pytest.mark.parametrize("data", FLOODS.values(), ids=FLOODS.keys())
async def test_bounds_heads(data: bytes, serve: Serve, session: ClientSession) -> None:
    """However a head goes on, memory does not: it is given up at a bound."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        await peer.closed()

    server = await serve(script)
    with pytest.raises(HeadersTooLarge):
        await session.get(server.url)


async def test_bounds_can_be_moved(serve: Serve, connector: TCPConnector) -> None:
    """The bounds are the session's, or a request's own."""
    server = await serve(repeating(OK + b"X: " + b"a" * 9000 + b"\r\nContent-Length: 0\r\n\r\n"))
    async with ClientSession(connector=connector, connector_owner=False, max_field_size=10_000) as session:
        async with session.get(server.url) as response:
            assert len(response.headers["X"]) == 9000
        with pytest.raises(HeadersTooLarge):
            await session.get(server.url, max_field_size=8190)


async def test_bounds_are_met_exactly(serve: Serve, session: ClientSession) -> None:
    """What ends a line does not count."""
    status, field = b"HTTP/1.1 200 " + b"r" * 100, b"X-Long: " + b"v" * 200
    server = await serve(repeating(status + b"\r\n" + field + b"\r\nContent-Length: 0\r\n\r\n"))
    async with session.get(server.url, max_line_size=len(status), max_field_size=len(field)) as response:
        assert len(response.headers["X-Long"]) == 200
    with pytest.raises(HeadersTooLarge, match="a status line"):
        await session.get(server.url, max_line_size=len(status) - 1)
    with pytest.raises(HeadersTooLarge, match="a header line"):
        await session.get(server.url, max_field_size=len(field) - 1)


async def test_so_many_interim_responses_may_come(serve: Serve, session: ClientSession) -> None:
    """Honest servers send one or two."""

    async def script(peer: Peer) -> None:
        while True:
            received = await peer.request()
            await peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * int(received.target[1:]))
            await peer.answer(b"in the end")

    server = await serve(script)
    async with session.get(server.url / "32") as response:
        assert await response.read() == b"in the end"
    with pytest.raises(HeadersTooLarge, match="interim"):
        await session.get(server.url / "33")


class Broken(NamedTuple):
    """A good head, and then a body that is not: what is sent, and whether the server then closes."""

    data: bytes
    closes: bool = False


BROKEN_BODIES = {
    "length, closed early": Broken(OK + b"Content-Length: 5\r\n\r\nhi", closes=True),
    "chunks, closed in one": Broken(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhi", closes=True),
    "chunks, closed between": Broken(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", closes=True),
    "chunks, closed in the trailer": Broken(
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y", closes=True
    ),
    "chunk size that is none": Broken(OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    "negative chunk size": Broken(OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nhi\r\n0\r\n\r\n"),
    "chunk size beyond 64 bits": Broken(
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\nhi\r\n0\r\n\r\n"
    ),
    "chunk size with a prefix": Broken(OK + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nhi\r\n0\r\n\r\n"),
    "chunk longer than its size": Broken(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhixx\r\n0\r\n\r\n"),
    "no line end after a chunk": Broken(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi0\r\n\r\n"),
    "bare line feed after a chunk size": Broken(OK + b"Transfer-Encoding: chunked\r\n\r\n2\nhi\r\n0\r\n\r\n"),
    "extensions without end": Broken(OK + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"a" * 70_000),
    "trailers without end": Broken(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 20_000),
    "one trailer without end": Broken(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"y" * 70_000),
}


@pytest.mark.parametrize("case", BROKEN_BODIES.values(), ids=BROKEN_BODIES.keys())
async def test_refuses_bodies(case: Broken, serve: Serve, session: ClientSession) -> None:
    """A body that is malformed or cut short is an error when read, never half a page; the connection is closed."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(case.data)
        if not case.closes:
            await peer.closed()

    server = await serve(script)
    with pytest.raises(ClientPayloadError) as caught:
        async with session.get(server.url) as response:
            await response.read()
    assert (caught.value.method, caught.value.url) == ("GET", server.url)
    assert session.connector is not None
    assert session.connector.idle_count == 0


async def test_body_to_the_end_of_the_connection_cut_by_a_reset(serve: Serve, session: ClientSession) -> None:
    """Where the end of the connection is the end of the body, only an orderly end counts."""
    read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK + b"\r\nhalf")
        await read.wait()
        peer.reset()

    server = await serve(script)
    async with session.get(server.url) as response:
        assert await response.content.readany() == b"half"
        read.set()
        with pytest.raises(ClientPayloadError):
            await response.read()


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 O"], ids=["nothing", "half a head"])
async def test_disconnected_before_a_response(sent: bytes, serve: Serve, session: ClientSession) -> None:
    """A server that closes instead of answering is told apart from one that answers nonsense."""
    server = await serve(saying(sent))
    with pytest.raises(ServerDisconnectedError) as caught:
        await session.get(server.url)
    assert caught.value.url == server.url


async def test_disconnected_in_what_is_no_head(serve: Serve, session: ClientSession) -> None:
    """It was seen to be none, though it never ended: the server is not to be asked again."""
    server = await serve(saying(OK + b"no field\r\n"))
    with pytest.raises(BadHttpMessage):
        await session.get(server.url)


async def test_reset_before_a_response(serve: Serve, session: ClientSession) -> None:
    """A reset is reported with its errno."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    server = await serve(script)
    with pytest.raises(ClientOSError) as caught:
        await session.get(server.url)
    assert caught.value.errno is not None


async def test_bytes_on_an_idle_connection_close_it(
    serve: Serve, connector: TCPConnector, session: ClientSession
) -> None:
    """A response that nobody asked for must not answer the next request."""
    sent = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"asked")
        await peer.send(OK + b"Content-Length: 7\r\n\r\nunasked")
        sent.set()
        await peer.closed()

    server = await serve(script)
    for _ in range(2):
        async with session.get(server.url) as response:
            assert await response.read() == b"asked"
        await sent.wait()
        sent.clear()
        await until(lambda: not any(protocol.is_idle for protocol in connector._idle._by_age))
    assert server.connections == 2


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_what_comes_in_the_turn_of_the_next_request_does_not_answer_it(
    is_tls: bool, serve: Serve, server_tls: ssl.SSLContext
) -> None:
    """It has arrived, though the event loop could not tell of it yet: neither a response nor the end goes unnoticed."""
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        while True:
            await peer.request()
            await peer.answer(b"asked")

    server = await serve(script, tls=server_tls if is_tls else None)
    async with ClientSession(connector=TCPConnector(ssl=False)) as session:
        for number in range(1, 4):
            async with session.post(server.url, data=b"once") as response:  # what may not be sent again
                assert await response.read() == b"asked"
            assert len(peers) == server.connections == number
            if number == 1:
                peers[-1].writer.write(OK + b"Content-Length: 7\r\n\r\nunasked")  # goes out at once
            else:
                peers[-1].writer.get_extra_info("socket").shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_what_a_server_says_before_it_is_asked_answers_nothing(
    is_tls: bool, server_tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    """Taken for the answer to the first request, it would have that one's answer taken for the next one's, and so on."""
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    trace = TraceConfig()
    with ExitStack() as open_, socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as thread:

        def accept() -> socket.socket:
            connection, _ = listening.accept()
            connection.settimeout(10)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return server_tls.wrap_socket(connection, server_side=True) if is_tls else connection

        def speak_first() -> socket.socket:
            connection = accept()
            connection.sendall(OK + b"Content-Length: 7\r\n\r\nunasked")
            return connection

        async def have_it_arrive(*_: object) -> None:
            if not is_asked_first:
                open_.enter_context(accepting.result(10))  # the event loop stands still: it reads nothing meanwhile

        def answer() -> None:
            with accept() as connection:
                for _ in range(2):
                    assert connection.recv(4096).startswith(b"GET")
                    connection.sendall(OK + b"Content-Length: 5\r\n\r\nasked")

        is_asked_first = False
        accepting = thread.submit(speak_first)
        trace.on_connection_create_end.append(have_it_arrive)
        url = f"{'https' if is_tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}/"
        async with ClientSession(connector=TCPConnector(ssl=trusting), trace_configs=[trace]) as session:
            with pytest.raises(ServerDisconnectedError, match="sent data or closed"):
                await session.get(url)
            assert session.connector is not None
            assert (session.connector.idle_count, session.connector.in_use_count) == (0, 0)
            is_asked_first = True
            answering = thread.submit(answer)
            for _ in range(2):
                async with session.get(url) as response:
                    assert await response.read() == b"asked"
            answering.result(10)


async def test_headers_are_read_as_sent(serve: Serve, session: ClientSession) -> None:
    """Order, case and duplicates survive; bytes that are not UTF-8 do too; folds become blanks."""
    head = (
        OK
        + b"X-A:  1 \r\nx-a:2\r\nX-Folded: a\r\n\t b\r\nX-Latin: \xe9\r\nX-Utf8: \xc3\xa9\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"
    )
    server = await serve(repeating(head))
    async with session.get(server.url) as response:
        assert response.headers.getall("X-A") == ["1", "2"]
        assert response.headers["X-Folded"] == "a b"
        assert response.headers["X-Latin"].encode("utf-8", "surrogateescape") == b"\xe9"
        assert response.headers["X-Utf8"] == "é"
        assert response.headers["X-Empty"] == ""
        assert response.raw_headers[:2] == [(b"X-A", b"1"), (b"x-a", b"2")]
        assert (response.reason, response.version) == ("OK", HttpVersion11)


async def test_version_of_the_response(serve: Serve, session: ClientSession) -> None:
    """The version is that of the response, not ours."""
    server = await serve(saying(b"HTTP/1.0 404 Not here\r\nContent-Length: 0\r\n\r\n"))
    async with session.get(server.url) as response:
        assert (response.version, response.reason, response.ok) == (HttpVersion10, "Not here", False)


async def test_read_until_eof_off(serve: Serve, session: ClientSession) -> None:
    """With `read_until_eof=False` a response without a length has no body."""
    server = await serve(saying(OK + b"\r\nbody"))
    async with session.get(server.url, read_until_eof=False) as response:
        assert await response.read() == b""


async def test_the_body_of_a_head_answers_nothing(serve: Serve, session: ClientSession) -> None:
    """Part of a body came with the head: the rest, which comes late, must not be taken for the next answer."""
    evil = OK + b"Content-Length: 4\r\n\r\nevil"

    async def script(peer: Peer) -> None:
        if (await peer.request()).method == "HEAD":
            await peer.send(OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(evil))
            await peer.request()
            await peer.send(evil + b"\r\n0\r\n\r\n")
        await peer.answer(b"good")

    server = await serve(script)
    async with session.head(server.url):
        pass
    async with session.get(server.url) as response:
        assert await response.read() == b"good"


async def test_silence_before_the_head(serve: Serve, session: ClientSession) -> None:
    """`sock_read` bounds the wait for a response."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.closed()

    server = await serve(script)
    with pytest.raises(SocketTimeoutError) as caught:
        await session.get(server.url, timeout=ClientTimeout(sock_read=0.02))
    assert (caught.value.method, caught.value.url) == ("GET", server.url)


async def test_silence_in_the_body(serve: Serve, session: ClientSession) -> None:
    """`sock_read` counts anew with every byte, and bounds the wait for the next."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK + b"Content-Length: 100\r\n\r\nhi")
        await peer.closed()

    server = await serve(script)
    async with session.get(server.url, timeout=ClientTimeout(sock_read=0.02)) as response:
        with pytest.raises(SocketTimeoutError):
            await response.read()


async def test_silence_is_not_the_servers_that_is_held_back(serve: Serve, session: ClientSession) -> None:
    """The reader is slow: `sock_read` does not count."""
    size = 1_000_000
    server = await serve(repeating(OK + b"Content-Length: %d\r\n\r\n" % size + bytes(size)))
    async with session.get(server.url, timeout=ClientTimeout(sock_read=0.05), read_bufsize=1000) as response:
        assert response.connection is not None
        transport = response.connection.transport
        assert transport is not None
        await until(lambda: not transport.is_reading())
        await asyncio.sleep(0.1)
        assert len(await response.read()) == size


async def test_total_time_spans_the_body(serve: Serve, session: ClientSession) -> None:
    """A server that sends a byte now and then does not outwit the total deadline."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK + b"Content-Length: 1000000\r\n\r\n")
        while True:
            await peer.send(b"x")
            await asyncio.sleep(0.001)

    server = await serve(script)
    with pytest.raises(ServerTimeoutError) as caught:
        async with session.get(server.url, timeout=ClientTimeout(total=0.05)) as response:
            await response.read()
    assert not isinstance(caught.value, SocketTimeoutError)
    assert isinstance(caught.value, TimeoutError)


async def test_errors_are_client_errors(serve: Serve, session: ClientSession) -> None:
    """Handlers written for aiohttp catch bad HTTP as ClientResponseError."""
    server = await serve(saying(b"nonsense\r\n\r\n"))
    with pytest.raises(ClientResponseError):
        await session.get(server.url)
    with pytest.raises(ClientError):
        await session.get(server.url)
