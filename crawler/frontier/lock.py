"""One process per crawl file: an advisory lock on the file itself, which the system lifts however the process ends.

A lock is on the open file, not on its name. So whoever gets one checks whether the name still leads there; and forks, which share open
files, let go of it at once: otherwise they would hold the lock after the process that crawls has ended.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from pathlib import Path
from typing import NamedTuple, Self
from weakref import WeakSet

from crawler.errors import StateLocked, StorageError

PATIENCE = 2.0
"""Seconds to wait for a process that has the file for a moment only, to see whether it is locked, or to carry out an order."""

_PAUSE = 0.02
"""Seconds between attempts: `flock` itself waits for ever, or not at all."""


class Whereabouts(NamedTuple):
    """What has become of a file that is not in its place. `path`: where it is now; None if the system does not tell."""

    is_removed: bool
    path: Path | None


class CrawlLock:
    """Held from creation to `release`, which must come after SQLite has closed the file: closing any descriptor of a file
    drops the POSIX locks that SQLite holds on it in the same process (flock's own are of another kind and do not mix).

    Raises StateLocked when another process holds it for longer than `patience` seconds, StorageError when the file cannot be
    opened for writing.
    """

    def __init__(self, path: Path, *, patience: float = PATIENCE) -> None:
        self.path = Path(os.path.realpath(path))
        """As SQLite uses it, whatever becomes of the working directory or of symbolic links."""
        self._descriptor = _open_locked(path, patience)
        self._identity = _identity(os.fstat(self._descriptor))
        _HELD.add(self)

    @classmethod
    async def take(cls, path: Path, *, patience: float = PATIENCE) -> Self:
        """The same, without holding up the event loop."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return cls(path, patience=0.0)
            except StateLocked:
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(_PAUSE)

    def is_in_place(self) -> bool:
        """Whether the file is still the one that its name leads to."""
        try:
            return _identity(self.path.stat()) == self._identity
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # that cannot be told now; if the file cannot be written either, SQLite will say so
            return True

    def whereabouts(self) -> Whereabouts:
        """What has become of the file, if it is not in its place."""
        try:
            if not os.fstat(self._descriptor).st_nlink:
                return Whereabouts(is_removed=True, path=None)
            now = Path(f"/proc/self/fd/{self._descriptor}").readlink()
            is_there = _identity(now.stat()) == self._identity
        except OSError:
            return Whereabouts(is_removed=False, path=None)
        return Whereabouts(is_removed=False, path=now if is_there else None)

    def release(self) -> None:
        """Give up the lock; does nothing the second time."""
        _HELD.discard(self)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_HELD: WeakSet[CrawlLock] = WeakSet()


def _let_go() -> None:
    """In a fork: its parent holds the locks, and keeps them."""
    for lock in list(_HELD):
        lock.release()


os.register_at_fork(after_in_child=_let_go)


def _open_locked(path: Path, patience: float) -> int:
    """A descriptor of the file at `path`, which is made if there is none, that holds its lock."""
    deadline = time.monotonic() + patience
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"cannot write the crawl file {path}: {error.strerror}") from None
        if _try_lock(descriptor):
            if _leads_to(path, descriptor):
                return descriptor
            os.close(descriptor)  # it was replaced between the two
            continue
        os.close(descriptor)
        if time.monotonic() >= deadline:
            raise StateLocked(
                f"another process is crawling with {path}; wait for it, stop it, or name another file with --state"
            )
        time.sleep(_PAUSE)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _leads_to(path: Path, descriptor: int) -> bool:
    try:
        return _identity(path.stat()) == _identity(os.fstat(descriptor))
    except OSError:
        return False


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def is_locked(path: Path) -> bool:
    """Whether a process is crawling with this file. That process itself must not ask (see `CrawlLock`)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # A process that wants the lock at this instant tries again.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def await_rest(path: Path, *, patience: float = PATIENCE) -> None:
    """Wait up to `patience` seconds for a process that has the file, if any: it may only be carrying out an order."""
    deadline = time.monotonic() + patience
    while is_locked(path) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
