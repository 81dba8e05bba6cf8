"""Requests: whatever a caller gives, one head goes out, and says where the body ends."""

from __future__ import annotations

from http.cookies import Morsel
from typing import TYPE_CHECKING, Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from client import (
    ClientRequest,
    ClientResponse,
    ClientSession,
    DummyCookieJar,
    FormData,
    MultipartWriter,
    RequestInfo,
    TCPConnector,
)
from client.auth import BasicAuth
from client.body import make_body
from client.fields import check_framing
from client.send_policy import HeaderDefaults, SendPolicy
from tests.client.peer import repeating

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from client.middleware import Handler
    from tests.client.conftest import Serve

HI = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
BREAKING = "x\r\nEvil: 1"
NOWHERE = "http://127.0.0.1:1/"


def morsel(coded: str) -> Morsel[str]:
    made: Morsel[str] = Morsel()
    made.__setstate__({"key": "a", "value": "b", "coded_value": coded})  # type: ignore[attr-defined]
    return made


async def parts(*given: bytes) -> AsyncIterator[bytes]:
    for part in given:
        yield part


# -- what would break the head ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Cookie", "cookie", "X", "Host", "X y", "Evil\r\nX"])
@pytest.mark.parametrize("value", [BREAKING, "x\n", "x\0"])
async def test_headers_of_a_session_that_break(name: str, value: str, connector: TCPConnector) -> None:
    """The mistake is told where it is made."""
    with pytest.raises(ValueError, match="header"):
        ClientSession(headers={name: value}, connector=connector, connector_owner=False)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("GET", {"headers": {"X": BREAKING}}),
        ("GET", {"headers": {"Cookie": BREAKING}}),
        ("GET", {"headers": {"Cookie": "a=b\r\n"}}),
        ("GET", {"headers": {"Host": BREAKING}}),
        ("GET", {"headers": {"Proxy-Authorization": BREAKING}}),
        ("GET", {"cookies": {"a": morsel(BREAKING)}}),
        ("GET", {"proxy": NOWHERE, "proxy_headers": {"X": BREAKING}}),
        ("GET / HTTP/1.1\r\nX:", {}),
        ("GET", {"headers": [("Host", "a.example"), ("Host", "b.example")]}),
        ("POST", {"data": MultipartWriter(BREAKING)}),
        ("POST", {"data": b"x", "headers": {"Content-Type": BREAKING}}),
    ],
)
async def test_what_breaks_a_head_is_not_sent(
    method: str, options: dict[str, Any], serve: Serve, session: ClientSession
) -> None:
    """Whichever way it gets there."""
    server = await serve(repeating(HI))
    with pytest.raises(ValueError, match=r"line break|not a method|more than one Host"):
        await session.request(method, server.url, **options)
    assert server.received == []


async def test_what_breaks_a_head_within_a_body(serve: Serve, session: ClientSession) -> None:
    """The parts of a multipart body have heads as well."""
    server = await serve(repeating(HI))
    writer = MultipartWriter()
    writer.append(b"x", {"Content-Type": BREAKING})
    with pytest.raises(ValueError, match="line break"):
        await session.post(server.url, data=writer)
    form = FormData()
    form.add_field(BREAKING, "x", content_type="text/plain", filename=BREAKING)
    async with session.post(server.url, data=form):
        assert b"\nEvil" not in server.received[-1].body


@pytest.mark.parametrize("options", [{"origin": BREAKING}, {"protocols": [BREAKING]}])
async def test_what_breaks_the_head_of_a_websocket(
    options: dict[str, Any], serve: Serve, session: ClientSession
) -> None:
    server = await serve(repeating(HI))
    with pytest.raises(ValueError, match=r"line break|subprotocol"):
        await session.ws_connect(server.url, **options)
    assert server.received == []


async def test_cookies_of_a_jar_that_break(serve: Serve, connector: TCPConnector) -> None:
    """Others' jars may say anything; with headers of the call and without."""

    class Jar(DummyCookieJar):
        def cookie_header(self, url: URL) -> str | None:
            return f"a={BREAKING}"

    server = await serve(repeating(HI))
    async with ClientSession(cookie_jar=Jar(), connector=connector, connector_owner=False) as session:
        for headers in (None, {"X": "y"}):
            with pytest.raises(ValueError, match="Cookie"):
                await session.get(server.url, headers=headers)
    assert server.received == []


