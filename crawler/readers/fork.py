"""A fork of this process: it has what is loaded here, and so is of use at once."""

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
    """Whether this process has one thread. What another one holds, a fork of this one would wait for in vain. Where the system
    does not tell, nobody knows."""
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir()) == 1
    except OSError:  # pragma: no cover  not on Linux
        return False


class Fork:
    """A child that is at `work`, then ends. Of `subprocess.Popen` it has what is needed here."""

    def __init__(self, work: Callable[[], None]) -> None:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()  # or the child would write it once more
        gc.freeze()  # to look at what is shared would be to copy it
        self._ended = threading.Lock()
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            _carry_out(work)

    def wait(self) -> int:
        """The exit code, once there is one; that of a signal is negative."""
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
    """Work, and end on the spot, for whoever called is not to go on here."""
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
            _see_to_the_end(shared)
        finally:
            os._exit(code)


def _see_to_the_end(shared: frozenset[str]) -> None:
    """What an interpreter sees to at its end: threads, exit handlers, what was loaded, and files that are open. Modules that are
    `shared` with whom this was forked from are left as they are: to take them apart is to copy them, which is most of what that
    end costs."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for name in sys.modules.keys() - shared:
        del sys.modules[name]
    gc.collect()
    for one in (*gc.get_objects(), sys.stdout, sys.stderr):
        if isinstance(one, _BUFFERS) and not one.closed:
            with suppress(OSError, ValueError):  # nobody may be there any more to take it
                one.flush()


def _code_of(leaving: SystemExit) -> int:
    """As Python has it: a number, or a text that is said."""
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    print(leaving.code, file=sys.stderr)
    return 1
