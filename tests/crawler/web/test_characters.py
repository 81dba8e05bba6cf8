"""Character references; what the parser makes of them is compared in `test_scan.py`."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.web.characters import NoCharacter, in_text, in_value

PIECES = [
    "&",
    "&#",
    "&#x",
    "#",
    ";",
    "=",
    "&amp",
    "&amp;",
    "&not",
    "&notit;",
    "&notin;",
    "&hearts",
    "&nGt;",
    "65",
    "&#x20AC;",
]


@given(st.lists(st.sampled_from(PIECES) | st.text("aot1; &", max_size=3)).map("".join))
def test_text_is_what_the_standard_library_takes_it_for(text: str) -> None:
    try:
        resolved = in_text(text)
    except NoCharacter:
        return
    assert resolved == html.unescape(text)


@given(st.text())
def test_what_was_escaped_comes_back(text: str) -> None:
    assert in_value(html.escape(text)) == in_text(html.escape(text)) == text


@pytest.mark.parametrize(
    ("written", "value"), [("&copy", "©"), ("&copy=", "&copy="), ("&copyx", "&copyx"), ("&copy;x", "©x")]
)
def test_in_a_value_a_name_without_its_semicolon_may_be_part_of_a_query(written: str, value: str) -> None:
    assert in_value(written) == value


@pytest.mark.parametrize("number", ["0", "13", "x80", "xD800", "x110000", "12345678", "x00000041"])
def test_numbers_that_stand_for_no_character_or_another_are_named(number: str) -> None:
    for resolve in (in_value, in_text):
        with pytest.raises(NoCharacter, match=f"&#{number};"):
            resolve(f"a&#{number};b")
