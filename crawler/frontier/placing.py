"""Replacing crawl files by others, together with what SQLite keeps beside them.

SQLite applies a write-ahead log to whatever file lies beside it, so the two must never be separated or mixed up; but no system moves
two files at once. Everything here is done in an order in which a kill between any two steps leaves a whole crawl under one of its
names, and never the log of one file beside another.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

from crawler.errors import StateError
from crawler.frontier.lock import CrawlLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DAMAGED = "damaged"


def beside(path: Path, suffix: str) -> Path:
    """What SQLite keeps beside a file, under the same name with a suffix."""
    return path.with_name(path.name + suffix)


def uri_of(path: Path, parameters: str) -> str:
    """The URI of a file for SQLite (https://www.sqlite.org/uri.html); its name need not be valid text."""
    return f"file:{quote(os.fsencode(path.absolute()))}?{parameters}"


def damaged_names(path: Path) -> Iterator[Path]:
    """The names under which damaged crawl files of this name are kept, in the order in which they are used."""
    return (beside(path, f".{_DAMAGED}{f'-{n}' if n else ''}") for n in range(10_000))


def replace(path: Path, fresh: Path, damaged: Path) -> Iterator[None]:
    """Put a whole file in the place of a damaged one, which is kept under another name. Each iteration is one step.

    Before the last step, the damaged file has two names, and its log has the new one: `take_back` undoes that.
    """
    try:
        os.link(path, damaged)
    except OSError:  # not every file system has links
        import shutil

        shutil.copy2(path, damaged)
    yield
    beside(path, "-shm").unlink(missing_ok=True)  # SQLite makes it again from the log
    yield
    if beside(path, "-wal").exists():
        beside(path, "-wal").rename(beside(damaged, "-wal"))
    yield
    fresh.rename(path)


def take_back(path: Path) -> None:
    """Undo what a process that was killed while it replaced the file has left half done. The file's lock must be held."""
    if path.stat().st_nlink == 1:
        return
    for damaged in damaged_names(path):
        if not damaged.exists():
            return
        if damaged.samefile(path):
            log = beside(damaged, "-wal")
            if log.exists() and not beside(path, "-wal").exists():
                log.rename(beside(path, "-wal"))
            damaged.unlink()
            return


def clear(path: Path) -> None:
    """Put an empty file in the place of one whose lock is held. Nobody can crawl with it before this is done."""
    empty = path.with_name(f".{path.name}.{os.getpid()}")
    lock = CrawlLock(empty)
    try:
        empty.rename(path)
        clear_beside(path)
    finally:
        empty.unlink(missing_ok=True)
        lock.release()


def clear_beside(path: Path) -> None:
    """Remove what SQLite keeps beside a file. The log is removed last: while it exists, nobody begins a crawl (`check_log`)."""
    for suffix in ("-shm", "-wal"):
        beside(path, suffix).unlink(missing_ok=True)


def check_log(path: Path) -> None:
    """Raise StateError where there is a log without its file: the file was moved, while its crawl ran or after it was killed. SQLite
    would drop the log, and with it the last commits of that crawl."""
    log = beside(path, "-wal")
    if not path.exists() and log.exists() and log.stat().st_size:
        raise StateError(
            f"there is no crawl file {path}, but {log.name}, which holds the last that was written to it: the file was moved "
            f"or removed. Move it back; or, if it is not needed any more, delete {log.name}"
        )