@pytest.mark.parametrize(
    "version", [("1", "1\r\nX: y"), (1.0, 1.0), (1, 10), (True, 1), "1", "1.10", "1.1\r\nX: y", "\u0661.1"]
)
async def test_a_version_that_is_none(version: Any, connector: TCPConnector) -> None:
    with pytest.raises(ValueError, match="version"):
        ClientSession(version=version, connector=connector, connector_owner=False)


async def test_a_middleware_cannot_break_the_head(serve: Serve, session: ClientSession) -> None:
    """It may set the method, which counts for what the head has to say."""
    server = await serve(repeating(HI))

    def asking(method: str) -> Callable[[ClientRequest, Handler], Any]:
        async def middleware(request: ClientRequest, send: Handler) -> ClientResponse:
            request.method = method
            return await send(request)

        return middleware

    with pytest.raises(ValueError, match="not a method"):
        await session.get(server.url, middlewares=[asking(f"GET /{BREAKING}")])
    async with session.get(server.url, middlewares=[asking("POST")]):
        assert (server.received[-1].method, server.received[-1].headers["content-length"]) == ("POST", "0")


async def test_one_host_is_named(serve: Serve, connector: TCPConnector) -> None:
    """A session that names it names it once (RFC 9112 §3.2)."""
    server = await serve(repeating(HI))
    async with (
        ClientSession(headers={"Host": "a.example"}, connector=connector, connector_owner=False) as session,
        session.get(server.url),
    ):
        assert server.received[-1].headers["host"] == "a.example"


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Expect"])
async def test_what_a_proxy_reads_our_request_by(name: str, session: ClientSession) -> None:
    """Its headers come with ours, and must not contradict them."""
    with pytest.raises(ValueError, match=name):
        await session.get(NOWHERE, proxy=NOWHERE, proxy_auth=BasicAuth("a"), proxy_headers={name: "5"})


# -- what contradicts the body ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "headers", "complaint"),
    [
        (b"hello", {"Content-Length": "3"}, "says 3 bytes, but there is a body of 5 bytes"),
        (b"hello", {"Content-Length": "8"}, "says 8 bytes"),
        (b"", {"Content-Length": "3"}, "no body"),
        (None, {"Content-Length": "3"}, "no body"),
        *(
            (b"hello", {"Content-Length": text}, "number of bytes")
            for text in ("abc", "+5", "5_0", "", "5, 5", "\u0665")
        ),
        (None, {"Content-Length": "abc"}, "number of bytes"),
        (b"hello", [("Content-Length", "5"), ("Content-Length", "3")], "more than one"),
        (b"hello", [("Content-Length", "5"), ("content-length", "5")], "more than one"),
        (b"hello", {"Content-Length": "5", "Transfer-Encoding": "chunked"}, "leave one of them out"),
        (b"hello", {"Transfer-Encoding": "gzip"}, "must end in chunked"),
        (b"hello", {"Transfer-Encoding": "chunked, gzip"}, "must end in chunked"),
        (b"hello", {"Transfer-Encoding": "xchunked"}, "must end in chunked"),
        (b"hello", {"Transfer-Encoding": "chunked, chunked"}, "must end in chunked"),
    ],
)
async def test_what_contradicts_the_body_is_not_sent(
    data: bytes | None, headers: Any, complaint: str, serve: Serve, session: ClientSession
) -> None:
    """What is left over on a kept connection would be the next request (RFC 9112 §11.2)."""
    server = await serve(repeating(HI))
    for method in ("GET", "POST"):
        with pytest.raises(ValueError, match=complaint):
            await session.request(method, server.url, data=data, headers=headers)
    assert server.connections == 0


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding"])
async def test_framing_is_text(name: str, session: ClientSession) -> None:
    with pytest.raises(TypeError, match=f"{name} must be text"):
        await session.post(NOWHERE, data=b"hello", headers={name: 5})  # type: ignore[arg-type]


async def test_a_length_and_compression(session: ClientSession) -> None:
    """A length that the caller knows is that of something else."""
    for data in (b"hello", parts(b"hello")):
        with pytest.raises(ValueError, match="compress changes"):
            await session.post(NOWHERE, data=data, compress="gzip", headers={"Content-Length": "5"})


