"""What the command tells is worded for readers."""

from __future__ import annotations

import pytest

from crawler.reports.wording import aligned, brief, counted, duration, instant, minute, size


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_500_000, "1.5 MB"),
        (7_250_000_000, "7.2 GB"),
        (3 * 10**15, "3,000.0 TB"),
    ],
)
def test_sizes_are_for_readers(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1:00"), (3599, "59:59"), (93787, "26:03:07")]
)
def test_durations_are_for_readers(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.0, "0 ms"), (0.0124, "12 ms"), (1.0, "1.00 s"), (3.254, "3.25 s")]
)
def test_short_times_are_told_briefly(seconds: float | None, text: str) -> None:
    assert brief(seconds) == text


def test_one_is_not_many() -> None:
    assert [counted(number, "page") for number in (0, 1, 1234)] == ["0 pages", "1 page", "1,234 pages"]


def test_instants_are_told_to_the_second_or_the_minute() -> None:
    iso = "2026-01-31T12:00:59.123+00:00"
    assert (instant(iso), minute(iso)) == ("2026-01-31 12:00:59 UTC", "2026-01-31 12:00 UTC")


def test_figures_of_a_table_end_below_each_other() -> None:
    rows = [("host", "done", ""), ("a.example", "7", "held"), ("b", "1,000", "")]
    assert list(aligned(rows)) == ["host        done", "a.example      7  held", "b          1,000"]
