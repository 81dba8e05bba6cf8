"""What is done to many marks at once, against Python's sets, as it is compiled and as it is written."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crawler.frontier
from crawler.frontier import marks as installed

if TYPE_CHECKING:
    from types import ModuleType


def _as_written() -> ModuleType:
    spec = importlib.util.spec_from_file_location("marks_as_written", Path(crawler.frontier.__path__[0], "marks.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


written = _as_written()
needs_compiled = pytest.mark.skipif(
    not installed.IS_COMPILED,
    reason="crawler/frontier/marks.py is not compiled here: no C compiler when it was installed",
)


@pytest.fixture(scope="module", params=["as written", pytest.param("compiled", marks=needs_compiled)])
def marks(request: pytest.FixtureRequest) -> Any:
    return installed if request.param == "compiled" else written


some_marks = st.lists(st.binary(min_size=16, max_size=16), max_size=40)
alike = st.lists(
    st.sampled_from([bytes([a]) * 8 + bytes([b]) * 8 for a in (0, 1, 255) for b in (0, 1, 255)]), max_size=30
)


def test_the_source_can_be_tested_beside_what_was_made_of_it() -> None:
    assert not written.IS_COMPILED


@given(known=some_marks | alike, asked=some_marks | alike)
def test_a_filter_never_forgets(marks: Any, known: list[bytes], asked: list[bytes]) -> None:
    bits = bytearray(4096)
    marks.note(bits, marks.words_of(b"".join(known)))
    places = list(range(100, 100 + len(asked)))
    absent, doubtful = marks.sort_out(bits, marks.words_of(b"".join(asked)), places)
    assert sorted([*absent, *doubtful]) == places
    assert not {asked[at - 100] for at in absent} & set(known)


def test_a_filter_that_is_not_full_is_seldom_wrong(marks: Any) -> None:
    """13 bits a mark."""
    randomness = random.Random(5)
    bits = bytearray(4096)
    marks.note(bits, marks.words_of(randomness.randbytes(16 * 2500)))
    absent, doubtful = marks.sort_out(bits, marks.words_of(randomness.randbytes(16 * 10_000)), list(range(10_000)))
    assert len(absent) + len(doubtful) == 10_000
    assert len(doubtful) < 150


@given(wanted=some_marks | alike, run=some_marks | alike, both=some_marks)
def test_what_is_in_a_run_is_found(marks: Any, wanted: list[bytes], run: list[bytes], both: list[bytes]) -> None:
    wanted, run = sorted(wanted + both), sorted({*run, *both})
    found = bytearray(len(wanted))
    marks.strike_out(marks.words_of(b"".join(wanted)), found, marks.words_of(b"".join(run)))
    assert list(found) == [mark in run for mark in wanted]
