"""Redirects: the rules by themselves, and followed over real connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from client import (
    BadHttpMessage,
    BasicAuth,
    ClientConnectorError,
    ClientError,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    CookieJar,
    InvalidUrlRedirectClientError,
    NonHttpUrlRedirectClientError,
    RedirectClientError,
    TCPConnector,
    TooManyRedirects,
)
from client.redirects import redirect_headers, redirect_method, redirect_url
from tests.client.peer import saying

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from client.middleware import Handler
    from tests.client.conftest import Serve
    from tests.client.peer import Peer

BASE = URL("http://a.example/dir/page?q=1")


async def parts() -> AsyncIterator[bytes]:
    yield b"a body"


# -- the rules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "GET", "GET"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT"),
        (301, "HEAD", "HEAD"),
        (302, "POST", "GET"),
        (302, "DELETE", "DELETE"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
    ],
)
def test_method(status: int, method: str, expected: str) -> None:
    """RFC 9110 §15.4, as Fetch does it."""
    assert redirect_method(method, status) == expected


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (b"/top", "http://a.example/top"),
        (b"other", "http://a.example/dir/other"),
        (b"../up", "http://a.example/up"),
        (b"?x=2", "http://a.example/dir/page?x=2"),
        (b"", "http://a.example/dir/page?q=1"),
        (b"//b.example/x", "http://b.example/x"),
        (b"https://b.example", "https://b.example"),
        (b"  /spaces\t\r\n", "http://a.example/spaces"),
        (b"/with space", "http://a.example/with%20space"),
        (b"/%7Ehome", "http://a.example/~home"),
        ("/é".encode(), "http://a.example/%C3%A9"),
        (b"/\xe9", "http://a.example/%C3%A9"),
        (b"http://\xc3\xa9.example/", "http://xn--9ca.example/"),
        (b"/x#new", "http://a.example/x#new"),
    ],
)
def test_url(location: bytes, expected: str) -> None:
    """Relative, quoted or not, in UTF-8 or Latin-1: a Location leads where browsers would go."""
    assert str(redirect_url(BASE, location)) == expected


def test_url_unquoted() -> None:
    """Without requoting a Location is taken to the letter."""
    assert redirect_url(BASE, b"/%7Ehome", requote=False).raw_path == "/%7Ehome"


def test_fragment_is_inherited() -> None:
    """A redirect without a fragment keeps that of the URL it comes from (RFC 9110 §10.2.2)."""
    assert str(redirect_url(BASE.with_fragment("é"), b"/x")) == "http://a.example/x#%C3%A9"
    assert redirect_url(BASE.with_fragment("old"), b"/x#new").fragment == "new"


@pytest.mark.parametrize("requote", [True, False])
@pytest.mark.parametrize(
    "location",
    [
        *(b"http://", b"http://[::1", b"http:///x", b"http://host:99999/", b"//", b"http://a b.example/"),
        *(b"//[v1.x]@", b"//[]]@/", b"//::1", b"//mailto:-1", b"http://[]]@"),
    ],
)
def test_url_that_is_none(location: bytes, requote: bool) -> None:
    """What leads nowhere is an error that says so."""
    with pytest.raises(InvalidUrlRedirectClientError) as caught:
        redirect_url(BASE, location, requote=requote)
    assert location.decode() in str(caught.value)


@pytest.mark.parametrize("location", [b"/a b", b"/\xe9", b"/\x7f"])
def test_url_that_cannot_be_sent_to_the_letter(location: bytes) -> None:
    """Without requoting, what must be quoted is refused: it would break the request's head."""
    with pytest.raises(InvalidUrlRedirectClientError, match="quoted"):
        redirect_url(BASE, location, requote=False)


@pytest.mark.parametrize(
    "location",
    [b"ftp://a.example/", b"javascript:alert(1)", b"file:///etc/passwd", b"data:,x", b"ws://a.example/"],
)
def test_url_of_another_scheme(location: bytes) -> None:
    """A server must not make us read files, or speak anything but HTTP; and WebSockets only where one was asked for."""
    with pytest.raises(NonHttpUrlRedirectClientError):
        redirect_url(BASE, location)


def test_url_of_a_websocket() -> None:
    """It may move to another of its kind, and to HTTP."""
    for location in ("wss://b.example/", "https://b.example/"):
        assert redirect_url(URL("ws://a.example/"), location.encode()) == URL(location)


