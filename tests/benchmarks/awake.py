"""Processors that do not sleep while something is measured.

A processor with nothing to do sleeps, and comes back late and with empty caches. Of a virtual one, whose host gives it to
others meanwhile, so much is lost that a request over one connection, which waits for each answer, takes twice the CPU time,
whoever makes it. When a processor sleeps is the machine's affair, and no client's. So the kernel is asked for an answer at
once (https://docs.kernel.org/power/pm_qos_interface.html): idle processors then wait awake.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LATENCY = Path("/dev/cpu_dma_latency")


def may_keep_awake() -> bool:
    """Whether this is a Linux that lets us: as a rule, it asks for root."""
    try:
        with LATENCY.open("r+b", buffering=0):
            return True
    except OSError:
        return False


@contextmanager
def awake() -> Iterator[None]:
    """Keep the processors from sleeping until the end of the block, or of this process; say so where that is not allowed."""
    if not may_keep_awake():
        print(f"processors may sleep meanwhile: {LATENCY} cannot be opened", file=sys.stderr)
        yield
        return
    with LATENCY.open("r+b", buffering=0) as file:
        file.write((0).to_bytes(4, sys.byteorder))  # microseconds, for as long as the file is open
        yield
