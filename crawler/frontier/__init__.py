"""Where requests wait: the protocol, and its implementation on one SQLite file.

The implementation is imported only when it is needed: processes that only read pages need the protocol alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crawler.frontier.protocol import CookieRow, Counts, Frontier, HostQueue, HostState, Lease, Settlement

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    if name != "SqliteFrontier":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from crawler.frontier.sqlite import SqliteFrontier

    globals()[name] = SqliteFrontier
    return SqliteFrontier
