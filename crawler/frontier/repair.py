"""Saving what can be read from a damaged crawl file, into a new one.

Rows are read from the pages of the file one by one (pages.py) and put into the tables to which they belong (salvage.py); then repair.sql
makes them consistent. The damaged file is kept under another name.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from crawler.errors import StateDamaged, StateTooNew, StorageError, UsageError
from crawler.frontier.integrity import faults
from crawler.frontier.lock import CrawlLock
from crawler.frontier.migrations import APPLICATION_ID, VERSION, script
from crawler.frontier.pages import Pages
from crawler.frontier.placing import damaged_names, replace, take_back, uri_of
from crawler.frontier.salvage import fill
from crawler.web.urls import host_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_BODILESS = """
SELECT count(*) FROM response WHERE body NOT IN (
    SELECT digest FROM body WHERE pack IS NULL OR pack IN (SELECT id FROM pack))"""


@dataclass(slots=True, kw_only=True)
class Repair:
    """The result of a repair. `saved`: numbers of rows by table; `lost`: what is known to be missing, in words."""

    damaged: Path
    """Where the damaged file is kept."""
    faults: list[str]
    broken_pages: int = 0
    saved: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


def repair(path: Path) -> Repair | None:
    """Put a sound crawl file in the place of a damaged one, which is kept beside it; None if the file is sound.

    Raises UsageError when there is no file, StateLocked while a process crawls with it, StateTooNew when a newer version wrote it,
    StateDamaged when nothing of a crawl can be read from it, StorageError when the new file cannot be written.
    """
    if not path.is_file():
        raise UsageError(f"there is no crawl file {path}")
    lock = CrawlLock(path)
    try:
        take_back(path)
        found = _faults_of(path)
        if not found:
            return None
        free = next(name for name in damaged_names(path) if not name.exists())
        done = Repair(damaged=free, faults=found)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            _write(path, fresh, done)
            for _ in replace(path, fresh, done.damaged):
                continue
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot repair {path}: {error.strerror}") from error
    finally:
        lock.release()
    return done


@lru_cache(maxsize=1 << 16)
def _host_of(url: str) -> str:
    return host_of(url)


def _faults_of(path: Path) -> list[str]:
    try:
        with closing(sqlite3.connect(uri_of(path, "mode=ro"), uri=True)) as db:
            ((application,),) = db.execute("PRAGMA application_id")
            return ["its header is not that of a crawl file"] if application != APPLICATION_ID else list(faults(db))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return [str(error)]


def _write(path: Path, fresh: Path, done: Repair) -> None:
    """Write the new file `fresh`, and note in `done` what was saved."""
    with Pages(path) as pages:
        if pages.version > VERSION:
            raise StateTooNew(
                f"{path} has schema {pages.version}; this version of the program knows {VERSION} at most: update it"
            )
        try:
            with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
                left = _save(pages, db, done)
        except sqlite3.Error as error:
            raise StorageError(f"cannot write what was saved of {path}: {error}; make room and try again") from error
    if not done.saved["request"]:
        raise StateDamaged(f"{path} holds nothing of a crawl that could be read")
    if left:
        raise StateDamaged(f"{path} could not be mended: {'; '.join(left)}")
    with fresh.open("rb+") as file:
        os.fsync(file.fileno())


def _save(pages: Pages, db: sqlite3.Connection, done: Repair) -> list[str]:
    """Fill an empty database with what can be read, and make it consistent; returns what is wrong with it all the same."""
    db.executescript(
        f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN;"
        f"{script('schema.sql')} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
        f"CREATE TEMP TABLE unclear (request INTEGER PRIMARY KEY);"
    )
    known = fill(db, pages)
    done.broken_pages = pages.broken
    _count_losses(db, known, done)
    db.create_function("host_of", 1, _host_of, deterministic=True)
    db.executescript(f"BEGIN; {script('repair.sql')} COMMIT;")
    return list(faults(db))


def _count_losses(db: sqlite3.Connection, known: Mapping[str, int], done: Repair) -> None:
    """Count what was saved and what is missing: ids have no gaps, and the file's own counts say how many rows there were."""
    for table in ("request", "result", "queue", "aside", "item", "response", "attempt", "host", "export"):
        ((done.saved[table],),) = db.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - one of nine names
    ((last_request, last_item),) = db.execute("SELECT (SELECT max(id) FROM request), (SELECT max(id) FROM item)")
    over = sum(known.get(name, 0) for name in ("done", "failed", "skipped"))
    requests = over + sum(known.get(name, 0) for name in ("queued", "leased", "aside"))
    for what, all_of_them, table in (
        ("requests", max(requests, last_request or 0), "request"),
        ("results", over, "result"),
        ("items", max(known.get("items", 0), last_item or 0), "item"),
    ):
        if missing := max(all_of_them - done.saved[table], 0):
            done.lost.append(f"{missing:,} of {all_of_them:,} {what}")
    ((bodiless,),) = db.execute(_BODILESS)
    if bodiless:
        done.lost.append(f"{bodiless:,} of {done.saved['response']:,} kept pages")
        done.saved["response"] -= bodiless
    if not db.execute("SELECT 1 FROM meta WHERE key = 'spider'").fetchone():
        done.lost.append("the name of the spider: the next to crawl with the file owns it")
