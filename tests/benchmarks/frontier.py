"""The frontier alone, at a size of its own: how fast it grows, hands out and settles, and what it takes. `make bench-frontier`.

Usage: python -m tests.benchmarks.frontier [--urls N] [--taken N] [--peers] [--folder DIR] [--report FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.frontier import Settlement, SqliteFrontier
from crawler.outcome import Fetched
from crawler.request import Links
from tests.benchmarks.frontiers import Growth, grow, memory, size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.origin import HostKey
    from crawler.frontier import Lease
    from tests.benchmarks.frontiers import Page, Part

REPOSITORY = Path(__file__).parents[2]
PEERS = {
    "Scrapy, in memory": ["scrapy_scheduler"],
    "Scrapy with JOBDIR": ["scrapy_scheduler", "job"],
    "Crawlee, in memory": ["crawlee_queue"],
}
_HOSTS_A_LEASE = 256
_LEASES_A_HOST = 4
_BYTES_A_URL = 250
"""More than it takes, to see beforehand whether there is room."""


class Nephila:
    """Our frontier, to be measured."""

    def __init__(self, frontier: SqliteFrontier, path: Path) -> None:
        self.frontier = frontier
        self._path = path
        self._hosts: list[HostKey] = []

    async def offer(self, pages: Sequence[Page]) -> None:
        await self.frontier.add([Links(page) for page in pages])

    async def take(self, number: int) -> int:
        await self.frontier.decide()
        hosts = [queue.host for queue in await self.frontier.hosts()]
        taken = 0
        while taken < number:
            turn = [hosts.pop() for _ in range(min(_HOSTS_A_LEASE, len(hosts)))]
            for lease in await self.frontier.lease(turn, _LEASES_A_HOST):
                await self.frontier.settle(Settlement(lease=lease, outcome=_fetched(lease)))
                taken += 1
            hosts[:0] = turn
        await self.frontier.flush()
        return taken

    async def close(self) -> None:
        await self.frontier.close()

    def disk_bytes(self) -> int:
        return size_of(*self._path.parent.glob(f"{self._path.name}*"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What it takes to open a crawl file in a new process, and then to learn which hosts wait. Bytes: its memory by then."""

    open_seconds: float
    hosts_seconds: float
    resident_bytes: int
    peak_bytes: int


def main() -> None:
    options = _options()
    if options.open:
        print(json.dumps(asdict(asyncio.run(_open(options.open)))))
        return
    with tempfile.TemporaryDirectory(prefix="frontier-", dir=options.folder) as name:
        folder = Path(name)
        if shutil.disk_usage(folder).free < options.urls * _BYTES_A_URL:
            raise SystemExit(f"{folder}: {options.urls * _BYTES_A_URL / 1e9:.1f} GB of disk are needed; see --folder")
        report = measure(folder, urls=options.urls, taken=options.taken)
        if options.peers:
            report |= compare(folder, urls=options.urls, taken=options.taken)
    if options.report:
        options.report.write_text(json.dumps(report, indent=2), encoding="utf-8")


def measure(folder: Path, *, urls: int, taken: int) -> dict[str, object]:
    """Let our frontier grow and open it again, telling how it goes; returns all figures."""
    path = folder / "frontier.crawl"
    growth = asyncio.run(_grow(path, urls=urls, taken=taken))
    command = [sys.executable, "-m", "tests.benchmarks.frontier", "--open", str(path)]
    opened = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    opening = Opening(**json.loads(opened.stdout))
    _tell("Nephila", growth)
    print(
        f"  opened in {opening.open_seconds:.2f} s, its hosts listed in {opening.hosts_seconds:.2f} s more; "
        f"{opening.resident_bytes / 1e6:.0f} MB then, {opening.peak_bytes / 1e6:.0f} MB at most"
    )
    return {"Nephila": {"growth": asdict(growth), "opening": asdict(opening)}}


