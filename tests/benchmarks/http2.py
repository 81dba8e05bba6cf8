"""What HTTP/2 costs: requests for a CPU-second of ours, over it and over HTTP/1.1, to one nginx and over TLS both times.

    python -m tests.benchmarks.http2 [ROUNDS]

Rounds of the two are run in turns; the medians are printed, with that of the ratio between neighbours.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import trustme
import uvloop

from client import ClientSession, TCPConnector
from tests.servers.nginx import Nginx

SIZES = (1_000, 15_000, 200_000)
AT_ONCE = (1, 8, 64)
SECONDS = 0.5
"""CPU of one round, about."""


async def rate(url: str, *, http2: bool, at_once: int) -> float:
    """Return how many pages were had for each second of CPU."""
    connector = TCPConnector(http2=http2, ssl=False, limit=at_once)
    async with ClientSession(connector=connector) as session:

        async def ask() -> None:
            async with session.get(url) as response:
                await response.read()

        await asyncio.gather(*(ask() for _ in range(at_once)))
        count = 0
        began_at = time.process_time()

        async def work() -> None:
            nonlocal count
            while time.process_time() - began_at < SECONDS:
                await ask()
                count += 1

        await asyncio.gather(*(work() for _ in range(at_once)))
        return count / (time.process_time() - began_at)


def compare(url: str, at_once: int, rounds: int) -> tuple[float, float, float]:
    """Return the medians of both rates, and of how many times as much HTTP/2 costs."""
    rates: list[tuple[float, float]] = []
    for _ in range(rounds):
        older, newer = (uvloop.run(rate(url, http2=http2, at_once=at_once)) for http2 in (False, True))
        rates.append((older, newer))
    return (
        median(older for older, _ in rates),
        median(newer for _, newer in rates),
        median(older / newer for older, newer in rates),
    )


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        root, folder = Path(name, "root"), Path(name, "nginx")
        root.mkdir()
        folder.mkdir()
        issued = trustme.CA().issue_cert("127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(folder / "certificate.pem")
        for size in SIZES:
            (root / str(size)).write_bytes(bytes(size))
        certificate = (folder / "certificate.pem", folder / "certificate.pem")
        with Nginx(root, folder, tls=certificate, journal=False, keepalive_requests=10_000_000) as nginx:
            print("bytes  at once  HTTP/1.1  HTTP/2  times the CPU")
            for size in SIZES:
                for at_once in AT_ONCE:
                    older, newer, ratio = compare(f"{nginx.url}{size}", at_once, rounds)
                    print(f"{size:6} {at_once:7} {older:9.0f} {newer:7.0f} {ratio:14.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
