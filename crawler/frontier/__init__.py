"""Where requests wait: the protocol, and its implementation on one SQLite file."""

from crawler.frontier.protocol import CookieRow, Counts, Frontier, HostQueue, HostState, Lease, Settlement
from crawler.frontier.sqlite import SqliteFrontier

__all__ = [
    "CookieRow",
    "Counts",
    "Frontier",
    "HostQueue",
    "HostState",
    "Lease",
    "Settlement",
    "SqliteFrontier",
]
