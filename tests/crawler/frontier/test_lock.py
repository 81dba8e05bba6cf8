"""One process a crawl file, whatever others do with it in that instant; and none once that process is gone."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from crawler.errors import StateLocked
from crawler.frontier import SqliteFrontier
from crawler.frontier.lock import CrawlLock, await_rest, is_locked
from crawler.frontier.sqlite import discard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DISCARDING = """
import os, sys
from pathlib import Path
from crawler.errors import StateLocked
from crawler.frontier.lock import CrawlLock
from crawler.frontier.sqlite import discard

path, had, both = Path(sys.argv[1]), 0, 0
while had < 100:
    try:
        discard(path)
        lock = CrawlLock(path)
    except StateLocked:
        continue
    had += 1
    try:
        os.mkdir(f"{path}.held")
    except FileExistsError:
        both += 1
    else:
        os.rmdir(f"{path}.held")
    both += not path.samefile(f"/proc/self/fd/{lock._descriptor}")
    lock.release()
print(both)
"""

FORKING = """
import os, signal, sys
from pathlib import Path
from crawler.frontier.lock import CrawlLock

lock = CrawlLock(Path(sys.argv[1]))
if not os.fork():
    print(os.getpid(), flush=True)
signal.pause()
"""


def start(script: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def forked(path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that holds the lock, and the id of a fork of it."""
    process = start(FORKING, path)
    assert process.stdout
    child = int(process.stdout.readline())
    yield process, child
    os.kill(child, signal.SIGKILL)
    process.kill()
    process.communicate()


def test_what_was_replaced_before_it_was_locked_is_not_taken_for_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_it = fcntl.flock

    def replace_once(descriptor: int, how: int) -> None:
        monkeypatch.undo()
        path.unlink()
        path.touch()
        lock_it(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", replace_once)
    lock = CrawlLock(path)
    assert is_locked(path)
    assert lock.is_in_place()
    lock.release()


def test_no_two_processes_have_one_file_when_all_begin_anew(path: Path) -> None:
    processes = [start(DISCARDING, path) for _ in range(3)]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["0\n"] * 3


async def test_who_looks_whether_a_file_is_locked_is_waited_for(path: Path) -> None:
    """To look takes a shared lock, and gives it back at once."""
    for take in (CrawlLock.take(path), asyncio.to_thread(CrawlLock, path)):
        path.touch()
        looking = os.open(path, os.O_RDONLY)
        fcntl.flock(looking, fcntl.LOCK_SH)
        waiting = asyncio.create_task(take)
        await asyncio.sleep(0)
        os.close(looking)
        lock = await waiting
        assert is_locked(path)
        lock.release()


async def test_who_has_the_file_for_a_moment_is_waited_for(path: Path) -> None:
    lock = CrawlLock(path)
    waiting = asyncio.create_task(CrawlLock.take(path))
    await asyncio.sleep(0)
    assert not waiting.done()
    lock.release()
    (await waiting).release()
    lock = CrawlLock(path)
    with pytest.raises(StateLocked):
        await CrawlLock.take(path, patience=0.0)
    lock.release()


async def test_an_order_that_has_the_file_is_waited_for(path: Path) -> None:
    frontier = await SqliteFrontier.open(path, spider=None)
    waiting = asyncio.create_task(asyncio.to_thread(await_rest, path))
    await asyncio.sleep(0)
    assert not waiting.done()
    await frontier.close()
    await waiting
    assert not is_locked(path)
    lock = CrawlLock(path)
    await_rest(path, patience=0.0)
    assert is_locked(path)
    lock.release()


def test_a_fork_lets_go_of_the_lock_and_its_parent_does_not(
    forked: tuple[subprocess.Popen[str], int], path: Path
) -> None:
    parent, _ = forked
    assert is_locked(path)
    parent.kill()
    parent.wait()
    CrawlLock(path).release()


def test_a_file_that_is_discarded_is_empty_and_has_nothing_beside_it(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).write_text("old")
    discard(path)
    assert [(entry.name, entry.stat().st_size) for entry in path.parent.iterdir()] == [(path.name, 0)]
    assert not is_locked(path)
