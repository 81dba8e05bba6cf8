"""Responses: their heads, their text and JSON, and their end."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from client import (
    ClientConnectionError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ContentTypeError,
    TCPConnector,
)
from client.links import parse_links
from client.media_type import parse_media_type
from tests.client.peer import repeating

if TYPE_CHECKING:
    from tests.client.conftest import Serve
    from tests.client.peer import Peer


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A response as bytes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


# -- the head ---------------------------------------------------------------------------------------------------------


async def test_what_a_response_says_of_itself(serve: Serve, session: ClientSession) -> None:
    """Everything that can be asked of a head."""
    server = await serve(
        repeating(
            answer(
                b"hi",
                "Content-Type: text/HTML; Charset=ISO-8859-1",
                'Content-Disposition: attachment; filename="../a b.txt"; size=3',
                'Link: </next>; rel=next, <http://b.example/>; rel="prev"',
            )
        )
    )
    async with session.get(f"{server.url}path#fragment") as response:
        assert (response.method, response.status, response.reason, response.ok) == ("GET", 200, "OK", True)
        assert (response.host, response.url.path) == ("127.0.0.1", "/path")
        assert (response.url.fragment, response.real_url.fragment) == ("", "fragment")
        assert (response.content_type, response.charset, response.content_length) == ("text/html", "ISO-8859-1", 2)
        disposition = response.content_disposition
        assert disposition is not None
        assert (disposition.type, disposition.filename, disposition.parameters["size"]) == (
            "attachment",
            "a b.txt",
            "3",
        )
        assert response.links["next"]["url"] == server.url / "next"
        assert response.links["prev"]["url"] == URL("http://b.example/")
        info = response.request_info
        assert (info.method, info.url, info.real_url) == ("GET", server.url / "path", response.real_url)
        assert info.headers["Accept"] == "*/*"
        assert "200 OK" in repr(response)
        assert response.history == ()


async def test_a_response_that_says_little(serve: Serve, session: ClientSession) -> None:
    """What is not said has an answer too."""
    server = await serve(repeating(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"))
    async with session.get(server.url) as response:
        assert (response.content_type, response.charset, response.content_disposition) == (
            "application/octet-stream",
            None,
            None,
        )
        assert (response.reason, len(response.links), len(response.cookies)) == ("", 0, 0)
        assert response.content_length == 0
    chunked = await serve(repeating(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
    async with session.get(chunked.url) as response:
        assert response.content_length is None


async def test_cookies_that_do_not_parse_are_left_out(serve: Serve, session: ClientSession) -> None:
    """One bad cookie does not hide the good one."""
    server = await serve(repeating(answer(b"", "Set-Cookie: =; Path=/a", "Set-Cookie: good=1; Path=/")))
    async with session.get(server.url) as response:
        assert response.cookies["good"]["path"] == "/"
        assert list(response.cookies) == ["good"]


async def test_cookies_that_servers_do_set(serve: Serve, session: ClientSession) -> None:
    """Values and attributes that the standard library does not know are no reason to lose a cookie, or to see another."""
    values = {"a": "b c", "json": '{"x":1}', "a[0]": "ü", "list": "1, x=2", "quoted": '"a b"'}
    lines = [f"Set-Cookie: {name}={value}; Priority=High; Partitioned; Path=/p" for name, value in values.items()]
    server = await serve(repeating(answer(b"", *lines, "Set-Cookie: nameless").decode("latin-1").encode()))
    async with session.get(server.url) as response:
        assert {name: morsel.coded_value for name, morsel in response.cookies.items()} == values
        assert response.cookies["quoted"].value == "a b"
        assert {morsel["path"] for morsel in response.cookies.values()} == {"/p"}


@pytest.mark.parametrize(
    ("value", "name", "charset"),
    [
        ("text/html", "text/html", None),
        ("TEXT/Html; charset=UTF-8", "text/html", "utf-8"),
        ('text/html; charset="windows-1251"; x=y', "text/html", "cp1251"),
        ("text/html; x=y; charset='utf-8'", "text/html", "utf-8"),
        ("text/html; charset=nonsense", "text/html", None),
        ("text/html; charset=", "text/html", None),
        ("text/html; charset=a\0b", "text/html", None),
        ("text/html; charset=" + "a" * 1000, "text/html", None),
        ("text/html; charset=utf-8; charset=latin-1", "text/html", "utf-8"),
        ('text/html; x="; charset=latin-1"; CHARSET = "utf-8"', "text/html", "utf-8"),
        ("text/html; charset*=a''b; charset*0=c", "text/html", None),
        ("text/html; charset*" + "1" * 5000 + "=x", "text/html", None),
        ("; charset=utf-8", "", "utf-8"),
        ("", "", None),
    ],
)
def test_media_types(value: str, name: str, charset: str | None) -> None:
    """As generously as browsers."""
    assert parse_media_type(value)[:2] == (name, charset)


@pytest.mark.parametrize(
    "label",
    [
        *("zlib", "hex", "base64", "rot13", "bz2", "uu", "quopri"),
        *("undefined", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "Raw-Unicode-Escape", "PunyCode"),
    ],
)
def test_codecs_that_are_no_charsets(label: str) -> None:
    """Python has codecs that are not of text, and some that take ages or make something else of it: as if none were named."""
    assert parse_media_type(f"text/html; charset={label}") == ("text/html", None, label)


@given(
    st.one_of(
        st.text(),
        st.lists(
            st.sampled_from(["text/html", ";", " ", "charset", "*", "0", "1", "=", '"', "\\", "'", "utf-8", "é"])
        ).map("".join),
    )
)
def test_no_content_type_is_an_error(value: str) -> None:
    """Whatever a server writes there; and what is found can be decoded with."""
    media_type = parse_media_type(value)
    b"a".decode(media_type.charset or "utf-8", "replace")


def test_json_types() -> None:
    """`application/json` means all that are JSON (RFC 6839 §3.1)."""
    assert parse_media_type("application/problem+json").matches("application/json")
    assert parse_media_type("text/x").matches("text/x")
    assert not parse_media_type("text/html").matches("application/json")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<a>", {"a": {"url": "http://h/a"}}),
        ('</a>; rel="next last"; title="x, y; z\\""', {"next last": {"url": "http://h/a", "title": 'x, y; z"'}}),
        ("</a>;rel=next,</b> ; rel = prev", {"next": {"url": "http://h/a"}, "prev": {"url": "http://h/b"}}),
        ("</a>; crossorigin; rel=preload", {"preload": {"url": "http://h/a", "crossorigin": ""}}),
        ("nonsense, </a>; rel=x", {"x": {"url": "http://h/a"}}),
        ("<http://[::1>; rel=bad, </a>; rel=x", {"x": {"url": "http://h/a"}}),
        ("<//[]]@/>; rel=bad, <//[v1.x]@>; rel=worse, </a>; rel=x", {"x": {"url": "http://h/a"}}),
        ("<a", {}),
        ("", {}),
    ],
)
def test_links(value: str, expected: dict[str, dict[str, str]]) -> None:
    """RFC 8288, with what is no link passed over."""
    links = parse_links([value], URL("http://h/"))
    found = {
        relation: {name: str(text) for name, text in link.items() if name != "rel"} for relation, link in links.items()
    }
    assert found == expected


def test_targets_that_do_not_end_are_passed_over_once() -> None:
    """To look for the end of each of a million would take hours."""
    links = parse_links(["<" * 1_000_000, "<a<" * 300_000 + "</b>; rel=x"], URL("http://h/"))
    assert {relation: str(link["url"]) for relation, link in links.items()} == {"x": "http://h/b"}


# -- the body ---------------------------------------------------------------------------------------------------------


async def test_text(serve: Serve, session: ClientSession) -> None:
    """In the encoding that is asked for, or named, or else in the session's fallback."""
    named = await serve(repeating(answer("é".encode("latin-1"), "Content-Type: text/plain; charset=latin-1")))
    unnamed = await serve(repeating(answer(b"\xff", "Content-Type: text/plain")))
    async with session.get(named.url) as response:
        assert await response.text() == await response.text() == "é"
        assert response.get_encoding() == "iso8859-1"
        assert await response.text("cp1251") == "й"
    async with session.get(unnamed.url) as response:
        with pytest.raises(RuntimeError, match="read"):
            response.get_encoding()
        with pytest.raises(UnicodeDecodeError):
            await response.text()
        assert await response.text(errors="replace") == "\ufffd"


