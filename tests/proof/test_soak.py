"""A few seconds of what `make soak` does for an hour: a rough web is crawled to the right end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.soak import soak

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_web_on_which_everything_goes_wrong_is_crawled_to_its_end(tmp_path: Path) -> None:
    """Every URL that a page led to ends as it has to, in spite of resets, cuts, pauses, floods, traps and dead hosts."""
    soaked = await soak(tmp_path, seconds=3.0, hosts=24)
    assert soaked.lacking == []
    assert soaked.wrong == []
    assert 0 < soaked.trapped < 100
    kinds = {kind for kind, _ in soaked.ends}
    assert kinds >= {"page", "slow", "flaky", "busy", "reset", "cut", "away", "missing", "broken", "trap"}
