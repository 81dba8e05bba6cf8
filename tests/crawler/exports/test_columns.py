"""Whatever keys items have, all of it is in the row, in columns that every table can have."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crawler.exports.columns import MORE, Columns

KEYS = st.sampled_from(["a", "A", "b", "_more", "_MORE", "_rowid_", "nul\0", "x" * 256, "", "é", "É"])
ITEMS = st.lists(st.dictionaries(KEYS, st.integers() | st.none() | st.lists(st.none()), max_size=6), max_size=10)


def item_of(row: dict[str, Any]) -> dict[str, Any]:
    more: dict[str, Any] = row.get(MORE, {})
    return {key: value for key, value in row.items() if key != MORE} | more


@given(ITEMS)
def test_an_item_can_be_read_out_of_its_row(items: list[dict[str, Any]]) -> None:
    columns = Columns()
    rows = [columns.row(json.dumps(item)) for item in items]
    assert [item_of(row) for row in rows] == items
    assert {key for row in rows for key in row} <= set(columns.names)
    assert len({name.lower() for name in columns.names}) == len(columns.names), "no two differ in case alone"
    again = Columns(columns.names)
    assert [again.row(json.dumps(item)) for item in items] == rows
    assert again.names == columns.names


def test_there_is_an_end_to_columns() -> None:
    columns = Columns()
    row = columns.row(json.dumps({f"key {n}": n for n in range(1002)}))
    assert row[MORE] == {"key 1000": 1000, "key 1001": 1001}
    assert len(row) == len(columns.names) == 1001
