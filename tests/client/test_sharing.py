"""Who shares connections: what is remembered of origins, and what becomes of connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hpack import Encoder
from hyperframe.frame import GoAwayFrame, HeadersFrame, SettingsFrame
from yarl import URL

from client import ClientRequest
from client.exchange import ReadPolicy
from client.http2 import Http2Protocol
from client.sharing import Sharing
from tests.fuzz.transport import Unheard

if TYPE_CHECKING:
    import pytest

    from client.http2_stream import Http2Stream


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


async def test_a_retired_connection_ends_though_it_was_put_by_as_idle() -> None:
    """Who waited for it takes a stream when it has just become idle; what is kept for others does not hold it open."""
    kept: list[Http2Stream] = []
    sharing = Sharing(lambda _key, stream: kept.append(stream))
    request = ClientRequest("GET", URL("https://a.example/"))
    protocol, transport = Http2Protocol(), Unheard()
    protocol.connection_made(transport)
    sharing.take_in(request.connection_key, protocol).begin(request, b"GET / HTTP/1.1\r\n\r\n", ReadPolicy())
    finding = asyncio.ensure_future(sharing.find(request.connection_key))
    await asyncio.sleep(0)
    encoder = Encoder()
    protocol.data_received(SettingsFrame(0).serialize() + _answer(encoder, 1))
    another = await finding
    assert another is not None
    another.begin(request, b"GET / HTTP/1.1\r\n\r\n", ReadPolicy())
    assert len(kept) == 1
    protocol.data_received(GoAwayFrame(0, last_stream_id=3).serialize())
    assert not transport.is_aborted
    protocol.data_received(_answer(encoder, 3))
    assert transport.is_aborted
    kept[0].close()
    assert await sharing.find(request.connection_key) is None


def _answer(encoder: Encoder, stream_id: int) -> bytes:
    flags = ("END_HEADERS", "END_STREAM")
    return HeadersFrame(stream_id, encoder.encode([(":status", "200")]), flags=flags).serialize()
