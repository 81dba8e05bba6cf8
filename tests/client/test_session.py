"""Sessions: what is sent, what the parameters mean, and what is refused."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import warnings
from http.cookies import BaseCookie, Morsel, SimpleCookie
from typing import TYPE_CHECKING, Any

import pytest
from multidict import CIMultiDict, MultiDict
from yarl import URL

import client
from client import (
    AbstractCookieJar,
    BasicAuth,
    ClientConnectionError,
    ClientConnectorError,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ConnectorClosed,
    CookieJar,
    DummyCookieJar,
    FormData,
    HttpVersion10,
    HttpVersion11,
    InvalidURL,
    InvalidUrlClientError,
    NonHttpUrlClientError,
    ServerTimeoutError,
    TCPConnector,
    TraceConfig,
    request,
)
from tests.client.peer import repeating, saying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from client.abc import ClearCookiePredicate, LooseCookies
    from client.middleware import Handler, Middleware
    from client.send_policy import SendPolicy
    from tests.client.conftest import Serve
    from tests.client.peer import Peer

HI = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX: y\r\n\r\ngone"


# -- what is sent -----------------------------------------------------------------------------------------------------


async def test_the_bytes_of_a_plain_request(serve: Serve, session: ClientSession) -> None:
    """A request with nothing of its own, to the byte."""
    server = await serve(repeating(HI))
    async with session.get(f"{server.url}path?x=1 2#fragment"):
        pass
    assert server.received[0].head.decode() == (
        "GET /path?x=1+2 HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{server.port}\r\n"
        "Accept: */*\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\n"
        "User-Agent: nephila\r\n"
        "\r\n"
    )


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def test_verbs(method: str, serve: Serve, session: ClientSession) -> None:
    """Each verb has its method; those that may carry a body say that they have none."""
    server = await serve(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    send = getattr(session, method.lower())
    async with send(server.url) as response:
        assert response.method == method
    received = server.received[0]
    assert received.method == method
    assert received.headers.get("content-length") == (None if method in ("GET", "OPTIONS", "HEAD") else "0")


async def test_other_methods(serve: Serve, session: ClientSession) -> None:
    """Any token is a method, in capitals; anything else never reaches the wire."""
    server = await serve(repeating(HI))
    async with session.request("propfind", server.url):
        pass
    assert server.received[0].method == "PROPFIND"
    with pytest.raises(ValueError, match="method"):
        await session.request("GET / HTTP/1.1\r\nX: y", server.url)


async def test_awaited_or_entered(serve: Serve, session: ClientSession) -> None:
    """A call may be awaited, or entered, which releases the response at the end."""
    server = await serve(repeating(HI))
    response = await session.get(server.url)
    assert await response.text() == "hi"
    response.release()
    async with session.get(server.url) as response:
        assert response.status == 200
    assert response.closed


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"a": "1", "b": 2}, "x=0&a=1&b=2"),
        ([("a", "1"), ("a", "2")], "x=0&a=1&a=2"),
        (MultiDict([("a", "1"), ("a", "2")]), "x=0&a=1&a=2"),
        ("a=%20&b", "x=0&a=%20&b"),
        ("a=b#c&d", "x=0&a=b%23c&d"),
        ({"a": ["1", "2"]}, "x=0&a=1&a=2"),
        ({"a": "1"}.items(), "x=0&a=1"),
        (iter([("a", "1"), ("a", "2")]), "x=0&a=1&a=2"),
        ({"a": " &"}, "x=0&a=+%26"),
        ({}, "x=0"),
        (None, "x=0"),
    ],
)
async def test_params(params: Any, query: str, serve: Serve, session: ClientSession) -> None:
    """`params` are added to the query that is there."""
    server = await serve(repeating(HI))
    async with session.get(server.url.with_query("x=0"), params=params):
        pass
    assert URL("http://a" + server.received[0].target).query == URL(f"http://a/?{query}").query


@pytest.mark.parametrize("params", ["a=%7e", {"a": "~"}])
async def test_params_leave_a_url_as_it_is(params: Any, serve: Serve, session: ClientSession) -> None:
    """A URL that was given as it is to be sent keeps its quoting."""
    server = await serve(repeating(HI))
    url = URL(f"{server.url}%7ex?b=%7e#%7e", encoded=True)
    async with session.get(url, params=params) as response:
        assert response.real_url.raw_fragment == "%7e"
    assert server.received[0].target == "/%7ex?b=%7e&a=~"


async def test_headers(serve: Serve, connector: TCPConnector) -> None:
    """A request's headers replace the session's of the same name; order and duplicates are kept."""
    server = await serve(repeating(HI))
    async with ClientSession(
        headers=[("X-Session", "1"), ("X-Both", "session")], connector=connector, connector_owner=False
    ) as session:
        assert session.headers["x-session"] == "1"
        async with session.get(server.url, headers=[("X-Both", "a"), ("x-both", "b"), ("User-Agent", "me")]):
            pass
        async with session.get(server.url, headers=CIMultiDict({"Host": "other.example"})):
            pass
    first, second = server.received
    assert first.headers["x-session"] == "1"
    assert first.headers["x-both"] == "a, b"
    assert first.headers["user-agent"] == "me"
    assert second.headers["x-both"] == "session"
    assert second.headers["host"] == "other.example"


async def test_skip_auto_headers(serve: Serve, connector: TCPConnector) -> None:
    """Headers that come by themselves can be left out, by session or request; those that frame a body cannot."""
    server = await serve(repeating(HI))
    async with ClientSession(skip_auto_headers=["user-agent"], connector=connector, connector_owner=False) as session:
        assert session.skip_auto_headers == {"user-agent"}
        async with session.post(server.url, data=b"x", skip_auto_headers=["Accept", "Content-Type", "Content-Length"]):
            pass
        async with session.get(server.url):
            pass
    first, second = server.received
    assert set(first.headers) == {"host", "accept-encoding", "content-length"}
    assert set(second.headers) == {"host", "accept-encoding", "accept"}


@pytest.mark.parametrize(
    "headers",
    [{"X": "a\r\nY: b"}, {"X": "a\nb"}, {"X": "a\0"}, {"X Y": "a"}, {"X:": "a"}, {"": "a"}, {"X\r\n": "a"}],
)
async def test_headers_that_would_break_the_head(headers: dict[str, str], serve: Serve, session: ClientSession) -> None:
    """Nothing a caller passes on can add a header or a request (RFC 9112 §11.1)."""
    server = await serve(repeating(HI))
    with pytest.raises(ValueError, match="header"):
        await session.get(server.url, headers=headers)
    assert not server.received


@pytest.mark.parametrize("value", [1, None, b"bytes"])
async def test_headers_that_are_no_text(value: Any, serve: Serve, session: ClientSession) -> None:
    """The error says which."""
    server = await serve(repeating(HI))
    with pytest.raises(TypeError, match="header X must be text"):
        await session.get(server.url, headers={"X": value})
    assert not server.received


async def test_credentials_that_are_a_plain_tuple(serve: Serve, session: ClientSession) -> None:
    """As in aiohttp they are refused, with an error that says what is wanted and does not show them."""
    server = await serve(repeating(HI))
    auth: Any = ("me", "secret")
    with pytest.raises(TypeError, match="auth must be a BasicAuth, not a tuple"):
        await session.get(server.url, auth=auth)
    with pytest.raises(TypeError, match="proxy_auth must be a BasicAuth, not a tuple"):
        await session.get(server.url, proxy=server.url, proxy_auth=auth)
    assert not server.received


async def test_non_ascii_headers(serve: Serve, session: ClientSession) -> None:
    """Values go out in UTF-8; bytes that came as surrogates go out as they came."""
    server = await serve(repeating(HI))
    async with session.get(server.url, headers={"X": "é", "Y": b"\xe9".decode("utf-8", "surrogateescape")}):
        pass
    assert b"X: \xc3\xa9\r\nY: \xe9\r\n" in server.received[0].head


async def test_version(serve: Serve, connector: TCPConnector) -> None:
    """The session's version is the one that is spoken. Of 1.0 it is not a matter of course that the connection is kept."""
    server = await serve(repeating(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi"))
    async with ClientSession(version=HttpVersion10, connector=connector, connector_owner=False) as session:
        assert session.version == HttpVersion10
        async with session.get(server.url) as response:
            assert response.version == HttpVersion10
        async with session.post(server.url, data=b"x", headers={"Connection": "close"}):
            pass
    kept, closed = server.received
    assert (kept.version, kept.headers["connection"], closed.headers["connection"]) == (
        "HTTP/1.0",
        "keep-alive",
        "close",
    )
    assert server.connections == 1


async def test_cookies(serve: Serve, connector: TCPConnector) -> None:
    """The session's cookies go everywhere, a call's with it alone; what a server sets comes back to it."""
    server = await serve(
        repeating(
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: set=1\r\nSet-Cookie: other=2; Domain=elsewhere.example\r\n\r\n"
        )
    )
    jar = client.CookieJar(unsafe=True)
    async with ClientSession(
        cookies={"mine": "0"}, cookie_jar=jar, connector=connector, connector_owner=False
    ) as session:
        assert session.cookie_jar is jar
        async with session.get(server.url, cookies={"call": "2"}, headers={"Cookie": "header=3"}) as response:
            assert response.cookies["set"].value == "1"
        async with session.get(server.url):
            pass
    cookies = [set(received.headers["cookie"].split("; ")) for received in server.received]
    assert cookies == [{"mine=0", "call=2", "header=3"}, {"mine=0", "set=1"}]


async def test_a_jar_written_for_aiohttp(serve: Serve, connector: TCPConnector) -> None:
    """It needs no more than aiohttp's methods."""

    class Jar(AbstractCookieJar):
        def __init__(self) -> None:
            super().__init__()
            self.kept = SimpleCookie()

        def clear(self, predicate: ClearCookiePredicate | None = None) -> None:
            self.kept.clear()

        def clear_domain(self, domain: str) -> None:
            self.kept.clear()

        def update_cookies(self, cookies: LooseCookies, response_url: URL | None = None) -> None:
            assert isinstance(cookies, SimpleCookie)
            self.kept.update(cookies)

        def filter_cookies(self, request_url: URL) -> SimpleCookie:
            return self.kept

        def __iter__(self) -> Iterator[Morsel[str]]:
            return iter(self.kept.values())

        def __len__(self) -> int:
            return len(self.kept)

    server = await serve(
        repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: =; Path=/\r\nSet-Cookie: set=1; Path=/\r\n\r\n")
    )
    async with ClientSession(cookie_jar=Jar(), connector=connector, connector_owner=False) as session:
        for _ in range(2):
            async with session.get(server.url):
                pass
    assert "cookie" not in server.received[0].headers
    assert server.received[1].headers["cookie"] == "set=1"


async def test_a_jar_that_overrides_what_is_kept_and_sent(serve: Serve, connector: TCPConnector) -> None:
    """A subclass of `CookieJar` is asked by aiohttp's methods, if it has its own; one without changes nothing."""

    class Jar(CookieJar):
        def update_cookies(self, cookies: LooseCookies, response_url: URL = URL()) -> None:  # noqa: B008
            kept = {name: value for name, value in dict(cookies).items() if name != "tracking"}
            super().update_cookies(kept, response_url)

        def filter_cookies(self, request_url: URL = URL()) -> BaseCookie[str]:  # noqa: B008
            cookies = super().filter_cookies(request_url)
            cookies["added"] = "1"
            return cookies

    class Same(Jar):
        pass

    server = await serve(
        repeating(HI.replace(b"\r\n\r\n", b"\r\nSet-Cookie: set=1; Path=/\r\nSet-Cookie: tracking=1\r\n\r\n"))
    )
    for jar in (Jar(unsafe=True), Same(unsafe=True)):
        async with ClientSession(cookie_jar=jar, connector=connector, connector_owner=False) as session:
            for _ in range(2):
                async with session.get(server.url):
                    pass
    cookies = [received.headers["cookie"] for received in server.received]
    assert cookies == ["added=1", "set=1; added=1"] * 2


async def test_no_cookies(serve: Serve, connector: TCPConnector) -> None:
    """A dummy jar keeps none."""
    server = await serve(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: set=1\r\n\r\n"))
    async with ClientSession(cookie_jar=DummyCookieJar(), connector=connector, connector_owner=False) as session:
        for _ in range(2):
            async with session.get(server.url):
                pass
    assert all("cookie" not in received.headers for received in server.received)


async def test_auth(serve: Serve, connector: TCPConnector) -> None:
    """Credentials from the session, the call, or the URL; two of them at once are a mistake."""
    server = await serve(repeating(HI))
    session_auth, call_auth = BasicAuth("session", "s"), BasicAuth("call", "c")
    async with ClientSession(auth=session_auth, connector=connector, connector_owner=False) as session:
        assert session.auth == session_auth
        async with session.get(server.url):
            pass
        async with session.get(server.url, auth=call_auth):
            pass
        async with session.get(server.url.with_user("url").with_password("u")) as response:
            assert response.url.user is None
        with pytest.raises(ValueError, match="not both"):
            await session.get(server.url.with_user("url"), auth=call_auth)
        with pytest.raises(ValueError, match="not both"):
            await session.get(server.url, headers={"Authorization": "mine"})
    sent = [received.headers["authorization"] for received in server.received]
    assert sent == [session_auth.encode(), call_auth.encode(), BasicAuth("url", "u").encode()]


async def test_base_url(serve: Serve, connector: TCPConnector) -> None:
    """Relative URLs are resolved against the session's; its credentials go to that origin only."""
    server, other = await serve(repeating(HI)), await serve(repeating(HI))
    async with ClientSession(
        server.url / "api/", auth=BasicAuth("me"), connector=connector, connector_owner=False
    ) as session:
        for path in ("users", "/top", "../up"):
            async with session.get(path):
                pass
        async with session.get(other.url):
            pass
    assert [received.target for received in server.received] == ["/api/users", "/top", "/up"]
    assert all("authorization" in received.headers for received in server.received)
    assert "authorization" not in other.received[0].headers


@pytest.mark.parametrize("base_url", ["/path/", "example.com/", "http://example.com/path"])
async def test_base_url_that_is_none(base_url: str) -> None:
    """A base must be absolute, and a folder: a last segment would vanish in every request."""
    with pytest.raises(ValueError, match="base_url"):
        ClientSession(base_url)


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        *("", "/path", "example.com", "http://", "http:///path", "https://?q", "http://[::1", "http://host:99999/"),
        *("http://[]]@", "http://[v1.x]@/"),
    ],
)
async def test_urls_that_are_none(url: str, session: ClientSession) -> None:
    """They are errors of ours and ValueErrors, and say what they are about."""
    with pytest.raises(InvalidUrlClientError) as caught:
        await session.get(url)
    assert caught.value.url == url
    assert isinstance(caught.value, InvalidURL)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("url", ["http://host:-1/a?b", "http://::1"])
async def test_urls_that_yarl_has_not_looked_at(url: str, session: ClientSession) -> None:
    """One that is said to be encoded is not read before it is used; the error has its text, for it cannot be shown."""
    with pytest.raises(InvalidUrlClientError) as caught:
        await session.get(URL(url, encoded=True))
    assert url in str(caught.value)


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "mailto:me@example.com", "javascript:alert(1)", "file:///etc/passwd"]
)
async def test_urls_of_other_schemes(url: str, session: ClientSession) -> None:
    """Only http and https are fetched."""
    with pytest.raises(NonHttpUrlClientError) as caught:
        await session.get(url)
    assert str(caught.value.url) == url


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/\0", "/é"])
async def test_urls_that_would_break_the_head(path: str, serve: Serve, session: ClientSession) -> None:
    """A URL taken as it stands must not be able to end the request line."""
    server = await serve(repeating(HI))
    with pytest.raises(InvalidUrlClientError):
        await session.get(URL(f"http://127.0.0.1:{server.port}{path}", encoded=True))
    assert not server.received


