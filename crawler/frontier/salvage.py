"""Which rows of a damaged crawl file make sense, and into which tables of a new one they go.

The shape of a row, that is the types of its values, tells which table it belongs to. Only two tables have the same shape, and these
differ in what they hold.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from crawler.errors import InvalidUrl
from crawler.frontier.integrity import is_frame
from crawler.frontier.migrations import script
from crawler.web.urls import normalize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crawler.frontier.pages import Pages, Row, Value

Values: TypeAlias = "tuple[Value, ...]"

_KINDS: dict[str, tuple[type, ...]] = {"INTEGER": (int,), "REAL": (int, float), "TEXT": (str,), "BLOB": (bytes,)}
_ROWS_AT_ONCE = 10_000
_decode = msgspec.json.Decoder().decode


class Shape(NamedTuple):
    """How the rows of a table are stored on their pages: the types that each column can have, and the defaults for columns that a row
    written by an older version lacks. `least`: how many columns a row has at least."""

    table: str
    has_rowid: bool
    has_number: bool
    """Whether its first column is the rowid, which is stored as NULL in the row."""
    kinds: list[tuple[type, ...]]
    defaults: Sequence[Value]
    least: int

    def fits(self, row: Row) -> bool:
        if (row.rowid is not None) != self.has_rowid or not self.least <= len(row.values) <= len(self.kinds):
            return False
        if self.has_number and row.values[0] is not None:
            return False
        return all(type(value) in kinds for value, kinds in zip(row.values, self.kinds, strict=False))

    def completed(self, row: Row) -> Values:
        first = (row.rowid,) if self.has_number else row.values[:1]
        return (*first, *row.values[1:], *self.defaults[len(row.values) :])


_LEASE = Shape(
    "lease", True, True, [(type(None),), (int,), (int,), (int,), (str, type(None)), (str,), (int, float)], (), 7
)
"""The table of what was being fetched, in versions before 5; it has the columns of `queue`."""


def shapes() -> list[Shape]:
    """The shapes of all tables of the current version, and of those that only older versions had."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(script("schema.sql"))
        tables = db.execute(
            "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
        ).fetchall()
        return [_LEASE, *(_shape(db, name, bool(wr)) for name, wr in tables if not name.startswith("sqlite_"))]


def _shape(db: sqlite3.Connection, table: str, is_without_rowid: bool) -> Shape:
    columns = db.execute('SELECT type, "notnull", dflt_value, pk FROM pragma_table_info(?)', (table,)).fetchall()
    has_number = not is_without_rowid and columns[0][0] == "INTEGER" and columns[0][3] == 1
    kinds: list[tuple[type, ...]] = []
    for place, (kind, is_required, _, key) in enumerate(columns):
        is_left_empty = has_number and place == 0
        may_be_null = not (is_required or key)
        kinds.append((type(None),) if is_left_empty else _KINDS[kind] + ((type(None),) if may_be_null else ()))
    written = [default for _, _, default, _ in columns]
    defaults = [int(default) if default not in (None, "NULL") else None for default in written]
    least = max(place + 1 for place, default in enumerate(written) if default is None)
    return Shape(table, not is_without_rowid, has_number, kinds, defaults, least)


# ---------------------------------------------------------------------- what makes sense in a row


def _is_json(text: Any, kind: type) -> bool:
    try:
        return isinstance(_decode(text), kind)
    except (msgspec.MsgspecError, ValueError):
        return False


def _is_canonical(url: Any) -> bool:
    if not isinstance(url, str):
        return False
    try:
        return normalize(url) == url
    except InvalidUrl:
        return url.startswith("lost:")  # what an earlier repair writes for a URL that is lost


def _are_canonical(text: Any) -> bool:
    return _is_json(text, list) and all(_is_canonical(url) for url in _decode(text))


def _is_body(row: Values) -> bool:
    """A frame of its own, or a place in a pack; whether that pack exists is checked when all rows have been read."""
    data, pack, start, size = row[1:]
    if pack is None:
        return isinstance(data, bytes) and is_frame(data)
    return not data and isinstance(start, int) and isinstance(size, int)


