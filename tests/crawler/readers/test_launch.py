"""Processes that are begun ahead of need."""

from __future__ import annotations

import signal
from pathlib import Path

from crawler.readers.launch import Launches


def children() -> set[int]:
    return {
        int(number) for task in Path("/proc/self/task").iterdir() for number in (task / "children").read_text().split()
    }


def test_what_nobody_has_taken_is_gone_at_the_end() -> None:
    before = children()
    with Launches(2):
        begun = children() - before
        assert len(begun) == 2
    assert not children() & begun


def test_what_somebody_has_taken_ends_when_nobody_has_the_other_end_of_its_socket() -> None:
    with Launches(1) as launches:
        taken = launches.take()
    assert taken.process.poll() is None
    taken.socket.close()
    assert taken.process.wait(30) == 1


def test_signals_to_all_are_not_for_readers_from_the_very_beginning() -> None:
    with Launches(1) as launches:
        taken = launches.take()
        for number in (signal.SIGINT, signal.SIGTERM) * 2:
            taken.process.send_signal(number)
        taken.socket.close()
        assert taken.process.wait(30) == 1
