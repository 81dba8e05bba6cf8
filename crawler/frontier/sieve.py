"""What was seen before, as far as memory can tell, in memory that does not grow with the crawl.

The latest `capacity` marks are known exactly. Older ones are in the file, in sorted runs (runs.py), of which a Bloom filter of fixed
size is kept in memory. So it is known at once that a link is new, or that it was seen lately; otherwise it is *doubtful*, which most
often means an old link. Doubtful links are stored in the file, and *sifted* all together once they are many, nothing else is left to
do, or some time has passed: reading all runs once, in order, decides about all of them. No link costs a look-up on disk. (This is the
DRUM of Lee, Leonard, Wang and Loguinov, IRLbot: Scaling to 6 Billion Pages and Beyond, 2008, and the sieve of BUbiNG: Boldi, Marino,
Santini and Vigna, 2014.)

A crawl that fits into `capacity` has no runs and no doubts. This module does no I/O and never waits. Marks come as arrays of words, and
are referred to by their places there (marks.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.frontier.marks import PARTS, Table, note, sort_out

if TYPE_CHECKING:
    from array import array

_FILTER_BYTES_A_MARK = 16
"""For each mark of `capacity`: enough for ten times as many marks before one in a hundred new links is doubtful as well."""

_ASKED = 4
"""Sifting is due when a fourth of `capacity` is asked about."""

_RECENT = (1, 2)
_ASKED_ABOUT = (3, 4)
"""Tags, in two pairs whose members take turns, so that what is being written, or sifted, differs from what comes meanwhile."""


class Sieve:
    """Tells new marks from known and doubtful ones."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.bits = bytearray()
        """The filter over all marks in runs, empty where there are none."""
        self.recent = 0
        """How many of the known marks are in no run."""
        self.asks = 0
        """How many marks wait to be sifted, not counting those that are being sifted."""
        self._learned = 0
        self._table = Table()
        self._recent, self._leaving = _RECENT
        self._asked, self._sifted = _ASKED_ABOUT

    @property
    def wanted_bytes(self) -> int:
        """How large the filter should be for this `capacity`."""
        return 1 << (max(PARTS, self.capacity * _FILTER_BYTES_A_MARK) - 1).bit_length()

    @property
    def is_full(self) -> bool:
        """Whether it is time to write a run."""
        return self.recent >= self.capacity

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to sift or write."""
        return not (self.asks or self._learned) and self.recent < self.capacity

    @property
    def asks_enough(self) -> bool:
        """Whether it is time to sift: so many marks are asked about, or were learned and have to be forgotten."""
        return self.asks + self._learned >= max(1, self.capacity // _ASKED)

    @property
    def is_overdue(self) -> bool:
        """Whether so much has come since then that no more should."""
        return self.asks >= self.capacity or self.recent >= 2 * self.capacity

    def sort(self, marks: array[int]) -> tuple[list[int], list[int]]:
        """The places of the marks that are new, and of those that are doubtful, which count as known from now on. All others are
        known."""
        new = self._table.lacking(marks)
        if not self.bits or not new:
            return new, []
        new, doubtful = sort_out(self.bits, marks, new)
        return new, self._ask(marks, doubtful)

    def _ask(self, marks: array[int], places: list[int]) -> list[int]:
        """Ask about marks, unless that has been done; returns the places of those that are now asked about."""
        asked = self._table.put_new(marks, places, self._asked)
        self.asks += len(asked)
        return asked

    def add(self, marks: array[int], at: int = 0) -> bool:
        """Make a mark known that is not in the runs; returns whether it was new."""
        if self._table.tag(marks, at) in _RECENT:
            return False
        self._table.put(marks, at, self._recent)
        self.recent += 1
        return True

    def add_new(self, marks: array[int], new: list[int]) -> list[int]:
        """Make the marks at the places `new` known; returns these places, without those of repeated marks."""
        added = self._table.put_new(marks, new, self._recent)
        self.recent += len(added)
        return added

    def knows(self, mark: array[int]) -> bool:
        """Whether a mark was seen before, or is asked about. If it `is_doubtful`, the runs have to be asked first (`learn`)."""
        return self._table.tag(mark, 0) > 0

    def is_doubtful(self, mark: array[int]) -> bool:
        """Whether a mark may be in the runs, and is not known otherwise."""
        return bool(self.bits and not self._table.tag(mark, 0) and sort_out(self.bits, mark, [0])[1])

    def learn(self, mark: array[int]) -> None:
        """Take up that a mark is in the runs; it is known until the next sifting."""
        self._table.put(mark, 0, self._sifted)
        self._learned += 1

    # ------------------------------------------------------------------ for the runs

    def update(self, marks: array[int]) -> None:
        """Make marks known, whether they are in the runs or not."""
        for at in range(len(marks) // 2):
            self.add(marks, at)

    def ask(self, marks: array[int]) -> None:
        """Ask about marks that an earlier run of the crawl asked about."""
        self._ask(marks, list(range(len(marks) // 2)))

    def begin_bits(self) -> None:
        """Begin a new, larger filter, which knows nothing until it has noted all runs."""
        self.bits = bytearray(self.wanted_bytes)

    def note(self, marks: array[int]) -> None:
        """Make the filter know marks of a run."""
        note(self.bits, marks)

    def begin_leaving(self) -> None:
        """Set recent marks apart, to be written as a run."""
        self._recent, self._leaving = self._leaving, self._recent
        self.recent = 0
        if not self.bits:
            self.begin_bits()

    def leaving(self, part: int) -> array[int]:
        """The marks set apart that begin with this byte, sorted. The filter knows them from now on."""
        marks = self._table.part(part, self._leaving)
        self.note(marks)
        return marks

    def end_leaving(self) -> None:
        """Forget the marks set apart: they are written."""
        self._table.drop(self._leaving)

    def begin_sifting(self) -> list[array[int]]:
        """What is asked about so far, by first byte, sorted. It stays known until the next sifting, since links that were seen once
        are seen again."""
        self._table.drop(self._sifted)
        self._asked, self._sifted = self._sifted, self._asked
        self.asks = self._learned = 0
        return [self._table.part(number, self._sifted) for number in range(PARTS)]
