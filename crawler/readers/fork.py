"""A fork of this process: it has everything loaded that this one has, and so can begin at once."""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

_BUFFERS = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


def can_fork() -> bool:
    """Whether this process has only one thread: a fork would wait in vain for locks that another thread holds. False where the
    system does not tell."""
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir()) == 1
    except OSError:  # pragma: no cover  not on Linux
        return False


class Fork:
    """A child process that does `work`, then ends. It has as much of the interface of `subprocess.Popen` as is needed here."""

    def __init__(self, work: Callable[[], None]) -> None:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()  # or the child would write it once more
        gc.freeze()  # the garbage collector writes into what it looks at, and so would copy what is shared
        self._ended = threading.Lock()
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            _carry_out(work)

    def wait(self) -> int:
        """Wait for the end; returns the exit code, negative for a signal."""
        with self._ended:
            if self.returncode is None:
                _, status = os.waitpid(self.pid, 0)
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def _carry_out(work: Callable[[], None]) -> NoReturn:
    """Do the work, and end on the spot: the code that called must not go on in the child."""
    shared = frozenset(sys.modules)
    code = 1
    try:
        work()
        code = 0
    except SystemExit as leaving:
        code = _code_of(leaving)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        try:
            _finalize(shared)
        finally:
            os._exit(code)


def _finalize(shared: frozenset[str]) -> None:
    """Do what an interpreter does when it finalizes: for threads, exit handlers, modules, and open files. Modules that are `shared` with the
    parent are left alone: clearing them would mean copying them, which is most of what such an end costs."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for name in sys.modules.keys() - shared:
        del sys.modules[name]
    gc.collect()
    for one in (*gc.get_objects(), sys.stdout, sys.stderr):
        if isinstance(one, _BUFFERS) and not one.closed:
            with suppress(OSError, ValueError):  # there may be no reader any more
                one.flush()


def _code_of(leaving: SystemExit) -> int:
    """The exit code, as Python makes it: a number, or 1 for a text, which is printed."""
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    print(leaving.code, file=sys.stderr)
    return 1
