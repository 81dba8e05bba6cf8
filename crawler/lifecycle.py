"""The spider's `opened()` and `closed()`, which may wait for anything, until a stop cuts them short."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from crawler.faults import faults_of_the_spider

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from crawler.spider import Spider

HASTE_SECONDS = 0.5
"""How long a spider may take to close when the crawl is to end at once: enough to close files."""


async def open_spider(spider: Spider, stopping: asyncio.Event) -> bool:
    """Open the spider, unless the crawl is `stopping`, which also cuts this short; returns whether it is open. Raises SpiderError."""
    if stopping.is_set():
        return False
    with faults_of_the_spider("opened()"):
        return await _ends_before(stopping, spider.opened())


async def close_spider(spider: Spider, in_haste: asyncio.Event) -> None:
    """Close the spider; once `in_haste` is set, it has only `HASTE_SECONDS`. Raises SpiderError."""
    with faults_of_the_spider("closed()"):
        await _ends_before(in_haste, spider.closed(), grace=HASTE_SECONDS)


async def _ends_before(event: asyncio.Event, work: Coroutine[Any, Any, None], *, grace: float = 0.0) -> bool:
    """Wait for `work`, at most until `grace` seconds after an event; returns whether it has ended."""

    async def end_in_time() -> None:
        await event.wait()
        time.reschedule(asyncio.get_running_loop().time() + grace)

    watching = asyncio.create_task(end_in_time())
    try:
        async with asyncio.timeout(None) as time:
            await work
    except TimeoutError:
        if not time.expired():
            raise
        return False
    finally:
        watching.cancel()
    return True
