"""SQLite files: rows and the cursor agree whatever interrupts, and anybody can read them meanwhile."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from crawler.errors import StorageError, UsageError
from crawler.exports import Cursor, open_export, write_all
from crawler.frontier import SqliteFrontier
from tests.crawler.test_exports import KEYS, VALUES, full_disk, texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BESIDE = ("", "-wal")


def rows_of(path: Path, table: str = "items") -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY _rowid_")]


def expected_rows(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    columns = dict.fromkeys(key for item in items for key in item)
    return [{column: as_cell(item.get(column)) for column in columns} for item in items]


def as_cell(value: Any) -> Any:
    is_large = isinstance(value, int) and abs(value) > 1 << 63
    return json.dumps(value, separators=(",", ":")) if is_large or isinstance(value, list) else value


def test_values_keep_their_types(tmp_path: Path) -> None:
    path = tmp_path / "out.sqlite"
    assert write_all(str(path), ['{"i":7,"f":1.50,"t":"é\\u0000","b":true,"n":null,"l":["a",1],"d":{"x":2}}']) == 1
    assert rows_of(path) == [{"i": 7, "f": 1.5, "t": "é\0", "b": 1, "n": None, "l": '["a",1]', "d": '{"x":2}'}]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT typeof(i), typeof(f), typeof(t), typeof(b) FROM items").fetchall() == [
            ("integer", "real", "text", "integer")
        ]
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert list(tmp_path.iterdir()) == [path]


def test_what_can_be_no_column_is_kept_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "out.db"
    write_all(str(path), ['{"a":1,"A":2,"_rowid_":[3],"_more":null}', "{}", f'{{"big":{1 << 64}}}'])
    assert rows_of(path) == [
        {"a": 1, "_more": '{"A":2,"_rowid_":[3],"_more":null}', "big": None},
        {"a": None, "_more": None, "big": None},
        {"a": None, "_more": None, "big": str(1 << 64)},
    ]


def test_a_table_has_its_name_and_its_columns_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "out.sqlite3"
    write_all(str(path), [], ["url", "status"], table="pages")
    with closing(sqlite3.connect(path)) as db:
        assert [name for _, name, *_ in db.execute("PRAGMA table_info(pages)")] == ["url", "status"]


@settings(deadline=None)
@given(
    items=st.lists(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3), min_size=1, max_size=10),
    kept=st.integers(0, 10),
    lost=st.integers(0, 10),
    killed=st.booleans(),
)
def test_a_file_cut_back_to_its_cursor_ends_as_if_never_interrupted(
    tmp_path_factory: pytest.TempPathFactory, *, items: list[dict[str, Any]], kept: int, lost: int, killed: bool
) -> None:
    """`kept` items were covered by the cursor that was committed, `lost` more only written; killed, a process leaves the log."""
    folder = tmp_path_factory.mktemp("cut")
    path = folder / "out.sqlite"
    rows = texts(items)
    first = open_export(str(path))
    first.open(None)
    committed = first.write(1, rows[:kept])
    first.write(committed.item + 1, rows[kept : kept + lost])
    if killed:
        path = as_killed_now(path, folder / "killed")
    first.close()

    second = open_export(str(path))
    item = second.open(Cursor.from_json(committed.to_json())).item
    assert item == committed.item
    second.write(item + 1, rows[item:])
    second.close()
    columns = rows_of(path)[0].keys()
    assert rows_of(path) == [{name: row.get(name) for name in columns} for row in expected_rows(items)]
    assert [entry.name for entry in path.parent.iterdir() if entry.is_file()] == ["out.sqlite"]


def as_killed_now(path: Path, folder: Path) -> Path:
    """A copy of what a process leaves that is killed while it writes."""
    folder.mkdir()
    for suffix in BESIDE:
        if (source := path.with_name(path.name + suffix)).exists():
            shutil.copy(source, folder)
    return folder / path.name


def test_a_file_that_lost_its_last_rows_begins_anew(tmp_path: Path) -> None:
    """As after a power cut: nothing need be on the disk before the end."""
    path = tmp_path / "out.sqlite"
    export = open_export(str(path))
    export.open(None)
    cursor = export.write(1, texts([{"a": 1}, {"a": 2}, {"a": 3}]))
    export.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM items WHERE a > 1")
    again = open_export(str(path))
    assert again.open(cursor).item == 0
    again.write(1, texts([{"a": 1}, {"a": 2}]))
    again.close()
    assert rows_of(path) == [{"a": 1}, {"a": 2}]


def test_a_file_holds_what_a_repaired_crawl_has_lost(tmp_path: Path) -> None:
    """There items are numbered anew, and the cursor says how many of those that were written are left."""
    path = tmp_path / "out.sqlite"
    export = open_export(str(path))
    export.open(None)
    cursor = export.write(1, texts([{"a": "lost"}, {"a": 2}, {"a": 3}]))
    export.write(4, texts([{"a": "not covered"}]))
    export.close()
    again = open_export(str(path))
    assert again.open(replace(cursor, item=2)).item == 2
    again.write(3, texts([{"a": 4}]))
    again.close()
    assert rows_of(path) == [{"a": "lost"}, {"a": 2}, {"a": 3}, {"a": 4}]


@pytest.mark.parametrize("other", ["gone", "text", "database", "table"])
def test_a_file_that_is_not_the_cursors_begins_anew(tmp_path: Path, other: str) -> None:
    path = tmp_path / "out.sqlite"
    export = open_export(str(path))
    export.open(None)
    cursor = export.write(1, texts([{"a": 1}, {"a": 2}]))
    export.close()
    path.unlink()
    match other:
        case "text":
            path.write_text("no database, but long enough to be taken for one" * 100)
        case "database":
            write_all(str(path), texts([{"a": 8}, {"a": 9}]))
        case "table":
            with closing(sqlite3.connect(path)) as db, db:
                db.execute("CREATE TABLE other (x)")
    again = open_export(str(path))
    assert again.open(cursor).item == 0
    again.write(1, texts([{"a": 1}]))
    again.close()
    assert rows_of(path) == [{"a": 1}]


def test_a_file_stays_empty_until_it_is_known_whose_it_is(tmp_path: Path) -> None:
    """Killed before its cursor is kept, a crawl must be able to take up its own file, and nobody's else."""
    path = tmp_path / "out.sqlite"
    export = open_export(str(path))
    export.open(None)
    assert path.stat().st_size == 0
    export.close()
    assert path.stat().st_size == 0
    again = open_export(str(path))
    assert again.open(export.close()).item == 0
    again.close()


