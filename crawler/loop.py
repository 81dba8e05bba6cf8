"""The event loop that a crawl runs in."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Result = TypeVar("Result")

_COLLECT_EVERY = 50_000
"""How many objects are made before the cyclic garbage collector looks at them. A page makes hundreds, all freed by their
reference counts; at Python's own 700, looking took 4 % of a crawl's CPU time, and found nothing."""


def run_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` returns, run in an event loop of its own, the fastest there is."""
    gc.freeze()  # what was imported stays: it need not be looked at again
    gc.set_threshold(_COLLECT_EVERY)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(work)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the fastest loop there is, loaded; None if that is asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
