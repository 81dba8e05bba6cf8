"""A network in memory, on a clock that moves when there is nothing else to do: an hour's wait takes no time, and a seed decides everything."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_TICK = 1e-7
"""What one turn of the loop takes; nothing happens at exactly the time it was due."""
_HIGH_WATER = 64 * 1024


class _Selector(selectors.SelectSelector):
    """Waits for no file: lets the time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen")
        self.now += _TICK + max(0.0, timeout)
        return []


class Loop(asyncio.SelectorEventLoop):
    """An event loop on such a clock."""

    def __init__(self) -> None:
        self._passing = _Selector()
        super().__init__(self._passing)

    def time(self) -> float:
        return self._passing.now


class Receiver(Protocol):
    """The other end of a line."""

    is_stalled: bool

    def received(self, data: bytes) -> None: ...
    def lost(self) -> None: ...


class Line(asyncio.Transport):
    """The client's end of a connection. `delay` says how long each piece is under way, `size` how large it is."""

    def __init__(
        self, protocol: asyncio.Protocol, receiver: Receiver, delay: Callable[[], float], size: Callable[[], int]
    ) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._receiver = receiver
        self._delay = delay
        self._size = size
        self._up, self._down = bytearray(), bytearray()
        self._under_way: set[bool] = set()  # whether pieces go up, or down
        self._is_paused = False
        self.is_over = False

    @property
    def is_drained(self) -> bool:
        """Whether all that the server has said has arrived."""
        return not self._down

    # -- what the client does -------------------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self.is_over

    def write(self, data: Any) -> None:
        self._up += data
        if len(self._up) > _HIGH_WATER and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()
        self._send(is_up=True)

    def abort(self) -> None:
        if not self.is_over:
            self.is_over = True
            self._loop.call_soon(self._protocol.connection_lost, None)
            self._receiver.lost()

    # -- what the server does -------------------------------------------------------------------------------------

    def answer(self, data: bytes) -> None:
        self._down += data
        self._send(is_up=False)

    # -- between them ---------------------------------------------------------------------------------------------

    def _send(self, *, is_up: bool) -> None:
        if (self._up if is_up else self._down) and is_up not in self._under_way:
            self._under_way.add(is_up)
            self._loop.call_later(self._delay(), self._arrive, is_up)

    def _arrive(self, is_up: bool) -> None:
        self._under_way.discard(is_up)
        if self.is_over:
            return
        size, waiting = self._size(), self._up if is_up else self._down
        if not is_up:
            data = bytes(waiting[:size])
            del waiting[:size]
            self._protocol.data_received(data)
        elif not self._receiver.is_stalled:
            data = bytes(waiting[:size])
            del waiting[:size]
            self._receiver.received(data)
            if self._is_paused and len(waiting) <= _HIGH_WATER // 4:
                self._is_paused = False
                self._protocol.resume_writing()
        self._send(is_up=is_up)
