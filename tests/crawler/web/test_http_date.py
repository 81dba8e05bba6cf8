"""RFC 9110 §5.6.7: three forms of one date, and what is none of them."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.web.http_date import parse_http_date

THEN = 784111777.0
"""The example of the RFC."""

NOW = 1_795_000_000.0  # November 2026


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "  sun, 06 nov 1994 08:49:37 gmt ",
        "Sun, 06 Nov 1994 08:49:37 UTC",
    ],
)
def test_all_forms_name_the_same_instant(text: str) -> None:
    assert parse_http_date(text, now=NOW) == THEN


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("Sunday, 06-Nov-75 08:49:37 GMT", 2075),
        ("Friday, 06-Nov-76 08:49:37 GMT", 2076),
        ("Friday, 31-Dec-76 08:49:37 GMT", 1976),
        ("Sunday, 06-Nov-77 08:49:37 GMT", 1977),
        ("Sunday, 06-Nov-26 08:49:37 GMT", 2026),
        ("Sunday, 06-Nov-00 08:49:37 GMT", 2000),
    ],
)
def test_two_digits_mean_the_last_century_when_more_than_fifty_years_ahead(text: str, year: int) -> None:
    found = parse_http_date(text, now=NOW)
    assert found is not None
    assert time.gmtime(found).tm_year == year


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +0100",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Wed, 29 Feb 1995 08:49:37 GMT",
        "Wednesday, 29-Feb-95 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun Nov  6 08:49:37 0000",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, ٠٦ Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_http_date(text: str) -> None:
    assert parse_http_date(text, now=NOW) is None


@given(st.integers(0, 4_000_000_000))
def test_what_is_written_is_read(instant: int) -> None:
    asctime = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(instant))
    assert parse_http_date(formatdate(instant, usegmt=True), now=NOW) == instant
    assert parse_http_date(asctime, now=NOW) == instant


two = st.integers(0, 99).map("{:02}".format)
four = st.sampled_from(["0000", "0001", "1969", "9999"]) | st.integers(0, 9999).map("{:04}".format)
months = st.sampled_from(["Jan", "feb", "SEP", "Dec", "Foo"])
clocks = st.builds("{}:{}:{}".format, two, two, two)
odd_dates = (
    st.builds("Sun, {} {} {} {} GMT".format, two, months, four, clocks)
    | st.builds("Sunday, {}-{}-{} {} UTC".format, two, months, two, clocks)
    | st.builds("Sun {} {} {} {}".format, months, two, clocks, four)
)


@given(odd_dates)
def test_no_date_is_too_strange(text: str) -> None:
    """Whatever looks like a date is an instant, or none; a server that says it wants its pause all the same."""
    found = parse_http_date(text, now=NOW)
    assert found is None or time.gmtime(found).tm_year >= 1


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    assert parse_http_date(text, now=NOW) is None