async def test_unknown_option(session: ClientSession) -> None:
    """A parameter that does not exist is a TypeError, as with any call."""
    with pytest.raises(TypeError, match="allow_redirect"):
        await session.get("http://a.example/", allow_redirect=False)  # type: ignore[call-arg]
    with pytest.raises(TypeError) as caught:
        await session.get("http://a.example/", timout=1, zzz=2)  # type: ignore[call-arg]
    assert str(caught.value) == "unknown option timout: did you mean timeout?; unknown option zzz"
    with pytest.raises(TypeError, match="unknown option verify: it is ssl= here"):
        await session.get("http://a.example/", verify=False)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unknown option hearbeat: did you mean heartbeat"):
        await session.ws_connect("ws://a.example/", hearbeat=1)  # type: ignore[call-arg]


async def test_what_the_response_has_is_not_to_be_had_before_it(serve: Serve, session: ClientSession) -> None:
    server = await serve(repeating(HI))
    call = session.get(f"http://127.0.0.1:{server.port}/")
    with pytest.raises(
        AttributeError, match=r"'status' is an attribute of the response.*`\(await session.get\(url\)\).status`"
    ):
        call.status  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match="'text' is an attribute of the response"):
        call.text()  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        call.nonsense  # type: ignore[attr-defined]  # noqa: B018
    async with call as response:
        assert (response.status, await response.text()) == (200, "hi")


