"""The frontier in one SQLite file.

Three things make it fast. What was seen before is known in memory, as fingerprints, so that a link costs no look-up on
disk. Settlements are gathered and written by group commits. A group commit crosses into SQLite's thread once, as JSON, and
is carried out there by one statement (settle.sql), without Python's lock: row by row, that thread and the event loop would
take it from each other for every row.

The order of things holds it together. Settlements are taken in synchronously, so that whatever is in the seen-set is in
the file, in the pending batch, or in a batch before that one. Batches and leases go to the file one at a time. A commit
that fails breaks the frontier: nothing more is taken in, and what was not committed is still leased in the file, to be
queued again by the next start.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import aiosqlite
import msgspec
from tenacity import AsyncRetrying, retry_if_exception_message, stop_after_delay, wait_random_exponential

from client.origin import HostKey
from crawler.errors import StateMismatch, StorageError
from crawler.frontier.intake import Intake
from crawler.frontier.lock import CrawlLock
from crawler.frontier.migrations import prepare, script
from crawler.frontier.protocol import Counts, HostQueue, Lease, Settlement
from crawler.frontier.rows import lease_of, method_and_body
from crawler.store import compress
from crawler.web.urls import fingerprint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from crawler.frontier.batch import Batch, Row
    from crawler.outcome import Skip
    from crawler.request import Links, Request

ItemsListener: TypeAlias = "Callable[[int, Sequence[str]], Awaitable[None]]"

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",  # a power cut may take the last commits, whole; kill -9 takes none
    "PRAGMA wal_autocheckpoint = 8000",  # pages; checkpoints dominate the cost of large files
    "PRAGMA cache_size = -65536",  # KiB
    "PRAGMA temp_store = MEMORY",
    "PRAGMA busy_timeout = 5000",
)

_COMMIT = "INSERT INTO settlement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_LEASE = """
INSERT INTO lease
    SELECT queue.request, queue.host, queue.rank, queue.attempts, queue.hop, ?, ?
    FROM json_each(?) AS wanted CROSS JOIN queue
    ON queue.host = wanted.value AND (queue.rank, queue.request) IN (
        SELECT rank, request FROM queue AS inner_queue
        WHERE inner_queue.host = wanted.value AND not_before <= ? ORDER BY rank, request LIMIT ?)
RETURNING request, host, rank, attempts, hop"""

_LEASED_REQUESTS = """
SELECT request.id, request.url, request.depth, referrer.url, request.extra
FROM json_each(?) AS leased CROSS JOIN request ON request.id = leased.value
LEFT JOIN request AS referrer ON referrer.id = request.found_on"""

_UNLEASE = """
BEGIN IMMEDIATE;
INSERT INTO queue SELECT host, rank, request, 0, attempts, hop FROM lease;
UPDATE count SET queued = queued + leased, leased = 0;
DELETE FROM lease;
COMMIT;"""

_SEEN_ON_THE_WAY = """
SELECT json_extract(hop, '$[0]'), json_extract(hop, '$[1]') FROM queue WHERE hop IS NOT NULL
UNION ALL
SELECT passed.url, 'GET' FROM (
    SELECT request, final_url AS url FROM result WHERE redirects IS NOT NULL
    UNION ALL SELECT request, value FROM result, json_each(redirects) WHERE redirects IS NOT NULL
) AS passed JOIN request ON request.id = passed.request
WHERE passed.url IS NOT NULL AND json_extract(request.extra, '$.method') IS NULL"""
"""Where redirects led. Behind a request that was no GET nothing says with which method they were followed: rather fetch
such a URL twice than never."""

_LEASE_SECONDS = 3600.0
"""When another process could take a lease over; within one process the file's lock says who is alive."""

_ROWS_AT_ONCE = 50_000

_WORTH_KEEPING = 250_000
"""So many requests are read and hashed in about a third of a second."""

_BACKLOG_COMMITS = 4
"""How many full batches may pend before `settle` waits."""


