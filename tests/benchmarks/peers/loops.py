"""The event loop that a peer runs on: uvloop, unless the environment's BENCH_LOOP says asyncio."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import uvloop

if TYPE_CHECKING:
    from collections.abc import Coroutine


def run(main: Coroutine[Any, Any, None]) -> None:
    if os.environ.get("BENCH_LOOP") == "asyncio":
        asyncio.run(main)
    else:
        uvloop.run(main)