@pytest.mark.parametrize("kind", [ClientSession, TCPConnector])
def test_without_a_running_loop_it_is_told_what_to_do(kind: type[ClientSession | TCPConnector]) -> None:
    with pytest.raises(RuntimeError, match=f"{kind.__name__} needs a running event loop: make it in an `async def`"):
        kind()


async def test_options_change_no_policy_but_their_own(serve: Serve, connector: TCPConnector) -> None:
    """Requests that are sent alike share one policy, and the keys of connections with it, whatever else they ask for."""
    server = await serve(repeating(HI))
    seen: list[SendPolicy] = []

    async def note(request: ClientRequest, send: Handler) -> ClientResponse:
        seen.append(request.policy)
        return await send(request)

    async with ClientSession(connector=connector, connector_owner=False, middlewares=[note]) as session:
        for options in ({}, {"timeout": ClientTimeout(total=9)}, {"max_body_bytes": 9}, {"middlewares": [note]}):
            async with session.get(server.url, **options):
                pass
        shared = seen[0]
        assert [policy is shared for policy in seen] == [True] * 4
        assert len(shared.keys) == 1
        async with session.get(server.url, ssl=False):
            pass
        assert seen[-1] is not shared
        assert seen[-1].ssl is False


# -- deadlines --------------------------------------------------------------------------------------------------------


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.closed()


