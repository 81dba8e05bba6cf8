"""What a crawl left behind, read with nothing but sqlite3, json, csv and pyarrow."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Item = dict[str, Any]

INVARIANTS = {
    "the file is sound": "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    "every reference leads somewhere": "SELECT * FROM pragma_foreign_key_check",
    "each request is in exactly one place": """
        SELECT id, url, places FROM request LEFT JOIN (
            SELECT request, count(*) AS places FROM (
                SELECT request FROM queue UNION ALL SELECT request FROM aside UNION ALL SELECT request FROM result)
            GROUP BY request) ON request = id
        WHERE places IS NOT 1""",
    "no URL was requested twice": "SELECT url, count(*) FROM request GROUP BY url HAVING count(*) > 1",
    "no page was taken twice": """
        SELECT final_url, count(*) FROM pages WHERE skipped IS NULL AND error IS NULL
        GROUP BY final_url HAVING count(*) > 1""",
    "items are numbered without gaps": "SELECT count(*), max(id) FROM item HAVING count(*) <> coalesce(max(id), 0)",
    "items come from pages that are done": """
        SELECT item.id FROM item LEFT JOIN result ON result.request = item.request
        WHERE result.state IS NULL OR result.state <> 'done'""",
    "the counts are true": """
        SELECT * FROM count WHERE (queued + leased, aside, done, failed, skipped, items) <> (
            (SELECT count(*) FROM queue), (SELECT count(*) FROM aside),
            (SELECT count(*) FROM result WHERE state = 'done'), (SELECT count(*) FROM result WHERE state = 'failed'),
            (SELECT count(*) FROM result WHERE state = 'skipped'), (SELECT count(*) FROM item))""",
}
"""What holds in every crawl file at every instant, killed or not: queries that must find nothing."""


class Outcome(NamedTuple):
    """All that two crawls of one site must agree on, in an order of its own."""

    done: list[tuple[str, int]]
    failed: list[str]
    skipped: list[tuple[str, str]]
    items: list[str]
    exported: list[str]


def query(state: Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query, with the file opened for reading and writing as SQLite needs it after a crash."""
    with closing(sqlite3.connect(state)) as connection:
        return connection.execute(sql).fetchall()


def check_invariants(state: Path) -> None:
    """Fail with the name of each invariant that is broken and the rows that break it."""
    with closing(sqlite3.connect(state)) as connection:
        broken = {name: connection.execute(sql).fetchmany(5) for name, sql in INVARIANTS.items()}
    assert not any(broken.values()), {name: rows for name, rows in broken.items() if rows}


def check_export(state: Path, output: Path) -> None:
    """Fail unless a JSON Lines file, as far as its cursor says, holds the first items, each on a whole line."""
    rows = query(state, "SELECT cursor FROM export")
    cursor = json.loads(rows[0][0]) if rows else {"bytes": 0, "item": 0}
    written = output.read_bytes()[: cursor["bytes"]] if output.exists() else b""
    assert len(written) == cursor["bytes"], "the cursor is ahead of the file"
    assert not written or written.endswith(b"\n"), "the cursor is within a line"
    items = query(state, f"SELECT data FROM item WHERE id <= {cursor['item']} ORDER BY id")
    assert [json.loads(line) for line in written.splitlines()] == [json.loads(data) for (data,) in items]


def outcome(state: Path, output: Path, *, ignoring: Iterable[str] = ()) -> Outcome:
    """What came of a finished crawl. `ignoring` names item fields that depend on the order of fetching."""
    items = (json.loads(data) for (data,) in query(state, "SELECT data FROM items"))
    pages = query(state, "SELECT url, final_url, status, error, skipped FROM pages")
    return Outcome(
        done=sorted((final, status) for _, final, status, error, skipped in pages if error is None and skipped is None),
        failed=sorted(url for url, _, _, error, _ in pages if error is not None),
        skipped=sorted((url, skipped) for url, _, _, _, skipped in pages if skipped is not None),
        items=_sorted(items, ignoring),
        exported=_sorted(read_items(output), ignoring),
    )


def read_items(output: Path) -> list[Item]:
    """The rows of an exported file, by its ending; it must be whole."""
    if output.suffix == ".parquet":
        rows: list[Item] = pq.read_table(output).to_pylist()
        return rows
    if output.suffix == ".sqlite":
        return _items_of_table(output)
    text = output.read_bytes().decode("utf-8")
    assert not text or text.endswith("\n"), "the last line is torn"
    if output.suffix == ".csv":
        return list(csv.DictReader(text.splitlines(keepends=True), strict=True))
    return [json.loads(line) for line in text.split("\n")[:-1]]


def _items_of_table(output: Path) -> list[Item]:
    with closing(sqlite3.connect(output)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute("SELECT * FROM items ORDER BY _rowid_")]


def _sorted(items: Iterable[Item], ignoring: Iterable[str]) -> list[str]:
    left_out = set(ignoring)
    return sorted(
        json.dumps({name: value for name, value in item.items() if name not in left_out}, sort_keys=True)
        for item in items
    )