async def test_fallback_charset_resolver(serve: Serve, connector: TCPConnector) -> None:
    """It sees the response and its body."""
    server = await serve(repeating(answer(b"\xe9", "X-Charset: latin-1")))

    def resolve(response: ClientResponse, body: bytes) -> str:
        assert body == b"\xe9"
        return response.headers["X-Charset"]

    async with (
        ClientSession(fallback_charset_resolver=resolve, connector=connector, connector_owner=False) as session,
        session.get(server.url) as response,
    ):
        assert await response.text() == "é"


async def test_json(serve: Serve, session: ClientSession) -> None:
    """JSON of its type, or any; by `loads`; nothing for an empty body."""
    good = await serve(repeating(answer('{"a": "é"}'.encode(), "Content-Type: application/vnd.api+json")))
    html = await serve(repeating(answer(b"[1]", "Content-Type: text/html")))
    empty = await serve(repeating(answer(b"  ", "Content-Type: application/json")))
    async with session.get(good.url) as response:
        assert await response.json() == {"a": "é"}
        assert response.get_encoding() == "utf-8"
        assert await response.json(loads=len) == len('{"a": "é"}')
        assert await response.json(encoding="latin-1") != {"a": "é"}
    async with session.get(html.url) as response:
        with pytest.raises(ContentTypeError) as caught:
            await response.json()
        assert (caught.value.status, caught.value.url) == (200, html.url)
        assert "text/html" in str(caught.value)
        assert await response.json(content_type=None) == [1]
        assert await response.json(content_type="text/html") == [1]
    async with session.get(empty.url) as response:
        assert await response.json() is None
    async with session.get(good.url) as response:
        with pytest.raises(json.JSONDecodeError):
            await response.json(loads=lambda _: json.loads("{"))


