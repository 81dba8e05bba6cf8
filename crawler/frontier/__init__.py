"""Where requests wait: the protocol, and its implementation on one SQLite file."""

from crawler.frontier.protocol import Counts, Frontier, HostQueue, Lease, Settlement
from crawler.frontier.sqlite import SqliteFrontier

__all__ = ["Counts", "Frontier", "HostQueue", "Lease", "Settlement", "SqliteFrontier"]
