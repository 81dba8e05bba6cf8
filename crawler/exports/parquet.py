"""Parquet: one item a row, its keys the columns; written whole when the export is closed
(docs/decisions/0020-parquet-is-written-at-the-end.md).

The type of a column is known only with the last item: if all its values are of one kind, it has their type; otherwise it is text,
and values that are not text stand there as JSON. Until then the items are kept, as JSON Lines, in an unnamed file beside the output.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any

from crawler.errors import StorageError, UsageError
from crawler.exports.columns import MORE, Columns, as_text
from crawler.exports.files import append_whole, disk_errors, replacement, size_of, was_replaced
from crawler.exports.jsonlines import lines_of
from crawler.exports.protocol import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

_GROUP_BYTES = 4 << 20
"""How much JSON goes into a row group: thousands of rows, and all that is in memory at once."""
_GROUP_ROWS = 1 << 16
"""At most so many rows: nearly empty ones take more room in memory than as JSON."""
_GROUP_CELLS = 1 << 22
"""At most so many cells: if items have few of a thousand keys in common, nearly all cells are empty."""

_EXACT = 1 << 53
"""Up to here, every integer is exact as a float."""


class Parquet:
    """An export to a Parquet file. `columns` are known beforehand. Raises UsageError where pyarrow is not installed."""

    def __init__(self, path: Path, columns: Sequence[str] = ()) -> None:
        if not find_spec("pyarrow"):
            raise UsageError(f"cannot write {path}: Parquet needs pyarrow, which is not installed: pip install pyarrow")
        self.path = str(path)
        self._file = path
        self._known = columns
        self._spool: IO[bytes] | None = None
        self._before: tuple[int, ...] | None = None
        self._item = self._size = 0

    def open(self, cursor: Cursor | None) -> Cursor:
        """Begin with the first item, whatever the cursor: the file stays as it is until it is replaced."""
        del cursor
        _load(self._file)
        with disk_errors(self._file, UsageError):
            self._before = _stamp(self._file)
            self._spool = tempfile.TemporaryFile(dir=self._file.parent)  # noqa: SIM115 - `abandon` closes it
        self._item = self._size = 0
        return self._cursor()

    def write(self, first_item: int, items: Sequence[str]) -> Cursor:
        assert first_item == self._item + 1, "items come without gaps"
        assert self._spool
        data = lines_of(items)
        with disk_errors(self._file):
            append_whole(self._spool.fileno(), data, self._size)
        self._size += len(data)
        self._item += len(items)
        return self._cursor()

    def close(self) -> Cursor:
        try:
            if self._spool:
                self._replace(self._spool)
        finally:
            self.abandon()
        return self._cursor()

    def _replace(self, spool: IO[bytes]) -> None:
        if (now := _stamp(self._file)) and now != self._before:
            raise was_replaced(self._file)
        from pyarrow import ArrowException

        try:
            with replacement(self._file) as target:
                self._convert(spool, target)
        except ArrowException as error:
            raise StorageError(f"cannot write {self._file}: {error}; the items are in the crawl file") from error

    def abandon(self) -> None:
        if self._spool:
            self._spool.close()
            self._spool = None

    def _cursor(self) -> Cursor:
        return Cursor(item=self._item, bytes=size_of(self._file))

    def _convert(self, spool: IO[bytes], target: IO[bytes]) -> None:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        columns = Columns(self._known)
        spool.seek(0)
        schema = pa.schema(_types(spool, columns))
        spool.seek(0)
        with ParquetWriter(target, schema, compression="zstd") as writer:
            for lines in _groups(spool, most_rows=min(_GROUP_ROWS, _GROUP_CELLS // len(schema))):
                rows = [columns.row(line) for line in lines]
                writer.write_table(pa.table([_cells(rows, field) for field in schema], schema=schema))


def _load(path: Path) -> None:
    """Load pyarrow. If that fails, it has to be known before the crawl begins, not when it has ended."""
    try:
        import pyarrow.parquet  # noqa: F401
    except Exception as error:  # whatever is wrong with what it loads in turn
        raise UsageError(f"cannot write {path}: pyarrow cannot be loaded: {error}") from error


def _groups(spool: IO[bytes], *, most_rows: int) -> Iterator[Sequence[bytes]]:
    """The lines of the spool, row group by row group."""
    while lines := spool.readlines(_GROUP_BYTES):
        for start in range(0, len(lines), most_rows):
            yield lines[start : start + most_rows]


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What distinguishes a file from another one at the same path; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _types(items: Iterable[bytes], columns: Columns) -> list[tuple[str, str]]:
    """The names and types of all columns."""
    kinds: dict[str, set[str]] = {}
    for item in items:
        for name, value in columns.row(item).items():
            if value is not None:
                kinds.setdefault(name, set()).add(_kind(value))
    return [(name, _type(kinds.get(name, set()))) for name in columns.names or [MORE]]


def _type(kinds: set[str]) -> str:
    """The type of a column, by the kinds of values in it."""
    if kinds == {"bool"}:
        return "bool"
    if kinds and kinds <= {"int", "long"}:
        return "int64"
    if kinds and kinds <= {"int", "float"}:
        return "float64"
    return "string"


def _kind(value: Any) -> str:
    """The kind of a value. Integers of more than 53 bits may not be exact as floats, and those of more than 64 become text."""
    if type(value) is int and not -_EXACT <= value <= _EXACT:
        return "long" if -(1 << 63) <= value < 1 << 63 else "text"
    return type(value).__name__


def _cells(rows: Sequence[dict[str, Any]], field: pa.Field) -> pa.Array:
    import pyarrow as pa

    values = (row.get(field.name) for row in rows)
    return pa.array(map(as_text, values) if field.type == pa.string() else values, field.type)