async def test_what_agrees_with_the_body_is_sent(serve: Serve, session: ClientSession) -> None:
    """Callers may say what is so."""
    server = await serve(repeating(HI))
    said: list[tuple[bytes | None, dict[str, str]]] = [
        (b"hello", {"Content-Length": "5"}),
        (b"hello", {"Transfer-Encoding": "chunked"}),
        (b"", {"Content-Length": "0"}),
        (None, {"Content-Length": "0"}),
        (None, {"Transfer-Encoding": "chunked"}),
    ]
    for data, headers in said:
        async with session.post(server.url, data=data, headers=headers):
            assert server.received[-1].body == (data or b"")
    assert server.connections == 1


@pytest.mark.parametrize(
    "framing", [{"Transfer-Encoding": "chunked"}, {"Content-Length": "3"}, {"Expect": "100-continue"}]
)
async def test_framing_that_a_session_has(framing: dict[str, str], serve: Serve, connector: TCPConnector) -> None:
    """Where there is no body it is left out, else it counts."""
    server = await serve(repeating(HI))
    async with ClientSession(headers={**framing, "X": "y"}, connector=connector, connector_owner=False) as session:
        for headers in (None, {"A": "b"}):
            async with session.get(server.url, headers=headers):
                pass
        async with session.post(server.url, data=b"one"):
            assert server.received[-1].body == b"one"
    for received in server.received[:2]:
        assert received.headers["x"] == "y"
        assert not {"transfer-encoding", "content-length", "expect"} & received.headers.keys()


@pytest.mark.parametrize(
    ("data", "changes", "removed"),
    [
        (None, {"Content-Length": "3"}, ""),
        (None, {"Transfer-Encoding": "chunked"}, ""),
        (b"hello", {"Content-Length": "3"}, ""),
        (b"hello", {"Transfer-Encoding": "chunked"}, ""),
        (b"hello", {"Transfer-Encoding": "chunked"}, "Content-Length"),
        (b"hello", {}, "Content-Length"),
        (bytes(100_000), {"Content-Length": "3"}, ""),
        (bytes(100_000), {"Transfer-Encoding": "chunked"}, ""),
        (bytes(100_000), {"Transfer-Encoding": "chunked"}, "Content-Length"),
        (bytes(100_000), {}, "Content-Length"),
    ],
)
async def test_a_middleware_cannot_contradict_the_body(
    data: bytes | None, changes: dict[str, str], removed: str, serve: Serve, session: ClientSession
) -> None:
    """What is sent is what is checked."""
    server = await serve(repeating(HI))

    async def change(request: ClientRequest, send: Handler) -> ClientResponse:
        request.headers.popall(removed, None)
        request.headers.update(changes)
        return await send(request)

    with pytest.raises(ValueError, match=r"Content-Length|Transfer-Encoding"):
        await session.post(server.url, data=data, middlewares=[change])
    async with session.get(server.url):
        assert server.received[-1].target == "/"
    assert len(server.received) == 1


async def test_a_body_that_has_changed_since(serve: Serve) -> None:
    """Its bytes are counted as they go out."""
    writer = MultipartWriter()
    writer.append(b"one")
    request = ClientRequest("POST", URL("http://a.example/"), body=make_body(writer))
    assert request.wire()[1]
    writer.append(b"two")
    with pytest.raises(ValueError, match="Content-Length says"):
        request.wire()


def test_http_1_0_has_no_chunks() -> None:
    policy = SendPolicy(HeaderDefaults(CIMultiDict()), version=(1, 0))  # type: ignore[arg-type]
    headers = CIMultiDict({"Transfer-Encoding": "chunked"})
    with pytest.raises(ValueError, match=r"HTTP/1\.0"):
        ClientRequest("POST", URL("http://a.example/"), policy, headers, make_body(b"x"))


def test_a_body_that_nothing_frames() -> None:
    with pytest.raises(ValueError, match="where the body ends"):
        check_framing(CIMultiDict(), None, in_chunks=False)


def test_what_was_asked_may_be_made_by_hand() -> None:
    """For errors in tests of a program's own, without the fragment that nobody knows of."""
    url = URL("http://a.example/#f")
    headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())
    assert RequestInfo(url, "GET", headers) == RequestInfo(url, "GET", headers, url)
