"""How many files the system lets a crawl have open: each connection is one.

Beyond the limit, connections fail, and so does whatever else opens a file, such as an import. Requests would then fail for no fault of
their hosts. Systems set a low limit, often 1024, that programs may raise by themselves to a much higher one: the low one is for programs
that use select(2), which cannot take more. The event loop does not use it.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import TYPE_CHECKING

from crawler.cli.console import say

if TYPE_CHECKING:
    from crawler.settings import Settings

_ENOUGH = 65_536
"""Some systems have no limit, or one so high that it is refused."""

_BESIDE_CONNECTIONS = 64
"""The crawl file and what belongs to it, outputs, the log, pipes to other processes; and what a spider opens."""


def raise_limit() -> None:
    """Raise the limit of this process, and so of those that it starts, as far as that is allowed and makes sense."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if most == resource.RLIM_INFINITY else min(most, _ENOUGH)
    if allowed == resource.RLIM_INFINITY or allowed >= wanted:
        return
    with suppress(OSError, ValueError):  # then it stays as it is
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def warn_if_few(settings: Settings) -> None:
    """Say so if the crawl may come to have more files open than it is allowed."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.concurrency * (1 + settings.lingering) + _BESIDE_CONNECTIONS
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        say(
            f"warning: concurrency {settings.concurrency:,} may need {needed:,} open files, but this system allows {allowed:,}: "
            "raise the limit (ulimit -n), or lower --concurrency"
        )
