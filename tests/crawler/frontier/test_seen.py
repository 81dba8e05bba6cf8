"""The seen-set, against Python's own."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.frontier.seen import SHELVES, SeenSet

MARKS = st.lists(st.binary(min_size=16, max_size=16), max_size=60)


@given(MARKS)
def test_it_is_a_set(marks: list[bytes]) -> None:
    seen, model = SeenSet(), set[bytes]()
    for mark in marks:
        assert (mark in seen) == (mark in model)
        assert seen.add(mark) == (mark not in model)
        model.add(mark)
        assert mark in seen
    assert len(seen) == len(model)


def test_marks_that_share_a_bucket_are_told_apart() -> None:
    randomness = random.Random(3)
    marks = {b"\x01\x02" + randomness.randbytes(14) for _ in range(3000)}
    seen = SeenSet()
    assert all(seen.add(mark) for mark in marks)
    assert not any(seen.add(mark) for mark in marks)
    assert len(seen) == len(marks)
    assert b"\x01\x03" + next(iter(marks))[2:] not in seen


def test_it_can_be_put_away_and_taken_out() -> None:
    randomness = random.Random(4)
    marks = [randomness.randbytes(16) for _ in range(20_000)]
    seen, again = SeenSet(), SeenSet()
    for mark in marks:
        seen.add(mark)
    for number in range(SHELVES):
        again.restore(number, seen.shelf(number))
    assert len(again) == len(seen) == len(set(marks))
    assert all(mark in again for mark in marks)
    assert again.add(randomness.randbytes(16))


@pytest.mark.parametrize("damaged", [b"", b"\0" * 1023, b"\0" * 1025, b"\x01" + b"\0" * 1024])
def test_a_damaged_part_is_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="part 3 of the seen-set is damaged"):
        SeenSet().restore(3, damaged)


@given(MARKS, MARKS)
def test_marks_that_are_known_to_be_new_need_no_look_up(old: list[bytes], more: list[bytes]) -> None:
    """Given in spite of being known they are there all the same."""
    seen = SeenSet()
    seen.update(old)
    seen.extend(more)
    assert all(mark in seen for mark in old + more)
    assert not any(seen.add(mark) for mark in old + more)