def _is_cursor(row: Values) -> bool:
    return _is_json(row[1], dict) and isinstance(_decode(str(row[1])).get("item"), int)


_SENSE: Mapping[str, Callable[[Values], bool]] = {
    "request": lambda row: _is_canonical(row[2]) and isinstance(row[3], int) and row[3] >= 0,
    "result": lambda row: row[1] in ("done", "failed", "skipped"),
    "item": lambda row: _is_json(row[2], dict),
    "body": _is_body,
    "pack": lambda row: isinstance(row[1], int) and isinstance(row[2], bytes) and is_frame(row[2], row[1]),
    "response": lambda row: _is_json(row[1], list),
    "offered": lambda row: _are_canonical(row[5]) and (row[4] is None or _is_json(row[4], dict)),
    "cookie": lambda row: _is_json(row[3], dict),
    "instruction": lambda row: _is_json(row[3], dict) or _is_json(row[3], list),
    "export": _is_cursor,
    "meta": lambda row: not _is_cursor(row),
}
"""Tests beyond their shape that rows are whole. (`export` and `meta` have the same shape.)"""


def _mended(table: str, row: Values) -> Values:
    """A row without a value that cannot be read, if it makes sense without that."""
    if table in ("queue", "aside", "lease"):
        place = {"queue": 5, "aside": 4, "lease": 4}[table]
        if row[place] is not None and not _is_hop(row[place]):
            return (*row[:place], None, *row[place + 1 :])
    if table == "result" and row[9] is not None and not _is_json(row[9], list):
        return (*row[:9], None, *row[10:])
    return row


def _is_hop(text: Any) -> bool:
    return _is_json(text, list) and len(hop := _decode(text)) == 3 and _is_canonical(hop[0])


# ---------------------------------------------------------------------- from pages to tables


def fill(db: sqlite3.Connection, pages: Pages) -> dict[str, int]:
    """Copy every row that makes sense into the tables of `db`. Requests of which only the URL does are also listed in `unclear`.
    Returns the counts from the damaged file, if they can be read."""
    known = shapes()
    fitting: dict[tuple[object, ...], list[Shape]] = {}
    pending: dict[str, list[Values]] = {shape.table: [] for shape in known}
    counts: Values = ()
    for row in pages.rows():
        kinds = (row.rowid is None, *map(type, row.values))
        if kinds not in fitting:
            fitting[kinds] = [shape for shape in known if shape.fits(row)]
        if not (placed := _placed(row, fitting[kinds])):
            continue
        table, values = placed
        if table == "count":
            counts = values
        elif table not in ("seen", "sketch"):  # made again from the requests
            if table == "request" and values[5] is not None and not _is_json(values[5], dict):
                db.execute("INSERT OR IGNORE INTO unclear VALUES (?)", values[:1])
                values = (*values[:5], None)
            pending[table].append(values)
            if len(pending[table]) == _ROWS_AT_ONCE:
                _insert(db, table, pending[table])
    for table, rows in pending.items():
        _insert(db, table, rows)
    names = [name for (name,) in db.execute("SELECT name FROM pragma_table_info('count')")]
    return dict(zip(names, counts, strict=False))


def _placed(row: Row, fitting: Sequence[Shape]) -> tuple[str, Values] | None:
    """The table that a row belongs to, and the row mended; None if it makes sense in no table."""
    for shape in fitting:
        values = shape.completed(row)
        makes_sense = _SENSE.get(shape.table)
        if makes_sense is None or makes_sense(values):
            return shape.table, _mended(shape.table, values)
    return None


def _insert(db: sqlite3.Connection, table: str, rows: list[Values]) -> None:
    """Insert rows, and empty the list; of two with the same key, the first counts. What was leased is queued."""
    if table == "lease":
        rows[:] = [(host, rank, request, 0.0, attempts, hop) for request, host, rank, attempts, hop, *_ in rows]
        table = "queue"
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        db.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)  # noqa: S608 - a table of the schema
        rows.clear()