def compare(folder: Path, *, urls: int, taken: int) -> dict[str, object]:
    """The same work by each peer, in a process of its own."""
    report: dict[str, object] = {}
    for name, (module, *arguments) in PEERS.items():
        command = [sys.executable, "-m", f"tests.benchmarks.peers.{module}", str(urls), str(taken), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        growth = Growth.from_json(done.stdout)
        _tell(name, growth)
        report[name] = {"growth": asdict(growth)}
    return report


async def _grow(path: Path, *, urls: int, taken: int) -> Growth:
    nephila = Nephila(await SqliteFrontier.open(path, spider="benchmark"), path)
    try:
        growth = await grow(nephila, urls=urls, taken=taken, report=_tell_part)
    except BaseException:
        await nephila.close()
        raise
    counts = nephila.frontier.counts
    if (counts.queued + counts.done, counts.done) != (urls, growth.taken):
        raise SystemExit(f"of {urls} URLs, {growth.taken} of them handed out, the frontier makes {counts}")
    return growth


async def _open(path: Path) -> Opening:
    begin = time.perf_counter()
    frontier = await SqliteFrontier.open(path, spider="benchmark")
    opened = time.perf_counter()
    await frontier.hosts()
    listed = time.perf_counter()
    opening = Opening(
        open_seconds=opened - begin,
        hosts_seconds=listed - opened,
        resident_bytes=memory("VmRSS"),
        peak_bytes=memory("VmHWM"),
    )
    await frontier.close()
    return opening


def _fetched(lease: Lease) -> Fetched:
    return Fetched(
        status=200, final_url=lease.url, content_type="text/html", size=15_000, elapsed=0.1, fetched_at=time.time()
    )


def _tell_part(part: Part) -> None:
    print(
        f"{part.urls:>12,} URLs: {part.new_a_second:>8,.0f} new/s ({part.new_a_cpu_second:,.0f} a CPU-second), "
        f"{part.offered_a_second:>9,.0f} offered/s of which 80 % known ({part.offered_a_cpu_second:,.0f} a CPU-second), "
        f"{part.resident_bytes / 1e6:,.0f} MB resident, {part.disk_bytes / part.urls:.0f} bytes a URL on disk",
        flush=True,
    )


def _tell(name: str, growth: Growth) -> None:
    last = growth.parts[-1]
    slowest = [min(getattr(part, f"{kind}_a_second") for part in growth.parts) for kind in ("new", "offered")]
    print(
        f"{name}: {last.urls:,} URLs from {growth.offered:,} links in {growth.seconds:.0f} s ({growth.cpu_seconds:.0f} s CPU)\n"
        f"  new, a second: {last.new_a_second:,.0f} in the last tenth ({last.new_a_cpu_second:,.0f} a CPU-second), "
        f"{slowest[0]:,.0f} in the slowest\n"
        f"  offered, 80 % known, a second: {last.offered_a_second:,.0f} in the last tenth "
        f"({last.offered_a_cpu_second:,.0f} a CPU-second), {slowest[1]:,.0f} in the slowest\n"
        f"  handed out and settled, a second: {growth.taken_a_second:,.0f} ({growth.taken_a_cpu_second:,.0f} a "
        f"CPU-second; {growth.taken:,} requests)\n"
        f"  memory: {growth.peak_bytes / 1e6:,.0f} MB at most, {growth.peak_bytes / last.urls:,.0f} bytes a URL\n"
        f"  on disk: {growth.disk_bytes / 1e6:,.0f} MB, {growth.disk_bytes / last.urls:.0f} bytes a URL; "
        f"closed in {growth.close_seconds:.2f} s",
        flush=True,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.frontier", description="Measure the frontier.")
    parser.add_argument("--urls", type=int, default=10_000_000)
    parser.add_argument("--taken", type=int, default=200_000, help="requests to hand out and settle")
    parser.add_argument("--peers", action="store_true", help="the same work by Scrapy and Crawlee")
    parser.add_argument("--folder", type=Path, help="where to put the files")
    parser.add_argument("--report", type=Path, help="the file to write all figures to, as JSON")
    parser.add_argument("--open", type=Path, help="only open this crawl file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
