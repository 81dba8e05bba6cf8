"""Dates as feeds write them, whatever their standard asks for, converted to one form: ISO 8601, in UTC.

    RFC 822, 2822   Sat, 7 Sep 2002 10:00:01 GMT     with years of two digits, without day name or seconds, in full words
    RFC 3339        2002-09-07T10:00:01.5+02:00      with a blank for the T, without seconds or zone
    W3C-DTF         2002, 2002-09, 2002-09-07        left as they are: they name no instant

A zone is an offset, with or without `GMT` before it, a name of RFC 822, or another name that feeds use; without a zone, or with an
unknown one, UTC is assumed (RFC 5322 §4.3). Names of days are ignored, in any language. Months are in English.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONES = {
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "ET": -5, "CT": -6, "MT": -7, "PT": -8, "AST": -4, "ADT": -3, "AKST": -9, "AKDT": -8, "HST": -10,
    "BST": 1, "WEST": 1, "CET": 1, "CEST": 2, "MET": 1, "MEST": 2, "EET": 2, "EEST": 3, "MSK": 3,
    "JST": 9, "KST": 9, "HKT": 8, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
}  # fmt: skip
"""Hours east of Greenwich. If a name means several zones, the one of RFC 822 §5.1, or else the one that feeds mean."""

_TIME = r"(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-6]\d)(?:[.,](?P<fraction>\d{1,6})\d*)?)?"
_ZONE = r"\s*(?:Z|(?:GMT|UTC?)?(?P<sign>[+-])(?P<hours>\d{1,2}):?(?P<minutes>\d\d)?|(?P<name>[A-Za-z]+))?"
_FORMS = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"(?:[^\d\s]+,?\s*)?(?P<day>\d{{1,2}})[\s-]+(?P<month>[a-z]{{3}})[a-z]*\.?[\s-]+(?P<year>\d{{4}}|\d\d)(?:,?\s+{_TIME}{_ZONE}(?:\s*\(.*\))?)?",
        rf"(?P<year>\d{{4}})-(?P<month>\d\d?)-(?P<day>\d\d?)(?:T|\s+){_TIME}{_ZONE}",
    )
)
_WITHOUT_TIME = re.compile(r"\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?", re.ASCII)
_LONGEST = 100
_CENTURY_ENDS = 69
"""From here on, a year of two digits is in the last century (POSIX)."""


def iso_8601(text: str) -> str | None:
    """The instant, as `2002-09-07T10:00:01Z`, or the day, month or year; None for what is not a date."""
    text = text.strip()[:_LONGEST]
    found = next((found for form in _FORMS if (found := form.fullmatch(text))), None)
    try:
        if _WITHOUT_TIME.fullmatch(text):
            return date.fromisoformat(text).isoformat() if len(text) == len("2002-09-07") else text
        return None if found is None else _instant(found)
    except (ValueError, OverflowError):  # the 30th of February, the year 0
        return None


def _instant(found: re.Match[str]) -> str:
    month = found["month"].lower()
    day = datetime(
        _year(found["year"]),
        int(month) if month.isdigit() else _MONTHS.index(month) + 1,
        int(found["day"]),
        tzinfo=_zone(found),
    )
    if found["hour"] is None:
        return day.date().isoformat()
    at = day + timedelta(hours=int(found["hour"]), minutes=int(found["minute"]), seconds=int(found["second"] or 0))
    at = at.replace(microsecond=int((found["fraction"] or "").ljust(6, "0")))
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _year(digits: str) -> int:
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + (2000 if year < _CENTURY_ENDS else 1900)


def _zone(found: re.Match[str]) -> timezone:
    if found["sign"]:
        offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"] or 0))
        return timezone(-offset if found["sign"] == "-" else offset)
    return timezone(timedelta(hours=_ZONES.get((found["name"] or "").upper(), 0)))
