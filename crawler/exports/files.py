"""Files that can be cut back and continued, and files that are replaced whole."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING

from crawler.errors import CrawlError, StorageError, UsageError
from crawler.partial import written_beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_REMEDIES = {
    errno.ENOSPC: "make room, then run the same command again to continue",
    errno.EDQUOT: "make room, then run the same command again to continue",
    errno.EFBIG: "choose a file system or a limit that allows larger files, then run the same command again to continue",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "change its permissions or choose another file",
    errno.EPERM: "change its permissions or choose another file",
    errno.EPIPE: "its reader has gone; run the same command again to continue",
    errno.ENOENT: "create its folder first",
    errno.ENOTDIR: "create its folder first",
}

_SECTOR = bytes(512)
"""What stands in a file for data that did not reach the disk before a power cut. No item contains this."""

_SUSPECT_BYTES = 256 << 20
"""How much of a file's end is searched, in a tenth of a second; what was written earlier has long reached the disk."""

_CHUNK_BYTES = 1 << 20


@contextmanager
def disk_errors(path: str | Path, kind: type[CrawlError] = StorageError) -> Iterator[None]:
    """Translate OSError into `kind`, which names the path and what can be done."""
    try:
        yield
    except OSError as error:
        raise kind(cannot_write(path, error)) from error


def cannot_write(path: str | Path, error: OSError) -> str:
    """What an OSError means for what was to be written to `path`, and what can be done."""
    remedy = _REMEDIES.get(error.errno or 0, "run the same command again to continue once that is fixed")
    return f"cannot write {path}: {os.strerror(error.errno or 0)}; {remedy}"


def check_writable(path: Path) -> None:
    """Raise UsageError when `path` cannot become a file of ours; creates and changes nothing."""
    if not _is_text(str(path)):
        raise UsageError(f"cannot write {str(path)!r}: the name must be UTF-8")
    with disk_errors(path, UsageError):
        if path.is_dir():
            raise UsageError(f"cannot write {path}: it is a folder; name a file in it")
        if path.exists() and not path.is_file():
            raise UsageError(f"cannot write {path}: it is not a regular file; use - and redirect standard output")
        if not path.parent.is_dir():
            raise UsageError(f"cannot write {path}: there is no folder {path.parent}; create it first")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise UsageError(f"cannot write {path}: permission denied; change its permissions or choose another file")


def _is_text(path: str) -> bool:
    """Whether the name can be kept in a crawl file, or a WARC file: in one that is not UTF-8, there are surrogates."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def ends_line_at(path: Path, size: int) -> bool:
    """Whether the first `size` bytes of a file end with a line."""
    with path.open("rb") as file:
        file.seek(max(size - 1, 0))
        return file.read(1) == b"\n"


def size_of(path: Path) -> int:
    """The bytes in a file; 0 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def open_locked(path: Path) -> int:
    """A descriptor of a file, which is made if it is missing, and which nobody else can open like this until `close_locked`. Raises
    OSError, and UsageError if somebody else has it.

    The lock is `flock`'s, like that of a crawl file (crawler/frontier/lock.py): it is on what was opened, so it stays when this
    process, or SQLite, opens and closes the file elsewhere. Nor does it interfere with SQLite's own locks, so others can read.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock(descriptor, path)
            if _leads_to(path, os.fstat(descriptor)):
                _HELD.add(descriptor)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # whoever had it has put another file in its place


def close_locked(descriptor: int) -> None:
    """Close what `open_locked` has opened, and with it the lock."""
    _HELD.discard(descriptor)
    os.close(descriptor)


_HELD: set[int] = set()


def _let_go() -> None:
    """In a fork, which would otherwise hold the locks after the process that writes has ended."""
    for descriptor in list(_HELD):
        close_locked(descriptor)


os.register_at_fork(after_in_child=_let_go)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"cannot write {path}: another crawl does; name another file") from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EINVAL, errno.ENOTSUP):  # of file systems without locks
            raise


def _leads_to(path: Path, opened: os.stat_result) -> bool:
    try:
        return os.path.samestat(opened, path.stat())
    except FileNotFoundError:
        return False


def check_in_place(path: Path, opened: os.stat_result) -> None:
    """Raise StorageError when the file that was opened is no longer the one at `path`."""
    if not _leads_to(path, opened):
        raise was_replaced(path)


def was_replaced(path: Path) -> StorageError:
    """The error that says so."""
    return StorageError(
        f"{path} was removed or replaced while it was written to; run the same command again to write it anew"
    )


def append_whole(descriptor: int, data: bytes, size: int) -> None:
    """Write `data` after the first `size` bytes of a file, all or nothing. Raises OSError."""
    try:
        _write(descriptor, data, size)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


class OutputFile:
    """A file that only grows, and that can be cut back to an earlier size. While it is open, nobody else can open it like this."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        """Bytes in the file; what a failed write left there has been cut off."""
        self._descriptor: int | None = None

    def open(self, size: int = 0) -> bool:
        """Open the file, cut back to `size`, where a line ends; False when no line ends there: then it is emptied.

        A power cut can leave zeros where data should be, so the file must end a line there and have no holes before it. Raises
        UsageError.
        """
        with disk_errors(self.path, UsageError):
            self._descriptor = open_locked(self.path)
            is_there = size == 0 or (os.pread(self._descriptor, 1, size - 1) == b"\n" and not self._has_hole(size))
            self.size = size if is_there else 0
            os.ftruncate(self._descriptor, self.size)
        return is_there

    def check_in_place(self) -> None:
        """Raise StorageError when there is now another file at its path, or none."""
        if self._descriptor is not None:
            check_in_place(self.path, os.fstat(self._descriptor))

    def _has_hole(self, size: int) -> bool:
        """Whether a sector of zeros lies among what was written last."""
        assert self._descriptor is not None
        start = max(0, size - _SUSPECT_BYTES)
        step = _CHUNK_BYTES - len(_SECTOR)
        return any(_SECTOR in os.pread(self._descriptor, _CHUNK_BYTES, place) for place in range(start, size, step))

    def append(self, data: bytes) -> None:
        """Write `data` at the end, all or nothing. Raises StorageError."""
        assert self._descriptor is not None
        with disk_errors(self.path):
            append_whole(self._descriptor, data, self.size)
        self.size += len(data)

    def head(self, size: int) -> bytes:
        """The first `size` bytes."""
        assert self._descriptor is not None
        return os.pread(self._descriptor, size, 0)

    def close(self) -> None:
        """Sync and close the file; does nothing when it is not open. Raises StorageError."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        with disk_errors(self.path):
            try:
                os.fsync(descriptor)
            finally:
                close_locked(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which replaces `path` in one step if the block succeeds, and is removed otherwise (crawler/partial.py). Raises
    StorageError."""
    with ExitStack() as stack:
        with disk_errors(path):
            partial = stack.enter_context(written_beside(path))
        yield partial
        with disk_errors(path):
            if path.exists():
                import shutil

                shutil.copymode(path, partial)
            partial.replace(path)


def beside(path: Path) -> list[Path]:
    """Where SQLite keeps what it has not written into a file yet. It would apply to any other file put in its place."""
    return [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal")]


@contextmanager
def replacement(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which replaces `path` as in `replacing`, synced to the disk before. Raises StorageError."""
    with replacing(path) as partial, disk_errors(path), partial.open("wb") as target:
        yield target
        target.flush()
        os.fsync(target.fileno())


def _write(descriptor: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, position)
        view = view[written:]
        position += written
