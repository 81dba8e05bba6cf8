"""Deprecated rows: each warns at the line that uses it, and does no harm."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

import client
from client import ClientSession
from tests.client.reference.table import DEPRECATED, exercises

CONSTRUCTED = sorted(row for row in DEPRECATED if row[0].isupper() and "." not in row)
REQUESTED = sorted(row for row in DEPRECATED if row.startswith(("ClientSession.request(", "request(")))
OPENED = sorted(row for row in DEPRECATED if row.startswith("ClientSession.ws_connect("))


def _parts(row: str) -> tuple[str, dict[str, Any]]:
    """Return whose parameter a row is, and the parameter with some value."""
    owner, _, name = row.removesuffix(")").partition("(")
    values: dict[str, Any] = {
        "conn_timeout": 5,
        "enable_cleanup_closed": True,
        "encoding": "latin-1",
        "fingerprint": bytes(32),
        "loop": asyncio.get_running_loop(),
        "read_timeout": 60,
        "receive_timeout": 5,
        "ssl_context": ssl.create_default_context(),
        "verify_ssl": False,
    }
    return owner, {name: values[name]}


@exercises(*CONSTRUCTED)
@pytest.mark.parametrize("row", CONSTRUCTED)
async def test_what_is_constructed_warns(row: str) -> None:
    owner, given = _parts(row)
    kind: Any = client.TCPConnector if owner == "BaseConnector" else getattr(client, owner)
    arguments = ("a.sock",) if owner == "UnixConnector" else ()
    with pytest.warns(DeprecationWarning, match=next(iter(given))) as warnings:
        made = kind(*arguments, **given)
    assert [warning.filename for warning in warnings] == [__file__]
    if owner == "ClientSession":
        await made.close()


@exercises(*REQUESTED)
@pytest.mark.parametrize("row", REQUESTED)
async def test_what_is_requested_warns(session: ClientSession, asgi: str, row: str) -> None:
    owner, given = _parts(row)
    request: Any = client.request if owner == "request" else session.request
    with pytest.warns(DeprecationWarning, match=next(iter(given))) as warnings:
        response = await request("GET", f"{asgi}echo", **given)
    assert await response.read()
    assert [warning.filename for warning in warnings] == [__file__]


@exercises(*OPENED)
@pytest.mark.parametrize("row", OPENED)
async def test_what_is_opened_warns(session: ClientSession, asgi: str, row: str) -> None:
    _, given = _parts(row)
    with pytest.warns(DeprecationWarning, match=next(iter(given))) as warnings:
        websocket = await session.ws_connect(asgi, **given)
    await websocket.close()
    assert [warning.filename for warning in warnings] == [__file__]


async def test_every_deprecated_row_is_tried() -> None:
    assert {*CONSTRUCTED, *REQUESTED, *OPENED, "ClientSession.loop"} == DEPRECATED
