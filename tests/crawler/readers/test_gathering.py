"""What is sent in one turn of the loop goes out together: with the turn's end, or at once where turns are long."""

from __future__ import annotations

import asyncio

from client import AddressGuard, ClientSession
from client.limits import HostLimits
from crawler.readers.gathering import Gathering, GatheringConnector
from tests.sites import page, serve


async def test_what_is_put_by_in_one_turn_goes_out_together() -> None:
    unsent: list[str] = []
    sent: list[list[str]] = []

    def send_all() -> None:
        sent.append(unsent.copy())
        unsent.clear()

    gathering = Gathering(send_all)
    for what in ("first", "second", "third"):
        unsent.append(what)
        gathering.schedule()
    assert not sent
    await asyncio.sleep(0)
    assert sent == [["first", "second", "third"]]
    unsent.append("fourth")
    gathering.schedule()
    gathering.flush()
    await asyncio.sleep(0)
    assert sent == [["first", "second", "third"], ["fourth"]]


async def test_what_comes_of_a_long_callback_goes_out_at_once() -> None:
    sent: list[None] = []
    gathering = Gathering(lambda: sent.append(None), at_once_after=0.0)  # any is long
    gathering.schedule()  # behind nothing, so that nobody can say how long it took
    assert not sent
    for number in range(1, 4):
        gathering.schedule()
        assert len(sent) == number
    await asyncio.sleep(0)
    assert len(sent) == 3


async def test_each_request_goes_out_once() -> None:
    connector = GatheringConnector(limits=HostLimits(), address_guard=AddressGuard(allow_private=True))
    async with (
        serve({f"/{letter}": page(letter) for letter in "abcde"}) as site,
        ClientSession(connector=connector) as session,
    ):

        async def status_of(path: str) -> int:
            async with session.get(site.url + path) as response:
                return response.status

        for paths in (["/a", "/b", "/c"], ["/d", "/e"]):  # over new connections, and over those that are kept
            assert await asyncio.gather(*map(status_of, paths)) == [200] * len(paths)
    assert sorted(site.paths) == ["/a", "/b", "/c", "/d", "/e"]


async def test_what_was_for_a_connection_that_has_ended_is_dropped() -> None:
    connector = GatheringConnector(limits=HostLimits(), address_guard=AddressGuard(allow_private=True))
    async with serve({"/": page("Home")}) as site, connector:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", site.port)
        connector.write(transport, b"GET / HTTP/1.1\r\n\r\n")
        transport.abort()
        connector.send_all()
    assert not site.paths
