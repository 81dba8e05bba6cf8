"""Choosing the protocol after a TLS handshake (ALPN, RFC 7301)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

A = TypeVar("A", bound=asyncio.Protocol)
B = TypeVar("B", bound=asyncio.Protocol)


class ByAlpn(asyncio.Protocol, Generic[A, B]):
    """Hands the connection to the protocol that the server has chosen, before anything is read from it."""

    def __init__(self, http1: Callable[[], A], http2: Callable[[], B]) -> None:
        self._http1 = http1
        self._http2 = http2
        self._early: list[bytes] = []
        self._has_ended = False
        self.chosen: A | B | None = None
        """The protocol, as soon as there is a connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls = transport.get_extra_info("ssl_object")
        speaks_http2 = tls is not None and tls.selected_alpn_protocol() == "h2"
        self.chosen = chosen = self._http2() if speaks_http2 else self._http1()
        cast("asyncio.Transport", transport).set_protocol(chosen)
        chosen.connection_made(transport)
        for data in self._early:
            chosen.data_received(data)
        if self._has_ended:
            chosen.eof_received()

    # -- events before `connection_made`: with TLS inside TLS, asyncio calls that a little late -------------------------

    def data_received(self, data: bytes) -> None:
        self._early.append(data)

    def eof_received(self) -> None:
        self._has_ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_ended = True
