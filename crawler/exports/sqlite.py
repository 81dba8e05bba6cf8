"""SQLite: one table, one item a row, its keys the columns; numbers and texts as they are, nested values as JSON.

Rows are numbered (`_rowid_`) in the order in which they come, so cutting the file back to a cursor means deleting the rows after its
last one. The cursor's `extra` holds the number of that row as `row`, and the `mark` in the file's header (`user_version`) that
distinguishes the file from others. A row's number is its item's, unless the crawl file was repaired and has lost some.

While the file is written to, it has a write-ahead log, so others can read it and nobody waits. In the end all is in one file.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from crawler.errors import CrawlError, StorageError, UsageError
from crawler.exports.columns import MORE, ROW_ID, Columns, as_text
from crawler.exports.files import check_in_place, close_locked, disk_errors, open_locked, size_of
from crawler.exports.protocol import Cursor
from crawler.frontier.integrity import is_damage
from crawler.frontier.migrations import APPLICATION_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_MAGIC = b"SQLite format 3\0"
_MARK = slice(60, 64)
_APPLICATION = slice(68, 72)


class Sqlite:
    """An export to a table of a SQLite file. `columns` are those known beforehand; then the table is made even if no row comes.

    Raises UsageError when the file is a crawl file.
    """

    def __init__(self, path: Path, table: str, columns: Sequence[str] = ()) -> None:
        if path.exists() and _is_crawl_file(path):
            raise UsageError(f"cannot write {path}: a crawl is kept in it; name another file")
        self.path = str(path)
        self._file = path
        self._table = _quoted(table)
        self._known = columns
        self._descriptor: int | None = None
        self._db: sqlite3.Connection | None = None
        self._mark = self._item = self._row = 0
        self._columns = Columns()

    def open(self, cursor: Cursor | None) -> Cursor:
        with disk_errors(self._file, UsageError), self._translated(UsageError):
            self._descriptor = open_locked(self._file)
            if cursor is None or not self._resume(cursor):
                self._begin()
        return self._cursor()

    def _resume(self, cursor: Cursor) -> bool:
        """Continue the file at `cursor`; False when it is not the file that the cursor describes, or has lost rows."""
        try:
            db = self._connect()
            ((self._mark,),) = db.execute("PRAGMA user_version")
            self._columns = self._columns_of(db)
            if self._mark != cursor.extra.get("mark") or not self._columns.names:
                return False
            self._item, self._row = cursor.item, cursor.extra["row"]
            return self._cut_back(db)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return False

    def _cut_back(self, db: sqlite3.Connection) -> bool:
        """Delete the rows after the cursor's last one; returns whether that is there."""
        db.execute(f"DELETE FROM {self._table} WHERE {ROW_ID} > ?", (self._row,))  # noqa: S608 - a name of ours
        ((last,),) = db.execute(f"SELECT coalesce(max({ROW_ID}), 0) FROM {self._table}")  # noqa: S608
        return bool(last == self._row)

    def _begin(self) -> None:
        """Empty the file. It stays empty until there is something to write: before that, no cursor says that it is ours."""
        assert self._descriptor is not None
        self._disconnect()
        os.ftruncate(self._descriptor, 0)
        self._mark = int.from_bytes(os.urandom(4), "big") >> 1 or 1
        self._item = self._row = 0
        self._columns = Columns(self._known)

    def write(self, first_item: int, items: Sequence[str]) -> Cursor:
        assert first_item == self._item + 1, "items come without gaps"
        if items:
            with self._translated():
                self._append(self._db or self._connect(), items)
            self._item += len(items)
            self._row += len(items)
        return self._cursor()

    def _append(self, db: sqlite3.Connection, items: Sequence[str]) -> None:
        rows = [self._columns.row(item) for item in items]
        columns = self._columns.names or [MORE]
        names = ", ".join([ROW_ID, *map(_quoted, columns)])
        insert = f"INSERT INTO {self._table} ({names}) VALUES (?{', ?' * len(columns)})"  # noqa: S608
        try:
            with db:
                db.execute("BEGIN IMMEDIATE")
                self._widen(db, columns)
                db.executemany(
                    insert,
                    (
                        [number, *(_cell(row.get(name)) for name in columns)]
                        for number, row in enumerate(rows, self._row + 1)
                    ),
                )
        except sqlite3.Error:
            self._columns = self._columns_of(db)
            raise

    def _widen(self, db: sqlite3.Connection, columns: Sequence[str]) -> None:
        """Give the table the columns that it lacks. They have no types, so that values keep theirs."""
        there = self._columns_of(db).names
        if not there:
            db.execute(f"CREATE TABLE {self._table} ({', '.join(map(_quoted, columns))})")
            return
        for name in columns:
            if name not in there:
                db.execute(f"ALTER TABLE {self._table} ADD COLUMN {_quoted(name)}")

    def _columns_of(self, db: sqlite3.Connection) -> Columns:
        return Columns(name for _, name, *_ in db.execute(f"PRAGMA table_info({self._table})"))

    def close(self) -> Cursor:
        try:
            if self._descriptor is not None:
                check_in_place(self._file, os.fstat(self._descriptor))
                with self._translated():
                    self._complete()
        finally:
            self._release()
        return self._cursor()

    def _complete(self) -> None:
        """Put all into the one file, and sync it."""
        if self._known and self._db is None:
            self._widen(self._connect(), self._columns.names)
        if self._db is None:
            return
        try:
            self._db.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError:  # somebody is reading it: the log stays until they are done
            self._db.execute("PRAGMA wal_checkpoint")

    def abandon(self) -> None:
        self._release()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA synchronous = NORMAL")
            if not size_of(self._file):  # the mark goes into the file before there is a log, which may be left behind
                db.execute(f"PRAGMA user_version = {self._mark}")
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error:
            db.close()
            raise
        self._db = db
        return db

    def _disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _release(self) -> None:
        """Close the database, and only then the descriptor with our lock: closing any descriptor of the file ends SQLite's locks."""
        self._disconnect()
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            close_locked(descriptor)

    def _cursor(self) -> Cursor:
        return Cursor(item=self._item, bytes=size_of(self._file), extra={"mark": self._mark, "row": self._row})

    @contextmanager
    def _translated(self, kind: type[CrawlError] = StorageError) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            remedy = "run the same command again to continue once that is fixed"
            raise kind(f"cannot write {self.path}: {error}; {remedy}") from error


def mark_of(path: Path) -> int:
    """The mark in a file's header; 0 if it has none."""
    return _number(path, _MARK)


def _is_crawl_file(path: Path) -> bool:
    """Whether a crawl is kept in a file."""
    return _number(path, _APPLICATION) == APPLICATION_ID


def _number(path: Path, place: slice) -> int:
    """A number in a file's header (https://www.sqlite.org/fileformat.html); 0 if it is not an SQLite file."""
    with path.open("rb") as file:
        header = file.read(place.stop)
    return int.from_bytes(header[place], "big") if header.startswith(_MAGIC) else 0


def _cell(value: Any) -> Any:
    """A value as SQLite takes it: texts, floats and integers of 64 bits as they are, anything else as JSON."""
    is_kept = isinstance(value, str | float | None) or (isinstance(value, int) and -(1 << 63) <= value < 1 << 63)
    return value if is_kept else as_text(value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
