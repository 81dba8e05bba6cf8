"""The session: what its constructor takes, what it says of itself, and its end."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from client import (
    BasicAuth,
    BodyTooLarge,
    ClientHandlerType,
    ClientMiddlewareType,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    CookieJar,
    HeadersTooLarge,
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    ServerTimeoutError,
    TCPConnector,
    hdrs,
)
from tests.client.reference.seen import seen
from tests.client.reference.servers.nginx import PAGE
from tests.client.reference.servers.proxies import LOGIN, PASSWORD
from tests.client.reference.table import exercises

if TYPE_CHECKING:
    from client.middleware import Handler
    from tests.client.reference.servers.nginx import Addresses
    from tests.client.reference.servers.proxies import Proxy

Headers = dict[str, str] | list[tuple[str, str]]


# -- what every request says


@exercises("ClientSession", "ClientSession(base_url)")
async def test_relative_urls_are_resolved_against_the_base(asgi: str) -> None:
    async with ClientSession(f"{asgi}redirect/") as session, session.get("../echo", params={"to": "x"}) as response:
        assert (await seen(response)).target == "/echo?to=x"


@exercises("ClientSession(headers)", "ClientSession.request(headers)")
@pytest.mark.parametrize("headers", [{"X-Ours": "session", "X-Kept": "k"}, [("X-Ours", "session"), ("X-Kept", "k")]])
async def test_a_request_replaces_headers_of_the_session(asgi: str, headers: Headers) -> None:
    async with (
        ClientSession(headers=headers) as session,
        session.get(f"{asgi}echo", headers={"X-Ours": "call"}) as response,
    ):
        request = await seen(response)
        assert request.headers.getall("X-Ours") == ["call"]
        assert request.headers["X-Kept"] == "k"


@exercises("ClientSession(headers)")
async def test_headers_keep_their_order_and_may_repeat(asgi: str) -> None:
    given = [("X-B", "1"), ("X-A", "2"), ("X-B", "3")]
    async with ClientSession(headers=given) as session, session.get(f"{asgi}echo") as response:
        headers = (await seen(response)).headers
        assert [(name.upper(), value) for name, value in headers.items() if name.startswith("x-")] == given


@exercises("ClientSession(skip_auto_headers)")
async def test_automatic_headers_can_be_left_out(asgi: str) -> None:
    async with (
        ClientSession(skip_auto_headers=["User-Agent", "Content-Type", "Content-Length"]) as session,
        session.post(f"{asgi}echo", data=b"123") as response,
    ):
        headers = (await seen(response)).headers
        assert "User-Agent" not in headers
        assert "Content-Type" not in headers
        assert headers["Content-Length"] == "3"  # without it, the body would have no end


@exercises("ClientSession(auth)", "BasicAuth")
async def test_credentials_of_the_session_are_sent(nginx: Addresses) -> None:
    url = f"{nginx.plain}private"
    async with ClientSession(auth=BasicAuth("somebody", "opensesame")) as session, session.get(url) as response:
        assert response.status == 200
    async with ClientSession() as session, session.get(url) as response:
        assert response.status == 401


@exercises("ClientSession(version)", "HttpVersion", "HttpVersion10", "HttpVersion11")
@pytest.mark.parametrize("version", [HttpVersion10, HttpVersion11, HttpVersion(1, 0)])
async def test_requests_speak_the_sessions_version(asgi: str, version: HttpVersion) -> None:
    async with ClientSession(version=version) as session, session.get(f"{asgi}echo") as response:
        assert (await seen(response)).version == f"{version.major}.{version.minor}"
        assert response.version == HttpVersion11


@exercises("ClientSession(json_serialize)", "ClientSession.request(json)")
async def test_json_is_written_by_the_given_function(asgi: str) -> None:
    def compact(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"))

    async with (
        ClientSession(json_serialize=compact) as session,
        session.post(f"{asgi}echo", json={"a": [1, 2]}) as response,
    ):
        request = await seen(response)
        assert request.body == b'{"a":[1,2]}'
        assert request.headers["Content-Type"] == "application/json"


async def test_headers_of_the_session_can_be_changed_later(asgi: str) -> None:
    async with ClientSession(headers={"X-Before": "1"}, skip_auto_headers=["User-Agent"]) as session:
        headers = session.headers
        for number in (1, 2):
            headers["X-Later"] = str(number)
            async with session.get(f"{asgi}echo") as response:
                request = await seen(response)
            assert (request.headers["X-Before"], request.headers["X-Later"]) == ("1", str(number))
            assert "User-Agent" not in request.headers
        del headers["X-Before"]
        async with session.get(f"{asgi}redirect?to=/echo") as response:
            assert "X-Before" not in (await seen(response)).headers


@exercises("ClientHandlerType", "ClientMiddlewareType", "hdrs")
async def test_a_middleware_can_make_requests_of_its_own(asgi: str) -> None:
    """As one does that fetches a token first."""

    async def authorize(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        async with request.session.get(f"{asgi}chunks", middlewares=()) as token:
            request.headers[hdrs.AUTHORIZATION] = await token.text()
        return await handler(request)

    middleware: ClientMiddlewareType = authorize
    async with (
        ClientSession(middlewares=[middleware]) as session,
        session.request(hdrs.METH_GET, f"{asgi}redirect?to=/echo") as response,
    ):
        assert (await seen(response)).headers["authorization"] == "first second third"


@exercises("ClientSession(middlewares)", "ClientRequest")
async def test_a_middleware_stands_around_every_request(asgi: str) -> None:
    async def sign(request: ClientRequest, handler: Handler) -> ClientResponse:
        request.headers["X-Signed"] = f"{request.method} {request.url.path}"
        return await handler(request)

    async with ClientSession(middlewares=[sign]) as session, session.get(f"{asgi}echo") as response:
        assert (await seen(response)).headers["X-Signed"] == "GET /echo"


# -- cookies


@exercises("ClientSession(cookies)")
@pytest.mark.parametrize("cookies", [{"a": "1", "b": "2"}, [("a", "1"), ("b", "2")]])
async def test_cookies_of_the_session_go_to_every_host(
    asgi: str, cookies: dict[str, str] | list[tuple[str, str]]
) -> None:
    async with ClientSession(cookies=cookies) as session, session.get(f"{asgi}echo") as response:
        assert (await seen(response)).headers["Cookie"] == "a=1; b=2"


@exercises("ClientSession(cookie_jar)", "ClientSession.cookie_jar", "CookieJar", "CookieJar(unsafe)")
async def test_the_jar_keeps_what_servers_set(httpbin: str) -> None:
    jar = CookieJar(unsafe=True)  # the server has no name, only an address
    async with ClientSession(cookie_jar=jar) as session:
        assert session.cookie_jar is jar
        async with session.get(f"{httpbin}cookies/set/flavour/ginger") as response:
            assert await response.json() == {"cookies": {"flavour": "ginger"}}
        assert [(cookie.key, cookie.value) for cookie in jar] == [("flavour", "ginger")]


# -- time


@exercises("ClientSession(timeout)", "ClientTimeout", "ClientTimeout(total)")
async def test_the_total_time_ends_a_request(asgi: str) -> None:
    async with ClientSession(timeout=ClientTimeout(total=0.05)) as session:
        with pytest.raises(ServerTimeoutError):
            await session.get(f"{asgi}silence")


@exercises("ClientSession(read_timeout)")
async def test_a_read_timeout_is_the_total_time(asgi: str) -> None:
    with pytest.warns(DeprecationWarning, match="read_timeout"):
        session = ClientSession(read_timeout=0.05)
    async with session:
        with pytest.raises(ServerTimeoutError):
            await session.get(f"{asgi}silence")


@exercises("ClientSession(read_timeout)")
@pytest.mark.parametrize("none", [0, None])
async def test_a_read_timeout_of_nothing_is_no_limit(none: int | None) -> None:
    with pytest.warns(DeprecationWarning, match="read_timeout"):
        session = ClientSession(read_timeout=none)
    async with session:
        assert not session.timeout.total


@exercises("ClientSession(conn_timeout)")
async def test_a_connection_timeout_bounds_the_wait_for_a_connection(nginx: Addresses) -> None:
    with pytest.warns(DeprecationWarning, match="conn_timeout"):
        session = ClientSession(connector=TCPConnector(limit=1), conn_timeout=0.05)
    async with session, session.get(f"{nginx.plain}blob.bin"):
        assert session.timeout.total == 300  # the default stays
        with pytest.raises(ConnectionTimeoutError):
            await session.get(f"{nginx.plain}page.html")


async def test_the_time_allowed_is_said_once() -> None:
    with pytest.raises(ValueError, match="not both"):
        ClientSession(timeout=ClientTimeout(), read_timeout=1)


# -- responses


@exercises("ClientSession(raise_for_status)")
async def test_a_status_can_be_an_error_for_all(nginx: Addresses) -> None:
    async with ClientSession(raise_for_status=True) as session:
        with pytest.raises(ClientResponseError) as caught:
            await session.get(f"{nginx.plain}absent")
        assert caught.value.status == 404
        async with session.get(f"{nginx.plain}absent", raise_for_status=False) as response:
            assert response.status == 404


@exercises("ClientSession(raise_for_status)", "ClientSession.request(raise_for_status)")
async def test_a_function_may_judge_the_status(nginx: Addresses) -> None:
    async def refuse_pages(response: ClientResponse) -> None:
        if response.content_type == "text/html":
            raise LookupError(response.status)

    async with ClientSession(raise_for_status=refuse_pages) as session:
        with pytest.raises(LookupError, match="200"):
            await session.get(f"{nginx.plain}page.html")
        async with session.get(f"{nginx.plain}data.json") as response:
            assert response.ok


@exercises("ClientSession(auto_decompress)")
async def test_decompression_can_be_left_to_the_caller(nginx: Addresses) -> None:
    async with (
        ClientSession(auto_decompress=False) as session,
        session.get(f"{nginx.plain}compressed/page.html") as response,
    ):
        assert response.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await response.read()) == PAGE


@exercises("ClientSession(fallback_charset_resolver)")
async def test_somebody_else_may_know_the_charset(nginx: Addresses) -> None:
    def guess(response: ClientResponse, body: bytes) -> str:
        return "latin-1" if b"\xe4" in body and response.content_type == "text/plain" else "ascii"

    async with (
        ClientSession(fallback_charset_resolver=guess) as session,
        session.get(f"{nginx.plain}latin.txt") as response,
    ):
        assert response.charset is None
        assert await response.text() == "Käse"
        assert response.get_encoding() == "latin-1"


@exercises("ClientSession(requote_redirect_url)", "ClientSession.requote_redirect_url")
@pytest.mark.parametrize(("requotes", "target"), [(True, "/echo?q=~"), (False, "/echo?q=%7e")])
async def test_redirects_can_be_followed_to_the_letter(asgi: str, requotes: bool, target: str) -> None:
    async with ClientSession(requote_redirect_url=requotes) as session:
        assert session.requote_redirect_url is requotes
        async with session.get(f"{asgi}redirect?to=/echo%3Fq%3D%257e") as response:
            assert (await seen(response)).target == target


@exercises("ClientSession.requote_redirect_url")
async def test_setting_how_redirects_are_quoted_is_deprecated(asgi: str) -> None:
    async with ClientSession() as session:
        with pytest.warns(DeprecationWarning, match="requote_redirect_url"):
            session.requote_redirect_url = False
        async with session.get(f"{asgi}redirect?to=/echo%3Fq%3D%257e") as response:
            assert (await seen(response)).target == "/echo?q=%7e"


BOUNDS = [
    ("max_line_size", 5, HeadersTooLarge),
    ("max_field_size", 10, HeadersTooLarge),
    ("max_headers", 2, HeadersTooLarge),
    ("max_body_bytes", 1000, BodyTooLarge),
    ("read_bufsize", 20, ValueError),
]
"""Bounds, and what a page that exceeds them raises; the last bounds a line that is asked for."""


async def _first_line(session: ClientSession, url: str, **options: Any) -> bytes:
    async with session.get(url, **options) as response:
        return await response.content.readline()


@exercises("BodyTooLarge", *(f"ClientSession({name})" for name, _, _ in BOUNDS))
@pytest.mark.parametrize(("name", "bound", "error"), BOUNDS)
async def test_the_session_bounds_responses(nginx: Addresses, name: str, bound: int, error: type[Exception]) -> None:
    options: dict[str, Any] = {name: bound}
    async with ClientSession(**options) as session:
        with pytest.raises(error):
            await _first_line(session, f"{nginx.plain}page.html")


@exercises(*(f"ClientSession.request({name})" for name, _, _ in BOUNDS))
@pytest.mark.parametrize(("name", "bound", "error"), BOUNDS)
async def test_a_request_may_have_bounds_of_its_own(
    session: ClientSession, nginx: Addresses, name: str, bound: int, error: type[Exception]
) -> None:
    assert await _first_line(session, f"{nginx.plain}page.html")
    with pytest.raises(error):
        await _first_line(session, f"{nginx.plain}page.html", **{name: bound})


# -- proxies


@exercises("ClientSession(proxy)", "ClientSession(proxy_auth)")
async def test_a_session_may_have_one_proxy_for_all(asgi: str, tinyproxy: Proxy) -> None:
    async with (
        ClientSession(proxy=tinyproxy.url, proxy_auth=BasicAuth(LOGIN, PASSWORD)) as session,
        session.get(f"{asgi}echo") as response,
    ):
        assert (await seen(response)).headers["X-Proxied-By"] == "tinyproxy"


@exercises("ClientSession(proxies)")
async def test_a_session_may_have_a_proxy_for_each_scheme(asgi: str, tinyproxy: Proxy) -> None:
    async with (
        ClientSession(proxies={"http": tinyproxy.url_with_login, "https": "http://127.0.0.1:9"}) as session,
        session.get(f"{asgi}echo") as response,
    ):
        assert (await seen(response)).headers["X-Proxied-By"] == "tinyproxy"


@exercises("ClientSession(no_proxy)")
async def test_hosts_may_be_excepted_from_the_proxies_of_a_session(asgi: str, tinyproxy: Proxy) -> None:
    async with ClientSession(proxy=tinyproxy.url_with_login, no_proxy="elsewhere.example, 127.0.0.0/8") as session:
        async with session.get(f"{asgi}echo") as response:
            assert "X-Proxied-By" not in (await seen(response)).headers
        async with session.get(f"{asgi}echo", proxy=tinyproxy.url_with_login) as response:
            assert (await seen(response)).headers["X-Proxied-By"] == "tinyproxy"


@exercises("ClientSession(trust_env)")
async def test_the_environment_may_name_a_proxy(asgi: str, tinyproxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "no_proxy", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", tinyproxy.url_with_login)
    async with ClientSession(trust_env=True) as session:
        async with session.get(f"{asgi}echo") as response:
            assert "X-Proxied-By" in (await seen(response)).headers
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
        async with session.get(f"{asgi}echo") as response:
            assert "X-Proxied-By" not in (await seen(response)).headers
    async with ClientSession() as session, session.get(f"{asgi}echo") as response:
        assert "X-Proxied-By" not in (await seen(response)).headers


# -- connections, and the end


@exercises(
    "ClientSession(connector)",
    "ClientSession(connector_owner)",
    "ClientSession.connector",
    "ClientSession.closed",
    "ClientSession.close",
)
@pytest.mark.parametrize("owns", [True, False])
async def test_a_connector_is_closed_by_its_owner(nginx: Addresses, owns: bool) -> None:
    connector = TCPConnector()
    session = ClientSession(connector=connector, connector_owner=owns)
    assert session.connector is connector
    async with session.get(f"{nginx.plain}page.html") as response:
        assert await response.read() == PAGE
    assert not session.closed
    await session.close()
    assert session.closed
    assert connector.closed is owns
    await connector.close()


@exercises("ClientSession.detach", "ClientSession.connector")
async def test_a_connector_can_be_detached(nginx: Addresses) -> None:
    connector = TCPConnector()
    session = ClientSession(connector=connector)
    session.detach()
    assert session.closed
    assert session.connector is None
    with pytest.raises(RuntimeError, match="closed"):
        await session.get(nginx.plain)
    async with ClientSession(connector=connector) as other, other.get(f"{nginx.plain}page.html") as response:
        assert response.ok


@exercises("ClientSession(loop)", "ClientSession.loop")
async def test_the_loop_is_the_running_one() -> None:
    loop = asyncio.get_running_loop()
    with pytest.warns(DeprecationWarning, match="loop"):
        session = ClientSession(loop=loop)
    async with session:
        with pytest.warns(DeprecationWarning, match="loop"):
            assert session.loop is loop
