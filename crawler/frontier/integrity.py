"""Whether a crawl file is sound: how damage is recognised and reported, and what is checked when a crawl opens its file.

SQLite notices damage only when it reads the damaged place. A small file is therefore checked whole when it is opened; of a large one,
for which that would take long, only the schema is checked. Damage that turns up later stops the crawl with the same message.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from crawler.errors import StateDamaged
from crawler.frontier.migrations import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHECKED_WHOLE_BYTES = 8 << 20
"""A file of this size is checked in about a tenth of a second."""

_TABLES = {"meta", "run", "host", "request", "queue", "result", "item", "attempt", "export", "seen", "count"}
"""The tables that a crawl cannot do without; every version has them."""

_LAWS = {
    "a request is not in exactly one place": """
        SELECT 1 FROM request
        WHERE (SELECT count(*) FROM result WHERE result.request = request.id)
            + (SELECT count(*) FROM aside WHERE aside.request = request.id)
            + (request.id IN (SELECT request FROM queue)) <> 1 LIMIT 1""",
    "a request is queued twice": "SELECT 1 FROM queue GROUP BY request HAVING count(*) > 1 LIMIT 1",
    "items are missing": "SELECT 1 WHERE (SELECT count(*) FROM item) <> (SELECT coalesce(max(id), 0) FROM item)",
    "the counts are wrong": """
        SELECT 1 FROM count WHERE (queued + leased, aside, done, failed, skipped, items, hosts) <> (
            (SELECT count(*) FROM queue), (SELECT count(*) FROM aside),
            (SELECT count(*) FROM result WHERE state = 'done'), (SELECT count(*) FROM result WHERE state = 'failed'),
            (SELECT count(*) FROM result WHERE state = 'skipped'), (SELECT count(*) FROM item),
            (SELECT count(*) FROM host))""",
    "JSON is broken": """
        SELECT 1 FROM (
            SELECT extra AS text FROM request UNION ALL SELECT hop FROM queue UNION ALL SELECT hop FROM aside
            UNION ALL SELECT redirects FROM result UNION ALL SELECT data FROM item
            UNION ALL SELECT cursor FROM export UNION ALL SELECT data FROM cookie
            UNION ALL SELECT extra FROM offered UNION ALL SELECT urls FROM offered)
        WHERE text IS NOT NULL AND NOT json_valid(text) LIMIT 1""",
    "a body lies outside its pack": """
        SELECT 1 FROM body LEFT JOIN pack ON pack.id = body.pack
        WHERE (body.pack IS NULL) = (length(body.data) = 0)
            OR body.pack IS NOT NULL AND (typeof(start) <> 'integer' OR typeof(body.size) <> 'integer'
                OR coalesce(start < 0 OR body.size < 0 OR start + body.size > pack.size, 1)) LIMIT 1""",
    "the counts are missing": "SELECT 1 WHERE (SELECT count(*) FROM count) <> 1",
}
"""Queries that return no row for a sound file, by what is wrong if they do."""

_READ_WHOLE = (
    "SELECT url, extra FROM request UNION ALL SELECT urls, extra FROM offered",
    "SELECT hop FROM queue WHERE hop IS NOT NULL UNION ALL SELECT hop FROM aside WHERE hop IS NOT NULL",
    "SELECT final_url, content_type, redirects, detail FROM result",
    "SELECT data FROM item UNION ALL SELECT data FROM cookie UNION ALL SELECT cursor FROM export",
)
"""The texts that a crawl reads from its file: SQLite does not check whether they are valid UTF-8."""

_FRAMES = """
SELECT 'pack ' || id || ' of kept bodies', data, size FROM pack
UNION ALL SELECT 'a kept body', data, NULL FROM body WHERE pack IS NULL"""


def damaged(path: Path, what: object) -> StateDamaged:
    """The error that says what is wrong with a crawl file, and what can be done about it."""
    return StateDamaged(
        f"{path} is not a crawl file, or a damaged one: {what}. If it is one: crawl repair {path} saves all that can be read, "
        f"and keeps the original"
    )


def is_damage(error: Exception) -> bool:
    """Whether an error of SQLite's, or of Python's module for it, is about the content of the file, not about the disk or other processes.

    SQLite's messages may quote bytes of the file that are not text: then the error is a UnicodeDecodeError.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    is_unreadable = isinstance(error, UnicodeDecodeError) or str(error).startswith("Could not decode to UTF-8")
    return is_unreadable or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextmanager
def making_sense(path: Path) -> Iterator[None]:
    """While rows of the file are turned into values: raises StateDamaged for invalid ones."""
    try:
        yield
    except (ValueError, LookupError, TypeError, msgspec.MsgspecError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error


def check(db: sqlite3.Connection, path: Path) -> None:
    """Check a file quickly before a crawl uses it. Raises StateDamaged, and sqlite3.Error."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if lacking := _TABLES - tables:
        raise damaged(path, f"it lacks the tables {', '.join(sorted(lacking))}")
    ((pages,),) = db.execute("PRAGMA page_count")
    ((page_bytes,),) = db.execute("PRAGMA page_size")
    if pages * page_bytes > _CHECKED_WHOLE_BYTES:
        return
    if (faults := list(db.execute("PRAGMA quick_check(1)"))) != [("ok",)]:
        raise damaged(path, str(faults[0][0]).splitlines()[-1])
    if faults := list(db.execute("PRAGMA foreign_key_check")):
        raise damaged(path, f"a row of the table {faults[0][0]} refers to nowhere")


def faults(db: sqlite3.Connection) -> Iterator[str]:
    """Everything that is wrong with a file, in words, SQLite's errors included. This takes time.

    What must hold between tables is checked only in a file of the current version.
    """
    checks = {"": "PRAGMA integrity_check(20)", "a row refers to nowhere": "PRAGMA foreign_key_check"}
    try:
        ((version,),) = db.execute("PRAGMA user_version")
        is_current = version == VERSION
        for law, sql in {**checks, **(_LAWS if is_current else {})}.items():
            rows = [row for row in db.execute(sql) if row != ("ok",)]
            yield from [law] if law and rows else (str(row[0]).splitlines()[-1] for row in rows)
        if is_current:
            for sql in _READ_WHOLE:
                for _ in db.execute(sql):
                    continue
            yield from _damaged_bodies(db)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        yield str(error)


def is_frame(data: bytes, size: int | None = None) -> bool:
    """Whether a frame can be read, and has `size` bytes; None: any number."""
    from crawler.store import decompress  # and with it zstd: most crawls keep no bodies

    try:
        return len(decompress(data)) == size or size is None
    except ValueError:
        return False


def _damaged_bodies(db: sqlite3.Connection) -> Iterator[str]:
    for what, data, size in db.execute(_FRAMES):
        if not is_frame(data, size):
            yield f"{what} is damaged"
