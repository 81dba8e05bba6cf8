"""Reading a crawl file, also beside the crawl that writes it.

All reads see one consistent snapshot, taken with the first read, while the crawl goes on. Only the views and the tables `count`, `run`
and `meta` are known here; crawler/frontier/schema.sql defines the views.
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
"""What a statement may do (https://www.sqlite.org/c3ref/c_alter_table.html); not attach another file, for instance."""

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
    """The state of a crawl. `spider`: empty if nobody has crawled with the file yet; `started`: ISO 8601, UTC; `elapsed`: the seconds that
    all runs took."""

    spider: str
    state: Literal["running", "paused", "finished"]
    urls: Urls
    items: int
    bytes: int
    hosts: int
    started: str
    elapsed: float


class Unmodified(NamedTuple):
    """How many pages had not changed since an earlier crawl, and the bytes of their bodies."""

    pages: int
    bytes: int


class Rows:
    """The result of a query: the names of the columns, and the rows, which are read as they are iterated over."""

    def __init__(self, cursor: sqlite3.Cursor, path: Path) -> None:
        self.columns: list[str] = [column[0] for column in cursor.description or ()]
        self._cursor = cursor
        self._path = path

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        with _translated(self._path, is_users=True):
            for row in self._cursor:  # noqa: UP028 - it would close the cursor, perhaps after its file
                yield row

    def as_json(self) -> Iterator[str]:
        """Each row as a JSON object in a string; of columns with the same name, the last one counts."""
        encode = msgspec.json.Encoder().encode
        for row in self:
            yield encode(dict(zip(self.columns, row, strict=True))).decode()


class StateFile:
    """A crawl file, open for reading until the end of a `with` block. `patience`: how many seconds to wait while the file is busy.
    `follows`: if the crawl is running, each read sees the current state instead of one snapshot, for which the crawl's log would have to
    grow.

    Raises UsageError if there is no file at `path`, StateTooNew if a newer version of the program wrote it, StateDamaged if it is not
    a crawl file, or a damaged one.
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
        """The URI by which SQLite opens the file."""
        self._db = sqlite3.connect(self.uri, uri=True, timeout=patience)
        try:
            self._check()
        except BaseException:
            self._db.close()
            raise

    def _mode(self) -> str:
        """The mode for SQLite to open the file in. A read-only connection leaves SQLite's two side files behind, unless a crawl is running
        that removes them. So if no crawl is running, the file is opened for writing if possible; `query_only` prevents any writing. If it
        is not possible, or the disk is full, SQLite could not create those files either; then it opens the file alone, if it is told
        that nobody will change it."""
        if not self.is_running and os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK):
            return "mode=rw"
        return _ALONE if self._is_whole() else "mode=ro"

    def _is_whole(self) -> bool:
        """Whether the whole crawl is in this one file, and no process is changing it."""
        return not (
            self.is_running or any(map(_has_content, (beside(self.path, "-wal"), beside(self.path, "-journal"))))
        )

    def _check(self) -> None:
        ((application,),) = self._db.execute("PRAGMA application_id")
        ((version,),) = self._db.execute("PRAGMA user_version")
        if application != APPLICATION_ID:
            raise StateDamaged(f"{self.path} is not a crawl file")
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
        """The state of the crawl."""
        with making_sense(self.path):
            return self._status()

    def _status(self) -> Status:
        with _translated(self.path):
            (counts,) = self._db.execute(
                "SELECT queued, leased, done, failed, skipped, aside, items, bytes, hosts FROM count"
            )
            runs = list(self._db.execute("SELECT started, coalesce(ended, seen), why FROM run ORDER BY id"))
        queued, leased, *over = counts
        if not self.is_running:  # leases end with their process
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
        """The description of the crawl under this key (docs/crawl-file.md lists the keys); None if there is none."""
        for (value,) in self.query("SELECT value FROM meta WHERE key = ?", (key,)):
            return str(value)
        return None

    def described(self, key: str) -> dict[str, Any]:
        """The same for a description that is a JSON object; empty if there is none. Raises StateDamaged for anything else."""
        with making_sense(self.path):
            return msgspec.json.decode(self.meta(key) or "{}", type=dict[str, Any])

    def items(self) -> Iterator[str]:
        """The items, as JSON objects in strings, in the order in which they were committed."""
        for number, data in self.query("SELECT id, data FROM items ORDER BY id"):
            if not isinstance(data, str):
                raise damaged(self.path, f"the item {number} is not text")
            yield data

    def rows(self, view: View) -> Rows:
        """All rows of a view."""
        return self.query(f"SELECT * FROM {view}")  # noqa: S608 - one of five names

    def failures(self, limit: int, *, kind: str = "") -> list[tuple[str, str]]:
        """The URL and the error of the requests that failed last, at most `limit`; with `kind`, of those with errors of that kind."""
        sql = "SELECT url, error FROM errors WHERE error LIKE ? ORDER BY at DESC LIMIT ?"
        return [(url, error) for url, error in self.query(sql, (f"{kind}%", limit))]

    def skips(self) -> dict[str, int]:
        """How many requests were skipped for each reason, the most frequent first. Reads all results."""
        counted = (
            "SELECT reason, count(*) FROM result WHERE state = 'skipped' GROUP BY reason ORDER BY count(*) DESC, reason"
        )
        return dict(self.query(counted))

    def most_redirected_to(self, least: int) -> tuple[str, int] | None:
        """The URL to which redirects led the most requests that were then skipped as duplicates, and how many; None if they are fewer
        than `least`. Reads all results."""
        counted = """
            SELECT final_url, count(*) FROM result WHERE reason = 'duplicate' AND redirects IS NOT NULL
            GROUP BY final_url HAVING count(*) >= ? ORDER BY count(*) DESC LIMIT 1"""
        return next(iter(self.query(counted, (least,))), None)

    def not_modified(self) -> Unmodified | None:
        """What was taken from an earlier crawl; None if the crawl has not revalidated any. Reads all results."""
        if self.meta("revalidated") is None:
            return None
        ((pages, size),) = self.query(COUNT_NOT_MODIFIED, (NOT_MODIFIED,))
        return Unmodified(pages, size)

    def look_up(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """All rows that one of our own queries gives. It is prepared only once, which is most of the work for a row or two."""
        with _translated(self.path):
            return self._db.execute(sql, parameters).fetchall()

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Rows:
        """The result of an SQL query, which can change nothing. Raises UsageError if SQLite refuses it, now or while rows are read."""
        self._db.set_authorizer(_allow_reading)
        try:
            with _translated(self.path, is_users=True):
                return Rows(self._db.execute(sql, parameters), self.path)
        finally:
            self._db.set_authorizer(None)


def _allow_reading(action: int, table: str | None, *_: str | None) -> int:
    # On first use, SQLite declares functions such as json_each by what looks like a change of the schema.
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
    """Turn SQLite's errors into ours. An error in a query is the user's mistake if it is their query; otherwise the file is damaged."""
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
