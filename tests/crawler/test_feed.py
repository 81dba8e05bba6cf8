"""Exports follow what was committed: caught up when opened, continued with each commit, left in order when one fails."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from client.origin import HostKey
from crawler.errors import StorageError, UsageError
from crawler.exports import Cursor, open_export
from crawler.exports.feed import ExportFeed
from crawler.exports.jsonlines import JsonLines
from crawler.frontier import Settlement, SqliteFrontier
from crawler.outcome import Fetched
from crawler.request import Request
from tests.crawler.test_exports import full_disk
from tests.proof.crawlfile import read_items

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path


@pytest.fixture
async def frontier(tmp_path: Path) -> AsyncIterator[SqliteFrontier]:
    """One that has requests waiting."""
    frontier = await SqliteFrontier.open(tmp_path / "s.crawl", spider="test")
    await frontier.add([Request(f"http://h.example/{number}") for number in range(10)])
    yield frontier
    await frontier.close()


async def bring(frontier: SqliteFrontier, *items: str) -> None:
    """Commit a page that gave these items."""
    await settle(frontier, *items)
    await frontier.flush()


async def settle(frontier: SqliteFrontier, *items: str) -> None:
    """The same, to be committed later."""
    (lease,) = await frontier.lease([HostKey("h.example")], 1)
    outcome = Fetched(status=200, final_url=lease.url, content_type="", size=0, elapsed=0.0, fetched_at=0.0)
    await frontier.settle(Settlement(lease=lease, outcome=outcome, items=items))


async def kept(frontier: SqliteFrontier, path: Path) -> int:
    """The item up to which the crawl file knows a file to be written."""
    await frontier.flush()
    return int(json.loads((await frontier.exports())[str(path)])["item"])


async def test_a_file_gets_what_there_was_and_what_comes(frontier: SqliteFrontier, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    await bring(frontier, '{"n":1}', '{"n":2}')
    async with ExportFeed([open_export(str(path))], frontier):
        assert path.read_text() == '{"n":1}\n{"n":2}\n'
        await bring(frontier)
        await bring(frontier, '{"n":3}')
        assert path.read_text() == '{"n":1}\n{"n":2}\n{"n":3}\n'
        assert await kept(frontier, path) == 3


async def test_a_file_gets_large_items_that_there_were_a_few_at_a_time(
    frontier: SqliteFrontier, tmp_path: Path
) -> None:
    path = tmp_path / "out.jsonl"
    items = [json.dumps({"n": n, "text": "x" * 1_500_000}) for n in range(7)]
    await bring(frontier, *items)
    sizes: list[int] = []

    class Watching(JsonLines):
        def write(self, first_item: int, items: Sequence[str]) -> Cursor:
            sizes.append(len(items))
            return super().write(first_item, items)

    async with ExportFeed([Watching(path)], frontier):
        assert path.read_text().splitlines() == items
    assert sizes == [3, 3, 1]


async def test_a_file_goes_on_from_its_cursor(frontier: SqliteFrontier, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    async with ExportFeed([open_export(str(path))], frontier):
        await bring(frontier, '{"n":1}')
    await frontier.flush()
    with path.open("a") as file:
        file.write('{"n":2}\n{"torn')
    async with ExportFeed([open_export(str(path))], frontier):
        await bring(frontier, '{"n":2}')
    assert path.read_text() == '{"n":1}\n{"n":2}\n'


async def test_nothing_is_in_a_file_before_it_is_known_whose_it_is(frontier: SqliteFrontier, tmp_path: Path) -> None:
    """Killed in between, the next run could not tell it from one of somebody else's."""
    await bring(frontier, '{"n":1}')
    known: list[str] = []

    class Watching(JsonLines):
        def write(self, first_item: int, items: Sequence[str]) -> Cursor:
            with closing(sqlite3.connect(tmp_path / "s.crawl")) as db:
                known.extend(path for (path,) in db.execute("SELECT path FROM export"))
            return super().write(first_item, items)

    async with ExportFeed([Watching(tmp_path / "late.jsonl")], frontier):
        assert known == [str(tmp_path / "late.jsonl")]


