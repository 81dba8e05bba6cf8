"""The crawl file, open for writing: statements one at a time, patience with readers, and one kind of error."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from crawler.errors import CrawlError, StorageError
from crawler.frontier.integrity import damaged, is_damage
from crawler.frontier.placing import clear_beside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import aiosqlite

    from crawler.frontier.lock import CrawlLock
    from crawler.frontier.rows import Row

T = TypeVar("T")

_LOCKED = re.compile("database is locked")


class CrawlFile:
    """One connection. Whoever writes, or reads what must not change meanwhile, holds `turn`.

    What SQLite cannot do breaks the file: StorageError or StateDamaged is raised, then and from there on. So does whoever moves
    or removes it meanwhile: SQLite would write on, into what nobody finds any more.
    """

    def __init__(self, db: aiosqlite.Connection, path: Path, lock: CrawlLock) -> None:
        self.path = path
        self.turn = asyncio.Lock()
        self.broken: CrawlError | None = None
        self._db = db
        self._lock = lock

    async def read(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """All rows that a query gives."""
        with self.translated():
            return list(await self._db.execute_fetchall(sql, parameters))  # type: ignore[arg-type]

    async def change(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> int:
        """Carry a statement out; how many rows it changed."""
        with self.translated():
            async with self._db.execute(sql, parameters) as cursor:
                return cursor.rowcount

    async def write(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Carry a statement out, again if a reader of the file kept it busy for longer than SQLite itself waits; what it
        returns."""
        with self.translated():
            await self._check_place()
            try:
                return list(await self._db.execute_fetchall(sql, parameters))  # type: ignore[arg-type]
            except sqlite3.OperationalError as error:
                if not _LOCKED.match(str(error)):
                    raise
                return await self._insist(sql, parameters)

    async def _insist(self, sql: str, parameters: Sequence[Any]) -> list[Row]:
        """Carry a statement out as soon as nobody keeps the file busy."""
        from tenacity import AsyncRetrying, retry_if_exception_message, stop_after_delay, wait_random_exponential

        async for attempt in AsyncRetrying(
            retry=retry_if_exception_message(match=_LOCKED),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            stop=stop_after_delay(120),
            reraise=True,
        ):
            with attempt:
                return list(await self._db.execute_fetchall(sql, parameters))  # type: ignore[arg-type]
        raise AssertionError("unreachable: the last attempt raises")

    async def write_rows(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Carry a statement out for each row, in one transaction."""
        async with self.transaction():
            await self.write_each(sql, rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """What is written within is one transaction. It must not be cancelled: it would be left open, and half of it kept."""
        await self.write("BEGIN IMMEDIATE")
        yield
        await self.write("COMMIT")

    async def write_each(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Carry a statement out for each row."""
        with self.translated():
            await self._db.executemany(sql, rows)

    async def run_script(self, sql: str) -> None:
        """Carry out several statements."""
        with self.translated():
            await self._db.executescript(sql)

    async def at_once(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Have SQLite's thread do all that `work` does with the connection: to cross over for each statement takes longer than
        most of them do."""
        with self.translated():
            return await self.apart(lambda: work(self._db._conn))

    async def apart(self, work: Callable[..., T], *arguments: Any) -> T:
        """Have SQLite's thread do something else: it has the memory for it, and waits for more to write meanwhile."""
        done: T = await self._db._execute(work, *arguments)  # type: ignore[no-untyped-call]
        return done

    async def close(self) -> None:
        """Close it. Raises StorageError when it was moved or removed since something was written last."""
        try:
            if not self.broken:
                with self.translated():
                    await self._check_place()
        finally:
            await self._db.close()

    async def _check_place(self) -> None:
        """Break the file if its name does not lead to it any more. Then all is put into the one file that there is of it: SQLite
        does not do that when it is closed, since another might lie beside the log."""
        if self._lock.is_in_place() or self._db.in_transaction:
            return
        is_free = not self._lock.path.exists()
        try:
            # Another log may follow under the same name; one beside a file that is there must be empty, or it counts for that.
            how = "FULL" if is_free else "TRUNCATE"
            ((is_busy, *_),) = await self._db.execute_fetchall(f"PRAGMA wal_checkpoint({how})")
        except sqlite3.Error:
            is_busy = True
        if is_free and not is_busy:
            clear_beside(self._lock.path)
        self.broken = StorageError(self._what_became_of_it(is_whole=not is_busy))
        raise self.broken

    def _what_became_of_it(self, *, is_whole: bool) -> str:
        is_removed, now = self._lock.whereabouts()
        if is_removed:
            return (
                f"the crawl file {self.path} was removed or replaced while the crawl ran, and all that was kept is gone with "
                f"it; the same command begins anew, or goes on with a copy that is put in its place"
            )
        where = f"is in {now} now" if now else "is in it, wherever it is now"
        log = "" if is_whole else f", the last of it in {self.path.name}-wal, which belongs beside it"
        return (
            f"the crawl file {self.path} was moved while the crawl ran. What was committed {where}{log}. Move it back, then run "
            f"the same command again"
        )

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What SQLite could not do breaks the file, as a StorageError, or as StateDamaged if that is what it is."""
        if self.broken:
            raise self.broken
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if is_damage(error):
                self.broken = damaged(self.path, error)
                raise self.broken from error
            self.broken = StorageError(
                f"cannot write the crawl file {self.path}: {error}. What was committed is safe; make room or mend the "
                f"disk, then run the same command again"
            )
            raise self.broken from error
