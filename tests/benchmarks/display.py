"""What the live view of a crawl costs, without the crawl: one measurement, as a process of its own, on a terminal.

A crawl of some seconds cannot tell: what the view takes of it is less than by what two such crawls differ. So it is drawn many
times, one time after the other, as `crawl run` draws it.

Usage: python -m tests.benchmarks.display FILE DRAWINGS    (FILE is told: CPU seconds to begin with, and for each drawing after)
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.crawl import Crawl
from crawler.loop import run_loop
from spiders.site import SiteSpider

if TYPE_CHECKING:
    from crawler.stats import Stats

_AT_ONCE = 1e-9


async def main(report: Path, drawings: int) -> None:
    crawl = Crawl(SiteSpider(start_urls=["http://127.0.0.1/"]), state=Path("none.crawl"))
    looks: list[float] = []
    enough = asyncio.Event()

    def stats() -> Stats:
        looks.append(time.process_time())
        if len(looks) == drawings + 2:
            enough.set()
        return crawl.stats()

    began = time.process_time()
    from crawler.progress import follow

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow(stats, sys.stderr, live=True, every=_AT_ONCE))
        await enough.wait()
        task.cancel()
    report.write_text(f"{looks[1] - began} {(looks[drawings + 1] - looks[1]) / drawings}", encoding="ascii")


if __name__ == "__main__":
    run_loop(main(Path(sys.argv[1]), int(sys.argv[2])))
