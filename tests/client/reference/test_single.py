"""`client.request`: one call without a session."""

from __future__ import annotations

import asyncio
import gc
import gzip
import warnings
from typing import TYPE_CHECKING, Any

import pytest

import client
from client import BasicAuth, ClientResponseError, HttpVersion10, ServerTimeoutError, TCPConnector, TooManyRedirects
from tests.client.reference.seen import seen
from tests.client.reference.servers.nginx import PAGE
from tests.client.reference.servers.proxies import LOGIN, PASSWORD
from tests.client.reference.table import PARAMETERS, REQUIRED, exercises
from tests.client.reference.test_session import BOUNDS

if TYPE_CHECKING:
    from client import ClientHandlerType, ClientRequest, ClientResponse
    from tests.client.reference.seen import Seen
    from tests.client.reference.servers.nginx import Addresses
    from tests.client.reference.servers.proxies import Proxy


async def _echo(asgi: str, **options: Any) -> Seen:
    async with client.request("POST", f"{asgi}echo", **options) as response:
        return await seen(response)


@exercises("request", "request(method)", "request(url)")
async def test_a_request_is_entered_or_awaited(asgi: str) -> None:
    async with client.request("PUT", f"{asgi}echo") as response:
        assert (await seen(response)).method == "PUT"
    response = await client.request("PUT", f"{asgi}echo")
    assert (await seen(response)).method == "PUT"  # its body has been read before its session was closed


async def test_a_request_that_is_forgotten_warns(asgi: str) -> None:
    """It has done nothing; one that was awaited, entered, or closed on purpose says nothing, whatever came of it."""
    with pytest.warns(RuntimeWarning, match="never awaited"):
        client.request("GET", asgi)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.request("GET", asgi).close()
        with pytest.raises(client.InvalidURL):
            await client.request("GET", "http://")
        with pytest.raises(client.InvalidURL):
            async with client.request("GET", "http://"):
                pass
        gc.collect()


@exercises(
    "request(params)",
    "request(data)",
    "request(headers)",
    "request(cookies)",
    "request(auth)",
    "request(version)",
    "request(skip_auto_headers)",
)
async def test_a_request_says_what_it_is_told_to(asgi: str) -> None:
    request = await _echo(
        asgi,
        params={"q": "1"},
        data=b"data",
        headers={"X-Ours": "1"},
        cookies={"a": "1"},
        auth=BasicAuth("somebody", "opensesame"),
        skip_auto_headers=["User-Agent"],
        version=HttpVersion10,
    )
    assert request.target == "/echo?q=1"
    assert request.body == b"data"
    assert request.headers["X-Ours"] == "1"
    assert request.headers["Cookie"] == "a=1"
    assert BasicAuth.decode(request.headers["Authorization"]).login == "somebody"
    assert "User-Agent" not in request.headers
    assert request.version == "1.0"


@exercises("request(json)", "request(compress)", "request(chunked)", "request(expect100)")
async def test_a_request_sends_its_body_as_it_is_told_to(asgi: str) -> None:
    request = await _echo(asgi, json={"a": 1}, compress="gzip", chunked=True, expect100=True)
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.headers["Transfer-Encoding"] == "chunked"
    assert request.headers["Expect"] == "100-continue"


@exercises("request(encoding)")
@pytest.mark.parametrize(
    ("data", "body", "content_type"),
    [
        ("Käse", b"K\xe4se", "text/plain; charset=latin-1"),
        ({"name": "Käse"}, b"name=K%E4se", "application/x-www-form-urlencoded; charset=latin-1"),
        (b"K\xc3", b"K\xc3", "application/octet-stream"),
    ],
)
async def test_text_can_be_sent_in_another_encoding(asgi: str, data: Any, body: bytes, content_type: str) -> None:
    with pytest.warns(DeprecationWarning, match="encoding"):
        request = await _echo(asgi, data=data, encoding="latin-1")
    assert request.body == body
    assert request.headers["Content-Type"] == content_type


