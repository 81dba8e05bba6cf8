"""The running event loop, for objects that can only be made in one."""

from __future__ import annotations

import asyncio


def running_loop(of: object) -> asyncio.AbstractEventLoop:
    """Return the running loop, in which `of` is being made. Without one, raises a `RuntimeError` that says what to do."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        kind = type(of).__name__
        raise RuntimeError(
            f"{kind} needs a running event loop: make it in an `async def` that asyncio.run() runs"
        ) from None