async def test_closing_a_csv_keeps_the_cursor_of_the_file_as_it_then_is(
    frontier: SqliteFrontier, tmp_path: Path
) -> None:
    path = tmp_path / "out.csv"
    async with ExportFeed([open_export(str(path))], frontier):
        await bring(frontier, '{"a":1}')
        await bring(frontier, '{"b":2}')
    await frontier.flush()
    assert json.loads((await frontier.exports())[str(path)])["bytes"] == path.stat().st_size
    assert path.read_bytes() == b"a,b\r\n1,\r\n,2\r\n"


async def test_after_a_failed_write_nothing_more_is_written_and_the_end_says_why(
    frontier: SqliteFrontier, tmp_path: Path
) -> None:
    """A commit goes on without the export: what is missing in the file, the next run writes. But the run does not end as if
    all were well, even if nobody was there to hear of the failure."""
    path = tmp_path / "out.jsonl"
    long = json.dumps({"text": "x" * 300_000})
    with pytest.raises(StorageError, match=r"cannot write .*out\.jsonl"):
        async with ExportFeed([open_export(str(path))], frontier) as feed:
            await bring(frontier, '{"n":1}')
            with full_disk(200_000), pytest.raises(StorageError):
                await feed.write(2, [long])
            await bring(frontier, long)
            await bring(frontier, '{"n":3}')
            assert path.read_text() == '{"n":1}\n'
            assert await kept(frontier, path) == 1

    async with ExportFeed([open_export(str(path))], frontier):
        assert path.read_text() == f'{{"n":1}}\n{long}\n{{"n":3}}\n'


async def test_a_file_that_is_made_whole_at_the_end_stays_as_it_was_if_not_all_of_it_comes(
    frontier: SqliteFrontier, tmp_path: Path
) -> None:
    """Each run feeds it from the first item on: ended before all that is known has come, there would be less than there was."""
    path, folder = tmp_path / "out.parquet", tmp_path / "folder"
    await bring(frontier, '{"n":1}')
    async with ExportFeed([open_export(str(path))], frontier):
        await bring(frontier, '{"n":2}')
    folder.mkdir()
    exports = [open_export(str(path)), open_export(str(folder / "out.jsonl"))]
    folder.rmdir()
    with pytest.raises(UsageError, match="create its folder first"):
        async with ExportFeed(exports, frontier):
            pass
    assert read_items(path) == [{"n": 1}, {"n": 2}]


async def test_who_is_cancelled_abandons_a_file_only_when_what_is_under_way_there_is_over(
    frontier: SqliteFrontier, tmp_path: Path
) -> None:
    """Nobody can stop a thread: left alone, it would write to what has been closed."""
    loop = asyncio.get_running_loop()
    steps: list[str] = []

    async def cancel() -> None:
        entering.cancel()
        for _ in range(10):
            await asyncio.sleep(0)

    class Slow(JsonLines):
        def write(self, first_item: int, items: Sequence[str]) -> Cursor:
            asyncio.run_coroutine_threadsafe(cancel(), loop).result()
            steps.append("written")
            return super().write(first_item, items)

        def abandon(self) -> None:
            steps.append("abandoned")
            super().abandon()

    await bring(frontier, '{"n":1}')
    entering = asyncio.create_task(ExportFeed([Slow(tmp_path / "out.jsonl")], frontier).__aenter__())
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert steps == ["written", "abandoned"]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("ending", ["close", "abandon"])
async def test_who_is_cancelled_while_files_are_closed_leaves_none_of_them_open(
    frontier: SqliteFrontier, tmp_path: Path, ending: str, times: int
) -> None:
    """Its descriptor would keep the lock: no further crawl of this process could write to it."""
    loop = asyncio.get_running_loop()
    path, other = tmp_path / "out.jsonl", tmp_path / "other.jsonl"

    async def cancel() -> None:
        for _ in range(times):
            user.cancel()
            for _ in range(10):
                await asyncio.sleep(0)

    class Slow(JsonLines):
        def close(self) -> Cursor:
            asyncio.run_coroutine_threadsafe(cancel(), loop).result()
            return super().close()

        def abandon(self) -> None:
            self.close()

        def write(self, first_item: int, items: Sequence[str]) -> Cursor:
            if ending == "abandon":
                raise StorageError("no space left")
            return super().write(first_item, items)

    async def use() -> None:
        async with ExportFeed([Slow(path), open_export(str(other))], frontier):
            pass

    await bring(frontier, '{"n":1}')
    user = asyncio.create_task(use())
    with pytest.raises(asyncio.CancelledError):
        await user
    async with ExportFeed([open_export(str(path)), open_export(str(other))], frontier):
        assert path.read_text() == other.read_text() == '{"n":1}\n'