@given(st.binary(max_size=60), st.booleans())
def test_any_location_leads_somewhere_or_is_refused(location: bytes, requote: bool) -> None:
    """Whatever a server says, there are two outcomes: a request that can be sent, and an error of redirects."""
    try:
        target = redirect_url(BASE, location, requote=requote)
    except RedirectClientError:
        return
    assert target.scheme in ("http", "https")
    assert target.raw_host
    assert ClientRequest("GET", target).wire()


def test_headers() -> None:
    """What describes a body goes with the body; what proves who we are stays at the origin it was meant for."""
    headers = CIMultiDict(
        {
            **{"Content-Type": "x", "Content-Encoding": "y", "Authorization": "z", "Proxy-Authorization": "p"},
            **{"Cookie": "c", "Host": "h", "X": "x"},
        }
    )
    assert set(redirect_headers(headers, keeps_body=True, same_origin=True) or ()) == set(headers)
    assert set(redirect_headers(headers, keeps_body=False, same_origin=True) or ()) == {
        "Authorization",
        "Cookie",
        "Host",
        "Proxy-Authorization",
        "X",
    }
    assert set(redirect_headers(headers, keeps_body=False, same_origin=False) or ()) == {"X"}
    assert redirect_headers(None, keeps_body=False, same_origin=False) is None
    assert len(headers) == 7


# -- followed ---------------------------------------------------------------------------------------------------------


def leading(**steps: str) -> Callable[[Peer], Awaitable[None]]:
    """A server whose paths redirect: `path="status location"`; all others answer 200 with what was asked."""

    async def script(peer: Peer) -> None:
        while True:
            received = await peer.request()
            status, _, location = steps.get(received.target.strip("/"), "200").partition(" ")
            if location:
                await peer.answer(b"moved", f"{status} Moved", f"Location: {location}")
            else:
                await peer.answer(f"{received.method} {received.target}".encode() + b" " + received.body)

    return script


async def test_history(serve: Serve, session: ClientSession) -> None:
    """Every redirect is kept, closed; the connection serves on; the final response knows where it came from."""
    server = await serve(leading(a="301 /b", b="302 c?x", c="200"))
    async with session.get(f"{server.url}a#fragment") as response:
        assert await response.text() == "GET /c?x "
        assert [step.status for step in response.history] == [301, 302]
        assert [step.url.path for step in response.history] == ["/a", "/b"]
        assert (response.url, response.real_url) == (URL(f"{server.url}c?x"), URL(f"{server.url}c?x#fragment"))
        assert all(step.closed for step in response.history)
    assert server.connections == 1


