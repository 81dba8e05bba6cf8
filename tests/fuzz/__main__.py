"""Run one target many times, and say how fast it was and what memory it kept."""

import argparse
import gc
import importlib
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Protocol

_SHARED = {"text", "transport"}
"""Modules that are no targets."""

_WARM_UP = 1000
"""Executions before memory is looked at: caches have filled then."""

_LEAK_KIB = 32 * 1024
"""Growth that no cache explains: 33 bytes for each of a million executions."""


class Target(Protocol):
    def execute(self, random: Random) -> str | None:
        """Do one random thing; raises when a law is broken. Returns a word for what is to be counted, if anything is."""


def main() -> None:
    folder = Path(__file__).parent
    targets = sorted(
        path.stem for path in folder.glob("*.py") if not path.stem.startswith("_") and path.stem not in _SHARED
    )
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=targets)
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000_000)
    options = parser.parse_args()
    target: Target = importlib.import_module(f"tests.fuzz.{options.target}").Target()
    run(target, options.target, options.executions, options.seed)


def run(target: Target, name: str, executions: int, seed: int) -> None:
    """Every execution has a seed of its own; a failing one is told before its traceback."""
    started = time.perf_counter()
    memory_kib = 0
    counted: Counter[str] = Counter()
    for number in range(executions):
        if number == min(_WARM_UP, executions - 1):
            memory_kib = _peak_memory_kib()
        try:
            word = target.execute(Random(seed + number))
        except BaseException:
            sys.stderr.write(f"{name} failed in execution {number} of --seed {seed}\n")
            raise
        if word:
            counted[word] += 1
    seconds = time.perf_counter() - started
    grown_kib = _peak_memory_kib() - memory_kib
    print(
        f"{name}: {executions:,} executions in {seconds:.0f} s ({executions / seconds:,.0f}/s) from seed {seed}; "
        f"peak memory grew by {grown_kib:,} KiB" + "".join(f"; {number:,} {word}" for word, number in counted.items())
    )
    if grown_kib > _LEAK_KIB:
        sys.exit(f"{name} leaks memory")


def _peak_memory_kib() -> int:
    gc.collect()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
