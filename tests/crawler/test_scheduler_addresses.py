"""The scheduler and hosts that share an address: nobody works in vain, nobody is forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from client.limits import HostLimits
from client.origin import HostKey
from crawler.frontier import SqliteFrontier
from crawler.request import Links
from tests.crawler.crew import Crew, done

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from crawler.frontier import Lease
    from crawler.outcome import Outcome

HOSTS = [HostKey(f"h{number}.example") for number in range(60)]


@pytest.fixture
async def frontier(tmp_path: Path) -> AsyncIterator[SqliteFrontier]:
    frontier = await SqliteFrontier.open(tmp_path / "test.crawl", spider="test")
    yield frontier
    await frontier.close()


@pytest.mark.parametrize("active_hosts", [10_000, 8], ids=["all at once", "a few at a time"])
@pytest.mark.parametrize("spacing", [0.0, 0.0005], ids=["slots", "slots and distance"])
async def test_hosts_at_one_address_share_it_to_the_end(
    frontier: SqliteFrontier, active_hosts: int, spacing: float
) -> None:
    """Three slots for sixty hosts, of which one is elsewhere: the three are used, never more, and all requests are made."""
    limits = HostLimits(limit_per_host=2, limit_per_address=3, address_spacing=spacing)
    for host in HOSTS[1:]:
        limits.place(host, "192.0.2.1")
    limits.place(HOSTS[0], "192.0.2.2")
    await frontier.add([Links([f"http://{host}/{number}" for host in HOSTS for number in range(5)])])
    under_way: Counter[bool] = Counter()
    peaks: Counter[bool] = Counter()

    async def visit(lease: Lease) -> Outcome:
        is_shared = lease.host != HOSTS[0]
        under_way[is_shared] += 1
        peaks[is_shared] = max(peaks[is_shared], under_way[is_shared])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        under_way[is_shared] -= 1
        return done(lease)

    crew = Crew(frontier, limits, visit, active_hosts=active_hosts)
    await crew.run(workers=16)
    assert len(crew.visits) == 300
    assert peaks[True] <= 3
    assert peaks[True] == 3 or spacing
