"""JSON Lines: one item a line, as the spider yielded it (https://jsonlines.org)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from crawler.exports.files import OutputFile, disk_errors
from crawler.exports.protocol import Cursor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class JsonLines:
    """An export to a file of JSON Lines."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._file = OutputFile(path)
        self._item = 0

    def open(self, cursor: Cursor | None) -> Cursor:
        wanted = cursor or Cursor()
        self._item = wanted.item if self._file.open(wanted.bytes) else 0
        return self._cursor()

    def write(self, first_item: int, items: Sequence[str]) -> Cursor:
        assert first_item == self._item + 1, "items come without gaps"
        self._file.append(lines_of(items))
        self._item += len(items)
        return self._cursor()

    def close(self) -> Cursor:
        try:
            self._file.check_in_place()
        finally:
            self._file.close()
        return self._cursor()

    def abandon(self) -> None:
        self._file.close()

    def _cursor(self) -> Cursor:
        return Cursor(item=self._item, bytes=self._file.size)


class StandardOutput:
    """An export to standard output, as JSON Lines. It cannot be cut back: what a killed run printed after its last cursor is
    printed again by the next run."""

    path = "-"

    def __init__(self) -> None:
        self._cursor = Cursor()

    def open(self, cursor: Cursor | None) -> Cursor:
        self._cursor = cursor or Cursor()
        return self._cursor

    def write(self, first_item: int, items: Sequence[str]) -> Cursor:
        assert first_item == self._cursor.item + 1, "items come without gaps"
        data = lines_of(items)
        with disk_errors("standard output"):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        self._cursor = Cursor(item=first_item + len(items) - 1, bytes=self._cursor.bytes + len(data))
        return self._cursor

    def close(self) -> Cursor:
        return self._cursor

    def abandon(self) -> None:
        """There is nothing to close."""


def lines_of(items: Sequence[str]) -> bytes:
    """Items as they are written to a file."""
    return ("\n".join(items) + "\n").encode() if items else b""
