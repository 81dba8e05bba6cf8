"""A copy of a crawl file is what the file was at one instant, whatever is written meanwhile."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from crawler.errors import StateDamaged, StorageError, UsageError
from crawler.frontier import SqliteFrontier
from crawler.frontier.backup import back_up
from tests.crawler.frontier.damage import Layout, build, go_on, rows, settlement, spoil
from tests.crawler.frontier.test_full_disk import file_size_limit
from tests.proof.crawlfile import check_invariants

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_running_crawl_is_copied_without_a_pause(path: Path, tmp_path: Path) -> None:
    """Each copy holds all that was committed when it was begun, keeps to the laws of a crawl file, and can be gone on with."""
    await build(path, requests=500, rounds=1)
    frontier = await SqliteFrontier.open(path, spider="test")
    copies = [tmp_path / f"{number}.crawl" for number in range(5)]

    async def crawl_on() -> None:
        while any(not copy.exists() for copy in copies):
            hosts = [queue.host for queue in await frontier.hosts()]
            for lease in await frontier.lease(hosts, 2):
                await frontier.settle(settlement(lease))

    async def copy_all() -> None:
        for copy in copies:
            await frontier.flush()
            ((before,),) = rows(path, "SELECT count(*) FROM result")
            assert await asyncio.to_thread(back_up, path, copy) == copy.stat().st_size
            check_invariants(copy)
            assert rows(copy, "SELECT count(*) FROM result") >= [(before,)]

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(crawl_on())
        group.create_task(copy_all())
    await frontier.close()

    names = {entry.name for entry in tmp_path.iterdir()}
    assert names == {"test.crawl", *(copy.name for copy in copies)}, "something was left beside"
    resumed = await go_on(copies[0])
    assert (resumed.counts.queued, resumed.counts.leased) == (0, 0)
    check_invariants(copies[0])


async def test_a_copy_says_no_more_than_what_was_committed(path: Path, tmp_path: Path) -> None:
    """What a killed process left in its log is in the copy as in the file."""
    await build(path, requests=300, rounds=1, dies=True)
    back_up(path, tmp_path / "copy.crawl")
    for table in ("request", "queue", "item", "export", "count"):
        assert rows(tmp_path / "copy.crawl", f"SELECT * FROM {table}") == rows(path, f"SELECT * FROM {table}")


async def test_nothing_is_overwritten(path: Path, tmp_path: Path) -> None:
    await build(path, requests=10, rounds=0)
    (tmp_path / "precious").write_text("precious")
    for copy in (tmp_path / "precious", path):
        with pytest.raises(UsageError, match="exists"):
            back_up(path, copy)
    with pytest.raises(UsageError, match="no folder"):
        back_up(path, tmp_path / "nowhere" / "copy")
    with pytest.raises(UsageError, match="no crawl file"):
        back_up(tmp_path / "none.crawl", tmp_path / "copy")
    assert (tmp_path / "precious").read_text() == "precious"


async def test_a_damaged_file_gives_no_copy(path: Path, tmp_path: Path) -> None:
    """A backup that nobody can use would come to light too late."""
    await build(path, requests=500, rounds=1)
    spoil(path, set(Layout(path).pages("item leaf", "request leaf")), random.Random(1))
    with pytest.raises(StateDamaged, match="crawl repair"):
        back_up(path, tmp_path / "copy.crawl")
    assert not [entry for entry in tmp_path.iterdir() if "copy" in entry.name]


async def test_a_full_disk_is_said_to_be_full(path: Path, tmp_path: Path) -> None:
    await build(path, requests=100, rounds=1)
    with pytest.raises(StorageError, match=r"copy\.crawl"), file_size_limit(100_000):
        back_up(path, tmp_path / "copy.crawl")
    assert not [entry for entry in tmp_path.iterdir() if "copy" in entry.name]
