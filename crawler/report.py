"""What a crawl reports: how it stands while it runs, and how the run ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import asdict

from crawler.frontier.protocol import Counts
from crawler.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.frontier import SqliteFrontier
    from crawler.hosts.pace import HostPace
    from crawler.stats import Tally


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended. `reason`: finished, interrupted, max_pages, max_time, stopped (by the spider's `Stop`, which says `why`), or held
    (only requests of held hosts are left). Unless it is finished, the crawl can be resumed.

    `paces`: the pace at which hosts were asked, for those asked most; a Crawl-delay longer than `max_crawl_delay` (seconds) was cut to
    that.
    """

    reason: str
    stats: Stats
    why: str = ""
    paces: Sequence[HostPace] = ()
    max_crawl_delay: float = 0.0

    @property
    def finished(self) -> bool:
        return self.reason == "finished"


def stats_of(crawl_name: str, frontier: SqliteFrontier | None, tally: Tally, *, active: int) -> Stats:
    """A snapshot of a crawl, of which `active` requests are under way; before it has a frontier, all counts are zero."""
    counts = frontier.counts if frontier else Counts()
    return Stats(
        **asdict(counts),
        spider=crawl_name,
        started=frontier.first_started if frontier else time.time(),
        elapsed=(frontier.elapsed_before if frontier else 0.0) + tally.run_elapsed,
        run_elapsed=tally.run_elapsed,
        rate=tally.rate(),
        active=active,
        statuses=dict(tally.statuses),
        errors=dict(tally.errors),
        last_error=tally.last_error,
        spider_errors=list(tally.spider_errors),
        not_modified=tally.not_modified,
        not_modified_bytes=tally.not_modified_bytes,
    )