async def test_not_followed(serve: Serve, session: ClientSession) -> None:
    """Redirects are followed only if wanted; HEAD's are not by themselves; without a Location there is nowhere to go."""
    server = await serve(leading(a="301 /b", nowhere="301"))
    async with session.get(server.url / "a", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"], response.history) == (301, "/b", ())
        assert await response.text() == "moved"
    async with session.head(server.url / "a") as response:
        assert response.status == 301


@pytest.mark.parametrize("headers", [(), ("Location:",), ("Location:  ",)])
async def test_redirect_without_a_location(headers: tuple[str, ...], serve: Serve, session: ClientSession) -> None:
    """It is a response like any other; so is one whose Location is empty: it would lead to itself, over and over."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"where?", "302 Found", *headers)

    server = await serve(script)
    async with session.get(server.url) as response:
        assert (response.status, await response.text()) == (302, "where?")


@pytest.mark.parametrize("status", [300, 304, 305, 306])
async def test_statuses_that_are_no_redirects(status: int, serve: Serve, session: ClientSession) -> None:
    """Other 3xx statuses lead nowhere, Location or not."""
    server = await serve(leading(a=f"{status} /b"))
    async with session.get(server.url / "a") as response:
        assert response.status == status


async def test_the_body_of_a_redirect_is_not_waited_for(serve: Serve) -> None:
    """Its connection is given up, whatever is still to come: the next request may need the place."""

    async def script(peer: Peer) -> None:
        if (await peer.request()).target == "/b":
            await peer.answer(b"here")
            return
        await peer.send(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 1000000\r\n\r\nmoved")
        await peer.closed()

    server = await serve(script)
    async with (
        ClientSession(connector=TCPConnector(limit=1), timeout=ClientTimeout(connect=5)) as session,
        session.get(server.url / "a") as response,
    ):
        assert await response.text() == "here"


async def test_too_many(serve: Serve, session: ClientSession) -> None:
    """A loop ends at the limit, with the whole history; as many as allowed are followed."""
    server = await serve(leading(a="302 /b", b="302 /c", loop="302 /loop"))
    async with session.get(server.url / "a", max_redirects=2) as response:
        assert len(response.history) == 2
    with pytest.raises(TooManyRedirects) as caught:
        await session.get(server.url / "a", max_redirects=1)
    assert [step.url.path for step in caught.value.history] == ["/a", "/b"]
    with pytest.raises(TooManyRedirects) as caught:
        await session.get(server.url / "loop", max_redirects=None)  # as if it were not given
    assert len(caught.value.history) == 11
    with pytest.raises(TooManyRedirects) as caught:
        await session.get(server.url / "loop")
    assert len(caught.value.history) == 11
    assert caught.value.status == 302
    assert caught.value.request_info.real_url == server.url / "loop"


async def test_a_redirect_to_itself_may_end(serve: Serve, connector: TCPConnector) -> None:
    """Sites set a cookie and send the browser to the same page: no loop."""

    async def script(peer: Peer) -> None:
        while True:
            received = await peer.request()
            if "cookie" in received.headers:
                await peer.answer(b"welcome")
            else:
                await peer.answer(b"", "302 Found", "Location: /", "Set-Cookie: seen=1")

    server = await serve(script)
    jar = CookieJar(unsafe=True)
    async with (
        ClientSession(cookie_jar=jar, connector=connector, connector_owner=False) as session,
        session.get(server.url) as response,
    ):
        assert await response.text() == "welcome"


async def test_refused_targets_name_the_location(serve: Serve, session: ClientSession) -> None:
    """The error says where the redirect led."""
    server = await serve(leading(a="302 ftp://b.example/", b="302 http://"))
    with pytest.raises(NonHttpUrlRedirectClientError) as caught:
        await session.get(server.url / "a")
    assert str(caught.value.url) == "ftp://b.example/"
    with pytest.raises(InvalidUrlRedirectClientError):
        await session.get(server.url / "b")


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        ("302 ftp://b.example/", NonHttpUrlRedirectClientError),
        ("302 http://", InvalidUrlRedirectClientError),
        ("302 http://a b.example/", InvalidUrlRedirectClientError),
        ("302 http://127.0.0.1:{unused}/", ClientConnectorError),
        ("302 http://127.0.0.1:{babbling}/", BadHttpMessage),
        ("302 /c", TooManyRedirects),
    ],
)
async def test_every_error_has_the_history(
    last: str, kind: type[ClientError], serve: Serve, session: ClientSession, unused_port: int
) -> None:
    """Whatever ends a chain of redirects, the responses that led there can be looked at."""
    babbling = await serve(saying(b"nonsense\r\n\r\n"))
    server = await serve(leading(a="307 /b", b=last.format(unused=unused_port, babbling=babbling.port), c="302 /d"))
    with pytest.raises(kind) as caught:
        await session.get(server.url / "a", max_redirects=2)
    assert [step.url.path for step in caught.value.history][:2] == ["/a", "/b"]


async def test_the_history_of_a_call_within_a_call_is_its_own(serve: Serve, session: ClientSession) -> None:
    """A middleware may make requests; what they came through is not what the call did."""
    server = await serve(leading(a="302 /b", inner="302 ftp://b.example/"))

    async def ask_elsewhere(request: ClientRequest, handler: Handler) -> ClientResponse:
        if request.url.path == "/b":
            await session.get(server.url / "inner", middlewares=())
        return await handler(request)

    with pytest.raises(NonHttpUrlRedirectClientError) as caught:
        await session.get(server.url / "a", middlewares=[ask_elsewhere])
    assert [step.url.path for step in caught.value.history] == ["/inner"]


async def test_an_error_without_redirects_has_no_history(session: ClientSession, unused_port: int) -> None:
    """It is there, and empty."""
    with pytest.raises(ClientConnectorError) as caught:
        await session.get(f"http://127.0.0.1:{unused_port}/")
    assert caught.value.history == ()


@pytest.mark.parametrize(
    ("status", "expected"), [(302, "GET /b "), (303, "GET /b "), (307, "POST /b body"), (308, "POST /b body")]
)
async def test_bodies(status: int, expected: str, serve: Serve, session: ClientSession) -> None:
    """A body goes on with its method, or both are dropped, with the headers that described it."""
    server = await serve(leading(a=f"{status} /b"))
    async with session.post(server.url / "a", data=b"body", headers={"Content-Type": "x/y"}) as response:
        assert await response.text() == expected
    assert ("content-type" in server.received[1].headers) is expected.startswith("POST")


async def test_a_file_is_sent_again_from_where_it_began(serve: Serve, session: ClientSession, tmp_path: Path) -> None:
    """The second server gets the whole file too."""
    path = tmp_path / "file"
    path.write_bytes(b"--file")
    server = await serve(leading(a="307 /b"))
    with path.open("rb") as file:
        file.seek(2)
        async with session.put(server.url / "a", data=file) as response:
            assert await response.text() == "PUT /b file"


async def test_a_body_that_cannot_be_sent_again(serve: Serve, session: ClientSession) -> None:
    """Rather an error than an empty body."""

    async def once() -> AsyncIterator[bytes]:
        yield b"body"

    server = await serve(leading(a="307 /b", b="303 /c"))
    with pytest.raises(ClientPayloadError, match="sent again") as caught:
        await session.post(server.url / "a", data=once())
    assert [step.status for step in caught.value.history] == [307]
    async with session.post(server.url / "b", data=once()) as response:
        assert await response.text() == "GET /c "


async def test_credentials_stay_at_their_origin(serve: Serve, connector: TCPConnector) -> None:
    """Another port is another origin: neither credentials nor cookies of the call go there, whoever gave them."""
    other = await serve(leading())
    server = await serve(leading(near="302 /b", far=f"302 {other.url}"))
    auth = BasicAuth("me", "secret")
    async with ClientSession(connector=connector, connector_owner=False) as session:
        for path in ("near", "far"):
            async with session.get(server.url / path, auth=auth, cookies={"a": "1"}, headers={"X": "y"}):
                pass
        own = {"Authorization": "mine", "Proxy-Authorization": "mine too", "Cookie": "b=2"}
        for path in ("near", "far"):
            async with session.get(server.url / path, headers=own):
                pass
    near = server.received[1]
    assert (near.headers["authorization"], near.headers["cookie"]) == (auth.encode(), "a=1")
    assert {name: server.received[4].headers.get(name.lower()) for name in own} == own
    for received in other.received:
        assert not {"authorization", "proxy-authorization", "cookie"} & set(received.headers)
    assert other.received[0].headers["x"] == "y"


async def test_credentials_of_the_session_stay_at_their_origin(serve: Serve, connector: TCPConnector) -> None:
    """A header that the session sends everywhere is not what a redirect may carry elsewhere."""
    other = await serve(leading())
    server = await serve(leading(near="302 /b", far=f"302 {other.url}"))
    async with ClientSession(
        headers={"Authorization": "mine", "Cookie": "a=1", "X": "y", "User-Agent": "me"},
        connector=connector,
        connector_owner=False,
    ) as session:
        for path in ("near", "far"):
            async with session.get(server.url / path):
                pass
    assert (server.received[1].headers["authorization"], server.received[1].headers["cookie"]) == ("mine", "a=1")
    received = other.received[0].headers
    assert not {"authorization", "cookie"} & set(received)
    assert (received["x"], received["user-agent"]) == ("y", "me")


async def test_credentials_in_a_location(serve: Serve, session: ClientSession) -> None:
    """A server may send us on with credentials of its own."""
    other = await serve(leading())
    server = await serve(leading(a=f"302 {other.url.with_user('you').with_password('word')}"))
    async with session.get(server.url / "a", auth=BasicAuth("me")) as response:
        assert response.url == other.url
    assert other.received[0].headers["authorization"] == BasicAuth("you", "word").encode()


async def test_params_are_not_sent_again(serve: Serve, session: ClientSession) -> None:
    """They belonged to the first URL."""
    server = await serve(leading(**{"a?x=1": "302 /b"}))
    async with session.get(server.url / "a", params={"x": "1"}) as response:
        assert await response.text() == "GET /b "


async def test_requote_off(serve: Serve, connector: TCPConnector) -> None:
    """Some servers tell quoted letters from plain ones."""
    server = await serve(leading(a="302 /%7Ehome"))
    for requote, target in ((True, "/~home"), (False, "/%7Ehome")):
        async with (
            ClientSession(requote_redirect_url=requote, connector=connector, connector_owner=False) as session,
            session.get(server.url / "a"),
        ):
            assert server.received[-1].target == target


async def test_how_a_body_was_sent_is_not_said_without_it(serve: Serve, session: ClientSession) -> None:
    """A GET that announced chunks would have the server wait for them."""
    server = await serve(leading(a="303 /b", b="200"))
    headers = {"Transfer-Encoding": "chunked", "Expect": "100-continue"}
    async with session.post(server.url / "a", data=parts(), headers=headers) as response:
        assert response.status == 200
    async with session.get(server.url / "b", headers=headers) as response:
        assert response.status == 200
    for received in server.received[1:]:
        assert not {"transfer-encoding", "expect"} & received.headers.keys()
