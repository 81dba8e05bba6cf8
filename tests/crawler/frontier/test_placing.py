"""A crawl file that is moved, removed or replaced: what was kept is found again, and nothing is said that is not so."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from client.origin import HostKey
from crawler import Crawl, Settings
from crawler.errors import StateError, StorageError
from crawler.frontier import Settlement, SqliteFrontier
from crawler.frontier.placing import beside, replace
from crawler.frontier.repair import repair
from crawler.outcome import Fetched
from crawler.request import Links
from tests.crawler.frontier.damage import build, rows
from tests.crawler.readers.spiders import Follower
from tests.proof.crawlfile import check_invariants
from tests.sites import page as html
from tests.sites import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crawler import Page
    from crawler.frontier import Lease

HOST = HostKey("h.example")
STEPS = 4


def fetched(lease: Lease) -> Fetched:
    return Fetched(status=200, final_url=lease.url, content_type="", size=1, elapsed=0.1, fetched_at=1.0)


async def begun(path: Path) -> SqliteFrontier:
    """A crawl that has fetched one page of three, and has another under way."""
    frontier = await SqliteFrontier.open(path, spider="test")
    await frontier.add([Links([f"http://{HOST}/{n}" for n in range(3)])])
    (lease,) = await frontier.lease([HOST], 1)
    await frontier.settle(Settlement(lease=lease, outcome=fetched(lease), items=['{"n": 1}']))
    await frontier.flush()
    return frontier


@pytest.mark.parametrize("moves_folder", [False, True])
async def test_all_that_a_moved_crawl_had_committed_is_in_its_file(tmp_path: Path, *, moves_folder: bool) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "test.crawl"
    frontier = await begun(path)
    (lease,) = await frontier.lease([HOST], 1)
    moved = folder.rename(tmp_path / "other") / path.name if moves_folder else path.rename(tmp_path / "moved.crawl")
    await frontier.settle(Settlement(lease=lease, outcome=fetched(lease), items=['{"n": 2}']))
    with pytest.raises(StorageError, match=rf"was moved .* is in {moved} now\. Move it back"):
        await frontier.flush()
    assert not any(beside(path, suffix).exists() for suffix in ("-wal", "-shm"))
    await frontier.close("finished")
    alone = tmp_path / "alone.crawl"
    shutil.copy(moved, alone)
    assert rows(alone, "SELECT id FROM item") == [(1,)]
    folder.mkdir(exist_ok=True)
    moved.rename(path)
    frontier = await SqliteFrontier.open(path, spider="test")
    assert (frontier.counts.done, frontier.counts.queued) == (1, 2)
    await frontier.close()
    assert rows(path, "SELECT why FROM run ORDER BY id") == [("killed",), ("interrupted",)]
    check_invariants(path)


async def test_a_crawl_whose_file_was_moved_at_the_end_is_not_finished(path: Path, tmp_path: Path) -> None:
    frontier = await begun(path)
    moved = path.rename(tmp_path / "moved.crawl")
    with pytest.raises(StorageError, match="was moved"):
        await frontier.close("finished")
    assert rows(moved, "SELECT why FROM run") == [(None,)]


@pytest.mark.parametrize("remove", [lambda path: path.unlink(), lambda path: path.with_name("x").replace(path)])
async def test_a_crawl_whose_file_was_removed_says_so(path: Path, remove: Callable[[Path], object]) -> None:
    frontier = await begun(path)
    path.with_name("x").touch()
    remove(path)
    frontier.note_host(HOST, delay=1.0)
    for _ in range(2):  # even when nothing is pending any more: what was lost is not durable
        with pytest.raises(StorageError, match="was removed or replaced while the crawl ran"):
            await frontier.flush()
    await frontier.close("finished")
    await (await SqliteFrontier.open(path, spider="test")).close()


async def test_a_file_removed_since_the_last_commit_is_missed_when_it_is_closed(path: Path) -> None:
    frontier = await begun(path)
    frontier._file.path.unlink()
    with pytest.raises(StorageError, match="was removed"):
        await frontier._file.close()
    frontier._lock.release()


async def test_nothing_begins_beside_the_log_of_a_file_that_was_moved(path: Path, tmp_path: Path) -> None:
    """SQLite would take the log for its own, and drop it."""
    frontier = await begun(path)
    moved = path.rename(tmp_path / "moved.crawl")
    with pytest.raises(StateError, match=r"no crawl file .*test\.crawl, but test\.crawl-wal"):
        await SqliteFrontier.open(path, spider="test")
    assert not path.exists()
    moved.rename(path)
    await frontier.close()
    assert rows(path, "SELECT count(*) FROM item") == [(1,)]


async def test_a_crawl_ends_when_its_file_is_removed(path: Path) -> None:
    """However much is left to be fetched: it could keep none of it."""

    class Careless(Follower):
        def parse(self, page: Page) -> Iterator[Any]:
            path.unlink(missing_ok=True)
            yield page.follow_all()

    names = [f"page-{number}" for number in range(20)]
    async with serve({f"/{name}": html(name, *names) for name in ["", *names]}) as server:
        crawl = Crawl(Careless(start_urls=[f"{server.url}/"]), Settings(robots=False, commit_pages=1), state=path)
        with pytest.raises(StorageError, match="was removed"):
            await crawl.run()


@pytest.fixture
async def damaged(path: Path) -> Path:
    """A damaged file, much of which is in its log; a whole one for its place is `test.crawl.fresh`."""
    killed = beside(path, ".killed")
    await build(killed, dies=True)
    with closing(sqlite3.connect(killed, isolation_level=None)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("DELETE FROM sqlite_schema WHERE name IN ('request', 'result', 'host')")
        for suffix, name in product(("", "-wal"), ("", ".fresh")):
            shutil.copy(beside(killed, suffix), beside(path, name + suffix))
    assert repair(beside(path, ".fresh"))
    return path


@pytest.mark.parametrize("step", range(STEPS + 1))
async def test_a_repair_that_is_killed_between_any_two_steps_can_be_done_again(damaged: Path, step: int) -> None:
    fresh, kept = beside(damaged, ".fresh"), beside(damaged, ".damaged")
    log = beside(damaged, "-wal").read_bytes()
    expected = rows(fresh, "SELECT * FROM request"), rows(fresh, "SELECT * FROM item")
    assert all(expected)
    steps = replace(damaged, fresh, kept)
    for _ in range(step):
        next(steps, None)
    assert damaged.exists()
    done = repair(damaged)
    assert (done is None) == (step == STEPS)
    assert (rows(damaged, "SELECT * FROM request"), rows(damaged, "SELECT * FROM item")) == expected
    assert beside(kept, "-wal").read_bytes() == log
    assert not beside(damaged, ".damaged-1").exists()


@pytest.mark.parametrize("step", range(STEPS))
async def test_a_crawl_goes_on_with_all_of_a_file_that_was_being_replaced(path: Path, step: int) -> None:
    frontier = await begun(path)
    await frontier._file._db._execute(frontier._file._db._conn.execute, "PRAGMA wal_autocheckpoint = 0")  # type: ignore[no-untyped-call]
    for suffix in ("", "-wal"):
        shutil.copy(beside(path, suffix), beside(path, f".killed{suffix}"))
    await frontier.close()
    killed = beside(path, ".killed")
    steps = replace(killed, path, beside(killed, ".damaged"))
    for _ in range(step):
        next(steps)
    frontier = await SqliteFrontier.open(killed, spider="test")
    assert (frontier.counts.done, frontier.counts.queued, frontier.counts.items) == (1, 2, 1)
    await frontier.close()
    assert not beside(killed, ".damaged").exists()


async def test_where_there_are_no_links_the_damaged_file_is_copied(
    damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    before = damaged.read_bytes()
    monkeypatch.setattr("os.link", refuse)
    done = repair(damaged)
    assert done
    assert done.damaged.read_bytes() == before
    check_invariants(damaged)