@pytest.mark.parametrize("make", [lambda: ClientTimeout(total=0.02), lambda: 0.02], ids=["ClientTimeout", "number"])
async def test_timeout_of_a_call(make: Callable[[], Any], serve: Serve, session: ClientSession) -> None:
    """A number is the total, and deprecated."""
    server = await serve(silent)
    timeout = make()
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", DeprecationWarning)
        with pytest.raises(ServerTimeoutError):
            await session.get(server.url, timeout=timeout)
    assert bool(noted) is isinstance(timeout, float)


async def test_timeout_of_the_session(serve: Serve) -> None:
    """The session's holds unless a call has its own; None is none."""
    server = await serve(saying(HI))
    async with ClientSession(timeout=ClientTimeout(total=0.000001)) as session:
        assert session.timeout.total == 0.000001
        with pytest.raises(ServerTimeoutError):
            await session.get(server.url)
        async with session.get(server.url, timeout=None) as response:
            assert await response.read() == b"hi"


async def test_default_timeout(session: ClientSession) -> None:
    """As in aiohttp: five minutes in all, half a minute for a connection."""
    assert session.timeout == ClientTimeout(total=300, sock_connect=30)


async def test_deprecated_timeouts(connector: TCPConnector) -> None:
    """`read_timeout` and `conn_timeout` are what `total` and `connect` were."""
    with pytest.warns(DeprecationWarning, match="read_timeout"):
        session = ClientSession(read_timeout=1.5, conn_timeout=2.5, connector=connector, connector_owner=False)
    assert (session.timeout.total, session.timeout.connect) == (1.5, 2.5)
    await session.close()
    with pytest.raises(ValueError, match="not both"):
        ClientSession(read_timeout=1, timeout=ClientTimeout(), connector=connector, connector_owner=False)


async def test_the_deadline_spans_middlewares(serve: Serve, session: ClientSession) -> None:
    """A middleware that waits for something else is cut short as well."""
    server = await serve(repeating(HI))

    async def dawdle(request: ClientRequest, send: Handler) -> ClientResponse:
        await asyncio.Event().wait()
        return await send(request)

    with pytest.raises(ServerTimeoutError) as caught:
        await session.get(server.url, middlewares=[dawdle], timeout=ClientTimeout(total=0.01))
    assert (caught.value.method, caught.value.url) == ("GET", server.url)


# -- statuses ---------------------------------------------------------------------------------------------------------


async def test_raise_for_status_by_session(serve: Serve, connector: TCPConnector) -> None:
    """A call's own word goes before the session's."""
    server = await serve(repeating(NOT_FOUND))
    async with ClientSession(raise_for_status=True, connector=connector, connector_owner=False) as session:
        with pytest.raises(ClientResponseError) as caught:
            await session.get(server.url)
        async with session.get(server.url, raise_for_status=False) as response:
            assert response.status == 404
    error = caught.value
    assert (error.status, error.message, error.method, error.url) == (404, "Not Found", "GET", server.url)
    assert error.headers is not None
    assert error.headers["X"] == "y"
    assert error.request_info.real_url == server.url
    assert str(error) == f"404 Not Found (GET {server.url})"