@exercises("request(allow_redirects)", "request(max_redirects)")
async def test_a_request_follows_redirects_as_it_is_told_to(nginx: Addresses) -> None:
    async with client.request("GET", f"{nginx.plain}moved/302", allow_redirects=False) as response:
        assert response.status == 302
    with pytest.raises(TooManyRedirects) as caught:
        await client.request("GET", f"{nginx.plain}loop", max_redirects=1)
    assert len(caught.value.history) == 2


@exercises("request(read_until_eof)")
async def test_a_body_may_end_with_the_connection(httpbin: str) -> None:
    for until_eof, lines in ((True, 2), (False, 0)):
        response = await client.request("GET", f"{httpbin}stream/2", version=HttpVersion10, read_until_eof=until_eof)
        assert (await response.read()).count(b"\n") == lines


@exercises("request(timeout)")
async def test_a_request_may_end_in_time(asgi: str) -> None:
    with pytest.raises(ServerTimeoutError):
        await client.request("GET", f"{asgi}silence", timeout=client.ClientTimeout(total=0.05))


@exercises("request(connector)")
async def test_a_connector_is_left_open(nginx: Addresses) -> None:
    async with TCPConnector() as connector:
        connections = set()
        for _ in range(2):
            async with client.request("GET", f"{nginx.plain}page.html", connector=connector) as response:
                assert await response.read() == PAGE
                connections.add(response.headers["X-Connection"])
        assert len(connections) == 1
        assert not connector.closed


@exercises("request(loop)")
async def test_the_loop_is_the_running_one(asgi: str) -> None:
    with pytest.warns(DeprecationWarning, match="loop"):
        assert (await _echo(asgi, loop=asyncio.get_running_loop())).method == "POST"


@exercises("request(trust_env)")
async def test_the_environment_may_name_a_proxy(asgi: str, tinyproxy: Proxy) -> None:
    request = await _echo(asgi, trust_env={"http_proxy": tinyproxy.url_with_login})
    assert request.headers["X-Proxied-By"] == "tinyproxy"


@exercises("request(proxy)", "request(proxy_auth)", "request(proxy_headers)")
async def test_a_request_may_go_through_a_proxy(asgi: str, tinyproxy: Proxy) -> None:
    auth = BasicAuth(LOGIN, PASSWORD)
    for words in ({"proxy_auth": auth}, {"proxy_headers": {"Proxy-Authorization": auth.encode()}}):
        request = await _echo(asgi, proxy=tinyproxy.url, **words)
        assert request.headers["X-Proxied-By"] == "tinyproxy"


@exercises("request(raise_for_status)")
async def test_a_status_can_be_an_error(nginx: Addresses) -> None:
    with pytest.raises(ClientResponseError):
        await client.request("GET", f"{nginx.plain}absent", raise_for_status=True)


@exercises("request(auto_decompress)")
async def test_a_body_can_be_left_compressed(nginx: Addresses) -> None:
    url = f"{nginx.plain}compressed/page.html"
    response = await client.request("GET", url, auto_decompress=False, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(await response.read()) == PAGE


@exercises("request(middlewares)")
async def test_a_middleware_may_stand_around_a_request(asgi: str) -> None:
    async def marking(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        request.headers["X-Mark"] = "ours"
        return await handler(request)

    assert (await _echo(asgi, middlewares=[marking])).headers["X-Mark"] == "ours"


@exercises(*(f"request({name})" for name, _, _ in BOUNDS))
@pytest.mark.parametrize(("name", "bound", "error"), BOUNDS)
async def test_a_request_has_bounds(nginx: Addresses, name: str, bound: int, error: type[Exception]) -> None:
    options: dict[str, Any] = {name: bound}
    with pytest.raises(error):
        async with client.request("GET", f"{nginx.plain}page.html", **options) as response:
            await response.content.readline()


@exercises("request(trace_request_ctx)")  # there is no configuration to be told
@pytest.mark.parametrize(
    ("name", "default"), [item for item in PARAMETERS["request"].items() if item[1] is not REQUIRED]
)
async def test_a_default_is_what_happens_without_it(asgi: str, name: str, default: object) -> None:
    without, with_default = await _echo(asgi), await _echo(asgi, **{name: default})
    assert with_default._replace(client=without.client) == without
