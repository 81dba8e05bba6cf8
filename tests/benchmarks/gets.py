"""GET requests of one small file, by our client, by aiohttp and by a bare loop, interleaved. `make bench-client` runs this.

Usage: python -m tests.benchmarks.gets [--rounds N] [--requests N]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.benchmarks.measure import Spread, measure
from tests.servers.nginx import Nginx

SIZES = (1_000, 12_000)
CONCURRENCIES = (1, 64, 512)
PEERS = {"Nephila": ["gets", "client"], "aiohttp": ["gets", "aiohttp"], "bare loop": ["bare_gets"]}
REPOSITORY = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.gets", description="Measure single requests.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=10_000)
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(REPOSITORY)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        root = folder / "root"
        root.mkdir()
        for size in SIZES:
            (root / f"{size}.txt").write_bytes(b"x" * size)
        print("Requests per CPU-second: median (least to greatest)")
        with Nginx(root, folder, journal=False, keepalive_requests=1 << 30) as server:
            for size in SIZES:
                for concurrency in CONCURRENCIES:
                    rates = compare(f"{server.url}{size}.txt", options.requests, concurrency, options.rounds, folder)
                    print(f"{size:6,} bytes, {concurrency:3} at once: {_described(rates)}", flush=True)


def compare(url: str, requests: int, concurrency: int, rounds: int, folder: Path) -> dict[str, Spread]:
    """Each peer's requests per CPU-second, its start left out: that is measured by a run of a single request."""
    rates: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, (module, *library) in PEERS.items():
            command = [sys.executable, "-m", f"tests.benchmarks.peers.{module}", *library, url]
            start = measure([*command, "1", "1"], folder).cpu
            whole = measure([*command, str(requests), str(concurrency)], folder).cpu
            rates[name].append((requests - 1) / (whole - start))
    return {name: Spread.of(figures) for name, figures in rates.items()}


def _described(rates: dict[str, Spread]) -> str:
    ours = rates["Nephila"].median
    return "; ".join(
        f"{name} {rate.median:,.0f} ({rate.least:,.0f} to {rate.greatest:,.0f})"
        + (f", {ours / rate.median:.2f} of it" if name != "Nephila" else "")
        for name, rate in rates.items()
    )


if __name__ == "__main__":
    main()
