"""Programs written for aiohttp run once their import names this client."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from yarl import URL

from tests.client.reference.programs import (
    chatting,
    failing,
    first_steps,
    gathering,
    logging_in,
    middlewares,
    multipart,
    older,
    resolving,
    streaming,
    tracing,
)
from tests.client.reference.servers.nginx import BLOB, PAGE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.reference.servers.nginx import Addresses


async def test_first_steps(httpbin: str) -> None:
    assert await first_steps.main(httpbin) == {
        "status": 200,
        "type": "text/html",
        "title": True,
        "url": "get?key1=value1&key2=value2",
        "args": {"key1": "value1", "key2": "value2"},
        "image": b"PNG",
        "json": {"test": "object"},
        "form": ({"comment": "a file comes along"}, {"report": "1,2,3"}),
        "agent": "first-steps/1.0",
    }


async def test_streaming(nginx: Addresses, asgi: str, tmp_path: Path) -> None:
    found = await streaming.main(nginx.plain, f"{asgi}echo", tmp_path / "blob.bin")
    assert found == (len(BLOB), sha256(BLOB).hexdigest(), len(BLOB), 1000)


async def test_gathering(nginx: Addresses) -> None:
    sizes, errors = await gathering.main(nginx.plain, 100)
    assert sizes == [len(PAGE)] * 100
    assert errors == ["ClientResponseError", "ClientConnectorError"]


async def test_chatting(asgi: str) -> None:
    texts, blobs, code = await chatting.main(asgi)
    assert texts == ["hello", '{"count": 1}', '{"count": 2}']
    assert blobs == [b"bytes"] * 2
    assert code == 4000


async def test_logging_in(httpbin: str, tmp_path: Path) -> None:
    seen, later, cleared = await logging_in.main(httpbin, tmp_path / "cookies.json")
    assert seen == {"theme": "dark", "session": "s3cret"}
    assert later == {"theme": "dark", "session": "s3cret", "once": "1"}
    assert cleared == {}


async def test_tracing(nginx: Addresses) -> None:
    assert await tracing.main(nginx.plain) == [("first", "/page.html", True), ("second", "/page.html", True)]


async def test_middlewares(httpbin: str) -> None:
    assert await middlewares.main(httpbin) == ([503, 503, 200], "for GET", 200)


async def test_failing(nginx: Addresses, asgi: str) -> None:
    urls = (
        f"{nginx.plain}data.json",
        f"{nginx.plain}absent",
        f"{nginx.plain}page.html",
        "http://127.0.0.1:9/",
        f"{asgi}silence",
        "http://[1:2/",
        f"{nginx.plain}to-ftp",
    )
    assert await failing.main(*urls) == [
        "fine",
        "ClientResponseError 404",
        "ContentTypeError 200",
        "127.0.0.1:9",
        "too slow",
        "not a URL: http://[1:2/",
        "NonHttpUrlRedirectClientError",
    ]


async def test_older(nginx: Addresses) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated") as warnings:
        assert await older.main(nginx.plain, nginx.right) == (PAGE, PAGE, PAGE)
    assert {warning.filename for warning in warnings} == {older.__file__}


async def test_multipart(asgi: str) -> None:
    found, body = await multipart.main(asgi)
    assert found == [{"part": 1}, ("notes.txt", "plain text"), [b"nested"]]
    assert '{"a": 1}' in body


async def test_resolving(nginx: Addresses) -> None:
    port = URL(nginx.plain).port
    assert port is not None
    assert await resolving.main(port, str(nginx.socket)) == (PAGE.decode(), PAGE.decode())
