"""One process a crawl file: an advisory lock on the file itself, which the system lifts however the process ends."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from crawler.errors import StateLocked, StorageError

if TYPE_CHECKING:
    from pathlib import Path


class CrawlLock:
    """Held from creation to `release`, which must come after SQLite has closed the file: closing any descriptor of a file
    drops the POSIX locks that SQLite holds on it in the same process (flock's own are of another kind and do not mix).

    Raises StateLocked when another process holds it, StorageError when the file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"cannot write the crawl file {path}: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise StateLocked(
                f"another process is crawling with {path}; wait for it, stop it, or name another file with --state"
            ) from None

    def release(self) -> None:
        os.close(self._descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process is crawling with this file. Not to be asked by that process itself (see `CrawlLock`)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
