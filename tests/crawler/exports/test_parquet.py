"""Parquet files: whole or not there, with types that hold for every item."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from crawler.errors import StorageError, UsageError
from crawler.exports import open_export, write_all
from tests.crawler.test_exports import full_disk, texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def rows_of(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        ("true false null", "bool", [True, False, None]),
        ("1 -2 null", "int64", [1, -2, None]),
        (f"1 {(1 << 63) - 1}", "int64", [1, (1 << 63) - 1]),
        (f"{1 << 63} 1", "string", [str(1 << 63), "1"]),
        ("1.50 null", "double", [1.5, None]),
        (f"1.5 {1 << 53}", "double", [1.5, 2.0**53]),
        (f"1.5 {(1 << 53) + 1}", "string", ["1.5", str((1 << 53) + 1)]),
        ('"x" "é\\u0000" ""', "string", ["x", "é\0", ""]),
        ('1 "1" true null', "string", ["1", "1", "true", None]),
        ('[1,{"a":null}] {"b":2.50} null', "string", ['[1,{"a":null}]', '{"b":2.5}', None]),
        ("null null", "string", [None, None]),
    ],
)
def test_a_column_has_the_type_of_all_its_values_or_is_text(
    tmp_path: Path, values: str, kind: str, read: list[Any]
) -> None:
    path = tmp_path / "out.parquet"
    write_all(str(path), [f'{{"v":{value}}}' for value in values.split()])
    table = pq.read_table(path)
    assert [str(field.type) for field in table.schema] == [kind]
    assert table["v"].to_pylist() == read


def test_columns_come_as_they_appear_and_nothing_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    write_all(str(path), texts([{"b": 1, "a": "x"}, {}, {"c": 2, "B": [3]}]))
    assert pq.read_schema(path).names == ["b", "a", "c", "_more"]
    assert rows_of(path) == [
        {"b": 1, "a": "x", "c": None, "_more": None},
        {"b": None, "a": None, "c": None, "_more": None},
        {"b": None, "a": None, "c": 2, "_more": '{"B":[3]}'},
    ]


@pytest.mark.parametrize(("items", "columns"), [([], ["url"]), ([], []), (["{}"], [])])
def test_there_are_columns_even_where_no_item_has_any(tmp_path: Path, items: list[str], columns: list[str]) -> None:
    """There are readers that take no other file."""
    path = tmp_path / "out.parquet"
    write_all(str(path), items, columns)
    table = pq.read_table(path)
    assert table.schema.names == (columns or ["_more"])
    assert table.num_rows == len(items)


def test_many_items_are_written_group_by_group(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    items = [{"n": n, "text": f"{n} " * 2000} for n in range(1500)]
    assert write_all(str(path), texts(items)) == 1500
    assert pq.ParquetFile(path).num_row_groups > 2
    assert rows_of(path) == items
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_in_memory_at_once_is_bounded_in_rows_and_in_cells(tmp_path: Path) -> None:
    """Where each item has another key, nearly all cells are empty: as JSON they are nothing, in a row group they are not."""
    sparse: list[dict[str, int]] = [{f"key {n % 1000}": n} for n in range(9000)]
    empty: list[dict[str, int]] = [{}] * 70_000
    for items in (sparse, empty):
        path = tmp_path / "out.parquet"
        assert write_all(str(path), texts(items)) == len(items)
        file = pq.ParquetFile(path)
        assert file.metadata.num_rows == len(items)
        group = file.metadata.row_group(0)
        assert group.num_rows <= 1 << 16
        assert group.num_rows * file.metadata.num_columns <= 1 << 22


def test_a_number_that_only_json_has_is_text(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    write_all(str(path), ['{"n":1.5}', '{"n":1e999}'])
    assert rows_of(path) == [{"n": "1.5"}, {"n": "1e999"}]


def test_a_file_is_there_once_it_is_whole_and_each_run_writes_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    first = open_export(str(path))
    assert first.open(None).item == 0
    cursor = first.write(1, texts([{"a": 1}]))
    assert list(tmp_path.iterdir()) == [], "what there is has no name"
    assert first.close().bytes == path.stat().st_size
    second = open_export(str(path))
    assert second.open(cursor).item == 0
    second.write(1, texts([{"a": 1}, {"a": "2"}]))
    assert rows_of(path) == [{"a": 1}]
    second.close()
    assert rows_of(path) == [{"a": "1"}, {"a": "2"}]


def test_what_is_abandoned_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    write_all(str(path), texts([{"a": 1}]))

    def interrupted() -> Iterator[str]:
        yield '{"a":2}'
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_all(str(path), interrupted())
    assert rows_of(path) == [{"a": 1}]
    assert list(tmp_path.iterdir()) == [path]


def test_what_somebody_else_has_put_there_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    export = open_export(str(path))
    export.open(None)
    export.write(1, texts([{"a": 1}]))
    path.write_text("somebody else's")
    with pytest.raises(StorageError, match="was removed or replaced while it was written to"):
        export.close()
    assert path.read_text() == "somebody else's"


def test_a_full_disk_is_reported_and_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Be it that it does not take the items, or not the file that is made of them."""
    path = tmp_path / "out.parquet"
    path.write_bytes(b"before")
    export = open_export(str(path))
    export.open(None)
    with full_disk(1000), pytest.raises(StorageError, match=r"cannot write .*out\.parquet: .*File too large"):
        export.write(1, texts([{"a": "x" * 2000}]))
    export.write(1, texts([{"a": n} for n in range(2000)]))
    with full_disk(1000), pytest.raises(StorageError, match=r"cannot write .*out\.parquet: .*File too large"):
        export.close()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_pyarrow_that_cannot_be_loaded_is_noticed_when_the_file_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = open_export(str(tmp_path / "out.parquet"))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError, match=r"cannot write .*out\.parquet: pyarrow cannot be loaded"):
        export.open(None)


def test_without_pyarrow_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"Parquet needs pyarrow, .*: pip install pyarrow"):
        open_export(str(tmp_path / "out.parquet"))
