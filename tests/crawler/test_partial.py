"""Files that are written beside their place: what is left of them after a kill, and who may remove it."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from crawler.errors import StorageError
from crawler.exports import write_all
from crawler.exports.files import replacement
from crawler.frontier.backup import back_up
from crawler.partial import written_beside
from tests.crawler.frontier.damage import build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITER = """
import os, sys
from pathlib import Path

def wait():
    print(flush=True)
    sys.stdin.read()

def items():
    yield '{"a":1}'
    yield '{"b":"%s"}' % ("x" * (5 << 20))  # which is written at once
    if how == "forks" and not os.fork():
        wait()
        os._exit(0)
    if how != "forks":
        wait()
    else:
        sys.stdin.read()
    yield '{"c":3}'

_, what, path, how = sys.argv
if what == "export":
    from crawler.exports import write_all
    write_all(path, items())
elif what == "replacement":
    from crawler.exports.files import replacement
    with replacement(Path(path)) as target:
        target.writelines(item.encode() + b"\\n" for item in items())
elif what == "backup":
    from crawler.frontier import backup
    copied = backup._copy
    backup._copy = lambda *arguments: (copied(*arguments), wait())
    backup.back_up(Path(how), Path(path))
"""
"""A process that writes a file, says so in the middle of it, and stays there until its input ends."""


@contextmanager
def another_writes(what: str, path: Path, how: str = "") -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", WRITER, what, str(path), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        try:
            yield other
        finally:
            other.communicate()


def hidden(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.name.startswith(".")]


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.sqlite", "out.parquet", f"{'é' * 120}.csv"])
def test_what_a_killed_export_has_left_is_removed_by_the_next(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with another_writes("export", path) as other:
        (left,) = hidden(tmp_path)
        other.kill()
        other.wait()
        assert hidden(tmp_path) == [left]
    write_all(str(tmp_path / "else.jsonl"), ["{}"])
    assert hidden(tmp_path) == [left], "it is another's"
    write_all(str(path), ['{"a":1}'])
    assert names(tmp_path) == sorted([name, "else.jsonl"])


def test_what_is_being_written_is_left_alone_and_whoever_ends_last_prevails(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with another_writes("export", path):
        (theirs,) = hidden(tmp_path)
        write_all(str(path), ['{"mine":1}'])
        assert hidden(tmp_path) == [theirs]
        assert path.read_text() == '{"mine":1}\n'
    assert hidden(tmp_path) == []
    assert path.read_text().startswith('{"a":1}\n')
    assert path.read_text().endswith('{"c":3}\n')


def test_a_file_that_is_replaced_whole_is_no_different(tmp_path: Path) -> None:
    """As web archives are."""
    path = tmp_path / "pages.warc.gz"
    with another_writes("replacement", path) as other:
        with replacement(path) as target:
            target.write(b"mine")
            assert len(hidden(tmp_path)) == 2
        assert len(hidden(tmp_path)) == 1
        other.kill()
    with replacement(path) as target:
        assert len(hidden(tmp_path)) == 1
        target.write(b"mine again")
    assert names(tmp_path) == ["pages.warc.gz"]
    assert path.read_bytes() == b"mine again"


async def test_what_a_killed_backup_has_left_is_removed_by_the_next(tmp_path: Path) -> None:
    state, copy = tmp_path / "a.crawl", tmp_path / "copies" / "copy.crawl"
    copy.parent.mkdir()
    await build(state, requests=10, rounds=1)
    with another_writes("backup", copy, str(state)) as other:
        assert len(hidden(copy.parent)) == 1
        other.kill()
        other.wait()
        assert len(hidden(copy.parent)) == 1
    back_up(state, copy)
    assert names(copy.parent) == ["copy.crawl"]


def test_a_fork_does_not_keep_what_its_parent_has_left(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with another_writes("export", path, "forks") as other:
        other.kill()
        other.wait()
        assert len(hidden(tmp_path)) == 1
        write_all(str(path), ['{"a":1}'])
        assert names(tmp_path) == ["out.jsonl"]


def test_what_only_looks_alike_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (tmp_path / ".out.jsonl.partial-abcdefgh").symlink_to(precious)
    (tmp_path / ".out.jsonl.partial-12345678").write_text("a file")
    (tmp_path / ".out.jsonl.partial-of-mine").mkdir()
    (tmp_path / ".out.jsonl.partial-").mkdir()
    (tmp_path / ".out2jsonl.partial-abcdefgh").mkdir()
    before = names(tmp_path)
    write_all(str(tmp_path / "out.jsonl"), ["{}"])
    assert names(tmp_path) == sorted([*before, "out.jsonl"])
    assert names(precious) == ["file"]


def test_many_at_once_neither_disturb_each_other_nor_leave_anything(tmp_path: Path) -> None:
    """Each looks for what others have abandoned, just when they have made their folders and not locked them yet."""
    path = tmp_path / "out.txt"

    def write(number: int) -> None:
        for _ in range(50):
            with replacement(path) as target:
                target.write(b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert names(tmp_path) == ["out.txt"]
    assert path.read_bytes() in [b"%d" % number for number in range(8)]


def test_where_folders_cannot_be_locked_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on NFS."""
    path = tmp_path / "out.txt"

    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.EBADF, "no locks")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with written_beside(path) as one, written_beside(path) as another:
        one.touch()
        another.touch()
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "out.txt"
    with (
        pytest.raises(
            StorageError, match=r"cannot write .*out\.txt: No such file or directory; create its folder first"
        ),
        replacement(path),
    ):
        pass
