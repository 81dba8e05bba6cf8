"""A set of marks, against Python's own."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from crawler.frontier.seen import PARTS, SeenSet

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


@given(MARKS)
def test_its_parts_hold_all_marks_in_order(marks: list[bytes]) -> None:
    seen = SeenSet()
    seen.update(marks)
    joined = b"".join(seen.part(number) for number in range(PARTS))
    assert [joined[at : at + 16] for at in range(0, len(joined), 16)] == sorted(set(marks))
    assert all(seen.part(number)[::16] == bytes([number]) * (len(seen.part(number)) // 16) for number in range(PARTS))


@given(MARKS, MARKS, st.data())
def test_it_tells_which_marks_it_lacks(known: list[bytes], asked: list[bytes], data: st.DataObject) -> None:
    seen = SeenSet()
    seen.update(known)
    places = data.draw(st.lists(st.integers(0, len(asked) - 1), unique=True)) if asked else []
    assert seen.unseen(asked, places) == [at for at in places if asked[at] not in known]


@given(MARKS, MARKS)
def test_marks_that_are_known_to_be_new_need_no_look_up(old: list[bytes], more: list[bytes]) -> None:
    """Given in spite of being known they are there all the same."""
    seen = SeenSet()
    seen.update(old)
    seen.extend(more)
    assert all(mark in seen for mark in old + more)
    assert not any(seen.add(mark) for mark in old + more)
