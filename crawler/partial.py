"""Files that are written beside their place, and moved there when they are complete.

Such a file is written in a hidden folder of its own beside its target, `.NAME.partial-XXXXXXXX`, which is removed afterwards. After
`kill -9` the folder stays, and the next one who writes to the same target removes it. Whoever writes holds a lock on the folder, which the
system lifts however the process ends, so an abandoned folder can be told from one in use, also by processes in other containers.

The lock is on the folder, not on the file: files are locked, and replaced, by those who write them. It is `flock`'s, and thus on what was
opened: so whoever has locked a folder checks whether it is still there, and forks let go of it at once. On file systems that have no locks
for folders, such as NFS, nothing is removed.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_LETTERS = 50
"""Of a name, in that of the folder. If two long names begin alike, each removes what the other has abandoned."""

_HELD: set[int] = set()


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Where to write what is to be moved to `path`. What is left there in the end is removed, and what others have abandoned in the
    beginning. Raises OSError."""
    from shutil import rmtree  # with all that it imports

    _remove_abandoned(path)
    folder, descriptor = _new_folder(path)
    try:
        yield folder / path.name
    finally:
        rmtree(folder, ignore_errors=True)
        _HELD.discard(descriptor)
        os.close(descriptor)


def _prefix(path: Path) -> str:
    return f".{path.name[:_MOST_LETTERS]}.partial-"


def _new_folder(path: Path) -> tuple[Path, int]:
    """A new folder, and a descriptor that holds its lock."""
    from tempfile import mkdtemp

    while True:
        folder = Path(mkdtemp(prefix=_prefix(path), dir=path.parent))
        with suppress(FileNotFoundError, BlockingIOError):  # it was taken for abandoned before it was locked
            return folder, _locked(folder)


def _locked(folder: Path, *, needs_lock: bool = False) -> int:
    """A descriptor of a folder that holds its lock; one that does not where there are no such locks, unless `needs_lock`.

    Raises FileNotFoundError if the folder has gone, BlockingIOError if somebody else has the lock, and any other OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            if needs_lock:
                raise
        if not os.path.samestat(os.fstat(descriptor), folder.lstat()):
            raise FileNotFoundError(folder)
    except BaseException:
        os.close(descriptor)
        raise
    _HELD.add(descriptor)
    return descriptor


def _remove_abandoned(path: Path) -> None:
    """Remove the folders of those who wrote to `path` and have ended before they could. What cannot be removed is left alone."""
    is_ours = re.compile(rf"{re.escape(_prefix(path))}[a-z0-9_]{{8}}").fullmatch
    with suppress(OSError):
        for folder in [one for one in path.parent.iterdir() if is_ours(one.name)]:
            with suppress(OSError):
                _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    from shutil import rmtree

    descriptor = _locked(folder, needs_lock=True)
    try:
        rmtree(folder, ignore_errors=True)
    finally:
        _HELD.discard(descriptor)
        os.close(descriptor)


def _let_go() -> None:
    """In a fork, which would otherwise hold the locks after the process that writes has ended."""
    for descriptor in _HELD:
        os.close(descriptor)
    _HELD.clear()


os.register_at_fork(after_in_child=_let_go)
