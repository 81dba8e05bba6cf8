"""Telling who cancelled a task: the crawl, which owns it, or the user's code, which runs in it.

The user's code may cancel the worker's task that it runs in, by mistake, or because a library does so and does not take it back; at
once, or when that task has long been doing something else. Only the worker would notice: it would end, and with it the request that it
has in hand, for which the crawl would still wait.

Also here: work that must not be left half done by a cancellation (`to_the_end`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

RAISED: Final = BaseException
"""What the user's code may raise: anything, such as SystemExit, the CancelledError of a task of its own, or what libraries in Rust raise
when they panic, which is not an Exception. `is_cancellation` tells whether it was only the caller's cancellation that passed through."""


def _always() -> bool:
    return True


_owner_cancels: ContextVar[Callable[[], bool]] = ContextVar("_owner_cancels", default=_always)


def owned_by(parent: asyncio.Task[Any] | None, is_over: Callable[[], bool]) -> None:
    """Say who may cancel the current task: only its `parent`, and only if that is cancelled itself, or `is_over()` is true."""
    _owner_cancels.set(lambda: is_over() or (parent is not None and parent.cancelling() > 0))


def is_cancelled() -> bool:
    """Whether anybody has cancelled the current task. Called for every page, so it must be cheap."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def is_cancellation(error: BaseException) -> bool:
    """Whether an error is the cancellation of the current task, or the end of the program, and so nobody's fault."""
    return isinstance(error, KeyboardInterrupt | GeneratorExit) or (
        isinstance(error, asyncio.CancelledError) and is_cancelled()
    )


async def is_ours(error: BaseException) -> bool:
    """Whether an error is a cancellation, as `is_cancellation` has it, but not one by the user's code, which is taken back here."""
    if is_cancelled():
        await uncancel()
    return is_cancellation(error)


async def uncancel() -> None:
    """Take back cancellations of the current task by the user's code; does nothing if its owner has cancelled it."""
    task = asyncio.current_task()
    if task is None or _owner_cancels.get()():
        return
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)  # raises a cancellation that has been requested and not raised yet
    if _owner_cancels.get()():  # meanwhile
        raise asyncio.CancelledError
    while task.uncancel():
        pass


async def in_task_of_its_own(work: Coroutine[Any, Any, T]) -> T:
    """Run the user's code in a task of its own, so that a cancellation of the current task by others is not mistaken for one by the user's
    code. What it raises is raised here, even SystemExit, which a task would raise in the loop."""
    parent = asyncio.current_task()
    raised: BaseException | None = None

    async def do() -> T | None:
        nonlocal raised
        owned_by(parent, lambda: False)
        try:
            return await work
        except RAISED as error:
            raised = error
        return None

    result = await asyncio.create_task(do())
    if raised is not None:
        raise raised
    return cast("T", result)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Do work that must not be left half done: if this is cancelled meanwhile, however often, it ends only when the work has. Then a failure
    of the work is not raised: what has failed must say so itself the next time it is used."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        task.exception()
        raise
