"""GET requests of one small file by our client, by aiohttp, by httpx and by a bare loop, interleaved. `make bench-client` runs this.

Usage: python -m tests.benchmarks.gets [--rounds N] [--peers NAME,…] [--sizes BYTES,…] [--concurrency N,…] [--share SHARE]
       [--loop asyncio|uvloop] [--sleep] [--figures FILE [--resume]]
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.awake import awake
from tests.benchmarks.ledger import Ledger, Run, ratios
from tests.benchmarks.measure import Spread, measure
from tests.benchmarks.options import common, names, numbers
from tests.benchmarks.versions import versions
from tests.servers.nginx import Nginx

if TYPE_CHECKING:
    from tests.benchmarks.measure import Usage

REPOSITORY = Path(__file__).parents[2]
SIZES = (1_000, 12_000)
CONCURRENCIES = (1, 64, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A client: the command that makes the requests, its share of them, and in how many of the rounds it takes part."""

    name: str
    command: tuple[str, ...]
    share: float = 1.0
    rounds: int = sys.maxsize


NEPHILA = Peer(name="Nephila", command=("gets", "client"))
PEERS = (
    NEPHILA,
    Peer(name="aiohttp", command=("gets", "aiohttp")),
    # Its pool looks at every connection for every request: the full measure would take an hour.
    Peer(name="httpx", command=("httpx_gets",), share=1 / 20, rounds=2),
    Peer(name="bare loop", command=("bare_gets",), share=2),
)


def requests(concurrency: int) -> int:
    """Enough of them for connecting to be next to nothing beside them."""
    return 20_000 if concurrency == 1 else 40_000


def main() -> None:
    options = _options()
    with nullcontext() if options.sleep else awake():
        _measure(options)


def _measure(options: argparse.Namespace) -> None:
    os.environ["PYTHONPATH"] = str(REPOSITORY)
    os.environ["BENCH_LOOP"] = options.loop
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        ledger = Ledger.begin(options.figures or folder / "figures.json", resume=options.resume, versions=versions())
        root = folder / "root"
        root.mkdir()
        for size in options.sizes:
            (root / f"{size}.txt").write_bytes(b"x" * size)
        with Nginx(root, folder, journal=False, keepalive_requests=1 << 30) as server:
            for number in range(options.rounds):
                _go_round(number, server.url, options, ledger, folder)
    for subject in ledger.subjects():
        print(f"{subject}: {described(ledger.of(subject))}")


def _go_round(number: int, url: str, options: argparse.Namespace, ledger: Ledger, folder: Path) -> None:
    """Have each peer make its requests for each size and concurrency; who begins changes from round to round."""
    peers = [peer for peer in PEERS if peer.name in options.peers and number < peer.rounds]
    first = number % len(peers)
    starts = {peer.name: _ask(peer, f"{url}{options.sizes[0]}.txt", 1, 1, folder).cpu for peer in peers}
    for size, concurrency in itertools.product(options.sizes, options.concurrency):
        subject = f"{size:,} bytes, {concurrency} at once{_circumstances(options)}"
        for peer in peers[first:] + peers[:first]:
            if ledger.has(subject, peer.name, number):
                continue
            count = int(requests(concurrency) * peer.share * options.share)
            usage = _ask(peer, f"{url}{size}.txt", count, concurrency, folder)
            run = Run(
                subject=subject,
                contender=peer.name,
                round=number,
                work=count - 1,
                cpu=usage.cpu - starts[peer.name],
                wall=usage.wall,
                peak_bytes=usage.peak_bytes,
            )
            ledger.add(run)
            print(f"round {number + 1}: {subject}: {peer.name} {run.per_cpu_second:,.0f}", flush=True)


def _circumstances(options: argparse.Namespace) -> str:
    return f"{' on uvloop' if options.loop == 'uvloop' else ''}{' from sleep' if options.sleep else ''}"


def _ask(peer: Peer, url: str, count: int, concurrency: int, folder: Path) -> Usage:
    module, *library = peer.command
    command = [sys.executable, "-m", f"tests.benchmarks.peers.{module}", *library, url]
    return measure([*command, str(count), str(concurrency)], folder)


def described(found: dict[str, list[Run]]) -> str:
    """Requests per CPU-second, the median and in brackets the least and the greatest; and our ratio to each peer."""
    ours = found.get(NEPHILA.name, [])
    parts = []
    for name, runs in found.items():
        rate = Spread.of([run.per_cpu_second for run in runs])
        text = f"{name} {rate.median:,.0f} ({rate.least:,.0f} to {rate.greatest:,.0f})"
        if ours is not runs and (each := ratios(ours, runs)):
            text += f", {Spread.of(each).median:.2f} of it"
        parts.append(text)
    return "; ".join(parts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.gets", description="Measure single requests.")
    common(parser)
    parser.add_argument("--peers", type=names, default=[peer.name for peer in PEERS])
    parser.add_argument("--sizes", type=numbers, default=SIZES, help="bytes of a body")
    parser.add_argument("--concurrency", type=numbers, default=CONCURRENCIES)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio", help="the event loop of all peers")
    parser.add_argument("--share", type=float, default=1.0, help="of the requests, for a quick look")
    parser.add_argument("--sleep", action="store_true", help="let processors sleep until an answer comes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
