"""What the ASGI server serves: HTTP/1.1 at its odd moments, and a WebSocket. It says what it was asked as JSON."""

from __future__ import annotations

import json
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

Scope: TypeAlias = dict[str, Any]
Message: TypeAlias = dict[str, Any]
Receive: TypeAlias = "Callable[[], Awaitable[Message]]"
Send: TypeAlias = "Callable[[Message], Awaitable[None]]"

CHUNKS: Final = (b"first ", b"second ", b"third")

MULTIPART: Final = (
    b"--outer\r\nContent-Type: application/json\r\n\r\n"
    b'{"part": 1}\r\n'
    b'--outer\r\nContent-Disposition: attachment; filename="notes.txt"\r\n\r\n'
    b"plain text\r\n"
    b"--outer\r\nContent-Type: multipart/mixed; boundary=inner\r\n\r\n"
    b"--inner\r\n\r\nnested\r\n--inner--\r\n"
    b"\r\n--outer--\r\n"
)

EVENTS: Final = b": welcome\nid: 2\ndata: one line\ndata: and another\n\nid: 3\nevent: end\ndata: bye\n\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request or one WebSocket (ASGI 3)."""
    if scope["type"] == "websocket":
        await _converse(scope, receive, send)
        return
    await _PATHS.get(scope["path"], _missing)(scope, receive, send)


# -- HTTP


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    parts = [part async for part in _body(receive)]
    await _answer(send, json.dumps(_seen(scope, parts)).encode(), [("content-type", "application/json")])


async def _refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Say no before the body has been asked for."""
    await _answer(send, b"not today", [("content-type", "text/plain")], status=403)


async def _chunks(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _start(send, [("content-type", "text/plain")])
    for chunk in CHUNKS:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _silence(_scope: Scope, receive: Receive, _send: Send) -> None:
    """Never answer; end when the client has left."""
    await _departure(receive)


async def _half(_scope: Scope, receive: Receive, send: Send) -> None:
    """Send half of a body, and then nothing."""
    await _start(send, [("content-length", "10"), ("content-type", "text/plain")])
    await send({"type": "http.response.body", "body": b"12345", "more_body": True})
    await _departure(receive)


async def _described(_scope: Scope, _receive: Receive, send: Send) -> None:
    """A response with something in every header that the client reads."""
    headers = [
        ("content-type", "text/plain; charset=iso-8859-1"),
        ("content-disposition", "attachment; filename*=UTF-8''caf%C3%A9.txt"),
        ("link", '</page/2>; rel="next"; title="more"'),
        ("link", '</>; rel="first"'),
        ("set-cookie", "one=1; Path=/"),
        ("set-cookie", "two=2; Path=/; HttpOnly"),
        ("x-twice", "a"),
        ("x-twice", "b"),
    ]
    await _answer(send, "Käse".encode("latin-1"), headers)


async def _multipart(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _answer(send, MULTIPART, [("content-type", "multipart/mixed; boundary=outer")])


async def _redirect(scope: Scope, receive: Receive, send: Send) -> None:
    """Redirect to where the query says, with the status that it says."""
    query = dict(parse_qsl(scope["query_string"].decode()))
    async for _part in _body(receive):
        continue
    await _answer(send, b"", [("location", query["to"])], status=int(query.get("status", 302)))


async def _items(scope: Scope, _receive: Receive, send: Send) -> None:
    """A list on three pages, for those with a token."""
    if (b"authorization", b"Bearer fresh") not in scope["headers"]:
        await _answer(send, b"", [], status=401)
        return
    number = int(dict(parse_qsl(scope["query_string"].decode())).get("page", 1))
    following = [("link", f'</api/items?page={number + 1}>; rel="next"')] if number < 3 else []
    await _answer(send, json.dumps([number]).encode(), [("content-type", "application/json"), *following])


async def _token(_scope: Scope, receive: Receive, send: Send) -> None:
    async for _part in _body(receive):
        continue
    await _answer(send, b'{"access_token": "fresh"}', [("content-type", "application/json")])


_busy: Final = cycle((True, False))


async def _every_other(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Turn away every other request for a moment."""
    if next(_busy):
        await _answer(send, b"", [("retry-after", "0")], status=429)
    else:
        await _answer(send, b"", [])


async def _events(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _answer(send, EVENTS, [("content-type", "text/event-stream")])


async def _missing(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _answer(send, b"", [], status=404)


_PATHS: Final = {
    "/echo": _echo,
    "/refuse": _refuse,
    "/chunks": _chunks,
    "/silence": _silence,
    "/half": _half,
    "/described": _described,
    "/multipart": _multipart,
    "/redirect": _redirect,
    "/api/items": _items,
    "/api/token": _token,
    "/api/busy": _every_other,
    "/api/events": _events,
}


def _seen(scope: Scope, parts: list[bytes]) -> dict[str, Any]:
    """What the server has seen of a request. Bytes are given as Latin-1."""
    return {
        "method": scope.get("method", "GET"),
        "target": scope["raw_path"].decode() + ("?" + scope["query_string"].decode() if scope["query_string"] else ""),
        "version": scope["http_version"],
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
        "body": b"".join(parts).decode("latin-1"),
        "client": list(scope["client"] or ()),
    }


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        if part := message.get("body"):
            yield part
        if not message.get("more_body"):
            return


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _start(send: Send, headers: list[tuple[str, str]], status: int = 200) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _answer(send: Send, body: bytes, headers: list[tuple[str, str]], status: int = 200) -> None:
    await _start(send, [*headers, ("content-length", str(len(body)))], status)
    await send({"type": "http.response.body", "body": body})


# -- WebSocket


async def _converse(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept with the last subprotocol offered, tell what was asked, and echo. ``close CODE REASON`` closes."""
    await receive()
    if scope["path"] == "/no-websocket":
        await send({"type": "websocket.close"})
        return
    offered = scope["subprotocols"]
    await send({"type": "websocket.accept", "subprotocol": offered[-1] if offered else None})
    await send({"type": "websocket.send", "text": json.dumps(_seen(scope, []))})
    while (message := await receive())["type"] == "websocket.receive":
        if (text := message.get("text")) is None:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
        elif text.startswith("close "):
            _, code, reason = text.split(" ", 2)
            await send({"type": "websocket.close", "code": int(code), "reason": reason})
            return
        else:
            await send({"type": "websocket.send", "text": text})
