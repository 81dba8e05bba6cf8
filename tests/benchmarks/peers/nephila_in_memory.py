"""The command `crawl`, with a frontier that keeps nothing.

Usage: python -m tests.benchmarks.peers.nephila_in_memory run TARGET [OPTION]…
"""

from __future__ import annotations

from crawler import crawl
from crawler.cli.main import main
from tests.benchmarks.memory_frontier import MemoryFrontier

if __name__ == "__main__":
    # Users have no choice of frontiers: this one would break every promise.
    vars(crawl)["SqliteFrontier"] = MemoryFrontier
    main()