class SqliteFrontier:
    """See `crawler.frontier.protocol.Frontier`. Open it with `open`, commit with `keep_committing` beside the work, end
    with `close`.

    `on_items(first_id, texts)` is awaited after each commit that brought items, in their order.
    """

    def __init__(
        self, db: aiosqlite.Connection, lock: CrawlLock, path: Path, *, commit_pages: int, commit_interval: float
    ):
        self.intake = Intake()
        self.on_items: ItemsListener | None = None
        self.started = time.time()
        self.elapsed_before = 0.0
        self.first_started = self.started
        self._db = db
        self._lock = lock
        self._path = path
        self._commit_pages = commit_pages
        self._commit_interval = commit_interval
        self._pending = asyncio.Event()
        self._full = asyncio.Event()
        self._file_turn = asyncio.Lock()
        self._broken: StorageError | None = None
        self._owner = f"{os.uname().nodename}:{os.getpid()}"
        self._latest = 0.0
        self._seen_upto = 0

    @property
    def counts(self) -> Counts:
        return self.intake.counts

    def attach(self, *, admit: Callable[[str, int], Skip | None], on_queued: Callable[[HostKey, float], None]) -> None:
        """Say who decides which new requests are skipped, and who hears of those that now wait."""
        self.intake.admit = admit
        self.intake.on_queued = on_queued

    # ------------------------------------------------------------------ opening and closing

    @classmethod
    async def open(
        cls, path: Path, *, spider: str, commit_pages: int = 128, commit_interval: float = 0.25
    ) -> SqliteFrontier:
        """Make the crawl file, or go on with it: what was leased when its last process ended is queued again.

        Raises StateLocked, StateMismatch, StateTooNew, StateDamaged, StorageError (crawler/errors.py says when).
        """
        lock = CrawlLock(path)
        try:
            db = await aiosqlite.connect(path, isolation_level=None)
            try:
                frontier = cls(db, lock, path, commit_pages=commit_pages, commit_interval=commit_interval)
                await frontier._prepare(spider)
            except BaseException:
                await db.close()
                raise
        except BaseException:
            lock.release()
            raise
        return frontier

    async def _prepare(self, spider: str) -> None:
        with self._translated():
            await prepare(self._db, self._path)
            for pragma in _PRAGMAS:
                await self._db.execute_fetchall(pragma)
            await self._check_spider(spider)
            await self._db.executescript(_UNLEASE + script("settle.sql"))
            await self._load()
            await self._db.execute("UPDATE run SET ended = seen, why = 'killed' WHERE ended IS NULL")
            await self._db.execute("INSERT INTO run (started, seen) VALUES (?, ?)", (self.started, self.started))

    async def _check_spider(self, spider: str) -> None:
        await self._db.execute("INSERT OR IGNORE INTO meta VALUES ('spider', ?)", (spider,))
        ((known,),) = await self._db.execute_fetchall("SELECT value FROM meta WHERE key = 'spider'")
        if known != spider:
            raise StateMismatch(
                f"{self._path} belongs to the spider {known!r}, not to {spider!r}; name another file with --state, "
                f"or begin anew with --fresh"
            )

    async def _load(self) -> None:
        fetch = self._db.execute_fetchall
        (counts,) = await fetch("SELECT queued, leased, done, failed, skipped, items, bytes, hosts FROM count")
        intake = self.intake
        intake.counts = Counts(**dict(zip(Counts.__dataclass_fields__, counts, strict=True)))
        ((intake.next_request, intake.next_item),) = await fetch(
            "SELECT (SELECT coalesce(max(id), 0) + 1 FROM request), (SELECT coalesce(max(id), 0) + 1 FROM item)"
        )
        ((self.elapsed_before, first_started),) = await fetch(
            "SELECT total(coalesce(ended, seen) - started), min(started) FROM run"
        )
        self.first_started = first_started or self.started
        for number, name in await fetch("SELECT id, name FROM host"):
            intake.know_host(number, HostKey(name))
        await self._load_seen()

    async def _load_seen(self) -> None:
        seen = self.intake.seen
        for part, marks, upto in await self._db.execute_fetchall("SELECT part, marks, upto FROM seen"):
            seen.restore(part, marks)
            self._seen_upto = upto
        for first in range(self._seen_upto + 1, self.intake.next_request, _ROWS_AT_ONCE):
            rows = await self._db.execute_fetchall(
                "SELECT url, extra FROM request WHERE id >= ? AND id < ?", (first, first + _ROWS_AT_ONCE)
            )
            for url, extra in rows:
                seen.add(fingerprint(url) if extra is None else fingerprint(url, *method_and_body(extra)))
        for url, method in await self._db.execute_fetchall(_SEEN_ON_THE_WAY):
            seen.add(fingerprint(url, method))

    async def _keep_seen(self) -> None:
        """Put the seen-set away, if making it again from the requests would take long."""
        upto = self.intake.next_request - 1
        if upto - self._seen_upto >= _WORTH_KEEPING:
            await self._db.execute("BEGIN IMMEDIATE")
            parts = ((part, marks, upto) for part, marks in self.intake.seen.shelves())
            await self._db.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", parts)
            await self._db.execute("COMMIT")

    async def close(self, why: str = "interrupted") -> None:
        """Commit what was settled, queue again what is leased, note `why` the run ended, and close the file."""
        try:
            if not self._broken:
                while self.intake.batch:
                    await self.flush()
                with self._translated():
                    await self._db.executescript(_UNLEASE)
                    await self._keep_seen()
                    await self._db.execute(
                        "UPDATE run SET ended = ?, seen = ?, why = ? WHERE ended IS NULL",
                        (time.time(), time.time(), why),
                    )
        finally:
            await self._db.close()
            self._lock.release()

    # ------------------------------------------------------------------ add, lease, settle

    async def add(self, found: Iterable[Request | Links], *, depth: int = 0) -> int:
        """Queue those requests that are new; returns how many were. Durable when it returns."""
        before = self.intake.next_request
        self.intake.add(found, depth=depth, found_on=None)
        await self.flush()
        return self.intake.next_request - before

    async def lease(self, hosts: Sequence[HostKey], limit: int) -> list[Lease]:
        """Up to `limit` requests of each host, the first in its order that are due. Durable when it returns."""
        await self.flush()
        async with self._file_turn:
            now = self._latest = max(self._latest, time.time())  # a clock set back hides nothing that was due
            wanted = msgspec.json.encode([self.intake.host_ids[host] for host in hosts]).decode()
            with self._translated():
                queued = list(await self._write(_LEASE, (self._owner, now + _LEASE_SECONDS, wanted, now, limit)))
                numbers = msgspec.json.encode([row[0] for row in queued]).decode()
                requests = {row[0]: tuple(row) for row in await self._db.execute_fetchall(_LEASED_REQUESTS, (numbers,))}
            self.intake.counts.queued -= len(queued)
            self.intake.counts.leased += len(queued)
        queued.sort(key=lambda row: (row[2], row[0]))
        return [lease_of(tuple(row), requests[row[0]], self.intake.host_names[row[1]]) for row in queued]

    async def settle(self, settlement: Settlement) -> None:
        """Take in what came of a lease, for the next group commit; waits while too much is uncommitted."""
        if self._broken:
            raise self._broken
        self.intake.settle(settlement)
        self._pending.set()
        weight = self.intake.batch.weight
        if weight >= self._commit_pages:
            self._full.set()
            if weight >= self._commit_pages * _BACKLOG_COMMITS:
                await self.flush()

    def note_export(self, path: str, cursor: str) -> None:
        """Keep with the next commit how far an output file has come."""
        self.intake.batch.exports[path] = cursor
        self._pending.set()

    async def exports(self) -> dict[str, str]:
        """How far each output file had come by the last commit."""
        return dict(await self._db.execute_fetchall("SELECT path, cursor FROM export"))  # type: ignore[arg-type]

    async def items_after(self, last: int, limit: int = 1000) -> list[str]:
        """The JSON texts of up to `limit` committed items behind the one numbered `last`, in order."""
        rows = await self._db.execute_fetchall("SELECT data FROM item WHERE id > ? ORDER BY id LIMIT ?", (last, limit))
        return [data for (data,) in rows]

    async def seed_urls(self) -> list[str]:
        """The URLs of the seeds, and those that their redirects led to."""
        rows = await self._db.execute_fetchall(
            "SELECT url FROM request WHERE depth = 0 UNION ALL "
            "SELECT final_url FROM result JOIN request ON id = request WHERE depth = 0 AND final_url IS NOT NULL"
        )
        return [url for (url,) in rows]

    async def hosts(self) -> list[HostQueue]:
        """Every host that has requests waiting."""
        now = time.time()
        queues = {
            number: HostQueue(host=self.intake.host_names[number], queued=ready)
            for number, ready in await self._db.execute_fetchall(
                "SELECT host, sum(not_before <= ?) FROM queue GROUP BY host", (now,)
            )
        }
        put_off = self.intake.counts.queued - sum(queue.queued for queue in queues.values())
        if put_off:
            for number, not_before in await self._db.execute_fetchall(
                "SELECT host, not_before FROM queue WHERE not_before > ? ORDER BY not_before", (now,)
            ):
                queues[number].due.append(not_before)
        return list(queues.values())

    # ------------------------------------------------------------------ group commit

    async def keep_committing(self) -> None:
        """Commit what pends, soon after it came and at once when it is much; until cancelled."""
        while True:
            await self._pending.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._commit_interval):
                    await self._full.wait()
            await self.flush()

    async def flush(self) -> None:
        """Return once everything settled so far is durable."""
        async with self._file_turn:
            if self._broken:
                raise self._broken
            if not self.intake.batch:
                return
            # What is settled from here on pends for the next batch: neither these counts nor these events speak of it.
            batch = self.intake.cut()
            parameters = batch.parameters(self.intake.counts)
            self._pending.clear()
            self._full.clear()
            await _to_the_end(self._commit(batch, parameters))

    async def _commit(self, batch: Batch, parameters: Sequence[Any]) -> None:
        with self._translated():
            if batch.bodies:
                await self._write_bodies(batch.bodies)
            await self._write(_COMMIT, parameters)
        if batch.items and self.on_items:
            await self.on_items(batch.items[0][0], [data for _, _, data in batch.items])

    async def _write_bodies(self, bodies: Mapping[str, bytes]) -> None:
        """Add bodies that are not there yet. Cut off before the pages that refer to them are committed, they do no harm."""
        rows = await asyncio.to_thread(lambda: [(digest, compress(body)) for digest, body in bodies.items()])
        await self._write("BEGIN IMMEDIATE", ())
        await self._db.executemany("INSERT OR IGNORE INTO body VALUES (?, ?)", rows)
        await self._db.execute("COMMIT")

    async def _write(self, sql: str, parameters: Sequence[Any]) -> Iterable[Row]:
        """Carry a statement out, again if a reader of the file kept it busy for longer than SQLite itself waits."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_message(match="database is locked"),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            stop=stop_after_delay(120),
            reraise=True,
        ):
            with attempt:
                return await self._db.execute_fetchall(sql, parameters)  # type: ignore[return-value]
        raise AssertionError("unreachable: the last attempt raises")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """What SQLite could not do breaks the frontier, as a StorageError."""
        try:
            yield
        except sqlite3.Error as error:
            self._broken = StorageError(
                f"cannot write the crawl file {self._path}: {error}. What was committed is safe; make room or mend the "
                f"disk, then run the same command again"
            )
            raise self._broken from error


async def _to_the_end(work: Coroutine[None, None, None]) -> None:
    """Carry something out that must not be left half done: who is cancelled meanwhile, leaves when it is over."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()  # a StorageError has broken the frontier, which says so to whoever comes next
        raise


def discard(path: Path) -> None:
    """Remove a crawl file, with what SQLite keeps beside it. Raises StateLocked when a process crawls with it."""
    lock = CrawlLock(path)
    try:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    finally:
        lock.release()
