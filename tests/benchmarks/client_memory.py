"""What memory the client takes: to be imported, to stream a body that is larger than memory, to make a million requests.

`make bench-memory` runs this. It fails where memory grows, or more of it is resident than is allowed.

Usage: python -m tests.benchmarks.client_memory [--requests N] [--bytes N]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.benchmarks.measure import environment
from tests.servers.nginx import Nginx

REPOSITORY = Path(__file__).parents[2]
STREAM_BYTES = 30_000_000
"""What may be resident while a body of any size goes through: Python, the client and all."""

GROWTH_BYTES = 1_000_000
"""What memory may grow by from the first tenth of many requests to the last: less than a byte for each."""

CONCURRENCY = 64
ENVIRONMENT = environment()
"""Modules are compiled before, as those of an installed package are: the compiler's memory is not the client's."""

_STARTS = 9


class Look(NamedTuple):
    """What was resident, in bytes, when so much was done."""

    done: int
    resident: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.client_memory", description="Measure the client's memory.")
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=1_000_000_000, help="the size of the body to stream")
    options = parser.parse_args()
    _tell_import()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        root = folder / "root"
        root.mkdir()
        (root / "page.html").write_bytes(b"x" * 1000)
        with (root / "body.bin").open("wb") as file:
            file.truncate(options.bytes)  # holes: it takes no room on the disk
        with Nginx(root, folder, journal=False, keepalive_requests=1 << 30) as server:
            peak = _tell_stream(f"{server.url}body.bin")
            growth = _tell_repeat(f"{server.url}page.html", options.requests)
    if peak > STREAM_BYTES or growth > GROWTH_BYTES:
        sys.exit("too much memory")


def _tell_import() -> None:
    """How long Python takes to start and import the client, and what is resident then; beside Python with asyncio alone."""
    for module in ("asyncio", "client"):
        seconds, resident = [], 0
        for _ in range(_STARTS):
            began_at = time.perf_counter()
            command = [sys.executable, "-c", f"import {module}; print(open('/proc/self/statm').read().split()[1])"]
            pages = subprocess.run(
                command, cwd=REPOSITORY, env=ENVIRONMENT, check=True, capture_output=True, text=True
            ).stdout
            seconds.append(time.perf_counter() - began_at)
            resident = int(pages) * os.sysconf("SC_PAGE_SIZE")
        print(f"import {module}: {1000 * median(seconds):.0f} ms with the start of Python, {_mb(resident)} resident")


def _tell_stream(url: str) -> int:
    looks = _run("stream", url)
    peak = max(look.resident for look in looks)
    print(
        f"a body of {looks[-1].done:,} bytes: {_mb(peak)} resident at most, {_mb(looks[0].resident)} before it",
        flush=True,
    )
    return peak


def _tell_repeat(url: str, requests: int) -> int:
    looks = _run("repeat", url, str(requests), str(CONCURRENCY))
    tenth = looks[len(looks) // 10]
    growth = looks[-1].resident - tenth.resident
    for look in looks:
        print(f"{look.done:>9,} requests: {_mb(look.resident)}")
    print(f"{requests:,} requests, {CONCURRENCY} at once: {growth:+,} bytes since the first {tenth.done:,}", flush=True)
    return growth


def _run(*arguments: str) -> list[Look]:
    command = [sys.executable, "-m", "tests.benchmarks.peers.resident", *arguments]
    lines = subprocess.run(
        command, cwd=REPOSITORY, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()
    return [Look(*map(int, line.split())) for line in lines]


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
