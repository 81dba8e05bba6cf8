"""The crawl file, open for writing: one statement at a time, patience with other readers, and one kind of error."""

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

    An error of SQLite's breaks the file: StorageError or StateDamaged is raised then, and from then on. So does moving or removing the
    file meanwhile, because SQLite would go on writing where nobody finds it any more.
    """

    def __init__(self, db: aiosqlite.Connection, path: Path, lock: CrawlLock) -> None:
        self.path = path
        self.turn = asyncio.Lock()
        self.broken: CrawlError | None = None
        self._db = db
        self._lock = lock

    async def read(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """All rows of a query."""
        with self.translated():
            return list(await self._db.execute_fetchall(sql, parameters))  # type: ignore[arg-type]

    async def change(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> int:
        """Execute a statement; returns how many rows it changed."""
        with self.translated():
            async with self._db.execute(sql, parameters) as cursor:
                return cursor.rowcount

    async def write(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Execute a statement, again if a reader kept the file busy for longer than SQLite itself waits; returns its rows."""
        with self.translated():
            await self._check_place()
            try:
                return list(await self._db.execute_fetchall(sql, parameters))  # type: ignore[arg-type]
            except sqlite3.OperationalError as error:
                if not _LOCKED.match(str(error)):
                    raise
                return await self._insist(sql, parameters)

    async def _insist(self, sql: str, parameters: Sequence[Any]) -> list[Row]:
        """Execute a statement as soon as nobody keeps the file busy."""
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
        """Execute a statement for each row, in one transaction."""
        async with self.transaction():
            await self.write_each(sql, rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Make what is written within the block one transaction. It must not be cancelled: it would stay open, and half of it be kept."""
        await self.write("BEGIN IMMEDIATE")
        yield
        await self.write("COMMIT")

    async def write_each(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement for each row."""
        with self.translated():
            await self._db.executemany(sql, rows)

    async def run_script(self, sql: str) -> None:
        """Execute several statements."""
        with self.translated():
            await self._db.executescript(sql)

    async def at_once(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Have SQLite's thread do all that `work` does with the connection: switching to it for each statement takes longer than most
        statements do."""
        with self.translated():
            return await self.apart(lambda: work(self._db._conn))

    async def apart(self, work: Callable[..., T], *arguments: Any) -> T:
        """Have SQLite's thread do something else: it has memory for that already, and would only wait for more to write."""
        done: T = await self._db._execute(work, *arguments)  # type: ignore[no-untyped-call]
        return done

    async def close(self) -> None:
        """Close the file. Raises StorageError when it was moved or removed since the last write."""
        try:
            if not self.broken:
                with self.translated():
                    await self._check_place()
        finally:
            await self._db.close()

    async def _check_place(self) -> None:
        """Break the file if its name no longer leads to it. Then everything in the log is put into the file: SQLite does not do that
        when it closes it, since another file might lie beside the log."""
        if self._lock.is_in_place() or self._db.in_transaction:
            return
        is_free = not self._lock.path.exists()
        try:
            # If another file has that name by now, the log beside it must be empty, or SQLite would apply it to that file.
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
        """Turn errors of SQLite's into a StorageError, or into StateDamaged if the file is damaged; this breaks the file."""
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