async def test_raise_for_status_by_coroutine(serve: Serve, session: ClientSession) -> None:
    """A coroutine function may look at the response, and decides."""
    server = await serve(repeating(NOT_FOUND))
    seen: list[str] = []

    async def check(response: ClientResponse) -> None:
        seen.append(await response.text())
        if response.status == 404:
            raise LookupError

    with pytest.raises(LookupError):
        await session.get(server.url, raise_for_status=check)
    assert seen == ["gone"]


@pytest.mark.parametrize("is_traced", [False, True])
async def test_a_coroutine_that_raises_lets_go_of_the_response(is_traced: bool, serve: Serve) -> None:
    """Whatever is still to come of its body."""

    async def half(peer: Peer) -> None:
        await peer.request()
        await peer.send(HI[:-1])
        await peer.closed()

    async def check(_response: ClientResponse) -> None:
        raise LookupError

    server = await serve(half)
    async with ClientSession(raise_for_status=check, trace_configs=[TraceConfig()] if is_traced else None) as session:
        with pytest.raises(LookupError):
            await session.get(server.url)
        assert session.connector is not None
        assert session.connector.in_use_count == session.connector.limits.active == 0


# -- middlewares ------------------------------------------------------------------------------------------------------


async def test_middlewares(serve: Serve, connector: TCPConnector) -> None:
    """The first is the outermost; what they change is sent; they see every hop, and may ask again or answer themselves."""
    server = await serve(saying(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n", HI, HI))
    order: list[str] = []

    def named(name: str) -> Callable[[ClientRequest, Handler], Any]:
        async def middleware(request: ClientRequest, send: Handler) -> ClientResponse:
            order.append(f"{name} {request.url.path}")
            request.headers[f"X-{name}"] = "yes"
            return await send(request)

        return middleware

    async def again(request: ClientRequest, send: Handler) -> ClientResponse:
        (await send(request)).release()
        return await send(request)

    async with ClientSession(
        middlewares=[named("outer"), named("inner")], connector=connector, connector_owner=False
    ) as session:
        async with session.get(server.url) as response:
            assert response.status == 200
        assert order == ["outer /", "inner /", "outer /next", "inner /next"]
        assert all(received.headers["x-outer"] == "yes" for received in server.received)
        server.received.clear()
    server = await serve(repeating(HI))
    async with ClientSession(connector=connector, connector_owner=False) as session:
        async with session.get(server.url, middlewares=[again]):
            pass
        assert len(server.received) == 2


async def test_a_middleware_may_change_the_body(serve: Serve, session: ClientSession) -> None:
    """The framing follows."""
    server = await serve(repeating(HI))

    async def shout(request: ClientRequest, send: Handler) -> ClientResponse:
        assert request.body is not None
        assert request.body.in_memory() == b"quiet"
        await request.update_body(b"LOUDER")
        return await send(request)

    async def silence(request: ClientRequest, send: Handler) -> ClientResponse:
        await request.update_body(None)
        return await send(request)

    async with session.post(server.url, data=b"quiet", middlewares=[shout]):
        pass
    async with session.post(server.url, data=b"quiet", middlewares=[silence]):
        pass
    assert [received.body for received in server.received] == [b"LOUDER", b""]


async def test_a_middleware_may_read_what_it_changes(serve: Serve, session: ClientSession) -> None:
    """All of a body, wherever it comes from, and all headers in place of the others."""
    server = await serve(repeating(HI))

    async def sign(request: ClientRequest, send: Handler) -> ClientResponse:
        assert request.body is not None
        body = await request.body.as_bytes()
        request.headers = CIMultiDict({"Content-Type": "a/b", "X-Signed": str(len(body))})
        await request.update_body(body[::-1])
        return await send(request)

    for data in (b"abc", io.BytesIO(b"abc"), {"abc": ""}):
        async with session.post(server.url, data=data, headers={"X-Own": "1"}, middlewares=[sign]):
            pass
    assert [received.body for received in server.received] == [b"cba", b"cba", b"=cba"]
    for received in server.received:
        assert "x-own" not in received.headers
        assert received.headers["content-type"] == "a/b"
        assert received.headers["x-signed"] == received.headers["content-length"]


async def test_a_middleware_may_send_a_form(serve: Serve, session: ClientSession) -> None:
    """As `data=` takes it; type and length follow."""
    server = await serve(repeating(HI))

    def sending(body: Any) -> Middleware:
        async def middleware(request: ClientRequest, send: Handler) -> ClientResponse:
            await request.update_body(body)
            return await send(request)

        return middleware

    for body in (FormData({"a": "b c"}), [("a", "b c")], {"a": "b c"}):
        async with session.post(server.url, json={"no": "form"}, middlewares=[sending(body)]):
            pass
    async with session.post(server.url, middlewares=[sending({"a": io.BytesIO(b"file")})]):
        pass
    *urlencoded, multipart = server.received
    for received in urlencoded:
        assert received.body == b"a=b+c"
        assert received.headers["content-type"] == "application/x-www-form-urlencoded"
    assert multipart.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b"\r\n\r\nfile\r\n" in multipart.body


@pytest.mark.parametrize(
    ("options", "body", "content_type"),
    [
        ({"json": {"a": 1}}, b'{"b":2}', "application/json"),
        ({"json": {"a": 1}}, '{"b":2}', "application/json"),
        ({"json": {"a": 1}}, FormData({"b": "2"}), "application/x-www-form-urlencoded"),
        ({"data": b"1", "headers": {"Content-Type": "a/b"}}, b"2", "a/b"),
        ({"data": b"1", "headers": {"Content-Type": "a/b"}}, {"b": "2"}, "a/b"),
        ({"data": b"1"}, "2", "application/octet-stream"),
        ({}, "2", "text/plain; charset=utf-8"),
        ({"json": {"a": 1}}, None, None),
    ],
)
async def test_the_type_of_a_body_that_a_middleware_changes(
    options: dict[str, Any], body: Any, content_type: str | None, serve: Serve, session: ClientSession
) -> None:
    """What was JSON is JSON still when it is written anew; what the caller said counts; so does what only a form can be."""
    server = await serve(repeating(HI))

    async def rewrite(request: ClientRequest, send: Handler) -> ClientResponse:
        request.headers["Content-Encoding"] = "identity"
        await request.update_body(body)
        return await send(request)

    async with session.post(server.url, middlewares=[rewrite], **options):
        pass
    headers = server.received[0].headers
    assert headers.get("content-type") == content_type
    assert headers.get("content-encoding") == (None if body is None else "identity")


async def test_a_middleware_may_sign_the_text_of_a_body(serve: Serve, session: ClientSession) -> None:
    """As long as it is in memory; of others it is told how to come by it."""
    server = await serve(repeating(HI))
    seen: list[str] = []

    async def sign(request: ClientRequest, send: Handler) -> ClientResponse:
        assert request.body is not None
        seen.append(request.body.decode())
        return await send(request)

    async with session.post(server.url, data="tëxt", middlewares=[sign]):
        pass
    async with session.post(server.url, json={"a": 1}, middlewares=[sign]):
        pass
    with pytest.raises(TypeError, match="as_bytes"):
        await session.post(server.url, data=io.BytesIO(b"file"), middlewares=[sign])
    assert seen == ["tëxt", '{"a": 1}']


async def test_what_a_middleware_can_tell_of_a_request(serve: Serve, session: ClientSession) -> None:
    """How it will be sent, by aiohttp's names."""
    server = await serve(repeating(HI))
    seen: list[Any] = []

    async def look(request: ClientRequest, send: Handler) -> ClientResponse:
        seen.append((request.version, request.compress, request.server_hostname, request.proxy_headers))
        seen.append(request.original_url)
        return await send(request)

    url = server.url.with_fragment("f")
    async with session.post(url, data=b"x", compress=True, server_hostname="a.example", middlewares=[look]):
        pass
    async with session.get(url, proxy=server.url, proxy_headers={"X": "y"}, middlewares=[look]) as response:
        assert response.request_info.headers["Host"] == f"127.0.0.1:{server.port}"
    assert seen[0] == (HttpVersion11, "deflate", "a.example", None)
    assert seen[1] == url
    assert seen[2] == (HttpVersion11, None, None, CIMultiDict({"X": "y"}))


async def test_a_middleware_sees_what_host_is_named(serve: Serve, session: ClientSession) -> None:
    """What is signed covers it. It follows a URL that is changed, but not a header that is."""
    server = await serve(repeating(HI))
    seen: list[str] = []

    async def sign(request: ClientRequest, send: Handler) -> ClientResponse:
        seen.extend(request.headers.getall("Host"))
        return await send(request)

    async def detour(request: ClientRequest, send: Handler) -> ClientResponse:
        request.url = request.url.with_host("localhost")
        return await send(request)

    async def pretend(request: ClientRequest, send: Handler) -> ClientResponse:
        request.headers["Host"] = "a.example"
        return await send(request)

    async def anew(_request: ClientRequest, send: Handler) -> ClientResponse:
        return await send(ClientRequest("GET", server.url.with_host("localhost")))

    for middlewares in ([sign], [sign, detour], [pretend, sign, detour], [sign, anew]):
        async with session.get(server.url, middlewares=middlewares):
            pass
    async with session.get(server.url, headers={"Host": "b.example"}, middlewares=[sign, detour]):
        pass
    here, there = f"127.0.0.1:{server.port}", f"localhost:{server.port}"
    assert seen == [here, here, "a.example", here, "b.example"]
    assert [request.headers["host"] for request in server.received] == [here, there, "a.example", there, "b.example"]
    assert server.received[0].head.startswith(b"GET / HTTP/1.1\r\nHost: ")


# -- life and death ---------------------------------------------------------------------------------------------------


async def test_closed_session(serve: Serve) -> None:
    """A closed session makes no requests; closing twice does no harm."""
    session = ClientSession()
    connector = session.connector
    await session.close()
    await session.close()
    assert session.closed
    assert session.connector is None
    assert connector is not None
    assert connector.closed
    with pytest.raises(RuntimeError, match="closed"):
        await session.get("http://a.example/")


async def test_a_connector_closed_elsewhere(serve: Serve) -> None:
    """Its sessions make no requests any more, which is an error of the program's as well as of the connection."""
    server = await serve(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"))
    connector = TCPConnector(limit=1)
    async with ClientSession(connector=connector) as session:
        async with session.get(server.url):
            waiting = asyncio.create_task(session.get(server.url))
            for _ in range(3):  # to the wait for its slot
                await asyncio.sleep(0)
            await connector.close()
        for get in (waiting, session.get(server.url)):
            with pytest.raises(ConnectorClosed, match="closed") as caught:
                await get
            assert isinstance(caught.value, RuntimeError)
            assert isinstance(caught.value, ClientConnectionError)
            assert caught.value.url == server.url


async def test_detach(connector: TCPConnector) -> None:
    """Detached, the connector is somebody else's."""
    session = ClientSession(connector=connector)
    session.detach()
    assert session.closed
    await session.close()
    assert not connector.closed


async def test_connector_owner(connector: TCPConnector) -> None:
    """A connector that is not the session's own is left open."""
    async with ClientSession(connector=connector, connector_owner=False) as session:
        assert not session.connector_owner
    assert not connector.closed


async def test_forgotten_session() -> None:
    """A session that is never closed is noticed."""
    session = ClientSession()
    with pytest.warns(ResourceWarning, match="unclosed session"):
        del session


async def test_a_session_that_could_not_be_made_is_not_missed() -> None:
    """Nothing is left behind by arguments that are refused, not even a complaint of the finalizer."""
    with pytest.raises(TypeError):
        ClientSession(nope=1)  # type: ignore[call-arg]
    gc.collect()  # what a finalizer raises is a warning, and an error here


async def test_a_connector_of_another_loop() -> None:
    """It could not wait for its connections; that is told where the mistake is made."""

    async def made() -> TCPConnector:
        return TCPConnector()

    other = await asyncio.to_thread(asyncio.run, made())
    with pytest.raises(RuntimeError, match="another event loop"):
        ClientSession(connector=other)


async def test_closing_while_requests_wait(serve: Serve) -> None:
    """A request that has no answer yet fails with the connection; one whose body is arriving, with the body."""
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        if (await peer.request()).target == "/body":
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        asked.set()
        await peer.reader.read()

    server = await serve(script)
    session = ClientSession()
    response = await session.get(f"{server.url}body")
    asked.clear()
    waiting = asyncio.create_task(session.get(server.url))
    await asked.wait()
    await session.close()
    with pytest.raises(ClientConnectionError, match="closed before the response was complete"):
        await waiting
    with pytest.raises(ClientPayloadError):
        await response.read()


async def test_forgotten_response(serve: Serve, session: ClientSession, connector: TCPConnector) -> None:
    """A response that holds its connection, and is dropped, gives it up with a warning; one that does not, goes quietly."""
    large = await serve(repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"))
    small = await serve(repeating(HI))
    response = await session.get(large.url)
    assert connector.in_use_count == 1
    with pytest.warns(ResourceWarning, match="unclosed response"):
        del response
    assert connector.in_use_count == 0
    with warnings.catch_warnings(record=True) as noted:
        await session.get(small.url)
        gc.collect()
    assert not noted


async def test_properties(session: ClientSession, connector: TCPConnector) -> None:
    """What the session was given can be asked."""
    assert session.connector is connector
    assert session.json_serialize is json.dumps
    assert session.version == HttpVersion11
    assert session.auto_decompress
    assert session.trace_configs == []
    assert not session.raise_for_status
    assert session.requote_redirect_url
    with pytest.warns(DeprecationWarning, match="loop"):
        assert session.loop is asyncio.get_running_loop()
    with pytest.warns(DeprecationWarning, match="requote_redirect_url"):
        session.requote_redirect_url = False
    assert not session.requote_redirect_url
    with pytest.warns(DeprecationWarning, match="loop"):
        other = ClientSession(loop=asyncio.get_running_loop(), connector=connector, connector_owner=False)
    await other.close()


# -- without a session ------------------------------------------------------------------------------------------------


async def test_request_without_a_session(serve: Serve) -> None:
    """Entered, it is a response whose connection is closed at the end; awaited, one that has been read."""
    server = await serve(repeating(HI))
    async with client.request("GET", server.url, headers={"X": "y"}, cookies={"a": "b"}) as response:
        assert await response.text() == "hi"
    response = await client.request("POST", server.url, version=HttpVersion10, data=b"x")
    assert await response.text() == "hi"
    assert [received.version for received in server.received] == ["HTTP/1.1", "HTTP/1.0"]
    assert server.received[0].headers["cookie"] == "a=b"


async def test_request_with_a_connector(serve: Serve, connector: TCPConnector) -> None:
    """A connector that is given stays open, and keeps the connection."""
    server = await serve(repeating(HI))
    for _ in range(2):
        async with client.request("GET", server.url, connector=connector) as response:
            assert response.status == 200
    assert server.connections == 1
    assert not connector.closed
    with pytest.warns(DeprecationWarning, match="loop"):
        await client.request("GET", server.url, connector=connector, loop=asyncio.get_running_loop())


async def test_request_that_fails_leaves_nothing_open() -> None:
    """The session made for it is closed on errors too."""
    with pytest.raises(InvalidUrlClientError):
        await client.request("GET", "nonsense")


async def test_a_call_is_a_coroutine(serve: Serve) -> None:
    """Whatever takes one, takes it: a task, a group, a loop that runs it."""
    server = await serve(repeating(HI))
    async with ClientSession() as session:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(session.get(server.url))
            single = group.create_task(request("GET", server.url))
        assert (await task.result().text(), await single.result().text()) == ("hi", "hi")
        call = session.get(server.url)
        assert asyncio.iscoroutine(call)
        call.close()
        thrown = session.get(server.url)
        with pytest.raises(KeyError):
            thrown.throw(KeyError("no"))
    assert len(server.received) == 2


def test_a_request_is_run_by_a_loop_of_its_own() -> None:
    with pytest.raises(ClientConnectorError):
        asyncio.run(request("GET", "http://127.0.0.1:9/"))


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, "a=1; b=2"),
        ({"headers": {"X": "y"}}, "a=1; b=2"),
        ({"cookies": {"c": "3"}}, "a=1; b=2; c=3"),
        ({"cookies": {"a": "3"}}, "a=3; b=2"),
        ({"headers": {"Cookie": "d=4"}}, "d=4; b=2"),
        ({"headers": [("Cookie", "d=4"), ("Cookie", "e=5; f=6")]}, "d=4; e=5; f=6; b=2"),
        ({"headers": {"Cookie": "d=4; d=5"}}, "d=4; d=5; b=2"),
        ({"headers": {"Cookie": ""}}, "b=2"),
    ],
)
async def test_all_cookies_go_in_one_field(serve: Serve, given: dict[str, Any], sent: str) -> None:
    """Those of the session's headers, the jar and the call (RFC 6265bis §5.8)."""
    server = await serve(repeating(HI))
    jar = CookieJar(unsafe=True)
    session = ClientSession(headers={"Cookie": "a=1"}, cookies={"b": "2"}, cookie_jar=jar)
    async with session, session.get(server.url, **given):
        pass
    (received,) = server.received
    assert received.headers["cookie"] == sent
    assert received.head.lower().count(b"cookie:") == 1


async def test_an_empty_cookie_field_is_not_sent(serve: Serve, session: ClientSession) -> None:
    """It takes the session's cookies back for one call, and says nothing itself."""
    server = await serve(repeating(HI))
    session.headers["Cookie"] = "a=1"
    for headers in ({"Cookie": ""}, {}):
        async with session.get(server.url, headers=headers):
            pass
    assert [received.headers.get("cookie") for received in server.received] == [None, "a=1"]


async def test_cookies_of_one_name_and_several_paths_are_all_sent(serve: Serve, connector: TCPConnector) -> None:
    """Also beside others, those of the longest path first (RFC 6265bis §5.8.3); those of the call replace them."""
    server = await serve(repeating(HI))
    jar = CookieJar(unsafe=True)
    jar.store(["a=1; Path=/", "a=2; Path=/deep"], server.url / "deep/x")
    async with ClientSession(
        headers={"Cookie": "b=3"}, cookie_jar=jar, connector=connector, connector_owner=False
    ) as session:
        for cookies in ({}, {"a": "4"}):
            async with session.get(server.url / "deep/x", cookies=cookies):
                pass
    assert [received.headers["cookie"] for received in server.received] == ["b=3; a=2; a=1", "b=3; a=4"]


def morsels(*set_cookies: str) -> SimpleCookie:
    """Cookies as a response has them."""
    cookies = SimpleCookie()
    for text in set_cookies:
        cookies.load(text)
    return cookies


@pytest.mark.parametrize(
    ("cookies", "sent"),
    [
        (morsels("a=1", "b=2; Path=/; HttpOnly"), "a=1; b=2"),
        (morsels("a=1; Path=/deep", "b=2; Path=/elsewhere"), "a=1"),
        (morsels("a=1; Secure", "b=2"), "b=2"),
        (morsels("a=1; Max-Age=0", "b=2; Max-Age=60"), "b=2"),
        (morsels("a=1; Domain=localhost", "b=2; Domain=a.example"), "a=1"),
        (morsels('a="x y"'), 'a="x y"'),
        ({"other": morsels("a=1")["a"], "b": "2"}, "a=1; b=2"),
        ([("other", morsels("a=1; Secure"))], None),
        ({"a": "x,y"}, 'a="x\\054y"'),
    ],
)
async def test_cookies_of_a_call_go_where_they_may(
    cookies: Any, sent: str | None, serve: Serve, session: ClientSession
) -> None:
    """Those of a response, given as they are, are not told to everyone, and have the name that they came with."""
    server = await serve(repeating(HI))
    async with session.get(server.url.with_host("localhost") / "deep/x", cookies=cookies):
        pass
    assert server.received[0].headers.get("cookie") == sent


async def test_cookies_of_a_call_go_by_the_settings_of_the_jar(serve: Serve, connector: TCPConnector) -> None:
    """Which origins are secure, and whether values are put in quotes: nobody says that twice."""
    server = await serve(repeating(HI))
    jar = CookieJar(quote_cookie=False, treat_as_secure_origin=server.url)
    async with ClientSession(cookie_jar=jar, connector=connector, connector_owner=False) as session:
        async with session.get(server.url, cookies={"a": "x,y=z"}):
            pass
        async with session.get(server.url, cookies=morsels("a=1; Secure")):
            pass
        with pytest.raises(ValueError, match="cannot be sent"):
            await session.get(server.url, cookies={"a": "x; b=y"})
    assert [received.headers["cookie"] for received in server.received] == ["a=x,y=z", "a=1"]


@pytest.mark.parametrize("version", [(1, 0), "1.0"])
async def test_a_version_may_be_a_plain_tuple(version: Any, serve: Serve, connector: TCPConnector) -> None:
    """As a `HttpVersion` is one; or be written out."""
    server = await serve(repeating(HI))
    async with ClientSession(version=version, connector=connector, connector_owner=False) as session:
        assert session.version == HttpVersion10
        async with session.get(server.url):
            pass
    await request("POST", server.url, version=version, data=b"x")
    assert [received.version for received in server.received] == ["HTTP/1.0", "HTTP/1.0"]
