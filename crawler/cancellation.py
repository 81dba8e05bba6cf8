"""Whose a cancellation is: the crawl's, which sends its workers home, or that of the user's code, which a worker runs in its own task.

The user's code may cancel the task that it runs in, by mistake or because a library of theirs does so and does not take it back.
Nobody else would know of it but the worker, which would go, and take what it has in hand along: nobody would wait for it less.

And what must not be left half done by one (`to_the_end`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


def _always() -> bool:
    return True


_is_sent_home: ContextVar[Callable[[], bool]] = ContextVar("_is_sent_home", default=_always)


def sent_home_by(parent: asyncio.Task[Any] | None, is_over: Callable[[], bool]) -> None:
    """The task that runs is cancelled by nobody but its parent: when that is cancelled itself, or all is over."""
    _is_sent_home.set(lambda: is_over() or parent is None or parent.cancelling() > 0)


def is_cancelled() -> bool:
    """Whether somebody has cancelled the task that runs. Called for every page: cheap."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def disown() -> None:
    """Take back what the user's code has cancelled of the task that runs; nothing, if it was sent home."""
    task = asyncio.current_task()
    if task is None or _is_sent_home.get()():
        return
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)  # what was asked for, and was not raised yet
    if _is_sent_home.get()():  # meanwhile
        raise asyncio.CancelledError
    while task.uncancel():
        pass


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Carry something out that must not be left half done: who is cancelled meanwhile, leaves when it is over. Then its failure is
    told to nobody: what has failed says so itself to whoever comes next."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()
        raise
