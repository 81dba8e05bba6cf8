"""Who shares connections: what is remembered of origins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yarl import URL

from client import ClientRequest
from client.http2 import Http2Protocol
from client.sharing import Sharing

if TYPE_CHECKING:
    import pytest


async def test_those_who_want_http1_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: the first are forgotten, and asked again."""
    monkeypatch.setattr("client.sharing._ORIGINS_KNOWN", 3)
    sharing = Sharing(lambda _key, stream: stream.close())
    requests = [ClientRequest("GET", URL(f"https://{number}.example/")) for number in range(4)]
    for request in requests:
        protocol = Http2Protocol()
        sharing.take_in(request.connection_key, protocol)
        assert sharing.may_offer(request)
        assert protocol.on_http1_required is not None
        protocol.on_http1_required()
        assert not sharing.may_offer(request)
    assert [sharing.may_offer(request) for request in requests] == [True, True, True, False]
