"""Giving an order to a crawl, whether it is running or not: the way into `crawler.control.steering` from outside."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from crawler.control.steering import REFUSED, Steering
from crawler.errors import StateLocked
from crawler.frontier import SqliteFrontier
from crawler.frontier.inbox import answer_to, give
from crawler.frontier.lock import is_locked
from crawler.frontier.statefile import StateFile

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.orders import Order

PATIENCE = 10.0
"""Seconds to wait for the answer of a running crawl: it looks for orders four times a second, but may be busy writing."""

_POLL = 0.05


class Reply(NamedTuple):
    """What came of an order, in words; or why it was refused."""

    text: str
    is_refusal: bool = False

    @classmethod
    def of(cls, text: str) -> Reply:
        return cls(text.removeprefix(REFUSED), is_refusal=text.startswith(REFUSED))


def dispatch(path: Path, order: Order, *, patience: float = PATIENCE) -> Reply | None:
    """Have an order carried out: by the process that is crawling with the file, or here and now if there is none.

    None when the process that holds the file did not answer within `patience` seconds: the order stays in the file, for that process
    or for the next. Raises UsageError when there is no such file, and what `SqliteFrontier.open` raises.
    """
    with StateFile(path):
        number: int | None = None
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not is_locked(path):
            try:
                return Reply.of(asyncio.run(_carry_out(path, order, number)))
            except StateLocked:
                continue  # a crawl has just begun
        if number is None:
            number = give(path, order)
        if (text := answer_to(path, number)) is not None:
            return Reply.of(text)
        time.sleep(_POLL)
    return None


async def _carry_out(path: Path, order: Order, number: int | None) -> str:
    """Carry out an order, and any that were given before it, on a crawl at rest. `number`: that of the order, if it has one already."""
    frontier = await SqliteFrontier.open(path, spider=None)
    try:
        if number is None:
            number = await frontier.inbox.add(order)
        await Steering(frontier).obey()
        return await frontier.inbox.answer(number)
    finally:
        await frontier.close()