def test_others_read_it_while_it_is_written_and_hold_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "out.sqlite"
    export = open_export(str(path))
    export.open(None)
    export.write(1, texts([{"a": 1}]))
    with closing(sqlite3.connect(path)) as reader:
        seen = reader.execute("SELECT a FROM items")
        assert next(seen) == (1,)
        cursor = export.write(2, texts([{"b": 2}]))
        assert export.close().item == 2
        assert reader.execute("SELECT a, b FROM items").fetchall() == [(1, None), (None, 2)]
    again = open_export(str(path))
    assert again.open(cursor).item == 2
    again.close()
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_reported_and_takes_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "out.sqlite"
    export = open_export(str(path))
    export.open(None)
    export.write(1, texts([{"a": "first"}]))
    with (
        full_disk(60_000),
        pytest.raises(StorageError, match=r"cannot write .*out\.sqlite: .*run the same command again"),
    ):
        export.write(2, texts([{"b": "x" * 100_000}]))
    assert rows_of(path) == [{"a": "first"}]
    assert export.write(2, texts([{"c": "second"}])).item == 2, "and it can go on once there is room"
    export.close()
    assert rows_of(path) == [{"a": "first", "c": None}, {"a": None, "c": "second"}]


def test_a_disk_that_is_full_leaves_nothing_of_a_file_that_was_to_be_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "out.sqlite"
    path.write_bytes(b"before")
    with full_disk(60_000), pytest.raises(StorageError):
        write_all(str(path), texts([{"a": "x" * 100_000}]))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_log_of_a_file_that_is_replaced_does_not_count_for_the_new_one(tmp_path: Path) -> None:
    """As a crawl leaves it that was killed."""
    export = open_export(str(tmp_path / "out.sqlite"))
    export.open(None)
    export.write(1, texts([{"a": "old"}]))
    path = as_killed_now(tmp_path / "out.sqlite", tmp_path / "killed")
    export.close()
    assert rows_of(as_killed_now(path, tmp_path / "copy")) == [{"a": "old"}]
    assert path.with_name("out.sqlite-wal").stat().st_size
    write_all(str(path), texts([{"a": "new"}]))
    assert rows_of(path) == [{"a": "new"}]


def test_an_output_that_is_overwritten_loses_its_log_too(tmp_path: Path) -> None:
    export = open_export(str(tmp_path / "out.sqlite"))
    export.open(None)
    export.write(1, texts([{"a": "old"}]))
    path = as_killed_now(tmp_path / "out.sqlite", tmp_path / "killed")
    export.close()
    anew = open_export(str(path))
    anew.open(None)
    anew.write(1, texts([{"b": "new"}]))
    anew.close()
    assert rows_of(path) == [{"b": "new"}]


async def test_a_crawl_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "site.db"
    frontier = await SqliteFrontier.open(path, spider="test")
    await frontier.close()
    with pytest.raises(UsageError, match=r"site\.db: a crawl is kept in it; name another file"):
        open_export(str(path))
