"""Dates of feeds: all that feeds write comes out in one form, and nothing else as a date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.web.feed_dates import iso_8601

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=ZONES)  # noqa: DTZ001 - its zones are drawn


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sat, 07 Sep 2002 00:00:01 GMT", "2002-09-07T00:00:01Z"),
        ("7 Sep 02 00:00 EST", "2002-09-07T05:00:00Z"),
        ("Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z"),
        ("Mon, 1 January 2024 10:00:00 Z", "2024-01-01T10:00:00Z"),
        ("Sun, 1 Sept. 2024 10:00:00 PDT", "2024-09-01T17:00:00Z"),
        ("Mon,01 Jan 2024 10:00 +0530", "2024-01-01T04:30:00Z"),
        ("Mon, 01 Jan 2024 10:00:00.25 CET (Paris)", "2024-01-01T09:00:00.250000Z"),
        ("Lun, 01 Jan 2024 10:00:00 +01:00", "2024-01-01T09:00:00Z"),
        ("Mon, 01 Jan 2024 10:00:00 GMT-0200", "2024-01-01T12:00:00Z"),
        ("Mon, 01 Jan 2024 10:00:00 UTC+2", "2024-01-01T08:00:00Z"),
        ("Mon, 01 Jan 2024 10:00:00 XYZ", "2024-01-01T10:00:00Z"),
        ("Mon, 01 Jan 2024 10:00:00", "2024-01-01T10:00:00Z"),
        ("Sat, 31 Dec 2016 23:59:60 GMT", "2017-01-01T00:00:00Z"),
        ("Mon, 01 Jan 2024 24:00:00 GMT", "2024-01-02T00:00:00Z"),
        ("Mon, 01 Jan 2024", "2024-01-01"),
        ("2003-12-13T18:30:02.25+01:00", "2003-12-13T17:30:02.250000Z"),
        (" 2003-12-13T18:30:02Z\n", "2003-12-13T18:30:02Z"),
        ("2003-12-13t18:30z", "2003-12-13T18:30:00Z"),
        ("2003-12-13 18:30:02 +0000", "2003-12-13T18:30:02Z"),
        ("2003-12-13T18:30:02.123456789 EST", "2003-12-13T23:30:02.123456Z"),
        ("2003-1-2 8:30", "2003-01-02T08:30:00Z"),
        ("2003", "2003"),
        ("2003-12", "2003-12"),
        ("2003-12-13", "2003-12-13"),
        ("Mon, 30 Feb 2024 10:00:00 GMT", None),
        ("Mon, 01 Jan 2024 25:00:00 GMT", None),
        ("Mon, 01 Jan 0000 10:00:00 GMT", None),
        ("Mon, 01 Jan 2024 10:00:00 +9999", None),
        ("31 Dec 9999 23:59 -1200", None),
        ("Lun, 01 Ago 2024 10:00:00 GMT", None),
        ("2003-13", None),
        ("2024-02-29", "2024-02-29"),
        ("2024-02-30", None),
        ("0000-01-01", None),
        ("\u0662\u0660\u0660\u0663", None),
        ("yesterday", None),
        ("", None),
        ("1" * 1_000_000, None),
    ],
)
def test_forms(text: str, expected: str | None) -> None:
    assert iso_8601(text) == expected


@given(INSTANTS)
def test_every_instant_comes_out_as_it_went_in(instant: datetime) -> None:
    expected = instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
    assert iso_8601(instant.isoformat()) == expected
    whole = instant.replace(microsecond=0)
    assert iso_8601(format_datetime(whole)) == whole.astimezone(UTC).isoformat().replace("+00:00", "Z")


@given(st.text(max_size=60) | st.from_regex(r"\A[\d:TZ,+ -]{0,40}\Z"))
def test_nothing_is_an_error(text: str) -> None:
    iso_8601(text)
