"""CSV (RFC 4180): one item a row, its keys the columns, nested values as JSON.

Columns are learned from the items, in the order in which their keys appear. A key that first appears when rows have been written
becomes a further column: rows from there on are longer than the header, until `close` rewrites the file, in one step, with the whole
header and every row filled up to it. So nothing is lost or held in memory, and the usual crawl, whose first items have all the
keys, never pays for this.

The number of columns is limited, since every row is as long as the header, and the cursor names them all. Values without a column of
their own, such as those of keys beyond the first thousand, go into one more, `_more`, as JSON.

The cursor's `extra` holds `columns` and `widths`: pairs of a position in the file and the number of columns from there on.

Text is UTF-8 without a byte order mark; records end in CRLF (RFC 4180 §2).
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from crawler.exports.columns import MORE, MOST_COLUMNS, MOST_LETTERS
from crawler.exports.files import OutputFile, replacement
from crawler.exports.protocol import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


class Csv:
    """An export to a CSV file. `columns` are those known beforehand; then there is a header even if no row comes."""

    def __init__(self, path: Path, columns: Sequence[str] = ()) -> None:
        self.path = str(path)
        self._file = OutputFile(path)
        self._known = tuple(columns)
        self._begin()

    def _begin(self) -> None:
        self._item = 0
        self._columns = dict.fromkeys(self._known)
        self._widths: list[tuple[int, int]] = []

    def open(self, cursor: Cursor | None) -> Cursor:
        if cursor is None or not self._resume(cursor):
            self._begin()
            self._file.open()
            if self._columns:
                self._append([], self._columns)
        return self._cursor()

    def _resume(self, cursor: Cursor) -> bool:
        """Continue the file at `cursor`; False when it is not the file that the cursor describes, such as one that `close` has
        rewritten since."""
        self._item = cursor.item
        self._columns = dict.fromkeys(cursor.extra.get("columns", ()))
        self._widths = [(position, width) for position, width in cursor.extra.get("widths", ())]
        header = _encode([list(self._columns)[: self._widths[0][1]]]) if self._widths else b""
        is_ours = self._file.open(cursor.bytes) and self._file.head(len(header)) == header
        if not is_ours:
            self._file.close()
        return is_ours

    def write(self, first_item: int, items: Sequence[str]) -> Cursor:
        assert first_item == self._item + 1, "items come without gaps"
        if items:
            columns = self._columns.copy()
            self._append([_cells(item, columns) for item in items], columns)
            self._item += len(items)
        return self._cursor()

    def _append(self, rows: list[dict[str, str]], columns: dict[str, None]) -> None:
        data = _encode([row.get(column, "") for column in columns] for row in rows)
        is_new = not self._widths
        has_grown = len(columns) > len(self._columns)
        position = self._file.size
        self._file.append(_encode([columns]) + data if is_new else data)
        self._columns = columns
        if is_new or has_grown:
            self._widths.append((position, len(columns)))

    def close(self) -> Cursor:
        try:
            self._file.check_in_place()
            if len(self._widths) > 1:
                self._level()
        finally:
            self._file.close()
        return self._cursor()

    def abandon(self) -> None:
        self._file.close()

    def _level(self) -> None:
        """Rewrite the file with one header of all columns, and every row as long as that."""
        path = Path(self.path)
        with replacement(path) as target, path.open("rb") as source:
            target.write(_encode([self._columns]))
            target.writelines(_filled(source, self._widths, len(self._columns)))
            self._file.size = target.tell()
        self._widths = [(0, len(self._columns))]

    def _cursor(self) -> Cursor:
        extra = {"columns": list(self._columns), "widths": self._widths}
        return Cursor(item=self._item, bytes=self._file.size, extra=extra)


def _cells(item: str, columns: dict[str, None]) -> dict[str, str]:
    """The cells of one item by column; new columns are added to `columns`. Numbers and nested values keep the very text that they
    have in the item."""
    fields = _decode_fields(item)
    more: dict[str, msgspec.Raw] = {}
    if MORE in fields or not fields.keys() <= columns.keys():
        more = {key: value for key, value in fields.items() if not _is_column(key, columns)}
    cells = {key: _cell(bytes(value)) for key, value in fields.items() if key not in more}
    if more:
        columns[MORE] = None
        cells[MORE] = msgspec.json.encode(more).decode()
    return cells


def _is_column(key: str, columns: dict[str, None]) -> bool:
    """Whether a key is a column; it becomes one if it can."""
    if key == MORE:
        return False
    if key in columns:
        return True
    if len(columns) - (MORE in columns) >= MOST_COLUMNS or len(key) > MOST_LETTERS:
        return False
    columns[key] = None
    return True


def _cell(value: bytes) -> str:
    if value.startswith(b'"'):
        return _decode_text(value)
    return "" if value == b"null" else value.decode()


def _encode(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _filled(lines: Iterable[bytes], widths: Sequence[tuple[int, int]], width: int) -> Iterator[bytes]:
    """The records without the header, each filled up with empty cells."""
    position = known = 0
    pending = list(widths)
    for record in _records(lines):
        while pending and position >= pending[0][0]:
            known = pending.pop(0)[1]
        if position:
            row = record.removesuffix(b"\r\n") + b"," * (width - known) + b"\r\n"
            yield row if known else _encode([[""] * width])
        position += len(record)


def _records(lines: Iterable[bytes]) -> Iterator[bytes]:
    """CSV records. A line break inside quotes does not end one; quotes within a cell are doubled, so their parity tells."""
    parts: list[bytes] = []
    quoted = False
    for line in lines:
        parts.append(line)
        quoted ^= line.count(b'"') % 2 == 1
        if not quoted:
            yield b"".join(parts)
            parts.clear()
