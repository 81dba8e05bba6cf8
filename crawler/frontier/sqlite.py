"""The frontier in one SQLite file.

Three things make it fast. What was seen before is known in memory, as fingerprints, or is looked up for many links at once
(sieve.py), so that no link costs a look-up on disk. Settlements are gathered and written by group commits. A group commit crosses into
SQLite's thread once, as JSON, and is executed there by one statement (settle.sql), without Python's lock: row by row, that thread and
the event loop would take the lock from each other for every row.

The order of steps keeps it correct. Settlements are taken in synchronously, so whatever is known or asked about is in the file, in the
pending batch, or in a batch before that one. Batches and leases go to the file one at a time. A commit that fails breaks the frontier:
nothing more is taken in, and what was not committed is still in the queue of the file.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

import aiosqlite
import msgspec

from crawler.cancellation import to_the_end
from crawler.errors import StorageError
from crawler.frontier.commits import GroupCommit
from crawler.frontier.file import CrawlFile
from crawler.frontier.inbox import Inbox
from crawler.frontier.intake import Intake, marks_of
from crawler.frontier.integrity import damaged, making_sense
from crawler.frontier.leasing import due, take
from crawler.frontier.leftout import left_out
from crawler.frontier.lock import CrawlLock
from crawler.frontier.migrations import script
from crawler.frontier.moves import Moves
from crawler.frontier.opening import NOTHING_LEASED, PRAGMAS, Past, check_spider, load, prepare
from crawler.frontier.placing import check_log, clear, take_back
from crawler.frontier.protocol import CookieRow, Frontier, HostQueue
from crawler.frontier.rows import COUNT_NOT_MODIFIED, NOT_MODIFIED, lease_of
from crawler.frontier.runs import Runs
from crawler.frontier.waiting import HOSTS_AFTER, OF_HOSTS
from crawler.items import portion
from crawler.outcome import SetAside

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from client.origin import HostKey
    from crawler.frontier.commits import ItemsListener
    from crawler.frontier.protocol import Admit, Counts, HostState, Lease, Settlement
    from crawler.frontier.rows import Due
    from crawler.outcome import Aside
    from crawler.request import Links, Request


_ITEMS_AFTER = "SELECT id, data FROM item WHERE id > ? ORDER BY id"


class SqliteFrontier(Frontier):
    """Open it with `open`, run `keep_committing` beside the work, end with `close`. `Frontier` says what the other methods do."""

    def __init__(
        self,
        db: aiosqlite.Connection,
        lock: CrawlLock,
        path: Path,
        *,
        commit_pages: int,
        commit_interval: float,
        remembered: int,
    ):
        self.intake = Intake(remembered)
        self.started = time.time()
        self._ahead = self.started - time.monotonic()
        self._past = Past(None, 0.0, 0.0)
        self._lock = lock
        self._file = CrawlFile(db, path, lock)
        self._commits = GroupCommit(self.intake, self._file, now=self.now, pages=commit_pages, interval=commit_interval)
        self._runs = Runs(self.intake, self._file, self._commits)
        self._moves = Moves(self.intake, self._file, self._commits)
        self.inbox = Inbox(self._file)

    @property
    def counts(self) -> Counts:
        return self.intake.counts

    @property
    def known_hosts(self) -> Collection[HostKey]:
        """The hosts on which anything was found, in the order in which they became known."""
        return self.intake.host_ids.keys()

    @property
    def first_started(self) -> float:
        """When the first run of the crawl began, in seconds of the epoch."""
        return self._past.first_started or self.started

    @property
    def elapsed_before(self) -> float:
        """Seconds that earlier runs took in total."""
        return self._past.elapsed

    @property
    def on_items(self) -> ItemsListener | None:
        """Awaited as `on_items(first_id, texts)` after each commit that brought items, in their order."""
        return self._commits.on_items

    @on_items.setter
    def on_items(self, listener: ItemsListener | None) -> None:
        self._commits.on_items = listener

    def now(self) -> float:
        """The system's clock when the file was opened, or the latest instant in the file if that is later, plus the time that has passed
        since."""
        return self._ahead + time.monotonic()

    def attach(
        self,
        *,
        admit: Admit,
        on_queued: Callable[[HostKey, float], None],
        max_pages_per_host: int = 0,
    ) -> None:
        self.intake.admit = admit
        self.intake.on_queued = on_queued
        self.intake.max_pages_per_host = max_pages_per_host

    # ------------------------------------------------------------------ opening and closing

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        spider: str | None,
        commit_pages: int = 256,
        commit_interval: float = 0.25,
        remembered: int = 1 << 21,
    ) -> SqliteFrontier:
        """Create the crawl file, or go on with it: what was leased when its last process ended waits again. Without `spider`, the file
        may belong to any, and this is not a run: it is to be changed by order only. `remembered`: so many requests are known exactly
        in memory, older ones through the file. `commit_interval` in seconds.

        Raises StateError, StateLocked, StateMismatch, StateTooNew, StateDamaged, StorageError (crawler/errors.py says when).
        """
        check_log(path)
        lock = await CrawlLock.take(path)
        try:
            take_back(path)
            db = aiosqlite.connect(path, isolation_level=None)
            try:
                await to_the_end(_connected(db))
                frontier = cls(
                    db, lock, path, commit_pages=commit_pages, commit_interval=commit_interval, remembered=remembered
                )
                await frontier._prepare(spider)
            except BaseException:
                await to_the_end(db.close())
                raise
        except BaseException:
            lock.release()
            raise
        return frontier

    async def _prepare(self, spider: str | None) -> None:
        file = self._file
        await file.at_once(lambda db: prepare(db, file.path))
        await file.run_script(PRAGMAS)
        if spider is not None:
            await check_spider(file, spider)
        await file.run_script(NOTHING_LEASED + script("settle.sql"))
        with making_sense(file.path):
            self._past = await file.at_once(lambda db: load(db, self.intake))
            await self._runs.load()
        # If the clock was set back, nothing waits longer for that.
        self._ahead += max(0.0, self._past.seen - self.started)
        self.started = self.now()
        await file.write("UPDATE run SET ended = seen, why = 'killed' WHERE ended IS NULL")
        if spider is not None:
            await file.write("INSERT INTO run (started, seen) VALUES (?, ?)", (self.started, self.started))

    async def close(self, why: str = "interrupted") -> None:
        """Cancelled, it still closes the file first; its lock is released last."""
        await to_the_end(self._close(why))

    async def _close(self, why: str) -> None:
        try:
            if not self._file.broken:
                while self.intake.batch:
                    await self.flush()
                await self._file.run_script(NOTHING_LEASED)
                await self._runs.put_away()
                ended = self.now()
                await self._file.write(
                    "UPDATE run SET ended = ?, seen = ?, why = ? WHERE ended IS NULL", (ended, ended, why)
                )
        finally:
            try:
                await self._file.close()
            finally:
                self._lock.release()

    # ------------------------------------------------------------------ add, lease, settle

    async def add(self, found: Iterable[Request | Links], *, depth: int = 0) -> int:
        before = self.intake.next_request
        self.intake.add(found, depth=depth, found_on=None)
        await self.flush()
        await self._runs.tend()
        return self.intake.next_request - before

    async def lease(self, hosts: Sequence[HostKey], limit: int) -> list[Lease]:
        async with self._file.turn:
            if self._file.broken:
                raise self._file.broken
            numbers = [self.intake.host_ids[host] for host in hosts]
            rows = await self._due(numbers, limit)
            pending = self.intake.batch.least_rank
            if pending < math.inf and (len(rows) < limit * len(hosts) or pending < rows[-1][2]):
                await self._commits.commit()
                rows = await self._due(numbers, limit)
            await take(self._file, rows)
            self.intake.counts.queued -= len(rows)
            self.intake.counts.leased += len(rows)
        with making_sense(self._file.path):
            return [lease_of(row, self.intake.host_names[row[1]]) for row in rows]

    async def _due(self, hosts: Sequence[int], limit: int) -> list[Due]:
        with making_sense(self._file.path):
            return await due(self._file, hosts, limit=limit, now=self.now())

    async def settle(self, settlement: Settlement) -> None:
        sieve = self.intake.sieve
        while self._commits.is_behind:
            await self.flush()
        if sieve.bits:  # what is learned here is used at once, before it may leave memory again
            await self._resolve(settlement)
        if self._file.broken:
            raise self._file.broken
        try:
            self.intake.settle(settlement)
        except Exception as error:  # half of it is in the batch, which must never be written
            why = f"what came of {settlement.lease.url} cannot be kept ({error!r}), and is as if it had not come"
            self._file.broken = StorageError(f"{why}; the same command goes on from the last commit")
            raise self._file.broken from error
        self._commits.pend()
        if not sieve.is_quiet and self._runs.pend():
            await self._runs.tend()

    async def _resolve(self, settlement: Settlement) -> None:
        """Look up at once what cannot wait to be sifted."""
        for mark in marks_of(settlement):
            if self.intake.sieve.is_doubtful(mark) and await self._runs.is_known(mark):
                self.intake.sieve.learn(mark)

    async def keep_committing(self) -> None:
        """Commit what is pending, soon after it came, or at once when it is much, and sift what is doubtful; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._commits.keep_committing())
            group.create_task(self._runs.keep_tending())

    @property
    def is_undecided(self) -> bool:
        return self._runs.is_undecided or self.intake.leaves_out

    async def decide(self) -> None:
        await self._runs.tend(sifts=True)
        if self.intake.leaves_out:
            await self._moves.take_instead()

    async def flush(self) -> None:
        await self._commits.flush()

    async def hosts(self, *, after: HostKey | None = None, limit: int | None = None) -> list[HostQueue]:
        await self.flush()
        behind = self.intake.host_ids[after] if after else 0
        return await self._waiting(HOSTS_AFTER, after=behind, limit=-1 if limit is None else limit)

    async def waiting(self, hosts: Iterable[HostKey]) -> list[HostQueue]:
        numbers = [self.intake.host_ids[host] for host in hosts]
        return await self._waiting(OF_HOSTS, hosts=msgspec.json.encode(numbers).decode())

    async def _waiting(self, sql: str, **parameters: int | str) -> list[HostQueue]:
        names = self.intake.host_names
        rows = await self._file.read(sql, {"now": self.now(), **parameters})
        return [HostQueue(names[number], due_at) for number, due_at in rows]

    async def seed_urls(self) -> list[str]:
        """The URLs of the seeds, and those that their redirects led to."""
        rows = await self._file.read(
            "SELECT url FROM request WHERE depth = 0 UNION ALL "
            "SELECT final_url FROM result JOIN request ON id = request WHERE depth = 0 AND final_url IS NOT NULL"
        )
        return [url for (url,) in rows]

    async def latest_urls(self, most: int) -> list[str]:
        """The URLs of the `most` requests that were found last, in the order in which they were found."""
        rows = await self._file.read("SELECT url FROM request ORDER BY id DESC LIMIT ?", (most,))
        return [url for (url,) in reversed(rows)]

    async def not_modified(self) -> tuple[int, int]:
        """How many pages are done that did not come again, for an earlier crawl had them, and the bytes of their bodies. It looks at
        whatever is over, if any were asked about."""
        if not await self._file.read("SELECT 1 FROM meta WHERE key = 'revalidated'"):
            return 0, 0
        ((pages, size),) = await self._file.read(COUNT_NOT_MODIFIED, (NOT_MODIFIED,))
        return pages, size

    async def left_out(self, most: int) -> list[tuple[str, str]]:
        """Pairs of a URL and the one that it was left out for, or that it redirected to while its request waits: up to `most` requests
        of each kind, those found last."""
        return await left_out(self._file, most) if self.intake.next_request > 1 else []

    # ------------------------------------------------------------------ what is kept beside the requests

    def note_export(self, path: str, cursor: str) -> None:
        """Keep how far an output file has come, with the next commit."""
        self.intake.batch.exports[path] = cursor
        self._commits.pend()

    def note_host(self, host: HostKey, **known: float | None) -> None:
        self.intake.note_host(host, **known)
        self._commits.pend()

    def note_robots(self, origin: str, fetched_at: float, body: bytes) -> None:
        self.intake.batch.robots[origin] = (fetched_at, body)
        self._commits.pend()

    def note_cookies(self, changed: Iterable[CookieRow]) -> None:
        self.intake.batch.cookies.update({(row.domain, row.path, row.name): row.data for row in changed})
        self._commits.pend()

    async def describe(self, **values: str) -> None:
        """Keep a description of the crawl for readers of its file, in place of earlier values under these keys. Durable at once."""
        async with self._file.turn:
            await self._file.write(
                "INSERT OR REPLACE INTO meta SELECT key, value FROM json_each(?)",
                (msgspec.json.encode(values).decode(),),
            )

    async def exports(self) -> dict[str, str]:
        """How far each output file had come by the last commit."""
        return dict(await self._file.read("SELECT path, cursor FROM export"))

    def host_states(self) -> Mapping[HostKey, HostState]:
        return self.intake.host_states

    async def robots_of(self, origin: str) -> tuple[float, bytes] | None:
        rows = await self._file.read("SELECT fetched_at, body FROM robots WHERE origin = ?", (origin,))
        return (rows[0][0], rows[0][1]) if rows else None

    async def cookies(self) -> list[CookieRow]:
        return [CookieRow(*row) for row in await self._file.read("SELECT domain, path, name, data FROM cookie")]

    async def items_after(self, last: int, limit: int = 1000) -> list[str]:
        """The JSON texts of up to `limit` committed items after the one numbered `last`, in order; fewer if they are large."""
        return await self._file.at_once(
            lambda db: portion(_one_by_one(db.execute(_ITEMS_AFTER, (last,)), last, self._file.path), limit)
        )

    # ------------------------------------------------------------------ moves by order

    async def set_aside(self, host: HostKey, reason: Aside, detail: str = "") -> int:
        return await self._moves.set_aside(host, SetAside(reason, detail))

    async def release(self, *, host: HostKey | None = None, reason: Aside | None = None, url: str | None = None) -> int:
        return await self._moves.release(host, reason, url)

    async def fill_budgets(self, *, host: HostKey | None = None) -> int:
        return await self._moves.fill_budgets(host)

    async def retry(
        self,
        *,
        statuses: Iterable[int] | None = None,
        kinds: Iterable[str] | None = None,
        host: HostKey | None = None,
        redirected_to: str | None = None,
    ) -> int:
        return await self._moves.retry(statuses, kinds, host, redirected_to)

    async def reprioritise(self, *, host: HostKey | None = None, url_like: str | None = None, priority: int) -> int:
        return await self._moves.reprioritise(host, url_like, priority)


async def _connected(db: aiosqlite.Connection) -> None:
    await db


def discard(path: Path) -> None:
    """Put an empty file in the place of a crawl file, and remove what SQLite keeps beside it. Raises StateLocked when a process is
    crawling with it."""
    lock = CrawlLock(path)
    try:
        clear(path)
    finally:
        lock.release()


def _one_by_one(rows: Iterable[tuple[int, object]], last: int, path: Path) -> Iterator[str]:
    """The texts of the items after `last`. A gap in their numbers would have an output count on from the wrong one, and write items
    again and again. Raises StateDamaged."""
    for expected, (number, text) in enumerate(rows, last + 1):
        if number != expected:
            raise damaged(path, f"the item after {expected - 1} has the number {number}")
        if not isinstance(text, str):
            raise damaged(path, f"the item {number} is not text")
        yield text
