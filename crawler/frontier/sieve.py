"""What was seen before, as far as memory can tell, in memory that does not grow with the crawl.

The latest `capacity` marks are known exactly. Older ones lie in the file, in sorted runs (runs.py); of these a Bloom filter of
fixed size is in memory. So of a link it is known at once that it is new, or that it was seen lately; or it is *doubtful*: of
an old one, that is most often one that was seen. Doubtful links are put by in the file, and are *sifted* all together, once
they are many, nothing else is left to do, or some time has passed: one reading of all runs, in order, tells of all of them.
No link costs a look-up on disk. (Lee, Leonard, Wang and Loguinov call it DRUM, in IRLbot: Scaling to 6 Billion Pages and
Beyond, 2008; it is the sieve of BUbiNG: Boldi, Marino, Santini and Vigna, 2014.)

A crawl that fits into `capacity` has no runs and no doubts. This module does no I/O and never waits. Marks come as arrays of
words, in which they have their places (marks.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.frontier.marks import PARTS, Table, note, sort_out

if TYPE_CHECKING:
    from array import array

_FILTER_BYTES_A_MARK = 16
"""Of `capacity`: enough for ten times as many marks before one in a hundred new links is doubtful, too."""

_ASKED = 4
"""A sifting is due when a fourth of `capacity` is asked about."""

_RECENT = (1, 2)
_ASKED_ABOUT = (3, 4)
"""Tags. Two and two of them take turns: what is being written, or sifted, is told from what comes meanwhile."""


class Sieve:
    """Tells new marks from known and doubtful ones."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.bits = bytearray()
        """The filter over all marks in runs, empty where there are none."""
        self.recent = 0
        """How many marks are known that are in no run."""
        self.asks = 0
        """Of how many marks it has yet to be found out whether they were seen, those that are being sifted not counted."""
        self._learned = 0
        self._table = Table()
        self._recent, self._leaving = _RECENT
        self._asked, self._sifted = _ASKED_ABOUT

    @property
    def wanted_bytes(self) -> int:
        """How large the filter is to be, for this `capacity`."""
        return 1 << (max(PARTS, self.capacity * _FILTER_BYTES_A_MARK) - 1).bit_length()

    @property
    def is_full(self) -> bool:
        """Whether it is time to write a run."""
        return self.recent >= self.capacity

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is to be found out or written."""
        return not (self.asks or self._learned) and self.recent < self.capacity

    @property
    def asks_enough(self) -> bool:
        """Whether it is time to sift: so much is asked about, or was learned and is to be forgotten."""
        return self.asks + self._learned >= max(1, self.capacity // _ASKED)

    @property
    def is_overdue(self) -> bool:
        """Whether so much has come since that time that no more should."""
        return self.asks >= self.capacity or self.recent >= 2 * self.capacity

    def sort(self, marks: array[int]) -> tuple[list[int], list[int]]:
        """Which marks, by their places, are new, and which are doubtful; from now on these count as known. The others are known."""
        new = self._table.lacking(marks)
        if not self.bits or not new:
            return new, []
        new, doubtful = sort_out(self.bits, marks, new)
        return new, self._ask(marks, doubtful)

    def _ask(self, marks: array[int], places: list[int]) -> list[int]:
        """Ask about marks, but for those of which that is done; the places of the others."""
        asked = self._table.put_new(marks, places, self._asked)
        self.asks += len(asked)
        return asked

    def add(self, marks: array[int], at: int = 0) -> bool:
        """Have a mark known that is not in the runs; whether it was new."""
        if self._table.tag(marks, at) in _RECENT:
            return False
        self._table.put(marks, at, self._recent)
        self.recent += 1
        return True

    def add_new(self, marks: array[int], new: list[int]) -> list[int]:
        """Have those marks known that are `new`; their places, but for those of marks that are there twice."""
        added = self._table.put_new(marks, new, self._recent)
        self.recent += len(added)
        return added

    def knows(self, mark: array[int]) -> bool:
        """Whether it was seen before, or is asked about. Of a mark that `is_doubtful` that is so if it is in the runs."""
        return self._table.tag(mark, 0) > 0

    def is_doubtful(self, mark: array[int]) -> bool:
        """Whether it may be in the runs, of which `knows` knows nothing unless it is told (`learn`)."""
        return bool(self.bits and not self._table.tag(mark, 0) and sort_out(self.bits, mark, [0])[1])

    def learn(self, mark: array[int]) -> None:
        """A mark is in the runs."""
        self._table.put(mark, 0, self._sifted)
        self._learned += 1

    # ------------------------------------------------------------------ for the runs

    def update(self, marks: array[int]) -> None:
        """Have marks known, in the runs or not."""
        for at in range(len(marks) // 2):
            self.add(marks, at)

    def ask(self, marks: array[int]) -> None:
        """Take up doubts of an earlier run."""
        self._ask(marks, list(range(len(marks) // 2)))

    def begin_bits(self) -> None:
        """Make the filter anew, larger: it knows nothing until it has noted all runs."""
        self.bits = bytearray(self.wanted_bytes)

    def note(self, marks: array[int]) -> None:
        """Have the filter know marks of a run."""
        note(self.bits, marks)

    def begin_leaving(self) -> None:
        """What is recent is to be written as a run."""
        self._recent, self._leaving = self._leaving, self._recent
        self.recent = 0
        if not self.bits:
            self.begin_bits()

    def leaving(self, part: int) -> array[int]:
        """The marks that leave and begin with this byte, sorted. The filter knows them from here on."""
        marks = self._table.part(part, self._leaving)
        self.note(marks)
        return marks

    def end_leaving(self) -> None:
        """They are written."""
        self._table.drop(self._leaving)

    def begin_sifting(self) -> list[array[int]]:
        """What is asked about so far, by its first byte, sorted. It counts as known from here on, until the next time: where links
        led once they lead again."""
        self._table.drop(self._sifted)
        self._asked, self._sifted = self._sifted, self._asked
        self.asks = self._learned = 0
        return [self._table.part(number, self._sifted) for number in range(PARTS)]
