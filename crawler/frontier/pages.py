"""The rows of a damaged SQLite file, read page by page without SQLite (https://www.sqlite.org/fileformat2.html).

SQLite finds a row from the root of its tree, and cannot reach what lies behind a damaged page. Here every page is looked at by
itself: what is whole on it is read, wherever in a tree it belonged. The write-ahead log counts up to its last whole commit, as it does
for SQLite: what comes after never happened.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

Value: TypeAlias = "int | float | str | bytes | None"

_MAGIC = b"SQLite format 3\0"
_PAGE_BYTES = 4096
"""SQLite's own choice, for files whose header cannot be read."""

_INDEX_INTERIOR, _TABLE_INTERIOR, _INDEX_LEAF, _TABLE_LEAF = 0x02, 0x05, 0x0A, 0x0D
_OVERFLOW_OR_FREE = 0x00
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}

_WAL_MAGICS = {0x377F0682: "<", 0x377F0683: ">"}
_WAL_HEADER, _FRAME_HEADER = 32, 24


class Row(NamedTuple):
    """A row as it is stored on its page: `rowid` is None on the pages of indexes, and of tables without row ids."""

    rowid: int | None
    values: tuple[Value, ...]


class Pages:
    """All pages of a file and its write-ahead log, open until the end of a `with` block.

    `broken` counts the pages of which something could not be read, including those missing from a file that was cut off.
    """

    def __init__(self, path: Path) -> None:
        self.broken = 0
        self._file = path.open("rb")
        header = self._file.read(100).ljust(100, b"\0")
        self.version = int.from_bytes(header[60:64], "big") if header.startswith(_MAGIC) else 0
        """The header's `user_version`; 0 if that cannot be read."""
        size = int.from_bytes(header[16:18], "big")
        self._page_bytes = 65536 if size == 1 else size
        if not header.startswith(_MAGIC) or self._page_bytes < 512 or self._page_bytes & (self._page_bytes - 1):
            self._page_bytes = _PAGE_BYTES
        self._usable = self._page_bytes - header[20]
        in_file = -(-path.stat().st_size // self._page_bytes)
        log = path.with_name(f"{path.name}-wal")
        self._log = log.open("rb") if log.is_file() else None
        self._logged, committed = self._read_log()
        promised = committed or int.from_bytes(header[28:32], "big")
        if in_file < promised < 2 * in_file + len(self._logged):
            self.broken += sum(number not in self._logged for number in range(in_file + 1, promised + 1))
        self._count = max(in_file, *self._logged) if self._logged else in_file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._log:
            self._log.close()

    def rows(self) -> Iterator[Row]:
        """Every row that can be read, from tables and indexes alike, without those on free pages, as far as these are known."""
        free = self._free_pages()
        for number in range(1, self._count + 1):
            if number in free:
                continue
            page = self._page(number)
            start = 100 if number == 1 else 0
            kind = page[start] if len(page) > start else _OVERFLOW_OR_FREE
            if kind in (_OVERFLOW_OR_FREE, _TABLE_INTERIOR):
                continue
            was_whole = kind in (_INDEX_INTERIOR, _INDEX_LEAF, _TABLE_LEAF)
            for cell in self._cells(page, start, is_interior=kind == _INDEX_INTERIOR):
                try:
                    yield self._row(page, cell, kind if was_whole else _TABLE_LEAF)
                except (ValueError, IndexError, struct.error):
                    was_whole = False
            self.broken += not was_whole

    # ------------------------------------------------------------------ pages

    def _page(self, number: int) -> bytes:
        """A page, as much of it as exists."""
        if self._log and (offset := self._logged.get(number)):
            self._log.seek(offset)
            return self._log.read(self._page_bytes)
        self._file.seek((number - 1) * self._page_bytes)
        return self._file.read(self._page_bytes)

    def _free_pages(self) -> set[int]:
        """The pages on the free list: what is on them was deleted."""
        free: set[int] = set()
        trunk = int.from_bytes(self._page(1)[32:36], "big")
        while 1 < trunk <= self._count and trunk not in free:
            free.add(trunk)
            page = self._page(trunk)
            leaves = min(int.from_bytes(page[4:8], "big"), self._usable // 4 - 2)
            free.update(number for (number,) in struct.iter_unpack(">I", page[8 : 8 + 4 * leaves]))
            trunk = int.from_bytes(page[:4], "big")
        return free

    def _read_log(self) -> tuple[dict[int, int], int]:
        """Where in the log the last committed version of each page is, and how many pages the file has after its last commit."""
        committed: dict[int, int] = {}
        if self._log is None:
            return committed, 0
        header = self._log.read(_WAL_HEADER)
        order = _WAL_MAGICS.get(int.from_bytes(header[:4], "big"))
        if len(header) < _WAL_HEADER or not order or int.from_bytes(header[8:12], "big") != self._page_bytes:
            return committed, 0
        sums = _checksum(header[:24], (0, 0), order)
        if sums != struct.unpack(">II", header[24:]):
            return committed, 0
        pending: dict[int, int] = {}
        promised = 0
        while len(frame := self._log.read(_FRAME_HEADER + self._page_bytes)) == _FRAME_HEADER + self._page_bytes:
            sums = _checksum(frame[:8] + frame[_FRAME_HEADER:], sums, order)
            if frame[8:16] != header[16:24] or sums != struct.unpack(">II", frame[16:24]):
                break
            number, pages = struct.unpack(">II", frame[:8])
            pending[number] = self._log.tell() - self._page_bytes
            if pages:  # the last frame of a commit
                committed.update(pending)
                pending.clear()
                promised = pages
        return committed, promised

    # ------------------------------------------------------------------ cells and records

    def _cells(self, page: bytes, start: int, *, is_interior: bool) -> Iterator[int]:
        """Where the cells of a page begin, after the number of their left child."""
        number = int.from_bytes(page[start + 3 : start + 5], "big")
        first = start + (12 if is_interior else 8)
        for (cell,) in struct.iter_unpack(">H", page[first : first + 2 * min(number, self._page_bytes // 4)]):
            yield cell + (4 if is_interior else 0)

    def _row(self, page: bytes, cell: int, kind: int) -> Row:
        """The row in a cell. Raises ValueError, IndexError or struct.error when there is none."""
        size, position = _varint(page, cell)
        rowid = None
        most = self._count * self._page_bytes
        if kind == _TABLE_LEAF:
            rowid, position = _varint(page, position)
            if not 0 < rowid <= most:
                raise ValueError("no file of this size has so many rows")
        if size > most:
            raise ValueError("larger than its file")
        return Row(rowid, _record(self._payload(page, position, size, kind)))

    def _payload(self, page: bytes, position: int, size: int, kind: int) -> bytes:
        usable = self._usable
        most = usable - 35 if kind == _TABLE_LEAF else (usable - 12) * 64 // 255 - 23
        if size <= most:
            return page[position : position + size]
        least = (usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (usable - 4)
        local = local if local <= most else least
        parts = [page[position : position + local]]
        following = int.from_bytes(page[position + local : position + local + 4], "big")
        left = size - local
        while left > 0:
            overflow = self._page(following) if 1 < following <= self._count else b""
            if not overflow:
                raise ValueError("it goes on nowhere")
            parts.append(overflow[4 : min(usable, 4 + left)])
            left -= usable - 4
            following = int.from_bytes(overflow[:4], "big")
        return b"".join(parts)


def _record(payload: bytes) -> tuple[Value, ...]:
    end, position = _varint(payload, 0)
    body = end
    values: list[Value] = []
    while position < end:
        kind, position = _varint(payload, position)
        value: Value = None
        size = 0
        if kind >= 12:
            size = (kind - 12) // 2
            value = payload[body : body + size]
            if len(value) < size:
                raise ValueError("cut off")
            if kind & 1:
                value = value.decode("utf-8")
        elif kind in (8, 9):
            value = kind - 8
        elif kind == 7:
            size = 8
            (value,) = struct.unpack_from(">d", payload, body)
        elif kind:
            size = _INTEGER_BYTES.get(kind, 0)
            if not size or body + size > len(payload):
                raise ValueError("no such value")
            value = int.from_bytes(payload[body : body + size], "big", signed=True)
        values.append(value)
        body += size
    if position != end or body != len(payload):
        raise ValueError("its parts do not fill it")
    return tuple(values)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """An integer of one to nine bytes, the first bits of which say whether another follows; and where it ends."""
    value = 0
    for _ in range(8):
        byte = data[position]
        position += 1
        if byte < 0x80:
            return value << 7 | byte, position
        value = value << 7 | byte & 0x7F
    value = value << 8 | data[position]
    return value - (value >> 63 << 64), position + 1


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """The running checksum of a write-ahead log over more `data`, a multiple of eight bytes."""
    first, second = sums
    for one, other in struct.iter_unpack(f"{order}II", data):
        first = first + one + second & 0xFFFFFFFF
        second = second + other + first & 0xFFFFFFFF
    return first, second