async def test_of_what_goes_wrong_at_the_beginning_the_first_is_told(frontier: SqliteFrontier, tmp_path: Path) -> None:
    abandoned: list[str] = []

    class Broken(JsonLines):
        def abandon(self) -> None:
            super().abandon()
            abandoned.append(self.path)
            raise LookupError("a mistake in somebody's export")

    first, last = Broken(tmp_path / "first.jsonl"), Broken(tmp_path / "last.jsonl")
    with pytest.raises(UsageError, match="create its folder first"):
        async with ExportFeed([first, JsonLines(tmp_path / "missing" / "out.jsonl"), last], frontier):
            pass
    assert abandoned == [first.path, last.path]


async def test_after_an_error_the_files_are_closed_and_the_error_is_told(
    frontier: SqliteFrontier, tmp_path: Path
) -> None:
    export = open_export(str(tmp_path / "out.csv"))
    with pytest.raises(LookupError, match="why it ended"):
        async with ExportFeed([export], frontier):
            await bring(frontier, '{"a":1}')
            await bring(frontier, '{"b":2}')
            raise LookupError("why it ended")
    assert (tmp_path / "out.csv").read_bytes() == b"a,b\r\n1,\r\n,2\r\n"


async def test_a_mistake_in_somebodys_export_leaves_no_other_open(frontier: SqliteFrontier, tmp_path: Path) -> None:
    class Broken(JsonLines):
        def close(self) -> Cursor:
            super().close()
            raise LookupError("a mistake in somebody's export")

    path = tmp_path / "out.csv"
    with pytest.raises(LookupError, match="a mistake"):
        async with ExportFeed([Broken(tmp_path / "out.jsonl"), open_export(str(path))], frontier):
            await bring(frontier, '{"a":1}')
            await bring(frontier, '{"b":2}')
    assert path.read_bytes() == b"a,b\r\n1,\r\n,2\r\n"


async def test_the_files_are_closed_when_the_last_commit_fails(frontier: SqliteFrontier, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"

    class Full(JsonLines):
        def write(self, first_item: int, items: Sequence[str]) -> Cursor:
            raise StorageError("no space left")

    with pytest.raises(StorageError, match="no space left"):
        async with ExportFeed([Full(path)], frontier):
            await settle(frontier, '{"n":1}')
    async with ExportFeed([open_export(str(path))], frontier):
        assert path.read_text() == '{"n":1}\n'


async def test_what_is_committed_after_an_error_is_left_for_the_next_run(
    frontier: SqliteFrontier, tmp_path: Path
) -> None:
    path = tmp_path / "out.jsonl"
    with pytest.raises(RuntimeError, match="elsewhere"):
        async with ExportFeed([open_export(str(path))], frontier):
            await bring(frontier, '{"n":1}')
            raise RuntimeError("elsewhere")
    await bring(frontier, '{"n":2}')
    assert path.read_text() == '{"n":1}\n'
    async with ExportFeed([open_export(str(path))], frontier):
        assert path.read_text() == '{"n":1}\n{"n":2}\n'