async def test_raise_for_status(serve: Serve, session: ClientSession) -> None:
    """From 400 on; below, nothing happens."""
    fine = await serve(repeating(answer(b"", status="399 Odd")))
    bad = await serve(repeating(answer(b"x" * 1000, status="400 Bad Request")))
    async with session.get(fine.url) as response:
        response.raise_for_status()
        assert response.ok
    response = await session.get(bad.url)
    assert not response.ok
    with pytest.raises(ClientResponseError) as caught:
        response.raise_for_status()
    assert (caught.value.status, caught.value.message) == (400, "Bad Request")
    assert response.closed


# -- the end ----------------------------------------------------------------------------------------------------------


async def test_reading_after_the_end(serve: Serve, session: ClientSession) -> None:
    """What had arrived can still be read; what had not, cannot."""
    small = await serve(repeating(answer(b"hi")))
    large = await serve(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhi"))
    async with session.get(small.url) as response:
        pass
    assert await response.read() == b"hi"
    async with session.get(large.url) as response:
        assert not response.closed
    assert response.closed
    with pytest.raises(ClientConnectionError):
        await response.read()


async def test_closing_and_releasing(serve: Serve, session: ClientSession) -> None:
    """Both may be called at any time, and again; closing gives the connection up."""
    server = await serve(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhi"))
    for end in ("release", "close"):
        response = await session.get(server.url)
        assert response.connection is not None
        getattr(response, end)()
        getattr(response, end)()
        assert response.closed
        assert response.connection is None
    response = await session.get(server.url)
    await response.release()
    response = await session.get(server.url)
    await response.wait_for_close()
    async with await session.get(server.url) as response:
        pass
    assert response.closed


@pytest.mark.parametrize("method", ["read", "text", "json"])
async def test_a_response_whose_reading_is_cancelled_is_closed(
    method: str, serve: Serve, session: ClientSession, connector: TCPConnector
) -> None:
    """Whoever gives up on the whole body need not release it; to go on later, read it from `content`."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await peer.closed()

    server = await serve(script)
    response = await session.get(server.url)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await getattr(response, method)()
    assert response.closed
    assert (connector.in_use_count, connector.limits.active) == (0, 0)
    with pytest.raises(ClientConnectionError):
        await getattr(response, method)()
