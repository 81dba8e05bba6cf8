"""Marks by the thousand, against Python's sets, as the module is compiled and as it is written."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.frontier import marks as installed
from tests.as_written import as_written

written = as_written(installed)
needs_compiled = pytest.mark.skipif(
    not installed.IS_COMPILED,
    reason="crawler/frontier/marks.py is not compiled here: no C compiler when it was installed",
)


@pytest.fixture(scope="module", params=["as written", pytest.param("compiled", marks=needs_compiled)])
def marks(request: pytest.FixtureRequest) -> Any:
    return installed if request.param == "compiled" else written


some_marks = st.lists(st.binary(min_size=16, max_size=16), max_size=40)
few = st.sampled_from([bytes([a]) * 8 + bytes([b]) * 8 for a in (0, 1, 255) for b in (0, 1, 255)])
alike = st.lists(few, max_size=30)


def test_the_source_can_be_tested_beside_what_was_made_of_it() -> None:
    assert not written.IS_COMPILED


def marks_in(words: Any) -> list[bytes]:
    joined = installed.bytes_of(words)
    return [joined[at : at + 16] for at in range(0, len(joined), 16)]


@given(some_marks)
def test_words_compare_like_the_bytes_they_are_made_of(marks: Any, some: list[bytes]) -> None:
    words = marks.words_of(b"".join(some))
    assert marks.bytes_of(words) == b"".join(some)
    pairs = list(zip(words[::2], words[1::2], strict=True))
    assert sorted(range(len(some)), key=some.__getitem__) == sorted(range(len(some)), key=pairs.__getitem__)


# The table


@given(
    known=st.dictionaries(st.one_of(st.binary(min_size=16, max_size=16), few), st.integers(1, 4)),
    asked=some_marks | alike,
)
def test_a_table_is_a_dictionary(marks: Any, known: dict[bytes, int], asked: list[bytes]) -> None:
    table = marks.Table()
    words = marks.words_of(b"".join(known))
    for place, tag in enumerate(known.values()):
        assert table.tag(words, place) == 0
        table.put(words, place, 5)
        table.put(words, place, tag)
    for place, tag in enumerate(known.values()):
        assert table.tag(words, place) == tag
    more = marks.Table()
    places = list(range(len(asked)))
    added = more.put_new(marks.words_of(b"".join(asked)), places, 7)
    assert [asked[at] for at in added] == list(dict.fromkeys(asked))
    assert more.put_new(marks.words_of(b"".join(asked)), places, 8) == []
    assert table.lacking(marks.words_of(b"".join(asked))) == [at for at, mark in enumerate(asked) if mark not in known]
    for number in range(256):
        for tag in (1, 2, 3, 4):
            here = sorted(mark for mark, own in known.items() if (mark[0], own) == (number, tag))
            assert marks_in(table.part(number, tag)) == here


@pytest.mark.parametrize("starts", [b"", b"\xff\xff\xff", b"\x00\x00"])
def test_a_table_grows_and_can_be_emptied(marks: Any, starts: bytes) -> None:
    """Also where all marks want the same slots, the last ones among them."""
    randomness = random.Random(6)
    some = [starts + randomness.randbytes(16 - len(starts)) for _ in range(900)]
    words = marks.words_of(b"".join(some))
    table = marks.Table()
    for place in range(len(some)):
        table.put(words, place, 1 + place % 3)
    table.drop(2)
    assert [table.tag(words, place) for place in range(len(some))] == [(1, 0, 3)[at % 3] for at in range(len(some))]
    parts = [mark for number in range(256) for mark in marks_in(table.part(number, 3))]
    assert parts == sorted(some[2::3])
    table.drop(1)
    table.drop(3)
    assert table.lacking(words) == list(range(len(some)))


# The filter


@given(known=some_marks | alike, asked=some_marks | alike, data=st.data())
def test_a_filter_never_forgets(marks: Any, known: list[bytes], asked: list[bytes], data: st.DataObject) -> None:
    bits = bytearray(4096)
    marks.note(bits, marks.words_of(b"".join(known)))
    places = data.draw(st.lists(st.integers(0, len(asked) - 1), unique=True)) if asked else []
    absent, doubtful = marks.sort_out(bits, marks.words_of(b"".join(asked)), places)
    assert sorted([*absent, *doubtful]) == sorted(places)
    assert not {asked[at] for at in absent} & set(known)


def test_a_filter_that_is_not_full_is_seldom_wrong(marks: Any) -> None:
    """13 bits a mark."""
    randomness = random.Random(5)
    bits = bytearray(4096)
    marks.note(bits, marks.words_of(randomness.randbytes(16 * 2500)))
    absent, doubtful = marks.sort_out(bits, marks.words_of(randomness.randbytes(16 * 10_000)), list(range(10_000)))
    assert len(absent) + len(doubtful) == 10_000
    assert len(doubtful) < 150


# Runs


@given(wanted=some_marks | alike, run=some_marks | alike, both=some_marks)
def test_what_is_in_a_run_is_found(marks: Any, wanted: list[bytes], run: list[bytes], both: list[bytes]) -> None:
    wanted, run = sorted(wanted + both), sorted({*run, *both})
    found = bytearray(len(wanted))
    marks.strike_out(marks.words_of(b"".join(wanted)), found, marks.words_of(b"".join(run)))
    assert list(found) == [mark in run for mark in wanted]
