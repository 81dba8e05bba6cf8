"""The running event loop, for what can only be made within one."""

from __future__ import annotations

import asyncio


def running_loop(of: object) -> asyncio.AbstractEventLoop:
    """Return the loop in which `of` is made; `RuntimeError`, which says what to do, where none runs."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        kind = type(of).__name__
        raise RuntimeError(
            f"no event loop runs, which {kind} needs: make it in an `async def`, which asyncio.run() runs"
        ) from None
