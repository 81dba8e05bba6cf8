"""What was seen before, as far as memory can tell, in memory that does not grow with the crawl.

The latest `capacity` marks are known exactly. Older ones lie in the file, in sorted runs (runs.py); of these a Bloom filter of
fixed size is in memory. So of a link it is known at once that it is new, or that it was seen lately; or it is *doubtful*: of
an old one, that is most often one that was seen. Doubtful links are put by in the file, and are *sifted* all together, once
they are many, nothing else is left to do, or some time has passed: one reading of all runs, in order, tells of all of them.
No link costs a look-up on disk. (Lee, Leonard, Wang and Loguinov call it DRUM, in IRLbot: Scaling to 6 Billion Pages and
Beyond, 2008; it is the sieve of BUbiNG: Boldi, Marino, Santini and Vigna, 2014.)

A crawl that fits into `capacity` has no runs and no doubts. This module does no I/O and never waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.frontier.marks import note, sort_out, words_of
from crawler.frontier.seen import PARTS, SeenSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FILTER_BYTES_A_MARK = 32
"""Of `capacity`: enough for twenty times as many marks before one in a hundred new links is doubtful, too."""

_ASKED = 4
"""A sifting is due when a fourth of `capacity` is asked about."""


class Sieve:
    """Tells new marks from known and doubtful ones."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.bits = bytearray()
        """The filter over all marks in runs, empty where there are none."""
        self._recent = SeenSet()
        self._leaving: SeenSet | None = None
        self._asked = SeenSet()
        self._sifted = SeenSet()
        self._is_sifting = False
        self._cleared: set[bytes] = set()

    @property
    def is_full(self) -> bool:
        """Whether it is time to write a run."""
        return len(self._recent) >= self.capacity

    @property
    def asks(self) -> int:
        """Of how many marks it has yet to be found out whether they were seen, those that are being sifted not counted."""
        return len(self._asked)

    @property
    def asks_enough(self) -> bool:
        """Whether it is time to sift."""
        return len(self._asked) >= self.capacity // _ASKED

    @property
    def is_overdue(self) -> bool:
        """Whether so much has come since that time that no more should."""
        return len(self._asked) >= self.capacity or len(self._recent) >= 2 * self.capacity

    def sort(self, marks: Sequence[bytes]) -> tuple[list[int], list[int]]:
        """Which marks, by their places, are new, and which are doubtful; from now on these count as known. The others are known."""
        new = self._recent.unseen(marks, range(len(marks)))
        if not self.bits or not new:
            return new, []
        if self._leaving:
            new = self._leaving.unseen(marks, new)
        new, doubtful = sort_out(self.bits, words_of(b"".join([marks[at] for at in new])), new)
        if doubtful:
            doubtful = [at for at in self._sifted.unseen(marks, doubtful) if self._asked.add(marks[at])]
        return new, doubtful

    def add(self, mark: bytes) -> bool:
        """Have a mark known that is not in the runs; whether it was new."""
        self._cleared.discard(mark)
        return not (self._leaving and mark in self._leaving) and self._recent.add(mark)

    def is_doubtful(self, mark: bytes) -> bool:
        """Whether the runs have to be asked (`learn`) before `in` can tell."""
        return (
            len(self.bits) > 0
            and mark not in self._cleared
            and not self._is_in_memory(mark)
            and bool(sort_out(self.bits, words_of(mark), [0])[1])
        )

    def learn(self, mark: bytes, *, is_in_runs: bool) -> None:
        """The answer to a doubt."""
        if is_in_runs:
            self._sifted.add(mark)
        else:
            self._cleared.add(mark)

    def __contains__(self, mark: bytes) -> bool:
        """Whether it was seen before, or is asked about. Of a doubtful mark nothing is known: see `is_doubtful`."""
        return self._is_in_memory(mark)

    def _is_in_memory(self, mark: bytes) -> bool:
        return (
            mark in self._recent
            or (self._leaving is not None and mark in self._leaving)
            or mark in self._asked
            or mark in self._sifted
        )

    # ------------------------------------------------------------------ for the runs

    def extend(self, marks: Iterable[bytes]) -> None:
        """Have marks known of which it is known that they are new."""
        self._recent.extend(marks)

    def update(self, marks: Iterable[bytes]) -> None:
        """Have marks known, in the runs or not."""
        self._recent.update(marks)

    def ask(self, marks: Iterable[bytes]) -> None:
        """Take up doubts of an earlier run."""
        self._asked.update(marks)

    def begin_leaving(self) -> SeenSet:
        """What is to be written as the next run: all that is recent."""
        self._leaving, self._recent = self._recent, SeenSet()
        if not self.bits:
            wanted = max(PARTS, self.capacity * _FILTER_BYTES_A_MARK)
            self.bits = bytearray(1 << (wanted - 1).bit_length())
        return self._leaving

    def note(self, part: bytes) -> None:
        """Have the filter know marks that are about to leave."""
        note(self.bits, words_of(part))

    def end_leaving(self) -> None:
        """It is written."""
        self._leaving = None

    def begin_sifting(self) -> SeenSet:
        """What is asked about so far."""
        self._sifted, self._asked = self._asked, SeenSet()
        return self._sifted

    def end_sifting(self) -> None:
        """All of that is answered. It is remembered until the next time: where links led once they lead again."""
        self._cleared.clear()
