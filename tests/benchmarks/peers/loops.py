"""The event loop that a peer runs on: asyncio's own, unless the environment's BENCH_LOOP says uvloop."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import uvloop

if TYPE_CHECKING:
    from collections.abc import Coroutine


def run(main: Coroutine[Any, Any, None]) -> None:
    if os.environ.get("BENCH_LOOP") == "uvloop":
        uvloop.run(main)
    else:
        asyncio.run(main)
