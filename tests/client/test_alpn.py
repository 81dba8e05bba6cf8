"""The choice of a protocol by ALPN."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from client.alpn import ByAlpn

if TYPE_CHECKING:
    from collections.abc import Callable


class Recorder(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def eof_received(self) -> None:
        self.told.append("end")


class Secure(asyncio.Transport):
    """A connection inside TLS, by which so much has been agreed on."""

    def __init__(self, selected: str | None) -> None:
        super().__init__({"ssl_object": self})
        self._selected = selected
        self.protocol: asyncio.BaseProtocol | None = None

    def selected_alpn_protocol(self) -> str | None:
        return self._selected

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


@pytest.mark.parametrize(("selected", "place"), [("h2", 1), ("http/1.1", 0), (None, 0)])
def test_the_protocol_is_what_was_agreed_on(selected: str | None, place: int) -> None:
    kinds: list[type[Recorder]] = [type("Http1", (Recorder,), {}), type("Http2", (Recorder,), {})]
    choice: ByAlpn[Any, Any] = ByAlpn(*kinds)
    transport = Secure(selected)
    choice.connection_made(transport)
    chosen = choice.chosen
    assert isinstance(chosen, Recorder)
    assert isinstance(chosen, kinds[place])
    assert chosen.told == ["made"]
    assert transport.protocol is chosen


def _lost(choice: ByAlpn[Any, Any]) -> None:
    choice.connection_lost(None)


@pytest.mark.parametrize("end", [ByAlpn.eof_received, _lost])
def test_what_comes_before_it_is_told_of_the_connection_is_not_lost(end: Callable[[Any], None]) -> None:
    """Inside another TLS, a server that speaks at once may be that quick."""
    choice = ByAlpn(Recorder, Recorder)
    choice.data_received(b"one")
    choice.data_received(b"two")
    end(choice)
    choice.connection_made(Secure("h2"))
    assert isinstance(choice.chosen, Recorder)
    assert choice.chosen.told == ["made", b"one", b"two", "end"]
