"""A request's parameters, each seen from the server; and the verbs."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from multidict import MultiDict
from yarl import URL

from client import (
    BasicAuth,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    FormData,
    ServerTimeoutError,
    SocketTimeoutError,
    TooManyRedirects,
)
from client.version import HttpVersion10
from tests.client.reference.seen import seen
from tests.client.reference.servers.nginx import PAGE
from tests.client.reference.servers.proxies import LOGIN, PASSWORD
from tests.client.reference.table import PARAMETERS, REQUIRED, exercises

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from client.middleware import Handler
    from tests.client.conftest import Serve
    from tests.client.peer import Peer
    from tests.client.reference.seen import Seen
    from tests.client.reference.servers.nginx import Addresses
    from tests.client.reference.servers.proxies import Proxy


async def _echo(session: ClientSession, asgi: str, **options: Any) -> Seen:
    async with session.post(f"{asgi}echo", **options) as response:
        return await seen(response)


# -- what is asked


@exercises("ClientSession.request", "ClientSession.request(method)", "ClientSession.request(url)")
@pytest.mark.parametrize("as_object", [True, False])
async def test_any_method_can_be_requested(session: ClientSession, asgi: str, as_object: bool) -> None:
    url = f"{asgi}echo#fragment"
    async with session.request("purge", URL(url) if as_object else url) as response:
        request = await seen(response)
        assert (request.method, request.target) == ("PURGE", "/echo")


async def test_a_request_is_awaited_or_entered(session: ClientSession, nginx: Addresses) -> None:
    response = await session.request("GET", f"{nginx.plain}page.html")
    assert await response.read() == PAGE
    assert response.closed
    async with session.request("GET", f"{nginx.plain}blob.bin") as response:
        assert not response.closed  # most of it has not arrived
    assert response.closed


@exercises("ClientSession.request(params)", "MultiDict")
@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({"q": "a b", "n": 1}, "q=a+b&n=1"),
        ([("q", "1"), ("q", "2")], "q=1&q=2"),
        (MultiDict([("q", "1"), ("q", "2")]), "q=1&q=2"),
        ("ready=made", "ready=made"),
        ({"q": ["1", "2"]}, "q=1&q=2"),
        ({}, ""),
    ],
)
async def test_parameters_become_the_query(session: ClientSession, asgi: str, params: Any, query: str) -> None:
    request = await _echo(session, asgi, params=params)
    assert request.target.partition("?")[2] == query


async def test_parameters_are_not_sent_again_after_a_redirect(session: ClientSession, asgi: str) -> None:
    async with session.get(f"{asgi}redirect", params={"to": "/echo"}) as response:
        assert (await seen(response)).target == "/echo"


@exercises("ClientSession.request(cookies)")
async def test_cookies_go_with_one_call(session: ClientSession, asgi: str) -> None:
    assert (await _echo(session, asgi, cookies={"a": "1"})).headers["Cookie"] == "a=1"
    assert "Cookie" not in (await _echo(session, asgi)).headers


@exercises("ClientSession.request(skip_auto_headers)")
async def test_a_call_can_leave_automatic_headers_out(session: ClientSession, asgi: str) -> None:
    headers = (await _echo(session, asgi, data="text", skip_auto_headers=["User-Agent", "Content-Type"])).headers
    assert "User-Agent" not in headers
    assert "Content-Type" not in headers


@exercises("ClientSession.request(auth)")
async def test_credentials_go_with_one_call(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.plain}private", auth=BasicAuth("somebody", "opensesame")) as response:
        assert response.status == 200
    async with session.get(f"{nginx.plain}private") as response:
        assert response.status == 401


# -- bodies


@exercises("ClientSession.request(data)")
@pytest.mark.parametrize(
    ("data", "body", "content_type"),
    [
        (b"\0bytes", b"\0bytes", "application/octet-stream"),
        (bytearray(b"array"), b"array", "application/octet-stream"),
        ("Käse", "Käse".encode(), "text/plain; charset=utf-8"),
        ({"name": "Käse", "n": "1"}, b"name=K%C3%A4se&n=1", "application/x-www-form-urlencoded"),
        ([("a", "1"), ("a", "2")], b"a=1&a=2", "application/x-www-form-urlencoded"),
        (io.BytesIO(b"in memory"), b"in memory", "application/octet-stream"),
        (io.StringIO("text"), b"text", "text/plain; charset=utf-8"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_data_is_the_body(session: ClientSession, asgi: str, data: Any, body: bytes, content_type: str) -> None:
    request = await _echo(session, asgi, data=data)
    assert request.body == body
    assert request.headers["Content-Type"] == content_type


@exercises("ClientSession.request(data)")
async def test_a_file_is_streamed(session: ClientSession, asgi: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(PAGE * 20)
    with (tmp_path / "page.html").open("rb") as file:
        request = await _echo(session, asgi, data=file)
    assert request.body == PAGE * 20
    assert request.headers["Content-Type"] == "text/html"
    assert request.headers["Content-Length"] == str(20 * len(PAGE))


@exercises("ClientSession.request(data)")
async def test_an_asynchronous_iterable_is_sent_in_chunks(session: ClientSession, asgi: str) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first "
        yield b"second"

    request = await _echo(session, asgi, data=parts())
    assert request.body == b"first second"
    assert request.headers["Transfer-Encoding"] == "chunked"


@exercises("ClientSession.request(data)", "FormData")
async def test_a_form_is_understood_by_others(session: ClientSession, httpbin: str) -> None:
    form = FormData({"name": "Käse"})
    form.add_field("file", io.BytesIO(b"content"), filename="notes.txt")
    async with session.post(f"{httpbin}post", data=form) as response:
        answer = await response.json()
    assert answer["form"] == {"name": "Käse"}
    assert answer["files"] == {"file": "content"}


@exercises("ClientSession.request(json)")
async def test_json_is_the_body(session: ClientSession, httpbin: str) -> None:
    async with session.post(f"{httpbin}anything", json={"a": [1, None]}) as response:
        assert (await response.json())["json"] == {"a": [1, None]}


async def test_a_body_is_given_once(session: ClientSession, asgi: str) -> None:
    with pytest.raises(ValueError, match="data or json"):
        await session.post(asgi, data=b"1", json=1)


@exercises("ClientSession.request(compress)")
@pytest.mark.parametrize(
    ("compress", "coding", "decompress"),
    [(True, "deflate", zlib.decompress), ("deflate", "deflate", zlib.decompress), ("gzip", "gzip", gzip.decompress)],
)
async def test_a_body_can_be_compressed(
    session: ClientSession, asgi: str, compress: bool | str, coding: str, decompress: Any
) -> None:
    request = await _echo(session, asgi, data=PAGE, compress=compress)
    assert request.headers["Content-Encoding"] == coding
    assert len(request.body) < len(PAGE)
    assert decompress(request.body) == PAGE


@exercises("ClientSession.request(chunked)")
async def test_a_body_can_be_sent_in_chunks(session: ClientSession, asgi: str) -> None:
    request = await _echo(session, asgi, data=b"known size", chunked=True)
    assert request.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in request.headers
    assert request.body == b"known size"


@exercises("ClientSession.request(chunked)")
async def test_a_number_is_the_size_of_chunks(session: ClientSession, serve: Serve) -> None:
    chunks: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.head()
        while size := int(await peer.reader.readline(), 16):
            chunks.append(await peer.reader.readexactly(size))
            await peer.reader.readline()
        await peer.answer()

    server = await serve(script)
    with pytest.warns(DeprecationWarning, match="chunk"):
        await session.post(server.url, data=b"0123456789", chunked=4)
    assert chunks == [b"0123", b"4567", b"89"]


@exercises("ClientSession.request(expect100)")
async def test_a_body_waits_until_the_server_wants_it(session: ClientSession, asgi: str) -> None:
    asked: list[str] = []

    async def body(name: str) -> AsyncIterator[bytes]:
        asked.append(name)
        yield b"content"

    async with session.post(f"{asgi}refuse", data=body("refused"), expect100=True) as response:
        assert response.status == 403
    request = await _echo(session, asgi, data=body("taken"), expect100=True)
    assert request.headers["Expect"] == "100-continue"
    assert request.body == b"content"
    assert asked == ["taken"]


# -- redirects


@exercises("ClientSession.request(allow_redirects)", "ClientSession.get(allow_redirects)")
async def test_redirects_are_followed_unless_that_is_not_wanted(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.plain}moved/302") as response:
        assert (response.status, response.url.path) == (200, "/page.html")
        assert [one.status for one in response.history] == [302]
    async with session.get(f"{nginx.plain}moved/302", allow_redirects=False) as response:
        assert response.status == 302
        assert response.history == ()


@exercises("ClientSession.request(max_redirects)", "TooManyRedirects")
async def test_redirects_are_followed_so_many_times(session: ClientSession, nginx: Addresses) -> None:
    with pytest.raises(TooManyRedirects) as caught:
        await session.get(f"{nginx.plain}loop", max_redirects=3)
    assert [one.status for one in caught.value.history] == [302] * 4


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
async def test_a_redirect_says_whether_the_body_goes_along(
    session: ClientSession, asgi: str, status: int, method: str
) -> None:
    async with session.post(f"{asgi}redirect", params={"to": "/echo", "status": str(status)}, data=b"body") as response:
        request = await seen(response)
        assert request.method == method
        assert request.body == (b"body" if method == "POST" else b"")


# -- how it is sent and read


@exercises("ClientSession.request(proxy)", "ClientSession.request(proxy_auth)")
@pytest.mark.parametrize("as_object", [True, False])
async def test_a_request_can_go_through_a_proxy(
    session: ClientSession, asgi: str, tinyproxy: Proxy, as_object: bool
) -> None:
    proxy = URL(tinyproxy.url) if as_object else tinyproxy.url
    request = await _echo(session, asgi, proxy=proxy, proxy_auth=BasicAuth(LOGIN, PASSWORD))
    assert request.headers["X-Proxied-By"] == "tinyproxy"
    assert "Proxy-Authorization" not in request.headers


@exercises("ClientSession.request(proxy_headers)")
async def test_headers_can_be_for_the_proxy(session: ClientSession, asgi: str, tinyproxy: Proxy) -> None:
    credentials = {"Proxy-Authorization": BasicAuth(LOGIN, PASSWORD).encode()}
    request = await _echo(session, asgi, proxy=tinyproxy.url, proxy_headers=credentials)
    assert request.headers["X-Proxied-By"] == "tinyproxy"
    async with session.get(f"{asgi}echo", proxy=tinyproxy.url) as response:
        assert response.status == 407


async def test_a_proxy_may_be_of_another_kind(session: ClientSession, asgi: str, microsocks: Proxy) -> None:
    request = await _echo(session, asgi, data=b"through", proxy=microsocks.url_with_login)
    assert request.body == b"through"


@exercises("ClientSession.request(timeout)", "ServerTimeoutError")
async def test_a_number_is_the_total_time(session: ClientSession, asgi: str) -> None:
    with pytest.warns(DeprecationWarning, match="timeout"), pytest.raises(ServerTimeoutError):
        await session.get(f"{asgi}silence", timeout=0.05)


@exercises("ClientSession.request(timeout)", "ClientTimeout(sock_read)", "SocketTimeoutError")
async def test_silence_ends_a_response(session: ClientSession, asgi: str) -> None:
    async with session.get(f"{asgi}half", timeout=ClientTimeout(sock_read=0.1)) as response:
        assert await response.content.readexactly(5) == b"12345"
        with pytest.raises(SocketTimeoutError):
            await response.content.read()


@exercises("ClientSession.request(timeout)")
async def test_none_is_no_limit(asgi: str) -> None:
    async with ClientSession(timeout=ClientTimeout(total=1e-6, ceil_threshold=1)) as session:
        with pytest.raises(ServerTimeoutError):
            await _echo(session, asgi)
        assert (await _echo(session, asgi, timeout=None)).method == "POST"


@exercises("ClientSession.request(read_until_eof)")
async def test_a_body_may_end_with_the_connection(httpbin: str) -> None:
    async with ClientSession(version=HttpVersion10) as session:
        async with session.get(f"{httpbin}stream/3") as response:
            assert "Content-Length" not in response.headers
            assert (await response.read()).count(b"\n") == 3
        async with session.get(f"{httpbin}stream/3", read_until_eof=False) as response:
            assert await response.read() == b""


@exercises("ClientSession.request(auto_decompress)")
async def test_one_response_can_be_left_compressed(session: ClientSession, nginx: Addresses) -> None:
    async with session.get(f"{nginx.plain}compressed/page.html", auto_decompress=False) as response:
        assert gzip.decompress(await response.read()) == PAGE
    async with session.get(f"{nginx.plain}compressed/page.html") as response:
        assert await response.read() == PAGE


@exercises("ClientSession.request(raise_for_status)", "ClientResponseError")
async def test_one_status_can_be_an_error(session: ClientSession, httpbin: str) -> None:
    with pytest.raises(ClientResponseError) as caught:
        await session.get(f"{httpbin}status/418", raise_for_status=True)
    assert caught.value.status == 418


@exercises("ClientSession.request(middlewares)")
async def test_middlewares_of_a_call_replace_those_of_the_session(asgi: str) -> None:
    def marking(mark: str) -> Any:
        async def middleware(request: ClientRequest, handler: Handler) -> ClientResponse:
            request.headers["X-Mark"] = mark
            return await handler(request)

        return middleware

    async with ClientSession(middlewares=[marking("session")]) as session:
        assert (await _echo(session, asgi)).headers["X-Mark"] == "session"
        assert (await _echo(session, asgi, middlewares=[marking("call")])).headers["X-Mark"] == "call"
        assert "X-Mark" not in (await _echo(session, asgi, middlewares=())).headers


# -- in general


@pytest.mark.parametrize(
    ("name", "default"), [item for item in PARAMETERS["ClientSession.request"].items() if item[1] is not REQUIRED]
)
async def test_a_default_is_what_happens_without_it(
    session: ClientSession, asgi: str, name: str, default: object
) -> None:
    without = await _echo(session, asgi)
    with_default = await _echo(session, asgi, **{name: default})
    assert with_default == without


async def test_an_unknown_parameter_is_refused(session: ClientSession, asgi: str) -> None:
    options: dict[str, Any] = {"tiemout": 1}
    with pytest.raises(TypeError, match="tiemout"):
        await session.get(asgi, **options)


# -- verbs


VERBS = ("get", "options", "head", "post", "put", "patch", "delete")


@exercises(*(f"ClientSession.{verb}" for verb in VERBS), *(f"ClientSession.{verb}(url)" for verb in VERBS))
@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_is_its_method(session: ClientSession, httpbin: str, asgi: str, verb: str) -> None:
    async with getattr(session, verb)(f"{asgi}echo") as response:
        assert response.method == verb.upper()
        if verb != "head":
            assert (await seen(response)).method == verb.upper()
    response = await getattr(session, verb)(f"{httpbin}anything")
    await response.read()
    assert response.ok


@exercises("ClientSession.post(data)", "ClientSession.put(data)", "ClientSession.patch(data)")
@pytest.mark.parametrize("verb", ["post", "put", "patch"])
async def test_a_verb_sends_data(session: ClientSession, asgi: str, verb: str) -> None:
    async with getattr(session, verb)(f"{asgi}echo", data={"a": "1"}) as response:
        assert (await seen(response)).body == b"a=1"


@exercises("ClientSession.head(allow_redirects)", "ClientSession.options(allow_redirects)")
@pytest.mark.parametrize(("verb", "follows"), [("head", False), ("options", True), ("get", True)])
async def test_a_verb_follows_redirects_or_not(session: ClientSession, asgi: str, verb: str, follows: bool) -> None:
    url = f"{asgi}redirect?to=/echo"
    async with getattr(session, verb)(url) as response:
        assert (response.status == 200) is follows
    async with getattr(session, verb)(url, allow_redirects=not follows) as response:
        assert (response.status == 200) is not follows


@exercises("ClientPayloadError")
async def test_a_body_that_cannot_be_sent_again_ends_a_redirect(session: ClientSession, asgi: str) -> None:
    async def once() -> AsyncIterator[bytes]:
        yield b"once"

    with pytest.raises(ClientPayloadError, match="cannot be sent again"):
        await session.post(f"{asgi}redirect?to=/echo&status=307", data=once())
