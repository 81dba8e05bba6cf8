"""Sending everything from one turn of the loop together, at its end, so that the receiver is woken once and handles it all in one go. If
processes and the server share cores, each would otherwise take the core for a moment after every message, and sleep again.
"""

from __future__ import annotations

import asyncio
import time
from math import inf
from typing import TYPE_CHECKING, Any, cast

from client import TCPConnector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from client import AddressGuard, ClientRequest, ClientTimeout
    from client.carrier import Carrier
    from client.limits import HostLimits
    from client.tracing import Trace

LONG_SECONDS = 0.005
"""If a callback takes so many seconds, what comes of it does not wait for the next one."""


class Gathering:
    """Calls `send_all` at the end of a turn in which something was scheduled; or at once, if it was scheduled `at_once_after` seconds or more
    after the thing before. The very first waits for the end of its turn."""

    def __init__(self, send_all: Callable[[], object], *, at_once_after: float = inf) -> None:
        self._send_all = send_all
        self._at_once_after = at_once_after
        self._is_waiting = False
        self._due_at = inf

    def schedule(self) -> None:
        """Note that there is something to send."""
        now = time.monotonic()
        if now >= self._due_at:
            self.flush()
        elif not self._is_waiting:
            self._is_waiting = True
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._due_at = now + self._at_once_after

    def flush(self) -> None:
        """Send it now."""
        self._is_waiting = False
        self._send_all()

    def _end_turn(self) -> None:
        if self._is_waiting:
            self.flush()


class GatheringConnector(TCPConnector):
    """Sends requests together, over all connections; `send_all` does so now."""

    def __init__(self, *, limits: HostLimits, address_guard: AddressGuard, http2: bool = False) -> None:
        super().__init__(limits=limits, address_guard=address_guard, http2=http2)
        self._gathering = Gathering(self._write_all, at_once_after=LONG_SECONDS)
        self._unsent: list[tuple[asyncio.Transport, bytes]] = []
        self.send_all = self._gathering.flush

    def write(self, transport: asyncio.Transport, data: bytes) -> None:
        """Have `data` written to a transport soon."""
        self._unsent.append((transport, data))
        self._gathering.schedule()

    def _write_all(self) -> None:
        unsent, self._unsent = self._unsent, []
        for transport, data in unsent:
            if not transport.is_closing():
                transport.write(data)

    async def _create_connection(self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout) -> Carrier:
        protocol = await super()._create_connection(req, traces, timeout)
        if protocol.transport:
            protocol.transport = cast("asyncio.Transport", _Gathered(protocol.transport, self.write))
        return protocol


class _Gathered:
    """A transport that does not write at once."""

    def __init__(self, transport: asyncio.Transport, write: Callable[[asyncio.Transport, bytes], None]) -> None:
        self._transport = transport
        self._write = write
        self.is_closing = transport.is_closing  # asked of every request

    def write(self, data: bytes) -> None:
        self._write(self._transport, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
