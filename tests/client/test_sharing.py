"""Who shares connections: what is remembered of origins, and what becomes of connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hpack import Encoder
from hyperframe.frame import GoAwayFrame, HeadersFrame, SettingsFrame
from yarl import URL

from client import ClientRequest, ServerDisconnectedError
from client.exchange import ReadPolicy
from client.http2 import Http2Protocol
from client.sharing import Sharing
from tests.fuzz.transport import Unheard

if TYPE_CHECKING:
    from client.carrier import Carrier
    from client.http2_stream import Http2Stream

ASKED = ClientRequest("GET", URL("https://a.example/"))
_SETTINGS = SettingsFrame(0).serialize()


async def test_those_who_want_http1_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: the first are forgotten, and asked again."""
    monkeypatch.setattr("client.sharing._ORIGINS_KNOWN", 3)
    sharing = Sharing(lambda _key, stream: stream.close(), lambda _key: None)
    requests = [ClientRequest("GET", URL(f"https://{number}.example/")) for number in range(4)]
    for request in requests:
        protocol = Http2Protocol()
        sharing.take_in(request.connection_key, protocol)
        assert sharing.may_offer(request)
        protocol.on_http1_required()
        assert not sharing.may_offer(request)
    assert [sharing.may_offer(request) for request in requests] == [True, True, True, False]


async def test_who_waited_for_a_connection_takes_it_from_where_idle_ones_are_kept() -> None:
    """It has just become idle: a second stream of it would leave it among them, though it is in use."""
    kept: list[Http2Stream] = []
    sharing = Sharing(lambda _key, stream: kept.append(stream), lambda _key: kept.pop() if kept else None)
    protocol, _transport = _connection()
    _begin(sharing.take_in(ASKED.connection_key, protocol))
    finding = asyncio.ensure_future(sharing.find(ASKED.connection_key))
    await asyncio.sleep(0)
    protocol.data_received(_SETTINGS + _answer(1))
    assert len(kept) == 1
    another = await finding
    assert another is not None
    assert not kept
    another.close()
    assert protocol.is_closed


@pytest.mark.parametrize(("ending", "at_once"), [(asyncio.CancelledError, 1), (OSError, 5)])
async def test_of_those_who_waited_for_a_request_that_was_cancelled_one_opens_a_connection(
    ending: type[BaseException], at_once: int
) -> None:
    """Nothing is known of the server then: the others wait for that one. Where it could not be reached, they do not."""
    key = ASKED.connection_key
    sharing = Sharing(lambda _key, stream: stream.close(), lambda _key: None)
    opened: list[asyncio.Future[None]] = []

    async def request() -> None:
        if await sharing.find(key) is None:
            with sharing.opening(key):
                opened.append(asyncio.get_running_loop().create_future())
                await opened[-1]

    requests = [asyncio.create_task(request()) for _ in range(6)]
    await asyncio.sleep(0)
    assert len(opened) == 1
    opened[0].set_exception(ending()) if ending is OSError else requests[0].cancel()
    await asyncio.wait(requests[:1])
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(opened) == 1 + at_once
    for one in requests:
        one.cancel()
    await asyncio.wait(requests)
    assert requests[0].cancelled() or isinstance(requests[0].exception(), ending)


async def test_a_retired_connection_ends_with_its_last_exchange() -> None:
    """Nothing can begin on a stream that was lent, any more: it does not hold the connection open."""
    sharing = Sharing(lambda _key, stream: stream.close(), lambda _key: None)
    protocol, transport = _connection()
    _begin(sharing.take_in(ASKED.connection_key, protocol))
    protocol.data_received(_SETTINGS)
    another = await sharing.find(ASKED.connection_key)
    assert another is not None
    protocol.data_received(GoAwayFrame(0, last_stream_id=1).serialize())
    assert not transport.is_aborted
    protocol.data_received(_answer(1))
    assert transport.is_aborted
    with pytest.raises(ServerDisconnectedError) as caught:
        _begin(another)
    assert caught.value.is_unprocessed
    another.close()
    assert await sharing.find(ASKED.connection_key) is None


def _connection() -> tuple[Http2Protocol, Unheard]:
    protocol, transport = Http2Protocol(), Unheard()
    protocol.connection_made(transport)
    return protocol, transport


def _begin(carrier: Carrier) -> None:
    carrier.begin(ASKED, b"GET / HTTP/1.1\r\n\r\n", ReadPolicy())


def _answer(stream_id: int) -> bytes:
    block = Encoder().encode([(":status", "200")])
    return HeadersFrame(stream_id, block, flags=("END_HEADERS", "END_STREAM")).serialize()
