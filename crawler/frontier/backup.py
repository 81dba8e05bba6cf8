"""A copy of a crawl file as it stands at one instant, also while the crawl goes on."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from crawler.errors import StorageError, UsageError
from crawler.frontier.integrity import damaged, is_damage
from crawler.frontier.statefile import StateFile
from crawler.partial import written_beside

if TYPE_CHECKING:
    from pathlib import Path


def back_up(state: Path, copy: Path) -> int:
    """Copy a crawl file, and return the size of the copy in bytes. The copy is put in place when it is complete and sound.

    A crawl that writes the file meanwhile is not held up; what it commits from here on is not in the copy. Raises UsageError when
    `copy` exists or has no folder, the errors of `StateFile`, and StorageError when the copy cannot be written.
    """
    if copy.exists():
        raise UsageError(f"{copy} exists; name another file, or delete it first")
    if not copy.parent.is_dir():
        raise UsageError(f"there is no folder {copy.parent}; create it first")
    with StateFile(state) as file:
        try:
            with written_beside(copy) as partial:
                _copy(file.uri, partial)
                partial.rename(copy)
        except sqlite3.Error as error:
            if is_damage(error):
                raise damaged(state, error) from error
            raise StorageError(f"cannot write {copy}: {error}") from error
        except OSError as error:
            raise StorageError(f"cannot write {copy}: {error.strerror}") from error
    return copy.stat().st_size


def _copy(source_uri: str, target: Path) -> None:
    """Copy all pages in one step, and so from one snapshot. Raises sqlite3.Error, also for damaged pages."""
    with closing(sqlite3.connect(source_uri, uri=True)) as source, closing(sqlite3.connect(target)) as db:
        source.backup(db)
        db.execute("PRAGMA journal_mode = DELETE")  # which leaves nothing beside the copy
        if (verdict := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            error = sqlite3.DatabaseError(verdict)
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
    with target.open("rb") as file:
        os.fsync(file.fileno())
