"""Whose a cancellation is: the crawl's, which sends its workers home, or that of the user's code, which a worker runs in its own task.

The user's code may cancel the task that it runs in, by mistake or because a library of theirs does so and does not take it back;
at once, or when that task has long been at something else. Nobody else would know of it but the worker, which would go, and take
what it has in hand along: nobody would wait for it less.

And what must not be left half done by one (`to_the_end`).
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
"""What the user's code may raise: also to leave the program, or because a task that it had was cancelled, or what libraries in Rust
raise when they panic, which is no Exception. What it meets when its caller is cancelled is told from that by `is_cancellation`."""


def _always() -> bool:
    return True


_is_sent_home: ContextVar[Callable[[], bool]] = ContextVar("_is_sent_home", default=_always)


def sent_home_by(parent: asyncio.Task[Any] | None, is_over: Callable[[], bool]) -> None:
    """The task that runs is cancelled by nobody but its parent: when that is cancelled itself, or all is over."""
    _is_sent_home.set(lambda: is_over() or (parent is not None and parent.cancelling() > 0))


def is_cancelled() -> bool:
    """Whether somebody has cancelled the task that runs. Called for every page: cheap."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def is_cancellation(error: BaseException) -> bool:
    """Whether an error is the cancellation of the task that runs, or the end of all, and so nobody's fault."""
    return isinstance(error, KeyboardInterrupt | GeneratorExit) or (
        isinstance(error, asyncio.CancelledError) and is_cancelled()
    )


async def is_ours(error: BaseException) -> bool:
    """The same, but that what the user's code has cancelled of the task that runs is taken back first: then it is a fault of theirs."""
    if is_cancelled():
        await disown()
    return is_cancellation(error)


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


async def in_task_of_its_own(work: Coroutine[Any, Any, T]) -> T:
    """Do what runs the user's code, where whoever waits for it may be cancelled by others: that is not to be taken for theirs. What
    it raises is raised here, and not in the loop, as a task would that leaves the program."""
    parent = asyncio.current_task()
    raised: BaseException | None = None

    async def do() -> T | None:
        nonlocal raised
        sent_home_by(parent, lambda: False)
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
    """Carry something out that must not be left half done: who is cancelled meanwhile, however often, leaves when it is over. Then
    its failure is told to nobody: what has failed says so itself to whoever comes next."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        task.exception()
        raise
