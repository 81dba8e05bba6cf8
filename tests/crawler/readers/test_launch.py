"""Processes that are begun ahead of need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

BEGINNINGS = ("fork", "resize")
"""The ways in which a process is begun."""


def children() -> set[int]:
    return {
        int(number) for task in Path("/proc/self/task").iterdir() for number in (task / "children").read_text().split()
    }


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program that has one thread, as the command has, and this process may not."""
    prepared = f"from crawler.readers.launch import Launches\nfrom {__name__} import children\n{dedent(program)}"
    return subprocess.run(
        [sys.executable, "-c", prepared, *arguments],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("way", BEGINNINGS)
def test_what_nobody_has_taken_is_gone_at_the_end(way: str) -> None:
    ended = run(
        """
        import sys

        before = children()
        with Launches() as launches:
            getattr(launches, sys.argv[1])(2)
            begun = children() - before
            assert len(begun) == 2
            launches.resize(1)
            assert len(children() & begun) == 1
        assert not children() & begun
        """,
        way,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("way", BEGINNINGS)
def test_what_somebody_has_taken_ends_when_nobody_has_the_other_end_of_its_socket(way: str) -> None:
    """Its elder or younger ones have not."""
    ended = run(
        """
        import os
        import sys

        with Launches() as launches:
            getattr(launches, sys.argv[1])(3)
            taken = launches.take(), launches.take()
        for reader in reversed(taken):
            assert os.waitpid(reader.process.pid, os.WNOHANG) == (0, 0)
            reader.socket.close()
            print(reader.process.wait())
        """,
        way,
    )
    assert (ended.stdout, ended.stderr) == ("1\n1\n", "")


@pytest.mark.parametrize("way", BEGINNINGS)
def test_a_reader_that_hears_what_is_no_message_ends(way: str) -> None:
    """It is not left alone: it hears nothing any more."""
    ended = run(
        """
        import sys

        with Launches() as launches:
            getattr(launches, sys.argv[1])(1)
            reader = launches.take()
        reader.socket.sendall(b"\\x03\\0\\0\\0odd")
        print(reader.process.wait())
        """,
        way,
    )
    assert ended.stdout == "1\n"
    assert "DecodeError" in ended.stderr or "ValidationError" in ended.stderr


@pytest.mark.parametrize("way", BEGINNINGS)
def test_signals_to_all_are_not_for_readers_from_the_very_beginning(way: str) -> None:
    ended = run(
        """
        import os
        import signal
        import sys

        with Launches() as launches:
            getattr(launches, sys.argv[1])(1)
            taken = launches.take()
            for number in (signal.SIGINT, signal.SIGTERM) * 2:
                os.kill(taken.process.pid, number)
            taken.socket.close()
            print(taken.process.wait())
        """,
        way,
    )
    assert (ended.stdout, ended.stderr) == ("1\n", "")


def test_a_process_with_another_thread_is_not_forked() -> None:
    """What that thread holds, a fork would wait for in vain."""
    ended = run(
        """
        import threading

        before = children()
        ending = threading.Event()
        threading.Thread(target=ending.wait).start()
        with Launches() as launches:
            launches.fork(2)
            assert children() == before
            ending.set()
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
