"""Messages come whole and in order, however the bytes between two processes are cut."""

from __future__ import annotations

import asyncio
import select
import socket
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from crawler.readers.channel import Channel

if TYPE_CHECKING:
    import pytest

MESSAGES = st.lists(st.binary(max_size=300), max_size=6)


def wire(messages: list[bytes]) -> bytes:
    return b"".join(len(message).to_bytes(4, "little") + message for message in messages)


@given(MESSAGES, st.data())
def test_messages_are_heard_however_their_bytes_are_cut(messages: list[bytes], data: st.DataObject) -> None:
    sent = wire(messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    heard: list[bytes] = []
    channel = Channel(lambda message: heard.append(bytes(message)))
    for start, end in pairwise([0, *cuts, len(sent)]):
        channel.data_received(sent[start:end])
    assert heard == messages


@given(MESSAGES, st.binary(min_size=1, max_size=300), st.data())
def test_half_a_message_is_not_heard(messages: list[bytes], last: bytes, data: st.DataObject) -> None:
    heard: list[bytes] = []
    channel = Channel(lambda message: heard.append(bytes(message)))
    whole, half = wire(messages), wire([last])[: data.draw(st.integers(0, len(last) + 3))]
    channel.data_received(whole + half)
    assert heard == messages


async def test_what_would_be_too_long_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    heard: list[bytes] = []
    with theirs:
        channel = await Channel.over(ours, lambda message: heard.append(bytes(message)), longest=5)
        theirs.sendall(wire([b"short", b"longer", b"after"])[:-9])
        async with asyncio.timeout(30):
            await channel.ended.wait()
    assert (heard, channel.is_garbled) == ([b"short"], True)


async def test_what_cannot_be_taken_in_is_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing would be heard any more of an end that is thought to be well."""
    ours, theirs = socket.socketpair()
    heard: list[bytes] = []

    def hear(message: memoryview) -> None:
        heard.append(bytes(message))
        if heard[-1] == b"odd":
            raise LookupError("never heard of")

    with theirs:
        channel = await Channel.over(ours, hear)
        theirs.sendall(wire([b"well", b"odd", b"after"]))
        async with asyncio.timeout(30):
            await channel.ended.wait()
    assert (heard, channel.is_garbled) == ([b"well", b"odd"], True)
    assert "never heard of" in caplog.text


async def test_what_was_sent_before_the_end_is_heard() -> None:
    """More than the socket's buffers take."""
    ours, theirs = socket.socketpair()
    heard: list[int] = []
    one = await Channel.over(ours, lambda _: None)
    other = await Channel.over(theirs, lambda message: heard.append(len(message)))
    for _ in range(10):
        one.send(b"x" * 1_000_000)
    one.close()
    async with asyncio.timeout(30):
        await one.ended.wait()
        await other.ended.wait()
    assert heard == [1_000_000] * 10
    other.send(b"into the void")


async def test_messages_of_one_turn_are_sent_together() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = await Channel.over(ours, lambda _: None)
        for message in (b"first", b"second", b"third"):
            channel.send(message)
        assert not select.select([theirs], [], [], 0.0)[0]
        channel.close()
        await channel.ended.wait()
        assert theirs.recv(100) == wire([b"first", b"second", b"third"])


async def test_a_message_long_behind_another_is_sent_at_once() -> None:
    """What comes of a page is not kept waiting for a callback that blocks the loop."""
    ours, theirs = socket.socketpair()
    with theirs:
        channel = await Channel.over(ours, lambda _: None, at_once_after=0.0)  # any is long
        channel.send(b"first")
        channel.send(b"second")
        assert theirs.recv(100) == wire([b"first", b"second"])
        channel.close()
        await channel.ended.wait()
