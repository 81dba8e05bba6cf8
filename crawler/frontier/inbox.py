"""Orders in the crawl file: written by anybody, carried out by whoever holds the file's lock.

A process that crawls looks at `PRAGMA data_version` of its own connection now and then. This changes only when another connection
has written: that is how the process learns of an order. If no process crawls, whoever gives the order takes the lock for a moment and
carries it out.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from crawler.errors import StateLocked, StorageError
from crawler.frontier.placing import uri_of
from crawler.orders import Order

if TYPE_CHECKING:
    from pathlib import Path

    from crawler.frontier.file import CrawlFile

_PATIENCE = 10.0
"""Seconds to wait for a crawl that is just writing."""

_WITH_ORDERS = 2
"""The first schema that has the table."""


class Given(NamedTuple):
    """An order with its number in the crawl file; None stands for an order that only a newer version knows."""

    number: int
    order: Order | None


class Inbox:
    """The orders in the crawl file that this process holds."""

    def __init__(self, file: CrawlFile) -> None:
        self._file = file
        self._version: int | None = None

    async def has_news(self) -> bool:
        """Whether anybody else has written to the file since this was last asked; the first time, True."""
        ((version,),) = await self._file.read("PRAGMA data_version")
        before, self._version = self._version, int(version)
        return before != self._version

    async def waiting(self) -> list[Given]:
        """The orders that are still to be carried out, in the order in which they were given."""
        rows = await self._file.read("SELECT id, what, argument FROM instruction WHERE done IS NULL ORDER BY id")
        return [Given(number, _decode(what, argument)) for number, what, argument in rows]

    async def add(self, order: Order) -> int:
        """Add an order of our own; returns its number."""
        async with self._file.turn:
            ((number,),) = await self._file.write(f"{_INSERT} RETURNING id", _encode(order))
        return int(number)

    async def close(self, number: int, answer: str) -> None:
        """Note that an order was carried out, and what came of it."""
        async with self._file.turn:
            await self._file.write(
                "UPDATE instruction SET done = ?, answer = ? WHERE id = ?", (time.time(), answer, number)
            )

    async def answer(self, number: int) -> str:
        """What came of an order that was carried out."""
        ((answer,),) = await self._file.read("SELECT answer FROM instruction WHERE id = ?", (number,))
        return str(answer)


_INSERT = "INSERT INTO instruction (at, what, argument) VALUES (?, ?, ?)"


def give(path: Path, order: Order) -> int:
    """Write an order into a file that another process holds; returns its number. Raises StateLocked when that process is an older
    version, which takes no orders, and StorageError when the file cannot be written."""
    try:
        with closing(_open(path, "rw")) as db:
            ((version,),) = db.execute("PRAGMA user_version")
            if version < _WITH_ORDERS:
                raise StateLocked(
                    f"an older version of the program is crawling with {path}, and takes no orders; stop it first"
                )
            number = db.execute(_INSERT, _encode(order)).lastrowid
    except sqlite3.Error as error:
        raise StorageError(f"cannot write the crawl file {path}: {error}") from error
    assert number is not None
    return number


def answer_to(path: Path, number: int) -> str | None:
    """What came of an order; None while it waits. Raises StorageError when the file cannot be read."""
    try:
        with closing(_open(path, "ro")) as db:
            row = db.execute("SELECT answer FROM instruction WHERE id = ?", (number,)).fetchone()
    except sqlite3.Error as error:
        raise StorageError(f"cannot read the crawl file {path}: {error}") from error
    return row[0] if row else None


def _open(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(uri_of(path, f"mode={mode}"), uri=True, timeout=_PATIENCE, isolation_level=None)


def _encode(order: Order) -> tuple[float, str, str]:
    argument: dict[str, Any] = msgspec.to_builtins(order)
    what = argument.pop("type")
    return time.time(), what, msgspec.json.encode(argument).decode()


def _decode(what: str, argument: str) -> Order | None:
    given = {"type": what, **msgspec.json.decode(argument)}
    try:
        order: Order = msgspec.convert(given, Order)
    except msgspec.ValidationError:
        return None
    return order
