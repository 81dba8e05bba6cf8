"""Reading a crawl file, also beside the crawl that writes it.

What is read is one consistent snapshot, taken with the first look; the crawl goes on meanwhile. Only the views, and the
tables `count`, `run` and `meta`, are known here; what the views hold is written in crawler/frontier/schema.sql.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeAlias

import msgspec

from crawler.errors import StateDamaged, StateError, UsageError
from crawler.frontier.integrity import damaged, making_sense
from crawler.frontier.lock import is_locked
from crawler.frontier.migrations import APPLICATION_ID, VERSION, check_version, script
from crawler.frontier.placing import beside, uri_of
from crawler.frontier.rows import COUNT_NOT_MODIFIED, NOT_MODIFIED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

View: TypeAlias = Literal["pages", "items", "links", "errors", "hosts"]

_READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
"""What a statement may do (https://www.sqlite.org/c3ref/c_alter_table.html); not, say, to attach another file."""

_OF_THE_SYSTEM = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
_NO_ROOM = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_ALONE = "mode=ro&immutable=1"

_OF_THE_FILE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Urls(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests are in each state."""

    queued: int
    leased: int
    done: int
    failed: int
    skipped: int
    aside: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How a crawl stands. `spider`: empty if nobody has crawled with the file yet; `started`: ISO 8601, UTC; `elapsed`: seconds
    that its runs took in all."""

    spider: str
    state: Literal["running", "paused", "finished"]
    urls: Urls
    items: int
    bytes: int
    hosts: int
    started: str
    elapsed: float


class Unmodified(NamedTuple):
    """How many pages an earlier crawl had as they still are, and the bytes of their bodies."""

    pages: int
    bytes: int


class Rows:
    """What a query gave: the names of the columns, and the rows, read one after the other as they are asked for."""

    def __init__(self, cursor: sqlite3.Cursor, path: Path) -> None:
        self.columns: list[str] = [column[0] for column in cursor.description or ()]
        self._cursor = cursor
        self._path = path

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        with _translated(self._path, is_users=True):
            for row in self._cursor:  # noqa: UP028 - it would close the cursor, perhaps after its file
                yield row

    def as_json(self) -> Iterator[str]:
        """Each row as the text of a JSON object; of columns of one name the last counts."""
        encode = msgspec.json.Encoder().encode
        for row in self:
            yield encode(dict(zip(self.columns, row, strict=True))).decode()


class StateFile:
    """A crawl file, open for reading until the end of a `with` block. `patience`: seconds to wait for whoever keeps it busy;
    `follows`: of a crawl that runs, read what it has by then, not what it had at one moment, for which its log would have to grow.

    Raises UsageError when there is none at `path`, StateTooNew when a newer version of the program wrote it, StateDamaged
    when it is no crawl file or a damaged one.
    """

    def __init__(self, path: Path, *, patience: float = 5.0, follows: bool = False) -> None:
        if not path.is_file():
            raise UsageError(f"there is no crawl file {path}{_others_beside(path)}")
        self.path = path
        self.is_running = is_locked(path)
        self._follows = follows and self.is_running
        with _translated(path):
            mode = self._mode()
            try:
                self._open(mode, patience)
            except sqlite3.OperationalError as error:
                if _code_of(error) not in _NO_ROOM or mode == _ALONE or not self._is_whole():
                    raise
                self._open(_ALONE, patience)

    def _open(self, mode: str, patience: float) -> None:
        self.uri = uri_of(self.path, mode)
        """How SQLite can open it, too."""
        self._db = sqlite3.connect(self.uri, uri=True, timeout=patience)
        try:
            self._check()
        except BaseException:
            self._db.close()
            raise

    def _mode(self) -> str:
        """Opened read-only, SQLite would leave its two side files behind, unless a crawl is there to remove them. So a file
        at rest is opened for writing, where that can be; that nothing is written `query_only` sees to. Where it cannot, or the
        disk is full, SQLite could not make those files either, and opens the one alone if it is told that nobody will change it."""
        if not self.is_running and os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK):
            return "mode=rw"
        return _ALONE if self._is_whole() else "mode=ro"

    def _is_whole(self) -> bool:
        """Whether all of the crawl is in the one file, and nobody is there to change it."""
        return not (
            self.is_running or any(map(_has_content, (beside(self.path, "-wal"), beside(self.path, "-journal"))))
        )

    def _check(self) -> None:
        ((application,),) = self._db.execute("PRAGMA application_id")
        ((version,),) = self._db.execute("PRAGMA user_version")
        if application != APPLICATION_ID:
            raise StateDamaged(f"{self.path} is no crawl file")
        check_version(version, self.path)
        for older in range(version, VERSION):
            self._db.executescript(script(f"reading{older}.sql"))
        self._db.execute("PRAGMA query_only = ON")
        if not self._follows:
            self._db.execute("BEGIN")  # the snapshot

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def status(self) -> Status:
        """How the crawl stands."""
        with making_sense(self.path):
            return self._status()

    def _status(self) -> Status:
        with _translated(self.path):
            (counts,) = self._db.execute(
                "SELECT queued, leased, done, failed, skipped, aside, items, bytes, hosts FROM count"
            )
            runs = list(self._db.execute("SELECT started, coalesce(ended, seen), why FROM run ORDER BY id"))
        queued, leased, *over = counts
        if not self.is_running:  # leases are with their process
            queued, leased = queued + leased, 0
        urls = Urls(**dict(zip(Urls.__struct_fields__, (queued, leased, *over), strict=False)))
        ends_at = {len(runs) - 1: time.time()} if self.is_running else {}
        elapsed = sum(max(ends_at.get(n, seen) - started, 0.0) for n, (started, seen, _) in enumerate(runs))
        return Status(
            spider=self.meta("spider") or "",
            state=self._state(urls, runs[-1][2] if runs else None),
            urls=urls,
            items=counts[6],
            bytes=counts[7],
            hosts=counts[8],
            started=datetime.fromtimestamp(runs[0][0], UTC).isoformat(timespec="milliseconds") if runs else "",
            elapsed=round(elapsed, 3),
        )

    def _state(self, urls: Urls, why: str | None) -> Literal["running", "paused", "finished"]:
        if self.is_running:
            return "running"
        return "finished" if why == "finished" and not urls.queued + urls.leased else "paused"

    def meta(self, key: str) -> str | None:
        """What the crawl is, under one of the keys that docs/crawl-file.md names; None where that was not kept."""
        for (value,) in self.query("SELECT value FROM meta WHERE key = ?", (key,)):
            return str(value)
        return None

    def described(self, key: str) -> dict[str, Any]:
        """The same, of what is kept as a JSON object; empty where it was not kept. Raises StateDamaged when it is none."""
        with making_sense(self.path):
            return msgspec.json.decode(self.meta(key) or "{}", type=dict[str, Any])

    def items(self) -> Iterator[str]:
        """What the spider yielded, as texts of JSON objects, in the order in which it was committed."""
        for number, data in self.query("SELECT id, data FROM items ORDER BY id"):
            if not isinstance(data, str):
                raise damaged(self.path, f"the item {number} is no text")
            yield data

    def rows(self, view: View) -> Rows:
        """All rows of a view."""
        return self.query(f"SELECT * FROM {view}")  # noqa: S608 - one of five names

    def failures(self, limit: int, *, kind: str = "") -> list[tuple[str, str]]:
        """The URL and the error of the last requests that failed, or of those whose error is of one `kind`."""
        sql = "SELECT url, error FROM errors WHERE error LIKE ? ORDER BY at DESC LIMIT ?"
        return [(url, error) for url, error in self.query(sql, (f"{kind}%", limit))]

    def skips(self) -> dict[str, int]:
        """How many requests were skipped for each reason, the most frequent first. Looks at whatever is over."""
        counted = (
            "SELECT reason, count(*) FROM result WHERE state = 'skipped' GROUP BY reason ORDER BY count(*) DESC, reason"
        )
        return dict(self.query(counted))

    def not_modified(self) -> Unmodified | None:
        """What did not come again, for an earlier crawl had it; None if none was asked of. Looks at whatever is over."""
        if self.meta("revalidated") is None:
            return None
        ((pages, size),) = self.query(COUNT_NOT_MODIFIED, (NOT_MODIFIED,))
        return Unmodified(pages, size)

    def look_up(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """What a query of ours gives, all of it. It is prepared once, which for a row or two is most of the work."""
        with _translated(self.path):
            return self._db.execute(sql, parameters).fetchall()

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Rows:
        """What an SQL query gives; it can change nothing. Raises UsageError when SQLite refuses it, here or on the way."""
        self._db.set_authorizer(_allow_reading)
        try:
            with _translated(self.path, is_users=True):
                return Rows(self._db.execute(sql, parameters), self.path)
        finally:
            self._db.set_authorizer(None)


def _allow_reading(action: int, table: str | None, *_: str | None) -> int:
    # SQLite declares functions such as json_each, at first use, by what looks to it like a change of its schema.
    declares = action == sqlite3.SQLITE_UPDATE and table == "sqlite_master"
    return sqlite3.SQLITE_OK if action in _READING or declares else sqlite3.SQLITE_DENY


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _code_of(error: Exception) -> int:
    """SQLite's primary code (https://www.sqlite.org/rescode.html)."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


@contextmanager
def _translated(path: Path, *, is_users: bool = False) -> Iterator[None]:
    """SQLite's errors as ours. What is wrong with a query is the user's, if they wrote it; else the file lacks what it names."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, UnicodeError) as error:
        code = _code_of(error)
        if code in _OF_THE_SYSTEM:
            raise StateError(f"{path} cannot be read: {error}") from error
        if is_users and code not in _OF_THE_FILE:
            raise UsageError(
                f"SQLite does not answer that: {error} (only queries are allowed, one at a time)"
            ) from error
        raise damaged(path, error) from error


def _others_beside(path: Path) -> str:
    others = sorted(entry.name for entry in path.parent.glob("*.crawl"))
    return f"; there is: {', '.join(others)}" if others else ""
