"""Which format a file name asks for."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.errors import StorageError, UsageError
from crawler.exports.files import beside, check_writable, replacing
from crawler.exports.jsonlines import JsonLines, StandardOutput
from crawler.items import portion
from crawler.paths import expanded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crawler.exports.protocol import Export

FORMATS = (
    "JSON Lines (.jsonl, .ndjson, .jl), CSV (.csv), SQLite (.sqlite, .sqlite3, .db), Parquet (.parquet), "
    "or - for JSON Lines on standard output"
)

_SQLITE = {".sqlite", ".sqlite3", ".db"}

_BATCH = 1000
"""Rows written at once: enough that the cost of a write does not matter, few enough to take little memory."""


def open_export(path: str, columns: Sequence[str] = (), *, table: str = "items") -> Export:
    """The export for `path`, by its extension. `columns`: those known beforehand, in order; `table`: what the rows are called, in
    formats that name them.

    Nothing is created or changed before the export's own `open`. Raises UsageError when no format has this extension, when its
    format needs a package that is not installed, or when the file cannot be written.
    """
    if path == "-":
        return StandardOutput()
    if is_warc(path):
        raise UsageError(f"cannot write {path}: WARC is for pages that were kept: crawl export STATE pages -o {path}")
    file = expanded(path).resolve()
    check_writable(file)
    export: Export
    match file.suffix.lower():
        case ".jsonl" | ".ndjson" | ".jl":
            export = JsonLines(file)
        case ".csv":
            from crawler.exports.csv import Csv

            export = Csv(file, columns)
        case extension if extension in _SQLITE:
            from crawler.exports.sqlite import Sqlite

            export = Sqlite(file, table, columns)
        case ".parquet":
            from crawler.exports.parquet import Parquet

            export = Parquet(file, columns)
        case extension:
            problem = f"no format is called {extension}" if extension else "the name has no extension"
            raise UsageError(f"cannot write {path}: {problem}; formats: {FORMATS}")
    return export


def is_warc(path: str) -> bool:
    """Whether a name asks for WARC (crawler/exports/warc.py)."""
    return path.lower().endswith((".warc", ".warc.gz"))


def write_all(path: str, items: Iterable[str], columns: Sequence[str] = (), *, table: str = "items") -> int:
    """Write JSON objects, given as texts, to `path`, one after another; returns how many.

    An existing file is replaced in one step, when everything is written. Raises what `open_export` and `Export` raise.
    """
    target = open_export(path, columns, table=table)
    if target.path == "-":
        return _pour(target, items)
    with replacing(Path(target.path)) as partial:
        written = _pour(open_export(str(partial), columns, table=table), items)
        if partial.suffix.lower() in _SQLITE:
            for leftover in beside(Path(target.path)):
                leftover.unlink(missing_ok=True)
    return written


def _pour(export: Export, items: Iterable[str]) -> int:
    source = iter(items)
    written = 0
    try:
        export.open(None)
        while batch := portion(source, _BATCH):
            export.write(written + 1, batch)
            written += len(batch)
    except BaseException:
        with suppress(StorageError):
            export.abandon()
        raise
    export.close()
    return written
